"""What a peer that nobody knows may do wrong, and for how long, before its session is closed.

It has so many seconds to show a valid token, and so many lines that are refused. Tokens that are not valid are counted
whoever shows them. A missing token is logged once a session, and bad ones only so many times, so that neither can flood
the log.

It counts, and tells; what comes of it is decided where it is known who it is (L{Who}).
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from .limits import SessionLimits

__all__ = ["STRANGER_REFUSALS_MAX", "IImpatient", "IStrange", "Patience"]

#: How many lines of a peer that has shown no valid token are refused before it is closed.
STRANGER_REFUSALS_MAX = 100


class IStrange(Protocol):
    """What this needs of the one whom it is about. (Not zope's: it stays inside this folder.)"""

    def tell(self, why: str) -> None:
        """Log what it did wrong."""

    def late(self, seconds: float) -> None:
        """It had so long to show a valid token, and has not."""


class IImpatient(Protocol):
    """What this shares with all sessions. (Not zope's: it stays inside this folder.)"""

    @property
    def clock(self) -> IReactorTime:
        """What the time of a stranger is taken by."""

    @property
    def limits(self) -> SessionLimits:
        """How much patience there is, now."""


class Patience:
    """
    That with one session.

    @ivar refusals: how many of its lines were refused since it was last somebody.
    """

    __slots__ = ("_badTokens", "_badTokensEver", "_session", "_shared", "_timer", "_wasDenied", "refusals")

    def __init__(self, session: IStrange, shared: IImpatient) -> None:
        self._session = session
        self._shared = shared
        self.refusals = 0
        # Since it last became somebody; and ever.
        self._badTokens = self._badTokensEver = 0
        self._wasDenied = False
        self._timer: IDelayedCall | None = None

    def begin(self) -> None:
        """From now on its time runs."""
        seconds = self._shared.limits.authSeconds
        if seconds:
            self._timer = self._shared.clock.callLater(seconds, self._late)

    def stop(self) -> None:
        """Its time does not run any more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def known(self) -> None:
        """It is somebody."""
        self.stop()
        self._badTokens = 0

    def unknown(self) -> None:
        """It was somebody, and is not any more; what it got wrong while it was known does not count."""
        self.refusals = 0

    def lineRefused(self) -> None:
        """A line was no request."""
        self.refusals += 1

    def denied(self, why: str) -> None:
        """A token was missing."""
        self.refusals += 1
        if not self._wasDenied:
            self._wasDenied = True
            self._session.tell(why)

    def tokenRefused(self, why: str) -> bool:
        """
        A token is not accepted.

        @return: is that one too many?
        """
        badTokensMax = self._shared.limits.badTokensMax
        self.refusals += 1
        self._badTokens += 1
        self._badTokensEver += 1
        if self._badTokensEver <= badTokensMax:
            self._session.tell(f"a token is refused: {why}")
        return self._badTokens >= badTokensMax

    def isOver(self) -> bool:
        """Has it been wrong too often for one that nobody knows? One that is known may be wrong for ever."""
        return self.refusals >= STRANGER_REFUSALS_MAX

    def _late(self) -> None:
        self._timer = None
        self._session.late(self._shared.limits.authSeconds)
