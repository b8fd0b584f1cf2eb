"""An authority for tests: it signs what it is told to, good or bad."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec import Struct

#: How long from now a certificate begins and ends, unless it is said.
_DAYS = (-1.0, 30.0)


class Credential(Struct, frozen=True):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def keyPem(self) -> bytes:
        """The key."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, path: Path) -> Path:
        """Both in one file, for its owner only."""
        path.write_bytes(self.pem() + self.keyPem())
        os.chmod(path, 0o600)
        return path


class Authority:
    """
    Signs.

    @param above: who signed its own certificate; C{None}: itself.
    """

    def __init__(self, name: str = "CN=Test CA", above: Authority | None = None) -> None:
        self.own = _made(name, [], above.own if above is not None else None, _DAYS, None)

    def write(self, path: Path) -> Path:
        """Its certificate in a file."""
        path.write_bytes(self.own.pem())
        return path

    def server(self, host: str = "127.0.0.1", days: tuple[float, float] = _DAYS) -> Credential:
        """A server's, for an address."""
        name = x509.IPAddress(ip_address(host))
        return _made(f"CN={host}", [name], self.own, days, ExtendedKeyUsageOID.SERVER_AUTH)

    def client(
        self,
        subject: str = "CN=crm,O=Example",
        names: Iterable[x509.GeneralName] = (),
        days: tuple[float, float] = _DAYS,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> Credential:
        """A client's."""
        return _made(subject, list(names), self.own, days, usage)


def _made(
    subject: str,
    names: list[x509.GeneralName],
    signer: Credential | None,
    days: tuple[float, float],
    usage: x509.ObjectIdentifier | None,
) -> Credential:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string(subject)
    now = datetime.now(UTC)
    begins, ends = (now + timedelta(days=day) for day in days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if signer is None else signer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return Credential(builder.sign(key if signer is None else signer.key, SHA256()), key)


def clientContext(
    authority: Path | None = None, shows: Path | None = None, most: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """
    What a client connects with.

    @param authority: whose servers it believes; C{None}: everybody's.
    @param shows: its certificate and key in one file.
    @param most: the latest version of TLS that it offers, and the only one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(authority)
    if shows is not None:
        context.load_cert_chain(shows)
    if most is not None:
        # So old that this machine's OpenSSL does not do it unless it is told twice.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = most
    return context
