"""All that is not over, and when the time of each is up, by the driver's clock in seconds.

What is over before its deadline is passed over there; never so many are kept that it matters.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

from .asking import Asked

__all__ = ["Waiting"]

# So many that are over are kept, for the deadline that they had.
_OVER_MAX = 1000


class Waiting:
    """The requests of a client that wait for what becomes of them."""

    def __init__(self) -> None:
        self._open: set[Asked] = set()
        self._deadlines: list[tuple[float, int, Asked]] = []
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Asked]:
        """In no order. Whoever removes meanwhile takes a copy first."""
        return iter(self._open)

    def add(self, asked: Asked, deadline: float) -> None:
        """One more."""
        self._open.add(asked)
        if len(self._deadlines) > 2 * len(self._open) + _OVER_MAX:
            # One that is open for long would keep all that were answered since.
            self._deadlines = [entry for entry in self._deadlines if not entry[2].isOver]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (deadline, next(self._numbers), asked))

    def remove(self, asked: Asked) -> None:
        """It is over."""
        asked.isOver = True
        self._open.discard(asked)

    @property
    def deadline(self) -> float | None:
        """The nearest one; C{None}: there is none."""
        while self._deadlines and self._deadlines[0][2].isOver:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def late(self, now: float) -> Iterator[Asked]:
        """Those whose time is up, each once; they may be removed meanwhile."""
        while (deadline := self.deadline) is not None and deadline <= now:
            yield heapq.heappop(self._deadlines)[2]
