"""What somebody missed, page by page, and how it meets the live events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent
from zope.interface import implementer

from scalemgr.finance.channels import Interest
from scalemgr.finance.masks import EVERYTHING, Mask
from scalemgr.finance.money import Amount
from scalemgr.finance.records import BALANCE_EVENT, BROADCAST, GROUP_EVENT, TRADE_EVENT, USER_EVENT, Entry
from scalemgr.finance.requests import MoveMoney, Request
from scalemgr.interfaces import IEventReader
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.runtime.eventlog import EventLog
from scalemgr.runtime.replay import PAGE, Replay
from scalemgr.wire.codes import TradeCommand
from scalemgr.wire.errors import LedgerFailed

from ..helpers import NOW_MS, SYSTEM, Threads, populate

#: What C{populate} has put into the log. Then come deposits: trades have even numbers, their balance:events odd ones.
POPULATED = 5
#: So many deposits are a page of entries.
PAGEFUL = PAGE // 2


@implementer(IEventReader)
class Reader:
    """Remembers what it was sent."""

    def __init__(self, mask: Mask = EVERYTHING, events: frozenset[str] = BROADCAST) -> None:
        self.interest = Interest(mask, events)
        self.lines: list[bytes] = []

    def deliver(self, lines: bytes, seq: int) -> None:
        new = lines.splitlines(keepends=True)
        assert seq >= json.loads(new[-1])["seq"]
        self.lines += new

    def seqs(self) -> list[int]:
        return [json.loads(line)["seq"] for line in self.lines]


class Stage:
    """A log that grows when it is told to, a thread that can be held, and a reader who goes back."""

    def __init__(self, deposits: int = 0, mask: Mask = EVERYTHING, events: frozenset[str] = BROADCAST) -> None:
        self.ledger = MemoryLedger()
        populate(self.ledger)
        self.thread = Threads()
        self.clock = Clock()
        self.events = EventLog(self.ledger, self.thread)
        self.events.publish(self.ledger.takeCommitted())
        self.reader = Reader(mask, events)
        self.reached: list[int] = []
        self.failed = 0
        self.grow(deposits)

    def commit(self, count: int, login: int = 1001) -> list[Entry]:
        """Commit deposits, each of them two entries, and tell nobody yet."""
        first = self.ledger.reserveOrders(count)
        requests: list[Request] = [
            MoveMoney(SYSTEM, TradeCommand.OP_BALANCE_IN, login, Amount(1, 0), first + i) for i in range(count)
        ]
        outcomes = self.ledger.commit(requests, NOW_MS)
        entries = self.ledger.takeCommitted()
        assert [entry for entry in entries if entry.event == TRADE_EVENT] == outcomes
        assert [entry.event for entry in entries] == [TRADE_EVENT, BALANCE_EVENT] * count
        return entries

    def grow(self, count: int, login: int = 1001) -> None:
        """Commit deposits, and tell."""
        self.events.publish(self.commit(count, login))

    def replay(self, after: int = 0, heldMax: int = 1_000_000) -> Replay:
        def failed() -> None:
            self.failed += 1

        replay = Replay(self.events, self.reader, after, self.clock, heldMax, self.reached.append, failed)
        replay.resume()
        return replay

    def step(self) -> None:
        """Let one page through."""
        self.thread.step()

    def isWhole(self, after: int = 0) -> bool:
        """Was the reader sent everything, once, in order, and is it listening?"""
        self.grow(1)
        return self.reader.seqs() == list(range(after + 1, self.ledger.book.seq + 1))


# From 1, 3 and POPULATED on some of these are just a page, from 0 on one entry less or more.
@pytest.mark.parametrize("deposits", [0, 1, *range(PAGEFUL - 3, PAGEFUL + 2), 3 * PAGEFUL, 3 * PAGEFUL + 7])
@pytest.mark.parametrize("after", [0, 1, 3, POPULATED])
def test_everything(deposits: int, after: int) -> None:
    """A replay sends every entry after the one it is told, once and in order, and then live events."""
    stage = Stage(deposits)
    stage.replay(after)
    assert stage.reached == [POPULATED + 2 * deposits]
    assert stage.isWhole(after)


def test_fromWithinADeposit() -> None:
    """A replay after a trade begins with the balance:event that belongs to it."""
    stage = Stage(2)
    stage.replay(POPULATED + 1)
    assert stage.reached == [POPULATED + 4]
    assert stage.isWhole(POPULATED + 1)


def test_sameBytes() -> None:
    """A replayed event is the line that was sent live, byte for byte."""
    stage = Stage()
    live = Reader()
    stage.events.attach(live)
    stage.grow(20)
    stage.replay(POPULATED)
    assert stage.reader.lines == live.lines
    assert len(live.lines) == 2 * 20


def test_mask() -> None:
    """A replay sends only what its reader may see, and comes to the end although it sees nothing of the rest."""
    stage = Stage(mask=Mask("real-*"))
    stage.grow(PAGEFUL)
    stage.grow(3, 2001)
    stage.grow(PAGEFUL)
    stage.replay(POPULATED)
    assert stage.reader.seqs() == [POPULATED + PAGE + i for i in (1, 2, 3, 4, 5, 6)]
    assert stage.reached == [POPULATED + 2 * PAGE + 6]


def test_events() -> None:
    """A replay sends only the events that its reader is interested in, and comes to the end of all."""
    stage = Stage(PAGEFUL, events=frozenset({GROUP_EVENT, USER_EVENT}))
    stage.replay()
    assert stage.reader.seqs() == list(range(1, POPULATED + 1))
    assert stage.reached == [POPULATED + PAGE]


USERS, TRADES, BALANCES = frozenset({USER_EVENT}), frozenset({TRADE_EVENT}), frozenset({BALANCE_EVENT})


def changed(stage: Stage, replay: Replay, events: frozenset[str]) -> None:
    """As a session does it: the reader's interest, and that of the replay."""
    stage.reader.interest = Interest(EVERYTHING, events)
    replay.change(stage.reader.interest)


def test_changedWhileAPageIsRead() -> None:
    """A page that is on its way when the interest changes is sent as is of interest by then, and is not read again."""
    stage = Stage(PAGEFUL, events=USERS)
    stage.thread.held = True
    replay = stage.replay()
    changed(stage, replay, USERS | TRADES)
    assert stage.thread.waiting() == 1
    stage.step()
    assert stage.reader.seqs() == [3, 4, 5, *range(6, PAGE + 1, 2)]
    stage.thread.release()
    assert stage.reached == [POPULATED + PAGE]
    stage.grow(1)
    assert stage.reader.seqs() == [3, 4, 5, *range(6, POPULATED + PAGE + 2, 2)]


@pytest.mark.parametrize("events", [USERS, TRADES, BALANCES, USERS | TRADES, BROADCAST, frozenset()])
@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_changedWhileEventsAreHeldBack(events: frozenset[str], before: int, after: int) -> None:
    """What was held back for the old interest when it changes is sent as the new one wants it, once, in order."""
    stage = Stage(3, events=TRADES)
    stage.thread.held = True
    replay = stage.replay(2)
    stage.grow(before)
    changed(stage, replay, events)
    stage.grow(after)
    stage.thread.release()
    stage.grow(1)
    head = POPULATED + 2 * (3 + before + after)
    wanted = [
        *([3, 4, 5] if USER_EVENT in events else []),
        *(range(6, head + 3, 2) if TRADE_EVENT in events else []),
        *(range(7, head + 3, 2) if BALANCE_EVENT in events else []),
    ]
    assert stage.reader.seqs() == sorted(wanted)
    assert stage.reached == [head]
    stage.events.detach(stage.reader)
    assert stage.events._readers == {}


def test_changedWhilePaused() -> None:
    """An interest that changes while the reader takes no more reads nothing, and holds from then on."""
    stage = Stage(2 * PAGEFUL, events=USERS)
    stage.thread.held = True
    replay = stage.replay()
    stage.step()
    replay.pause()
    stage.step()
    changed(stage, replay, TRADES)
    stage.grow(2)
    assert stage.thread.waiting() == 0
    replay.resume()
    stage.thread.release()
    assert stage.reader.seqs() == [3, 4, 5, *range(2 * PAGE + 2, POPULATED + 2 * PAGE + 4, 2)]


def test_pageByPage() -> None:
    """The next page is read only when the reader takes more; while it does not, nothing is read."""
    stage = Stage(4 * PAGEFUL)
    stage.thread.held = True
    replay = stage.replay()
    replay.pause()
    stage.step()
    assert (len(stage.reader.lines), stage.thread.waiting()) == (PAGE, 0)
    replay.resume()
    replay.resume()
    assert stage.thread.waiting() == 1
    stage.thread.release()
    assert stage.isWhole()


@pytest.mark.parametrize("batch", [1, 7, PAGEFUL, 3 * PAGEFUL])
def test_growsMeanwhile(batch: int) -> None:
    """However fast the log grows while a page is read, there is no gap and no repeat."""
    stage = Stage(2 * PAGEFUL)
    stage.thread.held = True
    stage.replay()
    for _ in range(5):
        stage.grow(batch)
        stage.step()
    stage.thread.release()
    assert stage.isWhole()


def test_catchesAGrowingLog() -> None:
    """A log that grows with every page does not keep the reader from the live events."""
    stage = Stage(2 * PAGEFUL)
    stage.thread.held = True
    stage.replay()
    for _ in range(4):
        stage.grow(10)
        stage.step()
    assert len(stage.reached) == 1
    assert stage.thread.waiting() == 0
    assert stage.isWhole()


def test_committedButNotTold() -> None:
    """An entry that is committed and not told yet is not replayed: it comes live, once."""
    stage = Stage(3)
    entries = stage.commit(4)
    stage.replay()
    assert stage.reached == [POPULATED + 6]
    assert stage.reader.seqs()[-1] == POPULATED + 6
    stage.events.publish(entries)
    assert stage.isWhole()


def test_heldBackIsBounded() -> None:
    """Live events that come while the last page is read are held back to a bound; past it they are read again."""
    stage = Stage(10)
    stage.thread.held = True
    replay = stage.replay(heldMax=2000)
    for _ in range(50):
        stage.grow(1)
    assert replay._held == []
    stage.thread.release()
    assert stage.isWhole()


def test_stopped() -> None:
    """After it is stopped a replay sends nothing more, and leaves nobody attached to the log."""
    stage = Stage(10)
    stage.thread.held = True
    replay = stage.replay()
    replay.stop()
    replay.resume()
    stage.thread.release()
    stage.grow(3)
    assert stage.reader.lines == stage.reached == []
    assert stage.events._readers == {}


@pytest.mark.parametrize("missing", [1, 6, 7, POPULATED + 6])
def test_gapIsNoReplay(missing: int, failures: list[LogEvent]) -> None:
    """A log with a hole in it is not replayed as if it were whole: the reader hears that it cannot be."""
    stage = Stage(3)
    del stage.ledger._entries[missing - 1]
    stage.replay()
    assert (stage.reader.lines, stage.reached, stage.failed) == ([], [], 1)
    assert stage.events._readers == {}
    failures.clear()


def test_unreadable(failures: list[LogEvent]) -> None:
    """A log that cannot be read ends the replay, and the reader hears of it."""
    stage = Stage(3)

    def broken(after: int, limit: int) -> Any:
        raise OSError("gone")

    stage.ledger.entries = broken  # type: ignore[method-assign]
    stage.replay()
    assert (stage.reader.lines, stage.failed) == ([], 1)
    failures.clear()


def away(after: int, limit: int) -> Any:
    """What a log says whose server is away."""
    raise LedgerFailed("the log cannot be read now")


def test_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay of a log that others share waits while that cannot be read, then goes on: no gap, no repeat."""
    stage = Stage(3)
    monkeypatch.setattr(stage.ledger, "isShared", True)
    with monkeypatch.context() as patch:
        patch.setattr(stage.ledger, "entries", away)
        replay = stage.replay()
        stage.clock.pump([0.5] * 7)
        stage.grow(PAGEFUL)
        # Whether the peer reads changes nothing.
        replay.pause()
        replay.resume()
        assert (stage.reader.lines, stage.failed, len(stage.clock.getDelayedCalls())) == ([], 0, 1)
    stage.clock.advance(1)
    assert stage.clock.getDelayedCalls() == []
    assert stage.isWhole()


def test_awayInTheMiddle(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it does if the server goes away between two pages; and it does not go on for a peer that does not read."""
    stage = Stage(3 * PAGEFUL)
    monkeypatch.setattr(stage.ledger, "isShared", True)
    stage.thread.held = True
    replay = stage.replay()
    with monkeypatch.context() as patch:
        patch.setattr(stage.ledger, "entries", away)
        # The first page was asked for before.
        stage.step()
        stage.step()
    replay.pause()
    stage.thread.release()
    stage.clock.advance(1)
    assert stage.reader.seqs() == list(range(1, PAGE + 1))
    replay.resume()
    assert stage.isWhole()


def test_stoppedWhileAway(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay that is stopped while it waits does not try again."""
    stage = Stage(3)
    monkeypatch.setattr(stage.ledger, "isShared", True)
    monkeypatch.setattr(stage.ledger, "entries", away)
    stage.replay().stop()
    assert stage.clock.getDelayedCalls() == []
    assert (stage.reader.lines, stage.failed) == ([], 0)


def test_damageIsNotWaitedFor(monkeypatch: pytest.MonkeyPatch, failures: list[LogEvent]) -> None:
    """A hole in a log that others share is no reason to wait: the reader hears that it cannot be replayed."""
    stage = Stage(3)
    monkeypatch.setattr(stage.ledger, "isShared", True)
    del stage.ledger._entries[2]
    stage.replay()
    assert (stage.reader.lines, stage.failed, stage.clock.getDelayedCalls()) == ([], 1, [])
    failures.clear()
