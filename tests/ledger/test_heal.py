"""Views that cannot be used for a while, or any more, cost an answer at most, and heal while the ledger runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent

from scalemgr.finance.records import Entry
from scalemgr.finance.settle import Outcome
from scalemgr.ledger import sqlite as sqliteModule
from scalemgr.ledger.audit import verify
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed

from .conftest import Logged
from .gate import Gate
from .helpers import (
    NOW_MS,
    BadDisk,
    commit,
    deposit,
    depositEach,
    diskError,
    eventually,
    made,
    opened,
    populate,
    profits,
    rightViews,
    sql,
    update,
)
from .keys import A, again, flush, use


def isVoid(outcome: Outcome) -> bool:
    """Did it fail, saying that nothing was done?"""
    return isinstance(outcome, LedgerFailed) and outcome.details.get("outcome") == "void"


def loseViews(folder: Path) -> None:
    """Delete the views, as an operator would who has read that they can be."""
    for path in folder.glob("views.db*"):
        path.unlink()


# -- updates ------------------------------------------------------------------------------------------


def test_update_of_found(folder: Path, gate: Gate) -> None:
    """A trade of a batch that was pending and turned out to be kept can be changed at once, whatever the views have."""
    with opened(folder) as ledger:
        depositEach(populate(ledger), 5)
        assert ledger.trade(1) is not None
        order = ledger.reserveOrders(1)
        disk = BadDisk(ledger)
        disk.failAt("COMMIT", happens="COMMIT", dies=True)
        with gate.shut():
            with pytest.raises(LedgerFailed) as failed:
                ledger.commit([deposit(order, 100)], NOW_MS)
            assert failed.value.details["outcome"] == "pending"
            disk.heal()
            (entry,) = commit(ledger, update(order, 250))
            assert (entry.seq, entry.balance) == (9, 150)
        assert profits(ledger, 1, order) == [5, 250]


def test_update_when_unreadable(
    folder: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, failures: list[LogEvent]
) -> None:
    """While the views cannot be read, an update of an old trade fails alone and is void; its neighbours are booked."""
    (old,) = made(folder, 100)
    with opened(folder) as ledger:
        depositEach(ledger, 1)
        before, after = ledger.reserveOrders(1), ledger.reserveOrders(1)
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "_views", fail(sqlite3.OperationalError("unable to open database file")))
            batch = [deposit(before, 5), update(old, 300), deposit(after, 7)]
            one, failed, two = ledger.commit(batch, NOW_MS)
        assert isinstance(one, Entry)
        assert isVoid(failed)
        assert isinstance(two, Entry)
        assert (one.seq, two.seq) == (9, 11)
        assert ledger.book.accounts[1001].balance == 113
        assert profits(ledger, old) == [100]
        assert eventually(lambda: committed(ledger, old, 300)).balance == 200
    failures.clear()


def committed(ledger: SqliteLedger, order: int, cents: int) -> Entry:
    """The entry of an update; raises what it failed with."""
    (outcome,) = ledger.commit([update(order, cents)], NOW_MS)
    if isinstance(outcome, Entry):
        return outcome
    raise outcome


def fail(error: Exception) -> Any:
    def failing(*args: Any, **more: Any) -> None:
        raise error

    return failing


def test_update_while_made_again(folder: Path, gate: Gate, failures: list[LogEvent]) -> None:
    """While the views are made again, an update of an old trade is not refused as unknown: it fails and is void."""
    (old,) = made(folder, 100)
    with opened(folder) as ledger:
        sql(folder / "views.db", "DROP TABLE trade")
        with gate.shut():
            depositEach(ledger, 5)
            assert gate.waiting.wait(30)
            # It meets the damage and gives those views up; what waits then begins at entry 0.
            gate.letOne()
            assert gate.waiting.wait(30)
            assert sql(folder / "views.db", "SELECT seq FROM view") == [(0,)]
            order = ledger.reserveOrders(1)
            failed, booked = ledger.commit([update(old, 300), deposit(order, 6)], NOW_MS)
            assert isVoid(failed)
            assert isinstance(booked, Entry)
        assert eventually(lambda: committed(ledger, old, 300)).balance == 200
        assert profits(ledger, old, order) == [300, 6]
    failures.clear()
    assert verify(folder).differences == []


# -- good views are kept ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["SQLITE_FULL", "SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_CANTOPEN", "SQLITE_IOERR_READ"]
)
def test_no_damage(folder: Path, gate: Gate, logged: Logged, failures: list[LogEvent], name: str) -> None:
    """A disk that is full or busy while the ledger runs costs no views: they go on where they were."""
    (old,) = made(folder, 100)
    before = (folder / "views.db").stat().st_ino
    with opened(folder) as ledger:
        gate.error, gate.fail = diskError(name), 3
        (new,) = depositEach(ledger, 5)
        for _ in range(3):
            assert gate.failed.acquire(timeout=30)
        assert profits(ledger, old, new) == [100, 5]
    assert len(failures) == 1
    failures.clear()
    assert not logged.has("making it again")
    assert (folder / "views.db").stat().st_ino == before
    rightViews(folder, [old, new], [100, 5])


def test_busy_at_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who holds the views when the ledger is opened does not cost them: it is refused until they let go."""
    orders = made(folder, 100)
    old = (folder / "views.db").read_bytes()
    with opened(folder) as ledger:
        orders += depositEach(ledger, 5)
    (folder / "views.db").write_bytes(old)
    before = (folder / "views.db").stat().st_ino
    connect = sqlite3.connect
    with monkeypatch.context() as patch, closing(connect(folder / "views.db", isolation_level=None)) as other:
        patch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, **{**more, "timeout": 0.01}))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerRefused, match=r"views\.db cannot be used now: database is locked"), opened(folder):
            pass
        other.execute("ROLLBACK")
    assert (folder / "views.db").stat().st_ino == before
    rightViews(folder, orders, [100, 5])
    assert (folder / "views.db").stat().st_ino == before


# -- questions ----------------------------------------------------------------------------------------


def test_reopening_that_fails(folder: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that could not open the views once, where it had them open before, opens them the next time."""
    made(folder, 100)
    with opened(folder) as ledger:
        assert ledger.account(1001) is not None
        # They may be another file now.
        ledger._projector.made += 1
        with monkeypatch.context() as patch:
            patch.setattr(sqliteModule, "Views", fail(sqlite3.OperationalError("unable to open database file")))
            for _ in range(2):
                with pytest.raises(LedgerFailed, match="ask again later"):
                    ledger.account(1001)
        found = eventually(lambda: ledger.account(1001))
        assert found is not None
        assert found.account.balance == 100


def test_deleted_unread(folder: Path, gate: Gate, logged: Logged) -> None:
    """Views that are deleted while the ledger runs are made again when somebody asks; who asks later is answered."""
    (old,) = made(folder, 100)
    with opened(folder) as ledger:
        loseViews(folder)
        with pytest.raises(LedgerFailed, match="ask again later"):
            ledger.trade(old)
        assert profits(ledger, old) == [100]
        (new,) = depositEach(ledger, 5)
        assert profits(ledger, old, new) == [100, 5]
    assert logged.has("views.db is missing")
    rightViews(folder, [old, new], [100, 5])


def test_deleted_while_read(folder: Path, gate: Gate) -> None:
    """Views that are deleted after they were read still answer, rightly, and are made again at the next start."""
    (old,) = made(folder, 100)
    with opened(folder) as ledger:
        assert profits(ledger, old) == [100]
        loseViews(folder)
        (new,) = depositEach(ledger, 5)
        assert profits(ledger, old, new) == [100, 5]
    rightViews(folder, [old, new], [100, 5])


def test_damage_that_is_only_read(folder: Path, gate: Gate, logged: Logged) -> None:
    """Damage that only a question meets, with no deposit for it, is looked at and mended all the same."""
    cents = list(range(1, 60))
    orders = made(folder, *cents)
    with opened(folder) as ledger:
        (size,) = sql(folder / "views.db", "PRAGMA page_size")[0]
        (root,) = sql(folder / "views.db", "SELECT rootpage FROM sqlite_schema WHERE name = 'trade'")[0]
        with open(folder / "views.db", "r+b") as file:
            file.seek(size * (root - 1))
            file.write(b"\xff" * size)
        with pytest.raises(LedgerFailed, match="ask again later"):
            ledger.trade(orders[0])
        assert profits(ledger, *orders) == cents
    assert logged.has("making it again from the log")
    rightViews(folder, orders, cents)


def test_suspicion_without_cause(folder: Path, gate: Gate, logged: Logged) -> None:
    """Good views that somebody suspects are looked at and kept."""
    (old,) = made(folder, 100)
    before = (folder / "views.db").stat().st_ino
    with opened(folder) as ledger:
        for _ in range(3):
            ledger._projector.suspect(ledger._projector.made)
            assert profits(ledger, old) == [100]
        (new,) = depositEach(ledger, 5)
        assert profits(ledger, old, new) == [100, 5]
    assert not logged.has("again")
    assert (folder / "views.db").stat().st_ino == before


def test_suspicion_of_keys(folder: Path, logged: Logged) -> None:
    """Views with keys that somebody suspects are looked through, found to be good, and kept."""
    with opened(folder) as ledger:
        populate(ledger)
        first = use(ledger, 1, A)
        flush(ledger)
        before = (folder / "views.db").stat().st_ino
        ledger._projector.suspect(ledger._projector.made)
        (order,) = depositEach(ledger, 5)
        assert profits(ledger, order) == [5]
        flush(ledger)
        assert again(ledger, 2, A).entry == first
    assert not logged.has("again")
    assert (folder / "views.db").stat().st_ino == before


def test_made_again_is_no_suspicion(folder: Path, logged: Logged) -> None:
    """Views that are known to be in the making are not suspected for what they lack, however often they are asked."""
    with opened(folder) as ledger:
        populate(ledger)
        use(ledger, 1, A)
        flush(ledger)
        projector = ledger._projector
        (reached,) = sql(folder / "views.db", "SELECT seq FROM view")[0]
        projector.reached = 0
        sql(folder / "views.db", "UPDATE view SET seq = 0")
        for _ in range(3):
            with pytest.raises(LedgerFailed, match="made again"):
                ledger.keyed([("nobody", "nothing")])
        sql(folder / "views.db", f"UPDATE view SET seq = {reached}")
        projector.reached = reached
        assert ledger.keyed([("nobody", "nothing")]) == {}
    assert not logged.has("cannot be read")
