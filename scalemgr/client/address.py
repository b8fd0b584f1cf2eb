"""Where a server is, and how to know that it is the right one: the same words for all three clients.

C{tcp:HOST:PORT} or C{tls:HOST:PORT}; an IPv6 address in brackets: C{tls:[::1]:8443}. With TLS (1.2 or newer)
the server's certificate has to lead to a known authority, and to name the host: by service-identity, whichever
client it is.
"""

from __future__ import annotations

import os
import re
import ssl
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

__all__ = ["Address", "WrongServer", "parseAddress"]

_ADDRESS = re.compile(r"(tcp|tls):(\[[0-9A-Fa-f:.%\w]+\]|[^:\[\]/@\s]+):([0-9]{1,5})").fullmatch
_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----").search


class WrongServer(Exception):
    """A server whose certificate is not for the host that was to be reached."""


class Address(Struct, frozen=True):
    """
    Where, and as whom.

    @ivar hostname: the name, or IP address, that the server's certificate has to have.
    @ivar ca: a PEM file with the authorities that are trusted; C{None}: those of the system.
    @ivar certificate: a PEM file with the client's own certificate, then those that lead to its authority.
    @ivar key: a PEM file with its private key; C{None}: it is in C{certificate}.
    """

    host: str
    port: int
    isTls: bool
    hostname: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.isTls else 'tcp'}:{host}:{self.port}"

    def sslContext(self) -> ssl.SSLContext | None:
        """
        For the standard library's sockets; C{None}: without TLS. Reads the files.

        @raise OSError: if a file is not to be had, or not what it should be: which, and what is wrong with it.
        """
        if not self.isTls:
            return None
        for file in (self.ca, self.certificate, self.key):
            if file is not None and not os.access(file, os.R_OK):
                raise OSError(f"{file}: there is no such file, or it may not be read")
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except ssl.SSLError as e:
            raise OSError(f"{self.ca}: there is no certificate of an authority in it ({e})") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            self._loadOwn(context, self.certificate)
        return context

    def _loadOwn(self, context: ssl.SSLContext, certificate: Path) -> None:
        key = certificate if self.key is None else self.key
        if not _PRIVATE_KEY(key.read_bytes()):
            where = ", and it is in no other file (--private-key)" if self.key is None else ""
            raise OSError(f"{key}: there is no private key in it{where}")
        try:
            # Nobody is there to be asked for a passphrase.
            context.load_cert_chain(str(certificate), str(key), password="")
        except ssl.SSLError as e:
            why = "the private key is not the one of the certificate" if "MISMATCH" in str(e) else str(e)
            raise OSError(f"{certificate}, with the key in {key}: {why}") from None

    def check(self, certificate: bytes | None) -> None:
        """
        See that a certificate names the host.

        @param certificate: the server's, in DER.
        @raise WrongServer: if it does not.
        """
        # Not needed without TLS, and slow to import.
        from cryptography.x509 import load_der_x509_certificate
        from service_identity import CertificateError, VerificationError
        from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

        if certificate is None:
            raise WrongServer(f"{self} has shown no certificate")
        verify = verify_certificate_ip_address if _isIP(self.hostname) else verify_certificate_hostname
        try:
            verify(load_der_x509_certificate(certificate), self.hostname)
        except (VerificationError, CertificateError, ValueError) as e:
            raise WrongServer(f"the certificate of {self} is not for {self.hostname} ({type(e).__name__})") from None


def parseAddress(
    address: str,
    *,
    ca: str | Path | None = None,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    hostname: str | None = None,
) -> Address:
    """
    What a caller said.

    @raise ValueError: with a sentence for the caller.
    """
    found = _ADDRESS(address) if isinstance(address, str) else None
    if found is None or not 0 < int(found[3]) < 65536:
        raise ValueError(f"expected an address such as tls:host:8443 or tcp:127.0.0.1:8080, got {address!r}")
    host = found[2].strip("[]")
    isTls = found[1] == "tls"
    if not isTls and not ca is certificate is key is hostname is None:
        raise ValueError("ca, certificate, key and hostname are of TLS: say tls: instead of tcp:")
    if key is not None and certificate is None:
        raise ValueError("a key is of no use without its certificate")
    return Address(host, int(found[3]), isTls, hostname or host, _path(ca), _path(certificate), _path(key))


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _isIP(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
