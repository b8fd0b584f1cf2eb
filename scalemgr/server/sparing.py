"""Lines of the log that strangers cause: they cannot flood it, and an operator still knows how many there were."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

__all__ = ["Sparing"]


class Sparing:
    """
    Only so many lines a second, whatever they are about; the first one after that tells how many were left out.

    @param clock: one that is never set.
    @param linesMax: how many in one second.
    """

    def __init__(self, clock: IReactorTime, linesMax: int = 10) -> None:
        self._clock = clock
        self._linesMax = linesMax
        self._since = clock.seconds()
        self._lines = 0
        self._leftOut = 0

    def more(self) -> str | None:
        """What to put behind the next line, empty or how many were left out before it; C{None}: leave it out, too."""
        now = self._clock.seconds()
        if now - self._since >= 1:
            self._since, self._lines = now, 0
        if self._lines >= self._linesMax:
            self._leftOut += 1
            return None
        self._lines += 1
        leftOut, self._leftOut = self._leftOut, 0
        lines = "line" if leftOut == 1 else "lines"
        return f" (and {leftOut} other {lines} about strangers left out)" if leftOut else ""
