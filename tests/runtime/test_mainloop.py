"""The trading runtime: batches, the order in which everybody is told, bounds, and how it stops."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import LogEvent, capturedLogs, eventAsText

from scalemgr.finance.money import Amount
from scalemgr.finance.records import TRADE_EVENT
from scalemgr.finance.requests import MoveMoney
from scalemgr.interfaces import ISubmission
from scalemgr.runtime.waiters import Awaited
from scalemgr.wire.codes import TradeCommand
from scalemgr.wire.errors import ShuttingDown

from ..helpers import SYSTEM, Daemon, Session, Threads, WatchedLedger, inShort, ofDeposits, token


def watched(**more: Any) -> tuple[Daemon, WatchedLedger]:
    """A daemon and its ledger, which remembers what it is asked to do from here on."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger, **more)
    ledger.batches.clear()
    return daemon, ledger


def amounts(ledger: WatchedLedger) -> list[list[float]]:
    """Each batch, as the amounts in it."""
    return [[float(request.amount) for request in batch] for batch in ledger.batches]  # type: ignore[union-attr]


def request(daemon: Daemon, cents: int = 1000) -> MoveMoney:
    order = daemon.runtime.reserveOrder()
    return MoveMoney(SYSTEM, TradeCommand.OP_BALANCE_IN, 1001, Amount(cents, 2), order)


def waitFor(daemon: Daemon, submission: ISubmission) -> list[Any]:
    """Where its outcome will be."""
    outcome: list[Any] = []
    awaited = Awaited("trade", "", 0, submission.request.order, None, submission)  # type: ignore[union-attr]
    daemon.waiters.wait(awaited, "session", "x").addBoth(outcome.append)
    return outcome


def told(session: Session) -> list[str]:
    """What a session was sent, in short."""
    return inShort(session.lines())


def test_oneCommitPerBatch() -> None:
    """What several sessions ask before the loop turns is one commit, in the order in which it came."""
    daemon, ledger = watched()
    one, two = daemon.staff(), daemon.staff()
    for i, session in enumerate([one, two, one, two, two]):
        session.deposit(str(i), i + 1)
    daemon.settle()
    assert amounts(ledger) == [[1.0, 2.0, 3.0, 4.0, 5.0]]


def test_workGathersDuringACommit() -> None:
    """There is never more than one commit under way; what comes meanwhile is the next batch."""
    daemon, ledger = watched()
    session = daemon.staff()
    session.deposit("a", 1)
    daemon.ledgerThread.held = True
    daemon.settle()
    for i in range(3):
        session.deposit(str(i), i + 2)
        daemon.settle()
    daemon.ledgerThread.release()
    daemon.settle()
    assert amounts(ledger) == [[1.0], [2.0, 3.0, 4.0]]


@pytest.mark.parametrize(("count", "batches"), [(2, [2]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_batchMax(count: int, batches: list[int]) -> None:
    """A commit takes as many requests as a batch may have, and the rest follow."""
    daemon, ledger = watched(batchMax=3)
    session = daemon.staff()
    for i in range(count):
        session.deposit(str(i))
    daemon.settle()
    assert [len(batch) for batch in ledger.batches] == batches
    assert daemon.balance() == 1000 * count


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_queueMax(count: int) -> None:
    """As many requests may be queued as the bound says; one more is refused, and nothing is done for it."""
    daemon, ledger = watched(queueMax=3)
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("first")
    daemon.settle()
    for i in range(count):
        session.deposit(str(i))
    refused = session.answers()
    assert [(a["extID"], a["status"], a["data"]["reason"]) for a in refused] == [
        (str(i), 429, "RET_TRADE_TOO_MANY_REQ") for i in range(3, count)
    ]
    daemon.ledgerThread.release()
    daemon.settle()
    assert sum(map(len, ledger.batches)) == 1 + min(count, 3)
    assert daemon.balance() == 1000 * (1 + min(count, 3))
    assert len(session.answers()) == 1 + min(count, 3)


def test_idleLoopIsWokenByOneRequest() -> None:
    """An idle loop has no timer, and one request wakes it without any time passing."""
    daemon, _ = watched()
    session = daemon.staff()
    daemon.settle()
    for extID in "abc":
        assert daemon.clock.getDelayedCalls() == []
        session.deposit(extID)
        daemon.settle()
        assert [answer["extID"] for answer in session.answers()] == [extID]
        daemon.clock.pump([0.05] * 2)


def test_responsesBeforeEventsInLogOrder() -> None:
    """After a commit all answers come first, then all events, each in the order of the log."""
    daemon, _ = watched()
    asking, listening = daemon.staff(), daemon.staff()
    for extID in "abcd":
        asking.deposit(extID, command="BalanceIn" if extID == "c" else "BalanceInSync")
    daemon.settle()
    assert told(asking) == ["a", "b", "c", "d", *ofDeposits(6, 4)]
    assert told(listening) == ofDeposits(6, 4)


def test_responsePrecedesItsOwnEvent() -> None:
    """A session that correlates by order knows each order before its event, over any number of batches."""
    daemon, _ = watched(batchMax=2)
    one, two = daemon.staff(), daemon.staff()
    for i in range(9):
        (one, two)[i % 2].deposit(f"{i}", command=("BalanceIn", "BalanceInSync")[i % 3 == 0])
    daemon.settle()
    for session in (one, two):
        known: set[int] = set()
        asked = {0: 5, 1: 4}[session is two]
        lines = session.lines()
        assert [line["seq"] for line in lines if "event" in line] == list(range(6, 6 + 2 * 9))
        for line in lines:
            if "event" not in line:
                known.add(line["data"]["order"])
            elif line["event"] == TRADE_EVENT and line["data"]["order"] % 2 != (session is two):
                assert line["data"]["order"] in known
        assert len(known) == asked


@pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])
def test_nothingIsSaidBeforeTheCommit(command: str) -> None:
    """While the commit is under way nobody hears of it; afterwards everybody does."""
    daemon, _ = watched()
    asking, listening = daemon.staff(), daemon.staff()
    daemon.ledgerThread.held = True
    asking.deposit("a", command=command)
    daemon.settle()
    daemon.clock.pump([0.05] * 90)
    assert asking.raw() == listening.raw() == b""
    daemon.ledgerThread.release()
    daemon.settle()
    assert told(asking) == ["a", *ofDeposits(6)]
    assert told(listening) == ofDeposits(6)


def test_withdrawnIsNotCommitted() -> None:
    """What was withdrawn from the queue is in no commit, and those behind it are not delayed."""
    daemon, ledger = watched(batchMax=2)
    submissions = [daemon.runtime.submit(request(daemon, cents)) for cents in (100, 200, 300, 400)]
    assert [submissions[i].withdraw() for i in (0, 2, 2)] == [True, True, True]
    daemon.settle()
    assert amounts(ledger) == [[2.0, 4.0]]
    assert not submissions[1].withdraw()


def test_bugInTelling(failures: list[LogEvent]) -> None:
    """If our own code fails while it tells of a batch, that is logged, and the loop goes on."""
    daemon, _ = watched()
    session = daemon.staff()
    publish = daemon.events.publish

    def fail(entries: object) -> None:
        daemon.events.publish = publish  # type: ignore[method-assign]
        raise RuntimeError("a bug")

    daemon.events.publish = fail  # type: ignore[method-assign]
    session.deposit("a")
    daemon.settle()
    assert [event["log_failure"].getErrorMessage() for event in failures] == ["a bug"]
    failures.clear()
    session.deposit("b")
    daemon.settle()
    assert told(session) == ["a", "b", *ofDeposits(8, before=10)]


# -- stopping -----------------------------------------------------------------------------------------


def test_stopWhenIdle() -> None:
    """An idle runtime stops at once, and says which order nobody got."""
    daemon, _ = watched()
    first = daemon.runtime.reserveOrder()
    stopped: list[Any] = []
    daemon.runtime.stop().addBoth(stopped.append)
    assert stopped == [first + 1]
    assert daemon.clock.getDelayedCalls() == []


def test_stopFinishesWhatWasTaken() -> None:
    """Stopping finishes all that was taken, answers it, and only then is done."""
    daemon, ledger = watched(batchMax=2)
    session = daemon.staff()
    daemon.ledgerThread.held = True
    for extID in "abcde":
        session.deposit(extID)
    daemon.settle()
    stopped: list[Any] = []
    daemon.runtime.stop().addBoth(stopped.append)
    daemon.settle()
    assert (stopped, session.raw()) == ([], b"")
    daemon.ledgerThread.release()
    daemon.settle()
    assert [len(batch) for batch in ledger.batches] == [2, 2, 1]
    assert [answer["status"] for answer in session.answers()] == [200] * 5
    assert stopped == [6]


def test_stopRefusesNewWork() -> None:
    """From the moment that it is told to stop, the runtime takes nothing more, and nothing is done for it."""
    daemon, ledger = watched()
    daemon.ledgerThread.held = True
    outcome = waitFor(daemon, daemon.runtime.submit(request(daemon)))
    daemon.settle()
    daemon.runtime.stop()
    with pytest.raises(ShuttingDown):
        daemon.runtime.submit(request(daemon))
    daemon.ledgerThread.release()
    daemon.settle()
    assert len(outcome) == 1
    assert (daemon.balance(), len(ledger.batches)) == (1000, 1)


def test_stopWithAllWithdrawn() -> None:
    """A queue of which all was withdrawn does not keep the runtime from stopping."""
    daemon, ledger = watched()
    submission = daemon.runtime.submit(request(daemon))
    submission.withdraw()
    stopped: list[Any] = []
    daemon.runtime.stop().addBoth(stopped.append)
    daemon.settle()
    assert (len(stopped), ledger.batches) == (1, [])


def test_stopWaitsForTheLedger() -> None:
    """Threads that are still busy with a commit are waited for, even when nobody waits for the answer."""
    daemon, _ = watched()
    assert isinstance(daemon.ledgerThread, Threads)
    daemon.ledgerThread.held = True
    daemon.runtime.submit(request(daemon))
    daemon.settle()
    stopped: list[Any] = []
    daemon.runtime.stop().addBoth(stopped.append)
    daemon.clock.pump([1.0] * 10)
    assert stopped == []
    daemon.ledgerThread.release()
    daemon.settle()
    assert len(stopped) == 1
    assert daemon.balance() == 1000


def test_sessionsOfAnyRoleAreOneQueue() -> None:
    """Managers, dealers and admins share one log: their deposits are one batch."""
    daemon, ledger = watched()
    sessions = [daemon.connect(token(role, role)) for role in ("manager", "dealer", "admin")]
    for session in sessions:
        session.deposit("a")
    daemon.settle()
    assert [[r.cause.principal for r in batch] for batch in ledger.batches] == [["manager", "dealer", "admin"]]


def test_slowCommitIsSaid() -> None:
    """A commit that takes long is a line for the operator, again each time it has taken twice as long; then no more."""
    daemon, _ = watched()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("a")
    daemon.settle()
    session.deposit("b")
    with capturedLogs() as logged:
        for _ in range(70):
            daemon.clock.advance(0.1)
        daemon.ledgerThread.release()
        daemon.settle()
        daemon.clock.advance(100)
    lines = [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in logged]
    assert [line[:52] for line in lines] == [f"the ledger has been at a commit of 1 for {n} s, and 1 " for n in (2, 4)]
