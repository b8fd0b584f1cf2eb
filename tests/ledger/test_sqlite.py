"""The embedded ledger's folder: who may have it, what its log is opened with, and which orders are given out."""

from __future__ import annotations

import gc
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalemgr.ledger import database
from scalemgr.ledger import log as logModule
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.ledger.sqlite import SqliteLedger

from .helpers import NOW_MS, depositEach, made, opened, populate, spoilPages, sql, state
from .tampering import remove


def refusal(folder: Path) -> str:
    """What a ledger says that refuses to open; it must not keep the folder."""
    with pytest.raises(LedgerRefused) as refused, opened(folder):
        pass
    return str(refused.value)


def test_durable_at_every_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection to the log, of a new folder and of an old one, has journal_mode WAL and synchronous FULL."""
    found: list[tuple[bool, str, int]] = []
    connect = database.connect

    def recording(path: Path, kind: str, *, readOnly: bool = False, **more: Any) -> sqlite3.Connection:
        connection = connect(path, kind, readOnly=readOnly, **more)
        mode, synchronous = (connection.execute(f"PRAGMA {p}").fetchone()[0] for p in ("journal_mode", "synchronous"))
        found.append((readOnly, mode, synchronous))
        return connection

    monkeypatch.setattr(logModule, "connect", recording)
    for turn in range(2):
        with opened(folder) as ledger:
            if turn == 0:
                populate(ledger)
            (order,) = depositEach(ledger, 100)
            # The projector and a reader have connections of their own by then.
            assert ledger.trade(order) is not None
            assert ledger.entries(0, 1) != []
            writer = ledger._file._connection
            assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert {(mode, synchronous) for _, mode, synchronous in found} == {("wal", 2)}
    assert [readOnly for readOnly, _, _ in found].count(False) == 2
    assert [readOnly for readOnly, _, _ in found].count(True) >= 4


def test_no_write_ahead_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger whose file system allows no write-ahead log is refused, and opens where it is allowed."""
    connect = sqlite3.connect
    with monkeypatch.context() as patch:
        # This way of locking, for network disks, has no shared memory.
        patch.setattr(sqlite3, "connect", lambda target, **more: connect(f"{target}&vfs=unix-dotfile", **more))
        assert "journal_mode=WAL" in refusal(folder)
    with opened(folder) as ledger:
        populate(ledger)


def test_no_full_synchronous(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that cannot have synchronous=FULL is refused, and opens once it can."""

    class Deaf(sqlite3.Connection):
        def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:
            deaf = statement.startswith("PRAGMA synchronous=")
            return super().execute("PRAGMA synchronous=OFF" if deaf else statement, *args)

    connect = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, factory=Deaf, **more))
        assert "synchronous=FULL" in refusal(folder)
    with opened(folder) as ledger:
        populate(ledger)


def test_one_at_a_time(folder: Path) -> None:
    """Who opens a folder that is open already is told by which process, does no harm, and gets it after close."""
    with opened(folder) as ledger:
        populate(ledger)
        for _ in range(2):
            assert f"in use by another scalemgr (process {os.getpid()})" in refusal(folder)
        depositEach(ledger, 100)
    with opened(folder) as ledger:
        assert ledger.book.accounts[1001].balance == 100


def test_made_for_its_owner(tmp_path: Path) -> None:
    """A folder that does not exist is made, with those above it, and only its owner may look in."""
    folder = tmp_path / "a" / "b"
    with opened(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folder_cannot_be_made(tmp_path: Path) -> None:
    """A folder that cannot be made is named in the refusal."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "ledger"):
        assert f"the ledger's folder {folder} cannot be used" in refusal(folder)


def test_folder_read_only(ownedFolder: Path) -> None:
    """A ledger in a folder that may not be written to is refused, and opens again when it may."""
    made(ownedFolder, 100)
    (ownedFolder / "lock").unlink()
    ownedFolder.chmod(0o500)
    assert f"{ownedFolder} cannot be used: Permission denied" in refusal(ownedFolder)
    ownedFolder.chmod(0o700)
    with opened(ownedFolder) as ledger:
        assert ledger.book.accounts[1001].balance == 100


def test_log_read_only(ownedFolder: Path) -> None:
    """A log that may not be written to is refused, by name, and stays as it is."""
    made(ownedFolder, 100)
    path = ownedFolder / "log.db"
    before = path.read_bytes()
    path.chmod(0o400)
    said = refusal(ownedFolder)
    assert str(path) in said
    assert "readonly" in said
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"Dear diary,\n" * 1000, os.urandom(65536)], ids=["text", "noise"])
def test_log_is_no_database(folder: Path, content: bytes) -> None:
    """A log.db that is no SQLite file is refused, by name, and stays as it is."""
    folder.mkdir()
    (folder / "log.db").write_bytes(content)
    said = refusal(folder)
    assert str(folder / "log.db") in said
    assert "not a database" in said
    assert (folder / "log.db").read_bytes() == content


@pytest.mark.parametrize("version", [0, 1, 7])
@pytest.mark.parametrize("application", [0, 7])
def test_log_of_another_application(folder: Path, application: int, version: int) -> None:
    """A log.db of some other application, whatever it says of itself, is refused, and stays byte for byte as it was."""
    folder.mkdir()
    path = folder / "log.db"
    table = "CREATE TABLE customer (id INTEGER PRIMARY KEY)"
    sql(path, table, f"PRAGMA application_id={application}", f"PRAGMA user_version={version}")
    before = path.read_bytes()
    assert f"{path} is not a file of scalemgr" in refusal(folder)
    assert path.read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "log.db"]


@pytest.mark.parametrize("emptied", [False, True])
@pytest.mark.parametrize("left", ["views.db", "book.snapshot"])
def test_log_is_gone(folder: Path, left: str, emptied: bool) -> None:
    """A folder whose log is gone, or has become an empty file, is refused, and nothing is made in its place."""
    made(folder, 100)
    for path in folder.iterdir():
        if path.name not in (left, "lock"):
            path.unlink()
    if emptied:
        (folder / "log.db").touch()
    assert f"{folder / 'log.db'} is missing" in refusal(folder)
    assert {path.name for path in folder.iterdir()} == {left, "lock"} | ({"log.db"} if emptied else set())
    assert not emptied or (folder / "log.db").read_bytes() == b""


def test_log_is_damaged(folder: Path) -> None:
    """A log that is damaged inside is refused, by name, saying from where on and what to do."""
    made(folder, *range(1, 200))
    (folder / "book.snapshot").unlink()
    spoilPages(folder / "log.db")
    before = (folder / "log.db").read_bytes()
    said = refusal(folder)
    assert said.startswith(f"{folder / 'log.db'} is damaged after entry 0: ")
    assert said.endswith("; restore it")
    assert (folder / "log.db").read_bytes() == before


@pytest.mark.parametrize(("missing", "after"), [(1, 0), (5, 4)])
def test_log_has_a_gap(folder: Path, missing: int, after: int) -> None:
    """A log that lacks an entry is refused, by name, saying where; once it is put back, it opens."""
    made(folder, 1, 2, 3)
    (folder / "book.snapshot").unlink()
    whole = (folder / "log.db").read_bytes()
    remove(folder / "log.db", missing)
    said = f"{folder / 'log.db'} is damaged after entry {after}: entry {missing + 1} does not follow entry {after}"
    assert refusal(folder) == f"{said}; restore it"
    (folder / "log.db").write_bytes(whole)
    with opened(folder) as ledger:
        assert ledger.book.accounts[1001].balance == 6


def newerLog(folder: Path) -> None:
    sql(folder / "log.db", "PRAGMA user_version=99")


def gapInLog(folder: Path) -> None:
    (folder / "book.snapshot").unlink()
    remove(folder / "log.db", 2)


def viewsAreAFolder(folder: Path) -> None:
    (folder / "views.db").unlink()
    (folder / "views.db").mkdir()


@pytest.mark.parametrize("spoil", [newerLog, gapInLog, viewsAreAFolder], ids=lambda spoil: spoil.__name__)
def test_refusal_leaves_nothing_open(folder: Path, spoil: Callable[[Path], None]) -> None:
    """A ledger that refuses to open leaves no file open, without waiting for a collection."""
    made(folder, 1)
    spoil(folder)
    gc.collect()
    gc.disable()
    try:
        before = os.listdir("/proc/self/fd")
        refusal(folder)
        assert os.listdir("/proc/self/fd") == before
    finally:
        gc.enable()


def test_log_is_a_folder(folder: Path) -> None:
    """A log.db that is a folder is refused, by name."""
    (folder / "log.db").mkdir(parents=True)
    assert str(folder / "log.db") in refusal(folder)


def test_lock_released_by_refusal(folder: Path) -> None:
    """A folder whose opening was refused can be opened once the cause is gone."""
    folder.mkdir()
    (folder / "log.db").write_bytes(b"Dear diary,\n" * 1000)
    refusal(folder)
    (folder / "log.db").unlink()
    with opened(folder) as ledger:
        assert state(populate(ledger).book)[0] == 4


def test_half_made_log(folder: Path) -> None:
    """A log whose making was cut short before it had a name gets one, and is then a log like others."""
    made(folder)
    sql(folder / "log.db", "DELETE FROM page", "DELETE FROM ledger")
    with opened(folder) as ledger:
        assert len(ledger.epoch) == 32
        depositEach(populate(ledger), 100)
        epoch = ledger.epoch
    with opened(folder) as ledger:
        assert (ledger.epoch, ledger.book.seq) == (epoch, 6)


def closedWith(folder: Path, count: int, nextOrder: int | None) -> int:
    """Reserve orders and close; the first of them."""
    ledger = SqliteLedger(folder)
    ledger.open(NOW_MS)
    first = ledger.reserveOrders(count)
    ledger.close(None if nextOrder is None else first + nextOrder)
    return first


@pytest.mark.parametrize(
    ("nextOrder", "given"),
    [(0, 0), (40, 40), (99, 99), (100, 100), (500, 100), (None, 100)],
    ids=["none used", "some used", "one left", "all used", "never reserved", "not known"],
)
def test_unused_orders(folder: Path, nextOrder: int | None, given: int) -> None:
    """After a clean close, the next order given out is the first unused one of those reserved, or the one after all."""
    first = closedWith(folder, 100, nextOrder)
    assert closedWith(folder, 1, None) == first + given


def test_orders_after_crash(folder: Path) -> None:
    """Orders that were reserved when the process ended are skipped."""
    with opened(folder) as ledger:
        populate(ledger)
        first = ledger.reserveOrders(100)
        # What a crash leaves behind: the files as they are while the ledger is open.
        kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("log.db")}
    for path in folder.iterdir():
        path.unlink()
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    with opened(folder) as ledger:
        assert ledger.reserveOrders(1) == first + 100
