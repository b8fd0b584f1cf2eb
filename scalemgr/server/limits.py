"""How much a peer may ask for. Every bound here is enforced where it is grown, and has a test on either side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct
from twisted.internet.defer import Deferred, fail

from ..runtime.orders import InThread
from ..wire.errors import Overloaded

__all__ = ["Bounded", "SessionLimits"]


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
