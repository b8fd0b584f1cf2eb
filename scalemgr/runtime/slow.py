"""Says so when something takes long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime

__all__ = ["Watch"]

_Result = TypeVar("_Result")

# What takes longer is worth a line, in seconds.
_SLOW_S = 2.0


class Watch:
    """
    Watches one thing from now on: it says so after a while, and again each time it has taken twice as long.

    @param say: is told for how many seconds it has been under way.
    """

    def __init__(self, clock: IReactorTime, say: Callable[[float], None]) -> None:
        self._clock = clock
        self._say = say
        self._timer = clock.callLater(_SLOW_S, self._late, _SLOW_S)

    def _late(self, seconds: float) -> None:
        self._say(seconds)
        self._timer = self._clock.callLater(seconds, self._late, 2 * seconds)

    def end(self, result: _Result) -> _Result:
        """It is over."""
        self._timer.cancel()
        return result
