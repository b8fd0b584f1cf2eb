"""How much a peer may ask for. Every bound here is enforced where it is grown, and has a test on either side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IReactorTime

from ..runtime.orders import InThread
from ..wire.errors import Overloaded

__all__ = ["Bounded", "SessionLimits", "Turns"]


class SessionLimits(Struct, frozen=True):
    """
    The bounds of sessions.

    @ivar lineBytesMax: the longest line, without its end. A longer one ends the session.
    @ivar inFlightMax: requests of one session under way. At the bound its transport is paused: flow
        control, not an error.
    @ivar sessionsMax: connections at a time. One more is told so and closed.
    @ivar authSeconds: how long a session may take to show a valid token; 0: for ever.
    @ivar bufferBytesMax: what may pile up for a session that does not read. More ends the session.
    """

    lineBytesMax: int
    inFlightMax: int
    sessionsMax: int
    authSeconds: float
    bufferBytesMax: int


_Result = TypeVar("_Result")


class Bounded:
    """
    A thread that takes only so many calls at a time: an C{InThread} around another.

    @param callsMax: those under way and those that wait. One more fails with C{Overloaded}.
    """

    def __init__(self, inThread: InThread, callsMax: int) -> None:
        self._inThread = inThread
        self._callsMax = callsMax
        self._calls = 0

    def __call__(self, f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if self._calls >= self._callsMax:
            return fail(Overloaded(f"{self._calls} questions are waiting already; ask again later"))
        self._calls += 1
        return self._inThread(f, *args).addBoth(self._done)

    def _done(self, result: _Result) -> _Result:
        self._calls -= 1
        return result


class Turns:
    """
    Big answers of one session, one at a time: the next is not made before the last one has been read.

    So, however many a peer asks for, and however slowly it reads, at most one of them is in memory for it, made or in
    its transport; the questions wait.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: deque[Deferred[None]] = deque()
        self._taken = False
        self._peerReads = True

    def take(self) -> Deferred[None]:
        """Wait for a turn. Who gets one must call L{done}; who no longer wants one may cancel."""
        turn: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(turn)
        self._next()
        return turn

    def done(self) -> None:
        """The turn is over; what came of it is written before anything else happens."""
        self._clock.callLater(0, self._over)

    def setPeerReads(self, reads: bool) -> None:
        """Has what was written left for the peer?"""
        self._peerReads = reads
        self._next()

    def close(self) -> None:
        """Nobody is there to be answered any more."""
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            turn.errback(CancelledError())

    def _over(self) -> None:
        self._taken = False
        self._next()

    def _next(self) -> None:
        if self._peerReads and not self._taken and self._waiting:
            self._taken = True
            self._waiting.popleft().callback(None)
