"""Repeats are counted, and one that comes late betrays a client that uses its extIDs again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent

from scalemgr.runtime.replays import OLD_MS, Replays

from ..helpers import NOW_MS, Daemon
from .tables import entry

FIRST = replace(entry(), key="invoice-7")


def counter() -> tuple[Replays, Callable[[float], Replays]]:
    """A counter, and the same at a time in milliseconds."""
    clock = Clock()
    replays = Replays(clock)

    def at(nowMs: float) -> Replays:
        clock.rightNow = nowMs / 1000
        return replays

    return replays, at


@pytest.mark.parametrize(("ageMs", "old"), [(0, 0), (OLD_MS, 0), (OLD_MS + 1, 1), (-1, 0), (10**12, 1)])
def test_old(ageMs: int, old: int) -> None:
    """A repeat is old when its first is older than an hour, and not a millisecond earlier."""
    assert OLD_MS == 3_600_000
    replays, at = counter()
    at(NOW_MS + ageMs).count(FIRST)
    assert (replays.total, replays.old) == (1, old)


def test_counts() -> None:
    """All are counted, and of them those that are old."""
    replays, at = counter()
    for hours in (0, 2, 0, 3, 0):
        at(NOW_MS + hours * OLD_MS).count(FIRST)
    assert (replays.total, replays.old) == (5, 2)


def test_warns() -> None:
    """The 1st, 10th, 100th old one is a line for the operator, that names the key, whose it is, and how old."""
    replays, at = counter()
    with capturedLogs() as logged:
        for n in range(1, 1001):
            at(NOW_MS + 3 * OLD_MS).count(replace(FIRST, key=f"key-{n}"))
            at(NOW_MS).count(FIRST)
    lines = [formatEvent(event) for event in logged]
    assert {event["log_level"] for event in logged} == {LogLevel.warn}
    assert len(lines) == 4
    for line, n in zip(lines, (1, 10, 100, 1000), strict=True):
        assert line.startswith(f"{n} repeats of requests older than an hour")
        assert f"'key-{n}' of crm, was booked 3 hours ago" in line
    assert (replays.total, replays.old) == (2000, 1000)


@pytest.mark.parametrize("kind", [{}, {"login": 4711}], ids=["booked", "refused"])
def test_ofADaemon(kind: dict[str, Any]) -> None:
    """The daemon counts repeats that are answered from the log, and neither firsts nor those that are refused."""
    daemon = Daemon()
    session = daemon.staff()
    for extID, amount in [("a", 1.0), ("b", 1.0), ("a", 1.0), ("a", 2.0)]:
        session.deposit(extID, amount, **kind)
        daemon.settle()
    assert (daemon.runtime.replays.total, daemon.runtime.replays.old) == (1, 0)
    daemon.clock.advance(3601)
    with capturedLogs() as logged:
        session.deposit("a", 1.0, **kind)
        daemon.settle()
    assert (daemon.runtime.replays.total, daemon.runtime.replays.old) == (2, 1)
    assert "'a' of crm" in formatEvent(logged[0])
