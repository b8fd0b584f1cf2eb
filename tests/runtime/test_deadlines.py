"""Time-outs: one timer for all, none early, and what each says of its cause."""

from __future__ import annotations

import pytest

from scalemgr.finance.records import Entry
from scalemgr.runtime.waiters import TICK_S
from scalemgr.wire.errors import InvalidData, SyncTimeout

from ..helpers import NOW_MS
from .tables import Submission, Table, entry


def test_oneTimerForAll() -> None:
    """However many wait, and however long, one timer serves them; with nobody left there is none."""
    table = Table()
    assert table.timers() == 0
    for order in range(500):
        table.wait(order=order, timeout=100 + order, cause=Submission())
        assert table.timers() == 1
    table.clock.pump([TICK_S] * 5)
    assert 0 < len(table.waiters) < 500
    assert table.timers() == 1
    table.clock.pump([TICK_S] * 20)
    assert len(table.waiters) == table.timers() == 0


def test_noTimerAfterTheLastAnswer() -> None:
    """When all are answered in time the timer ends, and the next waiter starts it again."""
    table = Table()
    for _ in range(2):
        table.wait()
        table.waiters.emitted(entry())
        table.clock.pump([TICK_S] * 2)
        assert table.timers() == 0
    table.wait(timeout=1000)
    table.clock.pump([TICK_S] * 25)
    assert [type(answer) for _, answer in table.answers] == [Entry, Entry, SyncTimeout]


def test_stop() -> None:
    """A table that is stopped leaves no timer behind."""
    table = Table()
    table.wait()
    table.waiters.stop()
    assert table.timers() == 0


@pytest.mark.parametrize("phase", [0.0, 0.001, 0.0249, 0.04, 0.0499])
def test_neverEarly(phase: float) -> None:
    """Whenever a waiter comes, its time-out strikes not before its time and at most one tick after it."""
    for timeout in (100, 101, 149, 150, 151, 1000, 1033, 24_999, 25_000):
        table = Table(startAt=NOW_MS / 1000 + phase)
        table.wait(timeout=timeout)
        table.clock.advance(timeout / 1000 - 0.0005)
        assert table.answers == []
        table.clock.advance(0.0005)
        table.clock.advance(TICK_S + 0.0001)
        assert [type(answer) for _, answer in table.answers] == [SyncTimeout]


def test_eachAtItsOwnTime() -> None:
    """Waiters that come while others wait are told in time too, each by its own clock."""
    table = Table()
    deadlines = {}
    for i in range(100):
        timeout = 100 + (i * 37) % 400
        table.wait(str(i), timeout=timeout, cause=Submission())
        deadlines[str(i)] = table.clock.seconds() + timeout / 1000
        table.clock.advance(0.0037)
        for extID in table.who():
            assert deadlines[extID] <= table.clock.seconds()
    struck = {}
    for _ in range(700):
        for extID in set(table.who()) - struck.keys():
            struck[extID] = table.clock.seconds()
        table.clock.advance(0.001)
    assert struck.keys() == deadlines.keys()
    assert min(struck[extID] - deadlines[extID] for extID in struck) >= 0


def test_clockThatLeaps() -> None:
    """After a pause of the whole process, all whose time is up are told, and only they."""
    table = Table()
    for timeout in (100, 5000, 24_000):
        table.wait(str(timeout), timeout=timeout)
    table.clock.advance(10)
    assert table.who() == ["100", "5000"]
    table.clock.advance(13.9)
    assert table.who() == ["100", "5000"]
    table.clock.advance(0.2)
    assert table.who() == ["100", "5000", "24000"]


@pytest.mark.parametrize(("committing", "outcome"), [(False, "void"), (True, "pending")])
def test_outcome(committing: bool, outcome: str) -> None:
    """A time-out takes its cause back where it still can, and says whether it could."""
    table = Table()
    cause = Submission(committing=committing)
    table.wait(order=42, cause=cause)
    table.clock.pump([TICK_S] * 102)
    [(_, error)] = table.answers
    assert (error.kind, error.order, error.outcome) == ("trade", 42, outcome)
    assert cause.withdrawn is not committing


def test_outcomeWithoutCause() -> None:
    """Who waits for an event of others cannot take it back: it may still come."""
    table = Table()
    table.wait()
    table.clock.pump([TICK_S] * 102)
    assert [error.outcome for _, error in table.answers] == ["pending"]


@pytest.mark.parametrize(("timeout", "good"), [(99, False), (100, True), (25_000, True), (25_001, False)])
def test_timeoutBounds(timeout: int, good: bool) -> None:
    """A time-out outside the bounds is refused, and what it was for is withdrawn."""
    table = Table()
    cause = Submission()
    if good:
        table.wait(timeout=timeout, cause=cause)
    else:
        with pytest.raises(InvalidData) as caught:
            table.wait(timeout=timeout, cause=cause)
        assert caught.value.details == {"field": "timeout_ms"}
    assert (cause.withdrawn, len(table.waiters)) == (not good, int(good))
