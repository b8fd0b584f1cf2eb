"""What the ledger could not answer for at once: if it was kept after all it is broadcast, once and in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent

from scalemgr.finance.records import BALANCE_EVENT, TRADE_EVENT
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed

from ..helpers import Daemon, Session, WatchedLedger, inShort, ofDeposits, onAccount
from ..ledger.helpers import BadDisk

VOID = LedgerFailed("the disk is full", outcome="void")
PENDING = LedgerFailed("the disk went away", outcome="pending")

#: After one failure the loop rests for less than this, in seconds; and for never longer than that.
PAUSE, LONG = 0.06, 1.1


class Doubt:
    """A daemon on a ledger in a folder, whose disk fails when it is told to, with one who asks and one who listens."""

    def __init__(self, folder: Path) -> None:
        self.ledger = SqliteLedger(folder)
        self.daemon = Daemon(ledger=self.ledger)
        self.disk = BadDisk(self.ledger)
        self.asking, self.listening = self.daemon.staff(), self.daemon.staff()

    def failWith(self, *extIDs: str, kept: bool, dies: bool = True) -> None:
        """Deposit, one batch, of which it is not known afterwards whether it was kept."""
        self.disk.failAt("COMMIT", happens="COMMIT" if kept else "ROLLBACK", dies=dies)
        for extID in extIDs:
            self.asking.deposit(extID)
        self.daemon.settle()
        answers = self.asking.lines()
        assert [(a["extID"], a["status"], a["data"]["outcome"]) for a in answers] == [
            (extID, 500, "pending") for extID in extIDs
        ]
        assert self.listening.lines() == []

    def after(self, seconds: float = PAUSE) -> None:
        """Time passes."""
        self.daemon.clock.pump([seconds / 10] * 10)
        self.daemon.settle()

    def idle(self) -> bool:
        """Is there nothing left to do or to wait for?"""
        return self.daemon.clock.getDelayedCalls() == []


@pytest.fixture
def doubt(tmp_path: Path) -> Iterator[Doubt]:
    """Closed in the end, whatever became of its disk."""
    doubt = Doubt(tmp_path / "ledger")
    yield doubt
    doubt.disk.heal()
    doubt.ledger.close(None)


def told(session: Session) -> list[str]:
    """What a session was sent, in short."""
    return inShort(session.lines())


@pytest.mark.parametrize("extIDs", ["a", "abc"])
def test_keptIsBroadcastByItself(doubt: Doubt, extIDs: str) -> None:
    """What was kept after all is broadcast to everyone soon, without a further request, once; then there is quiet."""
    doubt.failWith(*extIDs, kept=True)
    doubt.disk.heal()
    doubt.after()
    assert told(doubt.listening) == told(doubt.asking) == ofDeposits(6, len(extIDs))
    assert doubt.idle()
    doubt.after(LONG)
    assert doubt.listening.lines() == doubt.asking.lines() == []
    assert doubt.daemon.balance() == 1000 * len(extIDs)


def test_keptIsBroadcastAsItIsKept(doubt: Doubt) -> None:
    """Such events are what any others are: each line says what the log says."""
    doubt.failWith("a", kept=True)
    doubt.disk.heal()
    doubt.after()
    lines, entries = doubt.listening.lines(), doubt.ledger.entries(5, 10)
    assert [entry.event for entry in entries] == [TRADE_EVENT, BALANCE_EVENT]
    for line, entry in zip(lines, entries, strict=True):
        assert (line["event"], line["type"], line["seq"]) == (entry.event, entry.type, entry.seq)
        assert (line["time"], line["data"]) == (entry.time_ms / 1000, json.loads(entry.data))
    assert (lines[0]["data"]["order"], lines[0]["data"]["profit"]) == (entries[0].order, 10.0)
    assert lines[1]["data"] == onAccount(1001, 1, 1000)


def test_keptComesBeforeTheNextBatch(doubt: Doubt) -> None:
    """If there are requests by then, what was kept comes before their events, without a gap, and after the answers."""
    doubt.failWith("a", "b", kept=True)
    doubt.disk.heal()
    for extID in "cd":
        doubt.asking.deposit(extID)
    doubt.after()
    assert told(doubt.asking) == ["c", "d", *ofDeposits(6, 4)]
    assert told(doubt.listening) == ofDeposits(6, 4)
    doubt.asking.deposit("e")
    doubt.daemon.settle()
    assert told(doubt.listening) == ofDeposits(14, before=40)


def test_keptComesOnceThoughTheNextBatchFails(doubt: Doubt) -> None:
    """If the batch that finds what was kept fails itself, what was kept is broadcast all the same, and only then."""
    doubt.failWith("a", kept=True)
    doubt.disk.heal()
    doubt.disk.failAt("INSERT")
    doubt.asking.deposit("b")
    doubt.after()
    assert told(doubt.listening) == ofDeposits(6)
    [line] = [line for line in doubt.asking.lines() if "event" not in line]
    assert (line["extID"], line["data"]["outcome"]) == ("b", "void")
    doubt.after(LONG)
    doubt.asking.deposit("c")
    doubt.daemon.settle()
    assert told(doubt.listening) == ofDeposits(8, before=10)


def test_pendingTwice(doubt: Doubt) -> None:
    """One batch after another that is pending and was kept: each is broadcast once, in the order of the log."""
    doubt.failWith("a", kept=True)
    doubt.disk.heal()
    doubt.disk.failAt("COMMIT", happens="COMMIT", dies=True)
    doubt.asking.deposit("b")
    doubt.after()
    assert told(doubt.listening) == ofDeposits(6)
    doubt.disk.heal()
    doubt.after(LONG)
    assert told(doubt.listening) == ofDeposits(8, before=10)
    assert doubt.idle()


def test_notKeptIsNotBroadcast(doubt: Doubt) -> None:
    """What was not kept is never broadcast, and its place in the log is taken by the next deposit: there is no gap."""
    doubt.failWith("a", "b", kept=False)
    doubt.disk.heal()
    doubt.after(LONG)
    assert doubt.listening.lines() == doubt.asking.lines() == []
    assert doubt.idle()
    assert doubt.daemon.balance() == 0
    doubt.asking.deposit("c")
    doubt.daemon.settle()
    assert told(doubt.asking) == ["c", *ofDeposits(6)]
    assert told(doubt.listening) == ofDeposits(6)


@pytest.mark.parametrize("kept", [True, False])
def test_diskThatStaysDead(doubt: Doubt, kept: bool) -> None:
    """While the disk is dead the loop goes on asking what was kept, says nothing before it knows, and then says it."""
    doubt.failWith("a", kept=kept)
    for _ in range(5):
        doubt.after(LONG)
        assert doubt.listening.lines() == doubt.asking.lines() == []
        assert not doubt.idle()
    doubt.asking.deposit("b")
    doubt.after(LONG)
    assert [answer["data"]["outcome"] for answer in doubt.asking.lines()] == ["void"]
    doubt.disk.heal()
    doubt.after(LONG)
    assert told(doubt.listening) == (ofDeposits(6) if kept else [])
    assert doubt.idle()


def test_keptAtOnceIsNotFound(doubt: Doubt) -> None:
    """A commit that reports a failure but turns out to be kept at once is a success: one answer, its events once."""
    doubt.disk.failAt("COMMIT", happens="COMMIT")
    doubt.asking.deposit("a")
    doubt.daemon.settle()
    assert told(doubt.asking) == ["a", *ofDeposits(6)]
    doubt.after(LONG)
    assert told(doubt.listening) == ofDeposits(6)


@pytest.mark.parametrize("kept", [True, False])
def test_stopInDoubt(doubt: Doubt, kept: bool) -> None:
    """A doubt that nobody can resolve does not keep the runtime from stopping."""
    doubt.failWith("a", kept=kept)
    stopped: list[Any] = []
    doubt.daemon.runtime.stop().addBoth(stopped.append)
    doubt.after(LONG)
    assert stopped == [2]
    assert doubt.idle()


@pytest.mark.parametrize(
    "failure",
    [VOID, PENDING, LedgerFailed("no word of it"), RuntimeError("a bug")],
    ids=["void", "pending", "not said", "a bug"],
)
def test_batchOfNothing(failure: Exception, failures: list[LogEvent]) -> None:
    """A batch of nothing is committed once after a failure, to find out if the ledger works, and otherwise never."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger)
    session = daemon.staff()
    ledger.batches.clear()
    ledger.failures = [failure]
    session.deposit("a")
    daemon.settle()
    assert [len(batch) for batch in ledger.batches] == [1]
    daemon.clock.pump([0.1] * 30)
    assert [len(batch) for batch in ledger.batches] == [1, 0]
    assert daemon.clock.getDelayedCalls() == []
    session.deposit("b")
    daemon.clock.pump([0.1] * 30)
    assert [len(batch) for batch in ledger.batches] == [1, 0, 1]
    failures.clear()


def test_doubtAndAllWithdrawn() -> None:
    """A queue of which all was withdrawn does not keep the loop from finding out what was kept."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger)
    session = daemon.staff()
    ledger.batches.clear()
    ledger.failures = [PENDING]
    session.deposit("a")
    daemon.settle()
    submission = daemon.runtime.submit(ledger.batches[0][0])
    assert submission.withdraw()
    daemon.clock.pump([0.1] * 30)
    assert [len(batch) for batch in ledger.batches] == [1, 0]
    assert daemon.clock.getDelayedCalls() == []
    assert [answer["status"] for answer in session.lines()] == [500]
