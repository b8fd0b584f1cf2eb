"""TLS, as a session sees it: is its handshake over, what certificate was shown in it, and whose is that.

Over TLS a session begins when its handshake is over: before that nothing is heard or said, and nobody is anybody. Whose
a certificate is may change while the session lasts (L{Bearers}); a token must be of the one whose certificate it is.
"""

from __future__ import annotations

from typing import Any

from cryptography.x509 import Certificate
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure

from ..wire.errors import TokenRefused
from .auth import Principal
from .bearers import Bearers, Nobody
from .handshakes import whyFailed
from .tokens import told

__all__ = ["Secured"]


class Secured:
    """
    The TLS of one session, or that there is none.

    @ivar isSecure: is it TLS?
    @ivar isShaking: is its handshake yet to end?
    @ivar bearer: who its certificate says that it is; C{None}: there is none, or it is nobody's.
    @ivar nobody: if it is nobody's, why.
    """

    __slots__ = ("_certificate", "bearer", "isSecure", "isShaking", "nobody")

    def __init__(self, transport: object) -> None:
        self.isSecure = self.isShaking = bool(ISSLTransport.providedBy(transport))
        self._certificate: Certificate | None = None
        self.bearer: Principal | None = None
        self.nobody = ""

    def look(self, transport: Any) -> None:
        """
        The handshake is over: see what certificate was shown.

        @raise ValueError: if it cannot be read: OpenSSL is less particular.
        """
        self.isShaking = False
        shown = transport.getPeerCertificate()
        self._certificate = None if shown is None else shown.to_cryptography()

    def whyFailed(self, transport: Any, reason: Failure) -> str | None:
        """Why the handshake came to nothing, for the log; C{None}: it had not, or the peer just left."""
        return whyFailed(transport, reason) if self.isShaking else None

    def recognize(self, bearers: Bearers) -> bool:
        """
        Find whose the certificate is, by what is configured now.

        @return: is that somebody else, or nobody, or nobody any more?
        """
        if self._certificate is None:
            return False
        try:
            bearer, self.nobody = bearers.of(self._certificate), ""
        except Nobody as e:
            bearer, self.nobody = None, str(e)
        if bearer == self.bearer:
            return False
        self.bearer = bearer
        return True

    def check(self, principal: Principal) -> None:
        """
        See that it may be this one who speaks.

        @raise TokenRefused: if its certificate is somebody else's.
        """
        if self.bearer is not None and principal.id != self.bearer.id:
            raise TokenRefused(
                f"it is of {told(principal.id)}, and the certificate of the session is of {self.bearer.id}"
            )
