"""When the ledger fails, or our own code: everybody is told so, and the runtime lives on."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import LogEvent, capturedLogs, eventAsText

from scalemgr.finance.requests import Request
from scalemgr.interfaces import IContext
from scalemgr.wire.errors import LedgerFailed

from ..helpers import SYSTEM, Daemon, WatchedLedger, inShort, ofDeposits, thirdParty
from .house import Ledger

VOID = LedgerFailed("the disk is full", outcome="void")
PENDING = LedgerFailed("the disk went away", outcome="pending")


@pytest.mark.parametrize("failure", [VOID, PENDING])
@pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])
def test_ledgerFails(failure: LedgerFailed, command: str) -> None:
    """A commit that fails is answered with 500 and what became of it; nothing is booked and nothing emitted."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger)
    asking, listening = daemon.staff(), daemon.staff()
    before = daemon.kept()
    ledger.failures = [failure]
    asking.deposit("a", command=command)
    asking.deposit("b", command=command)
    daemon.settle()
    lines = asking.lines()
    assert [(line["extID"], line["status"]) for line in lines] == [("a", 500), ("b", 500)]
    for line in lines:
        assert line["data"]["error"] == line["data"]["reason"] == "RET_ERR_DISK"
        assert line["data"]["outcome"] == failure.details["outcome"]
    assert listening.lines() == []
    assert daemon.kept() == before


def test_ledgerFailureIsOneLine(failures: list[LogEvent]) -> None:
    """A ledger that fails, and one that works again, is one line each for the operator, without a traceback, also if
    nobody has anything to commit meanwhile."""
    ledger = Ledger()
    daemon = Daemon(ledger=ledger)
    session = daemon.staff()
    ledger.dead = True
    with capturedLogs() as logged:
        for extID in "ab":
            session.deposit(extID)
            daemon.clock.pump([0.0] + [0.1] * 50)
        assert daemon.runtime.commits.failing == "the disk is full"
        ledger.dead = False
        daemon.clock.pump([0.1] * 50)
    lines = [
        (event["log_level"].name, eventAsText(event, includeSystem=False, includeTimestamp=False)) for event in logged
    ]
    assert lines == [("critical", "a batch of 1 failed: the disk is full")] * 2 + [("info", "the ledger works again")]
    assert failures == []


def test_ledgerFailsUnforeseen(failures: list[LogEvent]) -> None:
    """Any other failure of the ledger is logged with its traceback, and answered as one that may have applied."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger)
    session = daemon.staff()
    before = daemon.kept()
    ledger.failures = [ZeroDivisionError("secret detail")]
    session.deposit("a")
    daemon.settle()
    raw = session.raw()
    assert b'"status":500' in raw
    assert b'"outcome":"pending"' in raw
    assert b"secret" not in raw
    assert [event["log_failure"].type for event in failures] == [ZeroDivisionError]
    failures.clear()
    assert daemon.kept() == before


@pytest.mark.parametrize("failure", [VOID, RuntimeError("a bug")])
def test_livesOnAfterAFailure(failure: Exception, failures: list[LogEvent]) -> None:
    """After a failure the next deposit is booked, once the loop has drawn breath."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger)
    session = daemon.staff()
    ledger.failures = [failure]
    session.deposit("a")
    daemon.settle()
    session.lines()
    session.deposit("b")
    daemon.settle()
    assert session.lines() == []
    daemon.clock.advance(0.05)
    daemon.settle()
    assert inShort(session.lines()) == ["b", *ofDeposits(6)]
    assert daemon.balance() == 1000
    failures.clear()


def commitTimes(daemon: Daemon, ledger: WatchedLedger, count: int) -> list[float]:
    """The pauses between commits, when there is always something to commit."""
    session = daemon.staff()
    ledger.clock, ledger.times = daemon.clock, []
    for i in range(count):
        session.deposit(str(i))
    daemon.clock.pump([0.01] * 450)
    return [after - before for before, after in zip(ledger.times, ledger.times[1:], strict=False)]


def test_backsOff() -> None:
    """A ledger that goes on failing is tried less and less often, but at least once a second."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger, batchMax=1)
    ledger.failures = [VOID] * 8
    pauses = commitTimes(daemon, ledger, 9)
    assert pauses[:7] == pytest.approx([0.05, 0.1, 0.2, 0.5, 1.0, 1.0, 1.0], abs=0.011)


def test_backOffEndsWithSuccess() -> None:
    """Once a commit has succeeded there is no pause between commits, and the next failure begins with a short one."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger, batchMax=1)
    append = ledger._append
    outcomes = iter([VOID, VOID, VOID, None, None, VOID, None])

    def failSome(entries: Any) -> None:
        if (failure := next(outcomes)) is not None:
            raise failure
        append(entries)

    ledger._append = failSome  # type: ignore[method-assign]
    pauses = commitTimes(daemon, ledger, 7)
    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.0, 0.0, 0.05], abs=0.011)


def test_stopDuringFailures() -> None:
    """A ledger that fails does not keep the runtime from stopping, and those who wait are told."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger, batchMax=1)
    session = daemon.staff()
    daemon.ledgerThread.held = True
    for extID in "abc":
        session.deposit(extID)
    daemon.settle()
    ledger.failures = [VOID] * 3
    stopped: list[Any] = []
    daemon.runtime.stop().addBoth(stopped.append)
    daemon.ledgerThread.release()
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [500] * 3
    assert len(stopped) == 1


class Unknown(Request, frozen=True):
    """A request of a kind that there is not."""


async def broken(context: IContext) -> dict[str, Any]:
    """Ask for what no book can settle."""
    await context.settled(context.submit(Unknown(SYSTEM)))
    return {}


def test_bugInSettling(failures: list[LogEvent]) -> None:
    """A request that makes settling fail is answered with 500 and a reference; its neighbours are booked."""
    daemon = Daemon(also=[thirdParty(broken)])
    session = daemon.staff()
    session.deposit("a")
    session.send("ThirdParty", "b")
    session.deposit("c")
    daemon.settle()
    answers = {answer["extID"]: answer for answer in session.answers()}
    assert {extID: answer["status"] for extID, answer in answers.items()} == {"a": 200, "b": 500, "c": 200}
    assert daemon.balance() == 2000
    data = answers["b"]["data"]
    assert data.keys() == {"error", "message", "code", "reason", "reference"}
    assert any(event.get("reference") == data["reference"] for event in failures)
    failures.clear()


def test_bugInSettlingLeavesNoTrace(failures: list[LogEvent]) -> None:
    """A batch of nothing but bugs changes neither the book nor the log."""
    daemon = Daemon(also=[thirdParty(broken)])
    session = daemon.staff()
    before = daemon.kept()
    session.send("ThirdParty", "a")
    session.send("ThirdParty", "b")
    daemon.settle()
    assert [answer["status"] for answer in session.lines()] == [500, 500]
    assert daemon.kept() == before
    failures.clear()


def test_bugInSettlingOfALostSession(failures: list[LogEvent]) -> None:
    """A bug that nobody waits to hear of is logged all the same."""
    daemon = Daemon(also=[thirdParty(broken)])
    session = daemon.staff()
    session.send("ThirdParty", "a")
    session.lose()
    daemon.settle()
    assert [event["log_failure"].type for event in failures] == [KeyError]
    failures.clear()
