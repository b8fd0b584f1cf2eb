"""Plain numbers that the rooms keep of what they do, for whoever wants to look.

Nothing here locks or knows who looks: a deposit pays for each of these, twenty thousand times a second. All of it
belongs to the reactor's thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime

__all__ = ["BATCHES", "SECONDS", "Commits", "Histogram", "quantile"]

#: The bounds by which times are sorted, in seconds.
SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
#: The bounds by which batches are sorted, in requests.
BATCHES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0)


class Histogram:
    """
    How many values there were of which size.

    @param bounds: sorted; a value belongs to the first of them that it does not exceed.
    @ivar counts: how many belong to each of the bounds, and last, how many exceed all.
    @ivar total: the sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def quantile(bounds: Sequence[float], counts: Sequence[int], part: float) -> float | None:
    """
    The value that this part of all do not exceed, as far as a histogram knows: between two bounds, in proportion.

    @param counts: as of a L{Histogram}, or what such counts have grown by.
    @param part: 0.5 for the median.
    @return: C{None} if there are no values; the highest bound for what exceeds it.
    """
    wanted = part * sum(counts)
    if not wanted:
        return None
    below, lower = 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if below + count >= wanted:
            return lower + (bound - lower) * (wanted - below) / count
        below, lower = below + count, bound
    return lower


class Commits:
    """
    What has become of the commits so far.

    @param clock: tells the time of day.
    @param steady: tells how long something takes: seconds of a clock that is never set.
    @ivar batches: the requests in each.
    @ivar seconds: how long each that succeeded took, from when the ledger was given it.
    @ivar failures: how many have failed.
    @ivar last: when the last one succeeded, in unix seconds; C{None}: none has.
    @ivar lastSeconds: how long that one took.
    @ivar failing: why the latest one failed; empty: it did not.
    """

    def __init__(self, clock: IReactorTime, steady: Callable[[], float]) -> None:
        self._clock = clock
        self._steady = steady
        self._began: float | None = None
        self.batches = Histogram(BATCHES)
        self.seconds = Histogram(SECONDS)
        self.failures = 0
        self.last: float | None = None
        self.lastSeconds = 0.0
        self.failing = ""

    def begin(self, requests: int) -> None:
        """The ledger is given a batch; one of nothing counts in no histogram."""
        self._began = self._steady()
        if requests:
            self.batches.add(requests)

    def succeeded(self, requests: int) -> None:
        """It is durable."""
        self.failing = ""
        took = self._end()
        if requests:
            self.seconds.add(took)
            self.last, self.lastSeconds = self._clock.seconds(), took

    def failed(self, why: str) -> None:
        """It is not, as far as is known."""
        self._end()
        self.failures += 1
        self.failing = why

    @property
    def isUnderWay(self) -> bool:
        """Is the ledger at one?"""
        return self._began is not None

    @property
    def underWay(self) -> float:
        """For how long the ledger has been at one, in seconds; 0: it is at none."""
        return 0.0 if self._began is None else self._steady() - self._began

    def _end(self) -> float:
        took = self.underWay
        self._began = None
        return took
