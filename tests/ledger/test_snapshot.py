"""A snapshot saves time, and is believed only if it is whole and of this log."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scalemgr.finance.book import Book
from scalemgr.finance.money import DIGITS_MAX
from scalemgr.finance.records import Account, Group
from scalemgr.finance.turnover import DAYS_MAX, Turnover
from scalemgr.ledger import snapshot as snapshotModule
from scalemgr.ledger import sqlite as sqliteModule
from scalemgr.ledger.snapshot import loadSnapshot, saveSnapshot

from .conftest import Logged
from .helpers import depositEach, made, opened, populate, state


@pytest.fixture
def book() -> Book:
    """A book with something in it."""
    book = Book()
    book.seq, book.nextLogin = 17, 1003
    book.groups = {"demo": Group("demo", "USD", 2), "vip": Group("vip", "BTC", 8, -5)}
    book.accounts = {n: Account(n, "demo", n % 2, n * 10**9, 7, n) for n in (1001, 1002)}
    # One of them is more than a machine's integer can be.
    sums = {(20414, "crm", "USD"): 10**30, (20412, "crm", "USD"): 1, (20414, "é", "BTC"): 7}
    book.turnover = Turnover.fromSums(sums)
    return book


def lie(book: Book) -> Book:
    """The same book with money that nobody deposited: if it is ever believed, it shows."""
    book.accounts[1001] = msgspec.structs.replace(book.accounts[1001], balance=999_999)
    return book


def test_round_trip(tmp_path: Path, book: Book) -> None:
    """A book that was saved is loaded as it was, with each group's name kept once."""
    saveSnapshot(tmp_path / "s", "epoch", book)
    loaded = loadSnapshot(tmp_path / "s", "epoch")
    assert loaded is not None
    assert state(loaded) == state(book)
    assert all(account.group is loaded.groups["demo"].group for account in loaded.accounts.values())


def test_torn(tmp_path: Path, book: Book) -> None:
    """A snapshot that was cut off, wherever, is no snapshot."""
    saveSnapshot(tmp_path / "s", "epoch", book)
    whole = (tmp_path / "s").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "s").write_bytes(whole[:length])
        assert loadSnapshot(tmp_path / "s", "epoch") is None, length


def test_flipped(tmp_path: Path, book: Book) -> None:
    """A snapshot of which one bit has changed, in the header or in the book, is no snapshot."""
    saveSnapshot(tmp_path / "s", "epoch", book)
    whole = (tmp_path / "s").read_bytes()
    for at in range(len(whole)):
        (tmp_path / "s").write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert loadSnapshot(tmp_path / "s", "epoch") is None, at


def test_saved_whole_or_not(tmp_path: Path, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a snapshot cannot be written to the end, the one before it is still there."""
    saveSnapshot(tmp_path / "s", "epoch", book)
    before = state(book)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        saveSnapshot(tmp_path / "s", "epoch", lie(book))
    loaded = loadSnapshot(tmp_path / "s", "epoch")
    assert loaded is not None
    assert state(loaded) == before


def tear(path: Path, epoch: str, book: Book) -> None:
    saveSnapshot(path, epoch, lie(book))
    os.truncate(path, path.stat().st_size - 1)


def ofOtherLog(path: Path, epoch: str, book: Book) -> None:
    saveSnapshot(path, "another", lie(book))


def ofLaterEntry(path: Path, epoch: str, book: Book) -> None:
    book.seq += 1
    saveSnapshot(path, epoch, lie(book))


def ofOtherVersion(path: Path, epoch: str, book: Book) -> None:
    saveSnapshot(path, epoch, lie(book))
    path.write_bytes(path.read_bytes().replace(b'"version":', b'"version":9', 1))


def ofOtherShape(path: Path, epoch: str, book: Book) -> None:
    book.groups["demo"] = ["no", "group"]  # type: ignore[assignment]
    saveSnapshot(path, epoch, lie(book))


def ofChangedHeader(path: Path, epoch: str, book: Book) -> None:
    """The book as of before the last deposit: it would get money twice."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"seq":%d' % book.seq, b'"seq":%d' % (book.seq - 2), 1))
    assert path.read_bytes() != content


def ofUnknownGroup(path: Path, epoch: str, book: Book) -> None:
    book.groups.clear()
    saveSnapshot(path, epoch, lie(book))


def ofUnreadableSum(path: Path, epoch: str, book: Book) -> None:
    book.turnover.sums[20414, "crm", "USD"] = "much"  # type: ignore[assignment]
    saveSnapshot(path, epoch, lie(book))


def ofBeforeThereWereSums(path: Path, epoch: str, book: Book) -> None:
    """As version 3 wrote it, which a daemon that is brought up to date finds."""
    header = snapshotModule._Header(3, epoch, book.seq, book.nextLogin, book.forgotten, "")
    body = msgspec.msgpack.encode([list(book.groups.values()), list(lie(book).accounts.values())])
    header.sha256 = snapshotModule._checksum(header, body)
    path.write_bytes(msgspec.json.encode(header) + b"\n" + body)


def beAFolder(path: Path, epoch: str, book: Book) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [
        *(tear, ofOtherLog, ofLaterEntry, ofOtherVersion, ofOtherShape, ofChangedHeader, ofUnknownGroup),
        *(ofUnreadableSum, ofBeforeThereWereSums, beAFolder),
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_not_believed(folder: Path, spoil: Callable[[Path, str, Book], None]) -> None:
    """A snapshot that is torn, changed, of another log, version or shape, or ahead of the log, is ignored."""
    made(folder, 10, 20)
    with opened(folder) as ledger:
        before = state(ledger.book)
        epoch, book = ledger.epoch, ledger.book
    spoil(folder / "book.snapshot", epoch, book)
    with opened(folder) as ledger:
        assert state(ledger.book) == before


def test_believed(folder: Path) -> None:
    """A snapshot that is whole and of this log is where a start begins; only what follows is folded."""
    made(folder, 10, 20)
    with opened(folder) as ledger:
        epoch, book = ledger.epoch, ledger.book
        depositEach(ledger, 3)
    # A lie shows that it was loaded, and not folded.
    old = loadSnapshot(folder / "book.snapshot", epoch)
    assert old is not None
    assert state(old) == state(book)
    saveSnapshot(folder / "book.snapshot", epoch, lie(old))
    with opened(folder) as ledger:
        depositEach(ledger, 1)
        assert ledger.book.accounts[1001].balance == 1_000_000


def test_saved_at_close(folder: Path) -> None:
    """A ledger that is closed saves its book as of the last entry."""
    with opened(folder) as ledger:
        depositEach(populate(ledger), 10)
    with opened(folder) as ledger:
        saved = loadSnapshot(folder / "book.snapshot", ledger.epoch)
        assert saved is not None
        assert state(saved) == state(ledger.book)


@pytest.mark.parametrize(("after", "saves"), [(8, True), (9, False)])
def test_saved_at_open(folder: Path, monkeypatch: pytest.MonkeyPatch, after: int, saves: bool) -> None:
    """A start that has folded much saves the book at once, so that after a crash the next one need not."""
    made(folder, 10, 20)
    (folder / "book.snapshot").unlink()
    monkeypatch.setattr(sqliteModule, "_SNAPSHOT_AFTER", after)
    with opened(folder):
        assert (folder / "book.snapshot").exists() == saves


def test_cannot_be_saved(folder: Path, logged: Logged) -> None:
    """If the book cannot be saved the ledger is closed all the same, and says so; nothing is lost."""
    with opened(folder) as ledger:
        depositEach(populate(ledger), 10)
        (folder / "book.tmp").mkdir()
    assert logged.has("no snapshot could be written")
    with opened(folder) as ledger:
        assert ledger.book.accounts[1001].balance == 10


#: What is kept of a group, of an account and of the whole, by version. Add to it; never change what is there.
SHAPES: dict[int, Any] = {
    1: (
        ("group", "currency", "digits", "floor"),
        ("login", "group", "enable", "balance", "credit", "balance_version"),
        ("seq", "next_login"),
    ),
    2: (
        ("group", "currency", "digits", "floor"),
        ("login", "group", "enable", "balance", "credit", "balance_version"),
        ("seq", "next_login", "forgotten"),
    ),
    3: (
        ("group", "currency", "digits", "floor", "accounts", "record"),
        ("login", "group", "enable", "balance", "credit", "balance_version", "pending", "deleted"),
        ("seq", "next_login", "forgotten"),
    ),
    4: (
        ("group", "currency", "digits", "floor", "accounts", "record"),
        ("login", "group", "enable", "balance", "credit", "balance_version", "pending", "deleted"),
        ("seq", "next_login", "forgotten"),
        # How many days are kept, and how many decimals the sums have, is a part of what they mean.
        ("day", "principal", "currency", "trillionths", 8, 12),
    ),
}


def test_version_of_shape() -> None:
    """The shape of a snapshot is the one that its version stands for: an older one would load with made-up values."""
    header = snapshotModule._Header.__struct_fields__
    assert (header[0], header[1], header[-1]) == ("version", "epoch", "sha256")
    sums = (*snapshotModule._Moved.__struct_fields__, DAYS_MAX, DIGITS_MAX)
    shape = Group.__struct_fields__, Account.__struct_fields__, header[2:-1], sums
    assert shape == SHAPES[snapshotModule._VERSION]
