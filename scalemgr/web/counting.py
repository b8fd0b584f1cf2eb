"""Counts what is answered: the L{IWatcher <scalemgr.interfaces.IWatcher>} behind the metrics.

It is asked for every deposit, so it adds to plain numbers, and all else is done when somebody looks. What it keeps is
bounded by the commands that there are, for those that there are not have one name together; and by the statuses that
there are, which the dispatcher sees to.
"""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from ..interfaces import IWatcher, Told
from ..runtime.measures import SECONDS, Histogram
from ..wire.codes import RetCode
from ..wire.errors import ManagerError

__all__ = ["OF_QUESTION", "Counting", "Series"]

#: What a time-out that is none of a request for money is counted as.
OF_QUESTION = "question"

_TIMED_OUT = 504


class Series:
    """
    What is counted of one command.

    @ivar statuses: how many answers had which status.
    @ivar answers: how long those took that did not wait for an event, in seconds.
    @ivar waits: how long the others did.
    """

    __slots__ = ("answers", "statuses", "waits")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.answers = Histogram(SECONDS)
        self.waits = Histogram(SECONDS)


@implementer(IWatcher)
class Counting:
    """
    All that is counted of answers.

    @param seconds: the time, of a clock that is never set.
    @ivar series: by the command's name; empty for what never came to be the request of a command.
    @ivar timeouts: answers with 504, by what they say of the outcome: C{"void"}, C{"pending"}, or, of what was not
        about money, C{"question"}.
    @ivar replays: answers that were the outcome of an earlier request.
    @ivar conflicts: refusals because a name is in use for something else.
    @ivar rateLimited: refusals because a caller asks too often.
    @ivar capped: refusals because of a cap of the caller's, by which (L{scalemgr.finance.settle_caps}); each once,
        however often it is repeated.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        # An attribute, not a method: one call less for each deposit.
        self.seconds = seconds
        self.series: dict[str, Series] = {}
        self.timeouts = {"void": 0, "pending": 0, OF_QUESTION: 0}
        self.replays = self.conflicts = self.rateLimited = 0
        self.capped = {"amount": 0, "day": 0, "currency": 0}

    def told(self, told: Told) -> None:
        series = self.series.get(told.command)
        if series is None:
            series = self.series[told.command] = Series()
        status = told.status
        series.statuses[status] = series.statuses.get(status, 0) + 1
        (series.waits if told.waited else series.answers).add(told.seconds)
        if told.replayed:
            self.replays += 1
        if told.error is not None:
            self._refused(told, told.error)

    def _refused(self, told: Told, error: ManagerError) -> None:
        if told.status == _TIMED_OUT:
            outcome = told.outcome
            self.timeouts[outcome if outcome in self.timeouts else OF_QUESTION] += 1
        elif error.code is RetCode.RET_ERR_DUPLICATE:
            self.conflicts += 1
        elif error.code is RetCode.RET_TOO_FREQUENT:
            self.rateLimited += 1
        elif error.code is RetCode.RET_TRADE_LIMIT_REACHED and not told.replayed:
            cap = error.details.get("cap")
            # A plugin may say anything.
            if isinstance(cap, str) and cap in self.capped:
                self.capped[cap] += 1

    @property
    def answers(self) -> int:
        """How many there were."""
        return sum(sum(series.statuses.values()) for series in self.series.values())

    @property
    def failed(self) -> int:
        """How many with a status of 500 or above."""
        return sum(n for series in self.series.values() for status, n in series.statuses.items() if status >= 500)

    def waits(self) -> list[int]:
        """How long all those answers took that waited for an event: the counts of their histograms together."""
        return _together([series.waits for series in self.series.values()])

    def others(self) -> list[int]:
        """The same of those that did not."""
        return _together([series.answers for series in self.series.values()])


def _together(histograms: list[Histogram]) -> list[int]:
    counts = [histogram.counts for histogram in histograms]
    return [sum(each) for each in zip(*counts, strict=True)] if counts else [0] * (len(SECONDS) + 1)
