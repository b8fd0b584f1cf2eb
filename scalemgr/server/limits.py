"""How much a peer may ask for. Every bound here is enforced where it is grown, and has a test on either side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IReactorTime

from ..interfaces import ITicket
from ..runtime.orders import InThread
from ..wire.errors import Overloaded

__all__ = ["Bounded", "IUnread", "Lanes", "SessionLimits", "Turns", "Unread"]


class SessionLimits(Struct, frozen=True):
    """
    The bounds of sessions.

    @ivar lineBytesMax: the longest line, without its end. A longer one ends the session.
    @ivar inFlightMax: requests of one session under way. At the bound its transport is paused: flow
        control, not an error.
    @ivar sessionsMax: connections at a time. One more is told so and closed.
    @ivar authSeconds: how long a session may take to show a valid token; 0: for ever.
    @ivar bufferBytesMax: what may pile up for a session that does not read. More ends the session.
    @ivar unreadBytesMax: what may wait for those who do not read, of all sessions together.
    @ivar badTokensMax: after so many tokens that are not accepted a session ends.
    """

    lineBytesMax: int
    inFlightMax: int
    sessionsMax: int
    authSeconds: float
    bufferBytesMax: int
    unreadBytesMax: int = 128 * 1024 * 1024
    badTokensMax: int = 5


_Result = TypeVar("_Result")


class Bounded:
    """
    A thread that takes only so many calls at a time: an C{InThread} around another.

    @param callsMax: those under way and those that wait. One more fails with C{Overloaded}. May be changed at any time.
    """

    def __init__(self, inThread: InThread, callsMax: int) -> None:
        self._inThread = inThread
        self.callsMax = callsMax
        self._calls = 0

    def __call__(self, f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if self._calls >= self.callsMax:
            return fail(Overloaded(f"{self._calls} questions are waiting already; ask again later"))
        self._calls += 1
        return self._inThread(f, *args).addBoth(self._done)

    def _done(self, result: _Result) -> _Result:
        self._calls -= 1
        return result


class Lanes:
    """
    Threads that take only so many calls at a time, and of one caller only one: who asks for much waits for it alone.

    @param callsMax: those under way and those that wait, of all callers. One more fails with C{Overloaded}. May be
        changed at any time.
    """

    def __init__(self, inThread: InThread, callsMax: int) -> None:
        self._inThread = inThread
        self.callsMax = callsMax
        self._calls = 0
        # By caller: what waits for the one that is under way.
        self._waiting: dict[str, deque[tuple[Deferred[Any], Callable[[], Any]]]] = {}

    def __call__(self, caller: str, f: Callable[[], Any]) -> Deferred[Any]:
        """Call something that blocks, in its turn."""
        # Half of it is for the others.
        ofCaller = len(self._waiting.get(caller, ()))
        if self._calls >= self.callsMax or 2 * ofCaller >= self.callsMax:
            return fail(Overloaded(f"{self._calls} questions are waiting already; ask again later"))
        self._calls += 1
        answered: Deferred[Any] = Deferred()
        if caller in self._waiting:
            self._waiting[caller].append((answered, f))
        else:
            self._waiting[caller] = deque()
            self._start(caller, answered, f)
        return answered

    def _start(self, caller: str, answered: Deferred[Any], f: Callable[[], Any]) -> None:
        maybeDeferred(self._inThread, f).addBoth(self._done, caller, answered)

    def _done(self, result: Any, caller: str, answered: Deferred[Any]) -> None:
        self._calls -= 1
        waiting = self._waiting[caller]
        if waiting:
            self._start(caller, *waiting.popleft())
        else:
            del self._waiting[caller]
        if not answered.called:
            answered.callback(result)


class IUnread(Hashable, Protocol):
    """A session that does not read. (Not zope's: it stays inside this folder.)"""

    def tooMuch(self) -> None:
        """What waits for it, and for all others, is too much: it must go."""


class Unread:
    """
    What waits for those who do not read, of all sessions together. At the bound, who has not read for longest goes.

    @param bytesMax: how much that may be. May be changed at any time.
    @ivar bytes: how much it is.
    """

    def __init__(self, bytesMax: int) -> None:
        self.bytesMax = bytesMax
        self.bytes = 0
        # Who has not read for longest comes first.
        self._of: dict[IUnread, int] = {}

    def add(self, session: IUnread, count: int) -> None:
        """So many bytes more."""
        self._of[session] = self._of.get(session, 0) + count
        self.bytes += count
        while self.bytes > self.bytesMax:
            oldest = next(iter(self._of))
            self.forget(oldest)
            oldest.tooMuch()

    def forget(self, session: IUnread) -> None:
        """It has read everything, or is gone."""
        self.bytes -= self._of.pop(session, 0)

    def waiting(self, session: IUnread) -> int:
        """How much waits for this one."""
        return self._of.get(session, 0)


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
        self._ticket: ITicket | None = None

    def begun(self, ticket: ITicket) -> None:
        """The question whose turn it is is on its way."""
        self._ticket = ticket

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
        if self._ticket is not None:
            self._ticket.callOff()
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            turn.errback(CancelledError())

    def _over(self) -> None:
        self._taken = False
        self._ticket = None
        self._next()

    def _next(self) -> None:
        if self._peerReads and not self._taken and self._waiting:
            self._taken = True
            self._waiting.popleft().callback(None)
