"""Order numbers: unique, fetched ahead, and refused when there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.logger import LogEvent, LogLevel, capturedLogs

from scalemgr.ledger.memory import MemoryLedger
from scalemgr.runtime.mainloop import Orders
from scalemgr.wire.errors import LedgerFailed, Overloaded

from ..helpers import Daemon, Threads, WatchedLedger


class Counting(MemoryLedger):
    """Remembers each block that was set aside."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[int] = []

    def reserveOrders(self, count: int) -> int:
        self.blocks.append(super().reserveOrders(count))
        return self.blocks[-1]


def orders(blockSize: int) -> tuple[Orders, Counting, Threads]:
    """With one block at hand."""
    ledger, thread = Counting(), Threads()
    made = Orders(ledger, thread, blockSize)
    made.give(ledger.reserveOrders(blockSize))
    return made, ledger, thread


@pytest.mark.parametrize("blockSize", [2, 3, 10])
def test_eachOnce(blockSize: int) -> None:
    """Numbers are given out once each, without a gap as long as the blocks have none."""
    made, _, _ = orders(blockSize)
    assert [made.take() for _ in range(50)] == list(range(1, 51))


def test_fetchedAhead() -> None:
    """The second block is fetched when half of the first is used, and only one at a time."""
    made, ledger, thread = orders(10)
    thread.held = True
    for _ in range(5):
        made.take()
    assert thread.waiting() == 0
    made.take()
    assert thread.waiting() == 1
    for _ in range(4):
        made.take()
    assert thread.waiting() == 1
    thread.release()
    assert ledger.blocks == [1, 11]
    assert made.take() == 11


def test_exhaustion() -> None:
    """With no number at hand a request is refused; when the block comes, it goes on where it was."""
    made, _, thread = orders(4)
    thread.held = True
    assert [made.take() for _ in range(4)] == [1, 2, 3, 4]
    for _ in range(3):
        with pytest.raises(Overloaded):
            made.take()
    thread.release()
    assert made.take() == 5


def test_exhaustionDoesNothing() -> None:
    """A deposit for which there is no number is answered with 429 and never applied."""
    daemon = Daemon(orderBlock=2)
    session = daemon.staff()
    daemon.ledgerThread.held = True
    for extID in "abc":
        session.deposit(extID)
    [refused] = session.answers()
    assert (refused["extID"], refused["status"]) == ("c", 429)
    assert refused["data"]["reason"] == "RET_TRADE_TOO_MANY_REQ"
    daemon.ledgerThread.release()
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200, 200]
    assert daemon.balance() == 2000
    session.deposit("d")
    daemon.settle()
    assert [answer["data"]["order"] for answer in session.answers()] == [3]


def whys(logged: Sequence[LogEvent]) -> list[str]:
    """Why no order could be reserved, as the operator is told: a line each time, and no traceback."""
    assert not any("log_failure" in event for event in logged)
    return [event["why"] for event in logged if event["log_level"] is LogLevel.critical]


def test_failureToReserve() -> None:
    """If no block can be set aside that is logged, and tried again with the next number: no request suffers."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger, orderBlock=4)
    session = daemon.staff()
    ledger.reserveFailures = [LedgerFailed("the disk is full", outcome="void")]
    with capturedLogs() as logged:
        for i in range(9):
            session.deposit(str(i))
        daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200] * 9
    assert whys(logged) == ["the disk is full"]


def test_failureToReserveForGood() -> None:
    """With nothing at hand and nothing to be had, each request is refused and tries again for the next."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger, orderBlock=2)
    session = daemon.staff()
    before = daemon.kept()
    daemon.runtime.reserveOrder()
    ledger.reserveFailures = [LedgerFailed("the disk is full") for _ in range(3)]
    with capturedLogs() as logged:
        daemon.runtime.reserveOrder()
        for extID in "abc":
            session.deposit(extID)
        daemon.settle()
    assert [answer["status"] for answer in session.lines()] == [429] * 3
    assert daemon.kept() == before
    assert whys(logged) == ["the disk is full"] * 3
    session.deposit("d")
    daemon.settle()
    assert [answer["data"]["order"] for answer in session.answers()] == [3]


def test_unused() -> None:
    """What nobody took can be given back: from the next number on, across blocks that follow each other."""
    made, _, _ = orders(10)
    assert made.unused() == 1
    for _ in range(3):
        made.take()
    assert made.unused() == 4
    for _ in range(5):
        made.take()
    assert made.unused() == 9
    for _ in range(12):
        made.take()
    assert made.unused() == 21


def test_unusedOfBlocksApart() -> None:
    """If somebody else has a block in between, nothing can be given back."""
    made, ledger, _ = orders(4)
    MemoryLedger.reserveOrders(ledger, 100)
    for _ in range(3):
        made.take()
    assert ledger.blocks == [1, 105]
    assert made.unused() is None
    taken: list[Any] = [made.take() for _ in range(2)]
    assert taken == [4, 105]
    assert made.unused() == 106


def test_unusedWhileOneIsFetched() -> None:
    """Nothing is returned while a block is being set aside: what another has between them would be handed out again."""
    made, _, thread = orders(10)
    thread.held = True
    for _ in range(6):
        made.take()
    assert thread.waiting() == 1
    assert made.unused() is None
    thread.release()
    assert made.unused() == 7


def test_unusedBeforeAny() -> None:
    """Without any block there is nothing to give back."""
    assert Orders(MemoryLedger(), Threads(), 4).unused() is None
