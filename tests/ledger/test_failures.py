"""What a commit that fails leaves behind, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed

from .helpers import NOW_MS, BadDisk, commit, deposit, depositEach, folded, opened, populate, state


@pytest.fixture
def ledger(folder: Path) -> Iterator[SqliteLedger]:
    """A populated ledger in a folder."""
    with opened(folder) as ledger:
        populate(ledger)
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
    assert [e.order for e in ledger.entries(before[0], 10)] == [order]
    assert ledger.book.accounts[1001].balance == 100


def test_kept_after_all(ledger: SqliteLedger) -> None:
    """A COMMIT that reports a failure but is in the log was a success."""
    order = ledger.reserveOrders(1)
    BadDisk(ledger).failAt("COMMIT", happens="COMMIT")
    (entry,) = commit(ledger, deposit(order))
    assert ledger.entries(4, 10) == [entry]
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
    assert [e.order for e in ledger.entries(4, 10)] == expected
    assert entry.seq == 4 + len(expected)
    assert ledger.book.accounts[1001].balance == (107 if kept else 7)
    assert (ledger.trade(pending) is not None) == kept
    assert state(ledger.book) == folded(ledger.entries(0, 100))


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
    assert [e.order for e in ledger.entries(4, 10)] == ([orders[0]] if kept else []) + [orders[3]]
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
