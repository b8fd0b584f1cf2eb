"""Certificates and keys as they are on the disk: what is taken, what is refused, and what is worth a warning."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from scalemgr.server.tls import CertificateRefused, Files, Terms, load

from ..certificates import Authority, Credential

AUTHORITY = Authority()
SERVER = AUTHORITY.server()
NOW = time.time()
NO_TERMS = Terms()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A good certificate and its key."""
    (tmp_path / "certificate.pem").write_bytes(SERVER.pem())
    key = tmp_path / "key.pem"
    key.write_bytes(SERVER.keyPem())
    key.chmod(0o600)
    return Files(tmp_path / "certificate.pem", key)


def refused(files: Files, terms: Terms = NO_TERMS) -> str:
    """The sentence with which it is."""
    with pytest.raises(CertificateRefused) as error:
        load(files, terms, NOW)
    return str(error.value)


def test_good(files: Files) -> None:
    """A certificate and its key are taken without a word, and it is known when it ends."""
    loaded = load(files, NO_TERMS, NOW)
    assert loaded.warnings == []
    assert loaded.expires == SERVER.certificate.not_valid_after_utc.timestamp()
    assert loaded.news(loaded) == []


def test_oneFile(tmp_path: Path) -> None:
    """Certificate and key may be in one file."""
    file = SERVER.write(tmp_path / "both.pem")
    assert load(Files(file, file), NO_TERMS, NOW).warnings == []


@pytest.mark.parametrize("which", ["certificate", "key"])
def test_missing(files: Files, which: str) -> None:
    """A file that is not there is named."""
    path: Path = getattr(files, which)
    path.unlink()
    what = {"certificate": "certificate", "key": "private key"}[which]
    assert refused(files) == f"the {what} {path} cannot be read: No such file or directory"


def test_otherFilesMissing(files: Files, tmp_path: Path) -> None:
    """So is one of a chain, or of authorities."""
    nowhere = tmp_path / "nowhere.pem"
    assert refused(Files(files.certificate, files.key, nowhere)).startswith(f"the certificate chain {nowhere} cannot")
    assert refused(files, Terms(nowhere)).startswith(f"the client_ca {nowhere} cannot be read")


@pytest.mark.parametrize("content", [b"", b"nonsense", SERVER.pem()[:-40], SERVER.keyPem()])
def test_noCertificate(files: Files, content: bytes) -> None:
    """A file without a certificate in PEM is named, be it empty, cut short or something else."""
    files.certificate.write_bytes(content)
    assert refused(files) == f"the certificate {files.certificate} has no certificate in PEM"
    files.certificate.write_bytes(SERVER.pem())
    other = files.certificate.with_name("other.pem")
    other.write_bytes(content)
    assert refused(files, Terms(other)) == f"the client_ca {other} has no certificate in PEM"


@pytest.mark.parametrize("content", [b"", b"nonsense", SERVER.keyPem()[:-40], SERVER.pem()])
def test_noKey(files: Files, content: bytes) -> None:
    """So is a file without a private key."""
    files.key.write_bytes(content)
    assert refused(files) == f"the private key {files.key} has no private key in PEM"


def test_encryptedKey(files: Files) -> None:
    """A key with a password is refused, with what to do."""
    encrypted = SERVER.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    files.key.write_bytes(encrypted)
    assert f"`openssl pkey -in {files.key} -out FILE` writes it without one" in refused(files)


def test_keyOfAnother(files: Files) -> None:
    """A key that is not the certificate's is refused, naming both."""
    files.key.write_bytes(AUTHORITY.server().keyPem())
    said = refused(files)
    assert said.startswith(f"the private key in {files.key} is not that of the certificate in {files.certificate}, CN=")


def test_authorityFirst(files: Files) -> None:
    """A certificate behind that of its authority is refused, for OpenSSL would show the wrong one."""
    files.certificate.write_bytes(AUTHORITY.own.pem() + SERVER.pem())
    assert "CN=Test CA, issued by CN=Test CA; the server's own certificate comes first in its file" in refused(files)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_weakKey(tmp_path: Path) -> None:
    """A key that OpenSSL finds too short is refused in its words."""
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name.from_rfc4514_string("CN=weak")
    good = SERVER.certificate
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, good.not_valid_before_utc, good.not_valid_after_utc
    )
    file = tmp_path / "weak.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    assert refused(Files(file, file)) == f"the certificate in {file} is of no use: ee key too small"


def expiring(tmp_path: Path, days: tuple[float, float]) -> Credential:
    credential = AUTHORITY.server(days=days)
    credential.write(tmp_path / "short.pem")
    return credential


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ((-1, 14.01), None),
        ((-1, 13.99), "ends at {ends} UTC: put another in its place and send SIGHUP"),
        ((-2, -1), "has expired at {ends} UTC: nobody believes it any more"),
        ((1, 2), "is not valid before {begins} UTC"),
    ],
)
def test_periods(tmp_path: Path, days: tuple[float, float], said: str | None) -> None:
    """A certificate that ends soon, has ended or has yet to begin works, with a warning that says when."""
    now = time.time()
    credential = expiring(tmp_path, days)
    file = tmp_path / "short.pem"
    loaded = load(Files(file, file), NO_TERMS, now)
    assert loaded.isInForce(now) == (days[0] < 0 < days[1])
    if said is None:
        assert loaded.warnings == []
        return
    certificate = credential.certificate
    at = {
        name: f"{when:%Y-%m-%d %H:%M}"
        for name, when in (("begins", certificate.not_valid_before_utc), ("ends", certificate.not_valid_after_utc))
    }
    [warning] = loaded.warnings
    assert warning == f"the certificate in {file}, CN=127.0.0.1, issued by CN=Test CA, " + said.format(**at)


def test_authorityThatEnds(files: Files, tmp_path: Path) -> None:
    """An authority that ends soon is worth a warning, too."""
    path = AUTHORITY.write(tmp_path / "ca.pem")
    soon = AUTHORITY.own.certificate.not_valid_after_utc.timestamp() - 86400
    warnings = load(files, Terms(path), soon).warnings
    assert [path.name in warning for warning in warnings] == [False, True]
    assert datetime.fromtimestamp(soon + 86400, UTC).strftime("%Y-%m-%d") in warnings[1]


@pytest.mark.parametrize(("mode", "isSecret"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False)])
def test_keyThatOthersCanRead(files: Files, mode: int, isSecret: bool) -> None:
    """A private key that others than its owner can get at works, with a warning that says what to do."""
    os.chmod(files.key, mode)
    warning = f"others than its owner can get at the private key {files.key} (mode {mode:o}): chmod 600 {files.key}"
    assert load(files, NO_TERMS, NOW).warnings == ([] if isSecret else [warning])
