"""The same daemon behind TLS: an endpoint string is all that it takes."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from scalemgr.demo import EXAMPLE

from .daemons import daemon


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file


def test_tlsEndpointServes(tmp_path: Path, certificate: Path) -> None:
    """Over TLS a deposit is answered, and an over-long line is answered before the connection is closed."""
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={certificate}:certKey={certificate}"
    with daemon(tmp_path, "--demo", "--listen", endpoint) as (_, port):
        context = ssl.create_default_context(cafile=str(certificate))
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as peer,
        ):
            peer.sendall(EXAMPLE.encode() + b"\r\n")
            assert b'"status":200' in peer.recv(65536)
            peer.sendall(b"x" * 1_100_000)
            heard = b""
            while piece := peer.recv(65536):
                heard += piece
    assert b'"status":400' in heard.splitlines()[-1]
    assert b"a line may have at most 1048576 bytes" in heard.splitlines()[-1]
