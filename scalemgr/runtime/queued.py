"""What waits for its commit, in order.

Whoever asked is told when its time is up, and what it asked for is taken back then. What is left by a session that went
away goes its way, but not for ever: once its time is up it is not taken into a batch any more, however long the ledger
was stuck or away. For whoever was cut off asks again, perhaps through another gateway, which may say that nothing was
booked; and then nothing may be booked here long after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from ..finance.requests import KeyName
from .underway import Work

__all__ = ["Queued"]


class Queued:
    """
    The queue.

    @param now: the time by which time-outs go, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._works: deque[Work] = deque()

    def __len__(self) -> int:
        """How many are in it, with those that were withdrawn since it was last looked through."""
        return len(self._works)

    def put(self, work: Work) -> None:
        """It is the last one now."""
        self._works.append(work)

    def putBack(self, works: Iterable[Work]) -> None:
        """Nothing came of the batch that these were in: they are the first ones again, in their order."""
        back = [*works]
        for work in back:
            work.release()
        self._works.extendleft(reversed(back))

    def take(self, most: int) -> list[Work]:
        """The next ones for a batch, at most so many."""
        batch: list[Work] = []
        works = self._works
        while works and len(batch) < most:
            work = works.popleft()
            # Nearly always somebody asks, and then there is no need to know what time it is.
            if (work.askers or not self._isOver(work)) and work.take():
                batch.append(work)
        return batch

    def named(self, names: Collection[KeyName]) -> list[Work]:
        """Those with one of these keys, for a batch of their own: they are in the queue no more."""
        if not names:
            return []
        found = [work for work in self._works if work.name in names and work.take()]
        if found:
            self._works = deque([work for work in self._works if work.state == "queued"])
        return found

    def over(self, batch: Sequence[Work]) -> Callable[[int], bool]:
        """
        Says of each in a batch, by its number, and in any thread: nobody asks for it any more, and its time is up. So
        whoever asked was told at most that nobody knows.
        """
        return lambda number: not batch[number].askers and batch[number].end <= self._now()

    def sift(self) -> None:
        """Drop what will never be taken."""
        self._works = deque([work for work in self._works if work.isUnderWay and not self._isOver(work)])

    def _isOver(self, work: Work) -> bool:
        """Does nobody ask for it, and is its time up? Then it is withdrawn."""
        return not work.askers and work.end <= self._now() and work.withdraw()
