"""TLS: what the doors speak it with, and why somebody did not get through one.

TLS 1.2 is the least, with forward secrecy; nothing is resumed, so that what a certificate gives is looked at for each
connection. Certificates and keys are read when the daemon starts and when it reads its configuration again: each
connection has what was read last when it came in, and keeps it.

Of clients a certificate may be asked for (L{Terms}). Why one was refused stands in the log and is told to nobody else:
the peer is cut off without a word. What TLS itself says of anything else (that it wants a certificate, or a later
version) it says.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_IRWXG, S_IRWXO
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from .bearers import described

__all__ = ["CertificateRefused", "Files", "Loaded", "Speaker", "Terms", "WarnBefore", "load", "whyFailed"]

#: How long before a certificate ends that is worth a warning.
WarnBefore = timedelta(days=14)

# Those of TLS 1.3 are all good, and are not chosen here.
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"


class CertificateRefused(Exception):
    """A certificate or a key cannot be used; the message says why and what to do, for the operator."""


class Files(Struct, frozen=True):
    """
    Where a server's certificate is.

    @ivar certificate: in PEM, followed by those that lead up to its authority.
    @ivar key: its private key in PEM; may be the same file.
    @ivar chain: more of those that lead up; C{None}: there are no more.
    """

    certificate: Path
    key: Path
    chain: Path | None = None


class Terms(Struct, frozen=True):
    """
    What is asked of clients.

    @ivar authorities: whose certificates are taken, in PEM; C{None}: clients are not asked for one.
    @ivar required: must they have one?
    """

    authorities: Path | None = None
    required: bool = True


class Loaded(Struct, frozen=True):
    """
    What connections are served with.

    @ivar certificate: the server's own.
    @ivar warnings: what the operator should know, though it works.
    """

    context: SSL.Context
    certificate: x509.Certificate
    warnings: list[str]

    @property
    def expires(self) -> float:
        """Until when the certificate is good, in unix seconds."""
        return self.certificate.not_valid_after_utc.timestamp()

    @property
    def told(self) -> str:
        """The certificate, for the operator."""
        return f"the certificate is {described(self.certificate)}, until {_shown(self.certificate.not_valid_after_utc)}"

    def isInForce(self, now: float) -> bool:
        """Is the certificate good at this time, in unix seconds?"""
        return self.certificate.not_valid_before_utc.timestamp() <= now < self.expires


def load(files: Files, terms: Terms, now: float) -> Loaded:
    """
    Read what a door needs. It blocks on the disk.

    @param now: in unix seconds.
    @raise CertificateRefused: naming the file.
    """
    certificate, *chain = _certificates(files.certificate, "certificate")
    if files.chain is not None:
        chain += _certificates(files.chain, "certificate chain")
    key = _key(files.key)
    if certificate.public_key() != key.public_key():
        raise CertificateRefused(
            f"the private key in {files.key} is not that of the certificate in {files.certificate}, "
            f"{described(certificate)}; the server's own certificate comes first in its file"
        )
    warnings = [*_periodWarnings(certificate, files.certificate, now), *_modeWarnings(files.key)]
    context = _context()
    if terms.authorities is not None:
        authorities = _certificates(terms.authorities, "client_ca")
        for authority in authorities:
            warnings += _periodWarnings(authority, terms.authorities, now)
        _askForCertificates(context, authorities, terms.required)
    try:
        context.use_certificate(certificate)
        for above in chain:
            context.add_extra_chain_cert(above)
        context.use_privatekey(key)
    except (SSL.Error, TypeError, ValueError) as e:
        raise CertificateRefused(f"the certificate in {files.certificate} is of no use: {_reason(e)}") from e
    return Loaded(context, certificate, warnings)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise CertificateRefused(f"the {what} {path} cannot be read: {e.strerror or e}") from e


def _certificates(path: Path, what: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path, what))
    except ValueError as e:
        raise CertificateRefused(f"the {what} {path} has no certificate in PEM") from e


def _key(path: Path) -> Any:
    try:
        return load_pem_private_key(_read(path, "private key"), None)
    except TypeError as e:
        raise CertificateRefused(
            f"the private key {path} is encrypted, and nobody is there to be asked for its password; "
            f"`openssl pkey -in {path} -out FILE` writes it without one"
        ) from e
    except (ValueError, UnsupportedAlgorithm) as e:
        raise CertificateRefused(f"the private key {path} has no private key in PEM") from e


def _periodWarnings(certificate: x509.Certificate, path: Path, now: float) -> list[str]:
    at = datetime.fromtimestamp(now, UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    what = f"the certificate in {path}, {described(certificate)},"
    if at < begins:
        return [f"{what} is not valid before {_shown(begins)}"]
    if at >= ends:
        return [f"{what} has expired at {_shown(ends)}: whoever checks it does not connect"]
    if at >= ends - WarnBefore:
        return [f"{what} ends at {_shown(ends)}: put another in its place and send SIGHUP"]
    return []


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _modeWarnings(path: Path) -> list[str]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return []
    if mode & (S_IRWXG | S_IRWXO):
        return [f"others than its owner can get at the private key {path} (mode {mode & 0o777:o}): chmod 600 {path}"]
    return []


def _context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(
        SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    # A session that says nothing holds no buffers.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    return context


def _askForCertificates(context: SSL.Context, authorities: list[x509.Certificate], required: bool) -> None:
    store = context.get_cert_store()
    assert store is not None
    for authority in authorities:
        store.add_cert(X509.from_cryptography(authority))
    # Who is in the file is trusted, also if it has its own certificate from somebody who is not.
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
    mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if required else 0)
    context.set_verify(mode, _verified)


class _Connection(SSL.Connection):
    """
    The server's end of one connection.

    @ivar fault: what is wrong with the certificate that the client has shown; empty: nothing so far.
    """

    fault = ""

    def bio_read(self, bufsiz: int) -> bytes:
        if self.fault:
            # OpenSSL would tell the peer what it found.
            raise SSL.WantReadError
        return super().bio_read(bufsiz)


def _verified(connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    """OpenSSL has looked at one certificate of those that the client has shown; nothing may be raised here."""
    if ok:
        return True
    if isinstance(connection, _Connection) and not connection.fault:
        connection.fault = "the client's certificate " + _FAULTS.get(code, f"is refused (OpenSSL's X509_V_ERR {code})")
        if depth:
            connection.fault += ", at one that leads up to its authority"
        try:
            connection.fault += f": {described(certificate.to_cryptography())}"
        except Exception:
            # What a stranger has made cannot be worse than refused.
            connection.fault += ", and it cannot be read"
    return False


# By X509_V_ERR_*.
_FAULTS = {
    7: "is signed wrongly",
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by itself, and is not in client_ca",
    19: "is of an authority that is not in client_ca",
    20: "is of an authority that is not in client_ca",
    21: "is of an authority that is not in client_ca",
    24: "is signed by one that is no authority's",
    25: "has more above it than its authority allows",
    26: "is not made for clients (extended key usage)",
    66: "has a key that is too weak",
    67: "has a key that is too weak, of its authority",
    68: "is signed with a hash that is too weak",
    79: "is signed by one that is no authority's",
}

# By OpenSSL's reason.
_REASONS = {
    "peer did not return a certificate": "the client has shown no certificate, and one is required",
    "unsupported protocol": "the client offers no version of TLS from 1.2 on",
    "version too low": "the client offers no version of TLS from 1.2 on",
    "no shared cipher": "the client offers no cipher with forward secrecy",
    "wrong version number": "what came in is not TLS",
    "http request": "what came in is HTTP, and not TLS",
    "https proxy request": "what came in is HTTP, and not TLS",
    "tlsv1 alert unknown ca": "the client does not know the authority of this server's certificate",
    "sslv3 alert bad certificate": "the client does not take this server's certificate",
    "sslv3 alert certificate unknown": "the client does not take this server's certificate",
    "sslv3 alert certificate expired": "the client finds that this server's certificate has expired",
}


def _reason(error: BaseException) -> str:
    """What OpenSSL says, as far as there is anything."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(queue[-1][-1]) if queue else str(error)


def whyFailed(transport: Any, reason: Failure) -> str | None:
    """
    Why a handshake came to nothing, for the log; C{None}: the peer just left.

    @param transport: as the session sees it.
    @param reason: why the connection was lost.
    """
    fault: str = getattr(transport.getHandle(), "fault", "")
    if fault:
        return fault
    if not isinstance(reason.value, SSL.Error) or isinstance(reason.value, SSL.SysCallError):
        return None
    text = _reason(reason.value)
    return _REASONS.get(text.lower(), f"OpenSSL says: {text}")


@implementer(IOpenSSLServerConnectionCreator)
class Speaker:
    """
    What one door speaks TLS with.

    @param files: of its own; C{None}: those of the configuration.
    @ivar loaded: for the connections to come.
    """

    def __init__(self, files: Files | None, loaded: Loaded) -> None:
        self.files = files
        self.loaded = loaded

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return _Connection(self.loaded.context)

    def wrap(self, reactor: Any, factory: IProtocolFactory) -> IProtocolFactory:
        """Make what builds sessions of this factory behind TLS."""
        return TLSMemoryBIOFactory(self, False, factory, reactor)
