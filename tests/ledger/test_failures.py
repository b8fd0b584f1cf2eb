"""What a commit that fails leaves behind, and what it says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed

from .helpers import NOW_MS, BadDisk, commit, deposit, depositEach, folded, opened, populate, sql, state, trades


@pytest.fixture
def ledger(folder: Path) -> Iterator[SqliteLedger]:
    """A populated ledger in a folder, of which everybody has been told."""
    with opened(folder) as ledger:
        populate(ledger)
        assert ledger.takeCommitted() == ledger.entries(0, 10)
        yield ledger


def outcomeOf(ledger: SqliteLedger, *orders: int) -> object:
    """Commit deposits, which must fail; what the failure says became of them."""
    with pytest.raises(LedgerFailed) as failed:
        ledger.commit([deposit(order) for order in orders], NOW_MS)
    return failed.value.details["outcome"]


def test_full_disk(ledger: SqliteLedger) -> None:
    """On a full disk a commit is void, the book is as it was, and with room again the next commit works."""
    first = ledger.reserveOrders(800)
    before, entries = state(ledger.book), ledger.entries(0, 1000)
    connection = ledger._file._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    assert connection.execute(f"PRAGMA max_page_count={pages}").fetchone() == (pages,)
    assert outcomeOf(ledger, *range(first, first + 400)) == "void"
    assert state(ledger.book) == before
    assert ledger.entries(0, 1000) == entries
    connection.execute("PRAGMA max_page_count=1000000")
    commit(ledger, *(deposit(order) for order in range(first + 400, first + 800)))
    assert ledger.book.accounts[1001].balance == 400 * 100
    assert folded(ledger.entries(0, 1000)) == state(ledger.book)


@pytest.mark.parametrize("verb", ["BEGIN", "INSERT", "COMMIT"])
def test_void(ledger: SqliteLedger, verb: str) -> None:
    """Wherever a commit fails, if nothing of it is in the log it is void, and the same again is booked once."""
    order = ledger.reserveOrders(1)
    before = state(ledger.book)
    BadDisk(ledger).failAt(verb)
    assert outcomeOf(ledger, order) == "void"
    assert state(ledger.book) == before
    commit(ledger, deposit(order))
    assert [e.order for e in trades(ledger.entries(before[0], 10))] == [order]
    assert ledger.book.accounts[1001].balance == 100


def test_nothing_is_tried(ledger: SqliteLedger) -> None:
    """After a commit that failed, a batch of nothing tells whether the log can be written again: it writes, and fails
    if that fails; after one that succeeded it writes nothing."""
    disk = BadDisk(ledger)
    disk.failAt("INSERT", dies=True)
    order = ledger.reserveOrders(1)
    assert outcomeOf(ledger, order) in ("void", "pending")
    assert outcomeOf(ledger) == "void"
    disk.readable = True
    assert outcomeOf(ledger) == "void"
    disk.heal()
    assert ledger.commit([], NOW_MS) == []
    disk.dead = True
    assert ledger.commit([], NOW_MS) == []


def test_kept_after_all(ledger: SqliteLedger) -> None:
    """A COMMIT that reports a failure but is in the log was a success."""
    order = ledger.reserveOrders(1)
    BadDisk(ledger).failAt("COMMIT", happens="COMMIT")
    (entry,) = commit(ledger, deposit(order))
    assert trades(ledger.entries(4, 10)) == [entry]
    found = ledger.trade(order)
    assert found is not None
    assert found[0].profit == 100


@pytest.mark.parametrize("kept", [True, False])
def test_pending(ledger: SqliteLedger, kept: bool) -> None:
    """A commit of which nothing is known is pending, and the next one finds out whether it was kept."""
    pending, later = ledger.reserveOrders(1), ledger.reserveOrders(1)
    disk = BadDisk(ledger)
    disk.failAt("COMMIT", happens="COMMIT" if kept else "ROLLBACK", dies=True)
    assert outcomeOf(ledger, pending) == "pending"
    assert state(ledger.book) == folded(ledger.entries(0, 4))
    disk.heal()
    (entry,) = commit(ledger, deposit(later, 7))
    expected = [pending, later] if kept else [later]
    assert [e.order for e in trades(ledger.entries(4, 10))] == expected
    assert entry.seq == (7 if kept else 5)
    assert ledger.book.accounts[1001].balance == (107 if kept else 7)
    assert (ledger.trade(pending) is not None) == kept
    assert state(ledger.book) == folded(ledger.entries(0, 100))


@pytest.mark.parametrize("count", [1, 3])
def test_found(ledger: SqliteLedger, count: int) -> None:
    """What was pending and kept is found by the next commit, a batch of nothing will do, and is given out once."""
    first = ledger.reserveOrders(count)
    disk = BadDisk(ledger)
    disk.failAt("COMMIT", happens="COMMIT", dies=True)
    assert outcomeOf(ledger, *range(first, first + count)) == "pending"
    assert ledger.takeCommitted() == []
    with pytest.raises(LedgerFailed):
        ledger.commit([], NOW_MS)
    assert ledger.takeCommitted() == []
    disk.heal()
    assert ledger.commit([], NOW_MS) == []
    found = ledger.takeCommitted()
    assert [e.order for e in trades(found)] == list(range(first, first + count))
    assert found == ledger.entries(4, 10)
    (later,) = depositEach(ledger, 7)
    assert [e.order for e in trades(ledger.takeCommitted())] == [later]
    assert ledger.takeCommitted() == []
    assert state(ledger.book) == folded(ledger.entries(0, 100))


def test_found_by_one_that_fails(ledger: SqliteLedger) -> None:
    """What was found is given out also if the commit that found it fails, and if nobody took it at once."""
    pending, void, later = (ledger.reserveOrders(1) for _ in range(3))
    disk = BadDisk(ledger)
    disk.failAt("COMMIT", happens="COMMIT", dies=True)
    assert outcomeOf(ledger, pending) == "pending"
    disk.heal()
    disk.failAt("INSERT")
    assert outcomeOf(ledger, void) == "void"
    (entry,) = commit(ledger, deposit(later))
    assert entry.seq == 7
    taken = ledger.takeCommitted()
    assert [(e.seq, e.order) for e in trades(taken)] == [(5, pending), (7, later)]
    assert taken == ledger.entries(4, 10)
    assert ledger.takeCommitted() == []


def test_nothing_found(ledger: SqliteLedger) -> None:
    """What was not kept is not given out, and what was known to be kept at once, only once."""
    order, later = ledger.reserveOrders(1), ledger.reserveOrders(1)
    disk = BadDisk(ledger)
    disk.failAt("COMMIT", happens="ROLLBACK", dies=True)
    assert outcomeOf(ledger, order) == "pending"
    disk.heal()
    commit(ledger, deposit(order))
    disk.failAt("COMMIT", happens="COMMIT")
    commit(ledger, deposit(later))
    assert [(e.seq, e.order) for e in trades(ledger.takeCommitted())] == [(5, order), (7, later)]
    assert ledger.takeCommitted() == []


def test_place_taken(ledger: SqliteLedger) -> None:
    """A batch whose place in the log somebody else took, who should not be there, is not said to be kept."""
    order = ledger.reserveOrders(1)
    # What they wrote is shorter, so that neither ends where the other does.
    entry = "json_array(json_set(entries -> 0, '$[0]', 5))"
    sql(ledger._logPath, f"INSERT INTO page SELECT 5, 5, {entry} FROM page WHERE first = 1")
    before = state(ledger.book)
    assert outcomeOf(ledger, order) == "void"
    assert state(ledger.book) == before


def test_busy(ledger: SqliteLedger) -> None:
    """A commit that could not even begin, because somebody else writes, is void, and works when they are done."""
    order = ledger.reserveOrders(1)
    ledger._file._connection.execute("PRAGMA busy_timeout=10")
    with closing(sqlite3.connect(ledger._logPath, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert outcomeOf(ledger, order) == "void"
        other.execute("ROLLBACK")
    commit(ledger, deposit(order))
    assert [(e.seq, e.order) for e in trades(ledger.takeCommitted())] == [(5, order)]
    assert ledger.takeCommitted() == []


@pytest.mark.parametrize("readable", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_pending_for_long(ledger: SqliteLedger, kept: bool, readable: bool) -> None:
    """While the disk is dead, batches that follow a pending one are void, and the pending one stays in doubt."""
    orders = [ledger.reserveOrders(1) for _ in range(4)]
    disk = BadDisk(ledger)
    disk.readable = readable
    disk.failAt("COMMIT", happens="COMMIT" if kept else "ROLLBACK", dies=True)
    assert outcomeOf(ledger, orders[0]) == "pending"
    assert [outcomeOf(ledger, order) for order in orders[1:3]] == ["void", "void"]
    disk.heal()
    commit(ledger, deposit(orders[3]))
    assert [e.order for e in trades(ledger.entries(4, 10))] == ([orders[0]] if kept else []) + [orders[3]]
    assert state(ledger.book) == folded(ledger.entries(0, 100))


@pytest.mark.parametrize("kept", [True, False])
def test_pending_at_the_end(folder: Path, kept: bool) -> None:
    """A ledger that is closed while in doubt opens again with what is in its log."""
    with opened(folder) as ledger:
        depositEach(populate(ledger), 5)
        order = ledger.reserveOrders(1)
        disk = BadDisk(ledger)
        disk.failAt("COMMIT", happens="COMMIT" if kept else "ROLLBACK", dies=True)
        assert outcomeOf(ledger, order) == "pending"
    with opened(folder) as ledger:
        assert ledger.book.accounts[1001].balance == (105 if kept else 5)
        assert (ledger.trade(order) is not None) == kept


@pytest.mark.parametrize("verb", ["BEGIN", "UPDATE", "COMMIT"])
def test_no_orders(ledger: SqliteLedger, verb: str) -> None:
    """Orders that could not be set aside durably are not given out, and later ones are new."""
    first = ledger.reserveOrders(10)
    BadDisk(ledger).failAt(verb)
    with pytest.raises(LedgerFailed):
        ledger.reserveOrders(10)
    assert ledger.reserveOrders(10) >= first + 10


def test_orders_not_returned(folder: Path) -> None:
    """If unused orders cannot be returned, the ledger is closed all the same, and they are skipped."""
    ledger = SqliteLedger(folder)
    ledger.open(NOW_MS)
    first = ledger.reserveOrders(10)
    BadDisk(ledger).failAt("UPDATE")
    ledger.close(first)
    with opened(folder) as again:
        assert again.reserveOrders(1) == first + 10
