"""504: when it comes, what it says, and that what it says holds."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.runtime.waiters import TimeoutBounds

from ..helpers import Daemon, Session, inShort, trades

COMMANDS = pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])


def blocked(daemon: Daemon, session: Session) -> None:
    """Put a deposit of 1.00 on 1002 under way, so that what comes next stays in the queue."""
    daemon.ledgerThread.held = True
    session.deposit("blocks", 1.0, login=1002, timeout_ms=25_000)
    daemon.settle()


def wait(daemon: Daemon, seconds: float) -> None:
    daemon.clock.pump([0.05] * round(seconds / 0.05))


@COMMANDS
def test_void(command: str) -> None:
    """Still queued when its time is up: 504 says void, and it never applies afterwards."""
    daemon = Daemon()
    session, listening = daemon.staff(), daemon.staff()
    blocked(daemon, session)
    session.deposit("deposit-req-1001", 250.0, command)
    wait(daemon, 5.1)
    [answer] = session.lines()
    assert (answer["extID"], answer["status"]) == ("deposit-req-1001", 504)
    assert list(answer["data"].items())[:4] == [
        ("error", "SYNC_TIMEOUT"),
        ("kind", "trade"),
        ("order", 2),
        ("outcome", "void"),
    ]
    daemon.ledgerThread.release()
    daemon.settle()
    wait(daemon, 30)
    assert (daemon.balance(), daemon.balance(1002)) == (0, 100)
    assert daemon.ledger.trade(2) is None
    lines = listening.lines()
    assert inShort(lines) == ["6", "7:1"]
    assert [event["data"]["order"] for event in trades(lines)] == [1]


@COMMANDS
def test_pending(command: str) -> None:
    """Being committed when its time is up: 504 says pending; the commit completes and its events are broadcast."""
    daemon = Daemon()
    session, listening = daemon.staff(), daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("deposit-req-1001", 250.0, command)
    daemon.settle()
    wait(daemon, 5.1)
    [answer] = session.lines()
    assert (answer["extID"], answer["status"]) == ("deposit-req-1001", 504)
    assert list(answer["data"].items())[:4] == [
        ("error", "SYNC_TIMEOUT"),
        ("kind", "trade"),
        ("order", 1),
        ("outcome", "pending"),
    ]
    daemon.ledgerThread.release()
    daemon.settle()
    assert daemon.balance() == 25_000
    for lines in (session.lines(), listening.lines()):
        assert inShort(lines) == ["6", "7:250"]
        assert [event["data"]["order"] for event in trades(lines)] == [1]


def test_updateVoid() -> None:
    """An update that is withdrawn leaves the deposit as it was, and its 504 names the order that was to change."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit("a", 10.0)
    daemon.settle()
    session.lines()
    blocked(daemon, session)
    session.deposit("b", 99.0, order=1, timeout_ms=1000)
    wait(daemon, 1.1)
    [answer] = session.lines()
    assert (answer["status"], answer["data"]["order"], answer["data"]["outcome"]) == (504, 1, "void")
    daemon.ledgerThread.release()
    daemon.settle()
    assert daemon.balance() == 1000


def test_extIDAfterATimeout() -> None:
    """After its 504 an extID is free again; what the late commit has booked under it stands, and is told."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("x", 1.0)
    daemon.settle()
    wait(daemon, 5.1)
    session.deposit("x", 2.0)
    session.deposit("x", 1.0)
    daemon.ledgerThread.release()
    daemon.settle()
    assert [(a["status"], a["data"].get("profit")) for a in session.answers()] == [(504, None), (200, 1.0), (409, None)]
    assert daemon.balance() == 100


@COMMANDS
def test_default(command: str) -> None:
    """Without a word about it a request waits 5000 ms, and not a millisecond less."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("x", command=command)
    daemon.clock.advance(4.999)
    assert session.raw() == b""
    daemon.clock.advance(0.001)
    daemon.clock.advance(0.05)
    assert [answer["status"] for answer in session.lines()] == [504]


def test_configured() -> None:
    """The default and the bounds are what the configuration says."""
    daemon = Daemon(bounds=TimeoutBounds(default_ms=300, min_ms=200, max_ms=400))
    session = daemon.staff()
    daemon.ledgerThread.held = True
    for timeout in (None, 199, 200, 400, 401):
        session.deposit(str(timeout), timeout_ms=timeout)
    assert [(a["extID"], a["status"]) for a in session.answers()] == [("199", 400), ("401", 400)]
    struck = []
    for _ in range(10):
        daemon.clock.advance(0.05)
        struck.append([answer["extID"] for answer in session.answers()])
    assert [extIDs for extIDs in struck if extIDs] == [["200"], ["None"], ["400"]]


@COMMANDS
@pytest.mark.parametrize(("timeout", "status"), [(99, 400), (100, 200), (25_000, 200), (25_001, 400)])
def test_bounds(timeout: int, status: int, command: str) -> None:
    """A time-out one below or one above the bounds is refused by name, with nothing done; at them it is taken."""
    daemon = Daemon()
    session = daemon.staff()
    before = daemon.kept()
    session.deposit("x", command=command, timeout_ms=timeout)
    daemon.settle()
    [answer] = session.answers()
    assert answer["status"] == status
    if status == 400:
        assert (answer["data"]["error"], answer["data"]["field"]) == ("INVALID_DATA", "timeout_ms")
        assert daemon.kept() == before
    else:
        assert daemon.balance() == 1000


def test_perRequest() -> None:
    """Each request waits as long as it says, whoever else waits, and all are served by one timer."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    for timeout in (3000, 100, 1000, 100):
        session.deposit(f"{timeout} {len(daemon.waiters)}", timeout_ms=timeout)
    daemon.settle()
    # And one for the commit that takes so long.
    assert len(daemon.clock.getDelayedCalls()) == 2
    struck: list[Any] = []
    for _ in range(70):
        daemon.clock.advance(0.05)
        struck += [answer["extID"] for answer in session.answers()]
    assert struck == ["100 1", "100 3", "1000 2", "3000 0"]
    assert len(daemon.clock.getDelayedCalls()) == 1


@COMMANDS
@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_waitersMax(count: int, command: str) -> None:
    """As many may wait as the bound says; one more is refused with 429, and nothing is done for it."""
    daemon = Daemon(waitersMax=3)
    session = daemon.staff()
    for i in range(count):
        session.deposit(str(i), command=command)
    refused = session.answers()
    assert [(a["extID"], a["status"], a["data"]["reason"]) for a in refused] == [
        (str(i), 429, "RET_TRADE_TOO_MANY_REQ") for i in range(3, count)
    ]
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200] * min(count, 3)
    assert daemon.balance() == 1000 * min(count, 3)


@pytest.mark.parametrize(("extID", "advice"), [("k", "repeat it"), (None, "look for the order")])
def test_adviceOfPending(extID: str | None, advice: str) -> None:
    """Whose request has a name is told to repeat it; whose has none is not, for that would be another deposit."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit(extID)
    daemon.settle()
    wait(daemon, 5.1)
    [answer] = session.answers()
    assert (answer["data"]["outcome"], advice in answer["data"]["message"]) == ("pending", True)
    daemon.ledgerThread.release()
