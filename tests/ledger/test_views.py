"""The views follow the log, and are made again from it whenever they cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from scalemgr.finance.book import Book
from scalemgr.finance.records import BALANCE_EVENT
from scalemgr.ledger import following
from scalemgr.ledger.views import Views

from ..helpers import wholeLog
from .conftest import Logged
from .helpers import depositEach, made, opened, populate, rightViews, sql


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def fillWithGarbage(path: Path) -> None:
    path.write_bytes(b"\x07garbage" * (path.stat().st_size // 8))


def damageInside(path: Path) -> None:
    """All but the first page, so that it opens."""
    with open(path, "r+b") as file:
        (size,) = sql(path, "PRAGMA page_size")[0]
        file.seek(size)
        file.write(b"\xff" * (path.stat().st_size - size))


def damageOneTable(path: Path) -> None:
    """Nothing that is read at a start."""
    (size,) = sql(path, "PRAGMA page_size")[0]
    (root,) = sql(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'trade'")[0]
    with open(path, "r+b") as file:
        file.seek(size * (root - 1))
        file.write(b"\xff" * size)


def alter(statement: str) -> Callable[[Path], object]:
    # The balance is wrong besides: who believes these views is found out.
    return lambda path: sql(path, "UPDATE account SET balance = 999", statement)


UNUSABLE = {
    "truncated": truncate,
    "garbage": fillWithGarbage,
    "damaged inside": damageInside,
    "damaged table": damageOneTable,
    "other epoch": alter("UPDATE view SET epoch = 'another'"),
    "newer schema": alter("PRAGMA user_version = 99"),
    "unknown schema": alter("PRAGMA user_version = 0"),
    "other application": alter("PRAGMA application_id = 7"),
    "ahead of the log": alter("UPDATE view SET seq = seq + 1"),
    "no table": lambda path: sql(path, "DROP TABLE view"),
}


@pytest.mark.parametrize("break_", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable(folder: Path, logged: Logged, break_: Callable[[Path], object]) -> None:
    """Views that are damaged, or not of this log and this code, are made again, and the operator is told."""
    cents = list(range(1, 60))
    orders = made(folder, *cents)
    break_(folder / "views.db")
    rightViews(folder, orders, cents)
    assert logged.has(str(folder / "views.db"), "cannot be used", "making it again from the log")


@pytest.mark.parametrize("left", ["nothing", "an empty file", "a write-ahead log"])
def test_missing(folder: Path, logged: Logged, left: str) -> None:
    """Views that are missing are made from the log, whatever else of them is still there, and the operator is told."""
    path = folder / "views.db"
    with opened(folder) as ledger:
        orders = depositEach(populate(ledger), 10, 20)
        assert ledger.trade(orders[0]) is not None
        log = Path(f"{path}-wal").read_bytes()
    assert log != b""
    path.unlink()
    if left == "an empty file":
        path.touch()
    elif left == "a write-ahead log":
        Path(f"{path}-wal").write_bytes(log)
    rightViews(folder, orders, [10, 20])
    if left != "an empty file":
        assert logged.has(str(path), "missing", "from the log")


def test_no_gap(folder: Path) -> None:
    """Views take the entries that follow those that are in, once, and no others."""
    with opened(folder) as ledger:
        depositEach(populate(ledger), 10, 20, 30)
        entries = ledger.entries(0, 10)
    with closing(Views(":memory:", "epoch")) as views:
        views.project(entries[:5])
        for wrong in (entries[:5], entries[4:], entries[6:]):
            with pytest.raises(ValueError, match="does not follow"):
                views.project(wrong)
        assert views.seq() == 5
        views.project(entries[5:])
        found = views.account(1001)
        assert found is not None
        assert (views.seq(), found.account.balance) == (10, 60)


def test_credit(folder: Path) -> None:
    """Credit is kept apart from the balance, and the book and the views agree on it."""
    with opened(folder) as ledger:
        depositEach(populate(ledger), 10)
        entries = ledger.entries(0, 10)
    causes = [entry for entry in entries if entry.event != BALANCE_EVENT]
    causes.append(replace(causes[-1], seq=7, order=2, balance=-3, credit=7))
    book = Book()
    entries = wholeLog(book, causes)
    for entry in entries:
        book.apply(entry)
    with closing(Views(":memory:", "epoch")) as views:
        views.project(entries)
        assert views.frozen().accounts == book.accounts
    assert (book.accounts[1001].balance, book.accounts[1001].credit, book.accounts[1001].balance_version) == (7, 7, 2)


def test_good_views_are_kept(folder: Path, logged: Logged) -> None:
    """Views that can be used are not made again."""
    made(folder, 10)
    before = (folder / "views.db").stat().st_ino
    with opened(folder) as ledger:
        depositEach(ledger, 1)
    assert (folder / "views.db").stat().st_ino == before
    assert not logged.has("again")


def test_page_by_page(folder: Path, logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views that are far behind catch up in pages, and say how far they are."""
    orders = made(folder, 10, 20, 30)
    (folder / "views.db").unlink()
    for name in ("PAGE", "_TURN"):
        monkeypatch.setattr(following, name, 3)
    rightViews(folder, orders, [10, 20, 30])
    for line in ("views: 3 of 10 entries are in", "views: 6 of 10 entries are in", "views: 9 of 10 entries are in"):
        assert line in logged.lines()


def test_behind(folder: Path) -> None:
    """Views that are behind the log go on from where they are."""
    (first,) = made(folder, 10)
    old = (folder / "views.db").read_bytes()
    with opened(folder) as ledger:
        (second,) = depositEach(ledger, 20)
    (folder / "views.db").write_bytes(old)
    rightViews(folder, [first, second], [10, 20])


def test_closed_complete(folder: Path) -> None:
    """A ledger that is closed has all that was committed in its views."""
    with opened(folder) as ledger:
        populate(ledger)
        for cents in range(1, 50):
            depositEach(ledger, cents)
    assert sql(folder / "views.db", "SELECT seq FROM view") == [(102,)]
