"""What has happened in the last minute, by the second, and in the last hour, in steps of ten seconds.

A sample is a row of numbers, of as many columns as L{COLUMNS} has names, about the time that ends at its C{time}:

- C{time}: unix seconds;
- C{answers}: requests that were answered, a second;
- C{booked}: entries of the log that were made, a second;
- C{failed}: answers with a status of 500 or above, a second: time-outs among them;
- C{timeouts}: 504s, a second;
- C{p50_ms}, C{p99_ms}: how long answers took, in milliseconds; C{None} if there were none;
- C{waiters}, C{oldest_s}, C{queue}, C{sessions}, C{seq}, C{behind}: as they were at its end: requests that wait for
  their event, the age of the oldest in seconds, requests that wait for their commit, sessions, the last entry of the
  log, and how many entries the views lack;
- C{waits_p50_ms}, C{waits_p99_ms}: how long answers took of commands that wait for their event, as those that move
  money in a Sync form do; C{others_p99_ms}: of all others, such as tables, or new accounts, whose passwords are hashed.

The oldest row comes first. What an hour takes in memory is what 420 rows take, however much happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from ..runtime.measures import SECONDS, quantile

__all__ = ["COLUMNS", "EVERY_S", "STEP", "History", "Now", "Row"]

#: The names of a row's numbers.
COLUMNS = (
    "time",
    "answers",
    "booked",
    "failed",
    "timeouts",
    "p50_ms",
    "p99_ms",
    "waiters",
    "oldest_s",
    "queue",
    "sessions",
    "seq",
    "behind",
    "waits_p50_ms",
    "waits_p99_ms",
    "others_p99_ms",
)
#: How often a sample is taken, in seconds; and how many of those come to one of the hour's.
EVERY_S = 1.0
STEP = 10

_MINUTE = 60
_HOUR = 3600 // STEP

Row = tuple[float | None, ...]


class Now(Struct, frozen=True):
    """
    How things stand. The first six only grow.

    @ivar waits: the counts of a histogram by L{SECONDS}: how long answers took that waited for an event.
    @ivar others: the same of the others.
    """

    answers: int
    failed: int
    timeouts: int
    seq: int
    waits: Sequence[int]
    others: Sequence[int]
    waiters: int
    oldest: float
    queue: int
    sessions: int
    behind: int


class History:
    """
    Takes samples.

    @param clock: tells the time of day.
    @param timer: what it waits by; its C{seconds} are of a clock that is never set.
    @param look: how things stand.
    @ivar minute: rows of a second each.
    @ivar hour: rows of ten seconds each.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, timer: IReactorTime, look: Callable[[], Now]) -> None:
        self._clock = clock
        self._timer = timer
        self._look = look
        self._loop = LoopingCall(self._sample)
        self._loop.clock = timer
        self.minute: deque[Row] = deque(maxlen=_MINUTE)
        self.hour: deque[Row] = deque(maxlen=_HOUR)
        # What stood when, one more than there are rows of the last minute, and of the hour.
        self._ofMinute: deque[tuple[float, Now]] = deque(maxlen=_MINUTE + 1)
        self._ofHour: deque[tuple[float, Now]] = deque(maxlen=_HOUR + 1)
        self._samples = 0

    def start(self) -> None:
        """Begin. What there was before is no part of it."""
        begun = self._timer.seconds(), self._look()
        self._ofMinute.append(begun)
        self._ofHour.append(begun)
        self._loop.start(EVERY_S, now=False).addErrback(lambda f: self._log.failure("no more samples are taken", f))

    def stop(self) -> None:
        """No more."""
        if self._loop.running:
            self._loop.stop()

    def _sample(self) -> None:
        at = self._timer.seconds(), self._look()
        now = self._clock.seconds()
        self.minute.append(_row(now, self._ofMinute[-1], at))
        self._ofMinute.append(at)
        self._samples += 1
        if self._samples % STEP == 0:
            self.hour.append(_row(now, self._ofHour[-1], at))
            self._ofHour.append(at)

    def lastMinute(self) -> Row | None:
        """All of it in one row; C{None} before there is a sample."""
        return self._whole(self._ofMinute)

    def lastHour(self) -> Row | None:
        """The same of the hour: as far as it goes, up to the last sample."""
        return self._whole(self._ofHour)

    def _whole(self, kept: deque[tuple[float, Now]]) -> Row | None:
        if len(self._ofMinute) < 2:
            return None
        return _row(self._clock.seconds(), kept[0], self._ofMinute[-1])

    def told(self) -> dict[str, Any]:
        """All of it, for C{/status}."""
        return {
            "columns": COLUMNS,
            "minute": {"every_s": EVERY_S, "rows": list(self.minute)},
            "hour": {"every_s": EVERY_S * STEP, "rows": list(self.hour)},
        }


def _row(time: float, first: tuple[float, Now], last: tuple[float, Now]) -> Row:
    (began, before), (ended, after) = first, last
    # A reactor that was stopped for long takes two samples at once.
    seconds = max(ended - began, 0.001)
    waits, others = _grown(before.waits, after.waits), _grown(before.others, after.others)
    all = [a + b for a, b in zip(waits, others, strict=True)]
    return (
        round(time, 3),
        round((after.answers - before.answers) / seconds, 2),
        round((after.seq - before.seq) / seconds, 2),
        round((after.failed - before.failed) / seconds, 2),
        round((after.timeouts - before.timeouts) / seconds, 2),
        _milliseconds(all, 0.5),
        _milliseconds(all, 0.99),
        after.waiters,
        round(after.oldest, 3),
        after.queue,
        after.sessions,
        after.seq,
        after.behind,
        _milliseconds(waits, 0.5),
        _milliseconds(waits, 0.99),
        _milliseconds(others, 0.99),
    )


def _grown(before: Sequence[int], after: Sequence[int]) -> list[int]:
    return [b - a for a, b in zip(before, after, strict=True)]


def _milliseconds(counts: Sequence[int], part: float) -> float | None:
    seconds = quantile(SECONDS, counts, part)
    return None if seconds is None else round(seconds * 1000, 3)
