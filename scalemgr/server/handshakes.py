"""Handshakes: what TLS is spoken with, what is asked of clients in one, and why one came to nothing.

TLS 1.2 is the least, with forward secrecy; nothing is resumed, so that a certificate is looked at for each connection.

Why a client's certificate was refused stands in the log and is told to nobody else: the peer is cut off without a word.
What TLS itself says of anything else (that it wants a certificate, or a later version) it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags
from twisted.python.failure import Failure

from .bearers import described

__all__ = ["ServerConnection", "askForCertificates", "newContext", "reasonOf", "whyFailed"]

# Those of TLS 1.3 are all good, and are not chosen here.
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"


def newContext() -> SSL.Context:
    """What a server speaks TLS with, without a certificate yet."""
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


def askForCertificates(context: SSL.Context, authorities: Iterable[x509.Certificate], required: bool) -> None:
    """
    Have clients asked for a certificate of one of these.

    @param required: must they have one?
    """
    store = context.get_cert_store()
    assert store is not None
    for authority in authorities:
        store.add_cert(X509.from_cryptography(authority))
    # Who is in the file is trusted, also if it has its own certificate from somebody who is not.
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
    mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if required else 0)
    context.set_verify(mode, _verified)


class ServerConnection(SSL.Connection):
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
    if isinstance(connection, ServerConnection) and not connection.fault:
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

# Which version an alert is of, is put differently by each version of OpenSSL.
_ALERT = re.compile(r"^(sslv3|tlsv1|tlsv13|tls) (?=alert )")

# By OpenSSL's reason.
_REASONS = {
    "peer did not return a certificate": "the client has shown no certificate, and one is required",
    "unsupported protocol": "the client offers no version of TLS from 1.2 on",
    "version too low": "the client offers no version of TLS from 1.2 on",
    "no shared cipher": "the client offers no cipher with forward secrecy",
    "wrong version number": "what came in is not TLS",
    "http request": "what came in is HTTP, and not TLS",
    "https proxy request": "what came in is HTTP, and not TLS",
    "alert unknown ca": "the client does not know the authority of this server's certificate",
    "alert bad certificate": "the client does not take this server's certificate",
    "alert certificate unknown": "the client does not take this server's certificate",
    "alert certificate expired": "the client finds that this server's certificate has expired",
}


def reasonOf(error: BaseException) -> str:
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
    text = reasonOf(reason.value)
    return _REASONS.get(_ALERT.sub("", text.lower()), f"OpenSSL says: {text or 'nothing more'}")
