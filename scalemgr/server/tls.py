"""TLS: the certificates that the doors speak it with, and what they ask of clients (L{Terms}).

Certificates and keys are read when the daemon starts and when it reads its configuration again: each connection has
what was read last when it came in, and keeps it.
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
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from .bearers import described
from .files import readFile
from .handshakes import ServerConnection, askForCertificates, newContext, reasonOf

__all__ = ["WARN_BEFORE", "CertificateRefused", "Files", "Loaded", "Speaker", "Terms", "load"]

#: How long before a certificate ends that is worth a warning.
WARN_BEFORE = timedelta(days=14)


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
    @ivar authorities: whose certificates are taken of clients.
    @ivar warnings: what the operator should know, though it works.
    """

    context: SSL.Context
    certificate: x509.Certificate
    authorities: frozenset[x509.Certificate]
    warnings: list[str]

    @property
    def expires(self) -> float:
        """Until when the certificate is good, in unix seconds."""
        return self.certificate.not_valid_after_utc.timestamp()

    def news(self, before: Loaded) -> list[str]:
        """What is not as it was before, for the operator."""
        said = []
        if self.certificate != before.certificate:
            until = _shown(self.certificate.not_valid_after_utc)
            said.append(f"the certificate is {described(self.certificate)}, until {until}")
        if self.authorities != before.authorities:
            more, fewer = (
                len(one) for one in (self.authorities - before.authorities, before.authorities - self.authorities)
            )
            said.append(f"authorities of clients: {more} new, {fewer} gone")
        return said

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
    try:
        isMatch = certificate.public_key() == key.public_key()
    except (UnsupportedAlgorithm, ValueError) as e:
        raise CertificateRefused(f"the certificate in {files.certificate} is of no use: {e}") from e
    if not isMatch:
        raise CertificateRefused(
            f"the private key in {files.key} is not that of the certificate in {files.certificate}, "
            f"{described(certificate)}; the server's own certificate comes first in its file"
        )
    warnings = [*_periodWarnings(certificate, files.certificate, now), *_modeWarnings(files.key)]
    context = newContext()
    authorities: list[x509.Certificate] = []
    if terms.authorities is not None:
        authorities = _certificates(terms.authorities, "client_ca")
        for authority in authorities:
            warnings += _periodWarnings(authority, terms.authorities, now)
        askForCertificates(context, authorities, terms.required)
    try:
        context.use_certificate(certificate)
        for above in chain:
            context.add_extra_chain_cert(above)
        context.use_privatekey(key)
    except (SSL.Error, TypeError, ValueError) as e:
        raise CertificateRefused(f"the certificate in {files.certificate} is of no use: {reasonOf(e)}") from e
    return Loaded(context, certificate, frozenset(authorities), warnings)


def _read(path: Path, what: str) -> bytes:
    try:
        return readFile(path)
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
        return [f"{what} has expired at {_shown(ends)}: nobody believes it any more"]
    if at >= ends - WARN_BEFORE:
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
        return ServerConnection(self.loaded.context)

    def wrap(self, reactor: Any, factory: IProtocolFactory) -> IProtocolFactory:
        """Make what builds sessions of this factory behind TLS."""
        return TLSMemoryBIOFactory(self, False, factory, reactor)
