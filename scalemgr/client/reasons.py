"""Why there is no connection, in words that say what to do, and whether to try again would help."""

from __future__ import annotations

import ssl

from msgspec import Struct

from .address import Address, WrongServer

__all__ = ["Reason", "hintOf", "reasonOf"]


class Reason(Struct, frozen=True):
    """
    Why there is none.

    @ivar isFinal: it will not go away by itself: who waits need not.
    """

    why: str
    isFinal: bool = False


def hintOf(address: Address) -> str:
    """What may be the matter with a server that takes connections and says nothing, as the end of a sentence."""
    if address.isTls:
        return f"; does it want {_WANTED}?"
    return "; does it speak TLS there? Then say tls:, not tcp:"


def reasonOf(error: BaseException, said: str = "") -> Reason:
    """
    What an exception says of it.

    @param error: of the standard library's sockets and TLS, or of Twisted's.
    @param said: what it says, if not its text.
    """
    why = said or str(error) or type(error).__name__
    # Both libraries have OpenSSL's words, each in its own spelling.
    words = why.lower().replace("_", " ")
    if isinstance(error, (WrongServer, ssl.SSLCertVerificationError)) or "certificate verify failed" in words:
        return Reason(why, isFinal=True)
    if any(alert in words for alert in _CERTIFICATE):
        return Reason(f"{why}; it wants {_WANTED}", isFinal=True)
    if any(fault in words for fault in _PLAIN):
        return Reason(f"{why}; does it speak TLS there at all? If not, say tcp:, not tls:")
    return Reason(why)


_WANTED = "a certificate of its clients (certificate=, or --certificate), or another one"
# The alerts of a server that has not let a client in. In TLS 1.3 they come when the client is through already.
_CERTIFICATE = (
    "alert certificate required",
    "alert bad certificate",
    "alert unsupported certificate",
    "alert certificate revoked",
    "alert certificate expired",
    "alert certificate unknown",
    "alert unknown ca",
    "alert handshake failure",
)
# What is said of what is no TLS.
_PLAIN = ("wrong version number", "record layer failure", "packet length too long", "http request", "unexpected eof")
