"""Who a session speaks for: by its certificate, by the last token that it has shown, or nobody yet.

Over TLS nobody is anybody before the handshake is over (L{Secured}). Who is nobody may be wrong only so often, and only
for so long (L{Patience}); handshake and token share that time. What a stranger did is logged, and lines about strangers
are only so many a second for all sessions together (L{Sparing}), so that they cannot flood the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from ..wire.errors import ManagerError, PermissionDenied
from .auth import Principal
from .patience import Patience
from .secured import Secured
from .stream import Stream

if TYPE_CHECKING:
    from .factory import ManagerFactory

__all__ = ["ISomebody", "Who"]


class ISomebody(Protocol):
    """What this needs of its session. (Not zope's: it stays inside this folder.)"""

    transport: Any
    peer: IAddress

    def note(self, why: str, more: str) -> None:
        """Log what it did, being a stranger."""

    def endWith(self, error: ManagerError) -> None:
        """Say one last thing, and close."""

    def finish(self, lastWord: ManagerError | None = None) -> None:
        """Read no more; close when everything is answered, with this as the last thing to say."""

    def breakOff(self) -> None:
        """End it, without a word."""


class Who:
    """
    Who it is.

    @ivar principal: who it speaks for, if it has shown a valid token, or a certificate that names somebody.
    @ivar patience: that with it.
    """

    __slots__ = ("_factory", "_secured", "_session", "_stream", "patience", "principal")

    def __init__(self, session: ISomebody, stream: Stream, factory: ManagerFactory) -> None:
        """
        @param stream: what it is sent of the log, which depends on who it is.
        """
        self._session = session
        self._stream = stream
        self._factory = factory
        self._secured = Secured(session.transport)
        self.patience = Patience(self, factory)
        self.principal: Principal | None = None

    # -- becoming somebody ------------------------------------------------------------------------------

    @property
    def isShaking(self) -> bool:
        """Is its handshake yet to end?"""
        return self._secured.isShaking

    def begin(self) -> None:
        """It is there, and its time runs; if there is no handshake to wait for, it may be somebody already."""
        self.patience.begin()
        if not self.isShaking:
            self._beAnonymous()

    def handshakeCompleted(self) -> None:
        """TLS stands: it may have shown who it is."""
        try:
            self._secured.look(self._session.transport)
        except ValueError as e:
            self._handshakeFailed(f"the certificate that it has shown cannot be read: {e}")
            self._session.breakOff()
            return
        self.recognize()
        self._beAnonymous()

    def _beAnonymous(self) -> None:
        anonymous = self._factory.auth.anonymous
        if self.principal is None and anonymous is not None:
            self.authenticated(anonymous)

    def authenticated(self, principal: Principal) -> None:
        """
        It has shown a valid token, or a certificate.

        @raise TokenRefused: if its certificate is somebody else's.
        """
        self._secured.check(principal)
        self.patience.known()
        self.principal = principal
        self._stream.authenticated(principal)

    def recognize(self) -> bool:
        """
        Be who its certificate says, by what is configured now: somebody, somebody else, or nobody.

        @return: is it nobody any more?
        """
        before = self._secured.bearer
        if not self._secured.recognize(self._factory.bearers):
            return False
        if self.principal is not before:
            return False  # It has shown a token since, which counts.
        if self._secured.bearer is not None:
            self.authenticated(self._secured.bearer)
            return False
        self._stream.expire()
        return True

    def expired(self) -> None:
        """The time of what its last token gave it is up."""
        self.principal = None
        self.patience.unknown()

    # -- being wrong ------------------------------------------------------------------------------------

    def lineRefused(self) -> None:
        """A line of it was no request."""
        self.patience.lineRefused()
        self.check()

    def denied(self, why: str) -> None:
        """A token was missing."""
        nobody = self._secured.nobody
        self.patience.denied(f"{why}; {nobody}" if nobody and self.principal is None else why)

    def tokenRefused(self, why: str) -> None:
        """A token is not accepted. So many of them end the session."""
        if self.patience.tokenRefused(why):
            # What is under way is answered first, so that nothing is left uncertain by it.
            self._session.finish(PermissionDenied("too many tokens that are not valid"))

    def check(self) -> None:
        """See that one whom nobody knows was not wrong too often. One who is known may be wrong for ever."""
        if self.principal is None and self.patience.isOver():
            self._session.endWith(PermissionDenied("too many lines without a valid __token"))

    def late(self, seconds: float) -> None:
        """It has shown no valid token in this time: C{IStrange}."""
        if self.isShaking:
            self._handshakeFailed(f"its TLS handshake is not over after {seconds:g} seconds")
            self._session.breakOff()
            return
        error = PermissionDenied(f"no valid __token within {seconds:g} seconds")
        self.denied(error.message)
        self._session.endWith(error)

    def lost(self, reason: Failure) -> None:
        """The connection is lost, and was not closed by us."""
        why = self._secured.whyFailed(self._session.transport, reason)
        if why is not None:
            self._handshakeFailed(f"the TLS handshake failed: {why}")

    def _handshakeFailed(self, why: str) -> None:
        self._factory.refused["handshake"] += 1
        self.tell(why)

    def tell(self, why: str) -> None:
        """Log what it did: C{IStrange}."""
        more = self._factory.sparing.more()
        if more is not None:
            self._session.note(why, more)
