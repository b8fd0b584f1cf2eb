"""A backup is the log as of one entry, whatever is committed meanwhile; what is restored from it is another log."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from scalemgr.finance.settle import Replay
from scalemgr.ledger.audit import verify
from scalemgr.ledger.backup import PARTIAL, Copy, HalfTime, backUp, restore
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.ledger.log import SqliteLog
from scalemgr.ledger.sqlite import FolderLock

from .helpers import CAUSE, NOW_MS, commit, deposit, depositEach, made, opened, populate, sql

ROOT = Path(__file__).parent.parent.parent


def entries(log: Path) -> list[object]:
    """All that a log has."""
    opened = SqliteLog(log, readOnly=True)
    try:
        return [entry for page in opened.pages(0) for entry in page]
    finally:
        opened.close()


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Copy:
    """A backup of a ledger with three deposits."""
    made(folder, 10, 20, 30)
    return backUp(folder, tmp_path / "copy.db")


def test_copyHasItAll(folder: Path, copy: Copy) -> None:
    """A backup has each entry of the log, its name and the orders that are handed out, in one file for its owner."""
    assert entries(copy.path) == entries(folder / "log.db")
    assert (copy.seq, copy.size) == (10, copy.path.stat().st_size)
    fields = "SELECT epoch, created_ms, next_order FROM ledger"
    assert sql(copy.path, fields) == sql(folder / "log.db", fields)
    assert sql(copy.path, "PRAGMA journal_mode") == [("delete",)]
    assert copy.path.stat().st_mode & 0o777 == 0o600
    assert {p.name for p in copy.path.parent.iterdir() if p != folder} == {"copy.db"}


def test_consistentWhileWritten(folder: Path, tmp_path: Path) -> None:
    """Of a ledger that is written meanwhile, each backup is the log as it was, to one entry, and sound."""
    with opened(folder) as ledger:
        populate(ledger)
        depositEach(ledger, *range(1, 2000))
        found: list[Copy] = []

        def copyAll() -> None:
            found.extend(backUp(folder, tmp_path / f"{n}.db") for n in range(5))

        thread = threading.Thread(target=copyAll)
        thread.start()
        while thread.is_alive():
            depositEach(ledger, 1, 2, 3)
        thread.join()
        all_ = entries(folder / "log.db")
    seqs = [copy.seq for copy in found]
    assert seqs == sorted(seqs)
    assert seqs[0] < seqs[-1]
    for copy in found:
        assert entries(copy.path) == all_[: copy.seq]
        assert copy.nextOrder > max(entry.order for entry in all_[: copy.seq])  # type: ignore[attr-defined]


def test_neverWritesOver(folder: Path, copy: Copy) -> None:
    """What exists is left as it is, be it a file, a folder or a link that leads nowhere."""
    before = copy.path.read_bytes()
    link = copy.path.with_name("link.db")
    link.symlink_to("nowhere")
    for target in (copy.path, folder, link, Path(""), Path("/")):
        with pytest.raises(LedgerRefused, match="exists already"):
            backUp(folder, target)
    assert copy.path.read_bytes() == before
    assert not list(copy.path.parent.glob("*.partial*"))


def test_toldOfEach(folder: Path, tmp_path: Path) -> None:
    """Progress goes from little to all."""
    made(folder, *range(1, 20))
    told: list[tuple[int, int]] = []
    backUp(folder, tmp_path / "copy.db", audit=False, tell=lambda done, total: told.append((done, total)))
    assert told[-1] == (42, 42)


def test_restsAsLongAsItWorks() -> None:
    """Half of the time the disk is left to others, and never for long."""
    times = iter([0.0, 0.1, 0.2, 5.2, 5.5])
    slept: list[float] = []
    rest = HalfTime(lambda: next(times), slept.append)
    rest()
    rest()
    assert slept == [0.1, 0.25]


def test_restsAfterEachMegabyte(folder: Path, tmp_path: Path) -> None:
    """A copy rests again and again, and is put on the disk each time before."""
    with opened(folder) as ledger:
        populate(ledger)
        for _ in range(12):
            depositEach(ledger, *range(1, 1001))
    rests: list[int] = []
    copy = backUp(folder, tmp_path / "copy.db", audit=False, rest=lambda: rests.append(1))
    assert copy.size // 2**20 // 3 <= len(rests) <= copy.size // 2**20
    assert len(rests) > 1


def test_nowhere(folder: Path, tmp_path: Path) -> None:
    """Where there is no ledger, or no place for the copy, it says so, and leaves nothing."""
    with pytest.raises(LedgerRefused, match="no ledger in"):
        backUp(folder, tmp_path / "copy.db")
    made(folder, 1)
    with pytest.raises(LedgerRefused, match="cannot be written: No such file"):
        backUp(folder, tmp_path / "none" / "copy.db")
    (folder / "log.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(LedgerRefused):
        backUp(folder, tmp_path / "copy.db")
    assert {p.name for p in tmp_path.iterdir()} == {folder.name}


def test_anotherLogMeanwhile(folder: Path, tmp_path: Path) -> None:
    """If the log gets another name while it is copied, what was read may be of either: there is no copy."""
    made(folder, 10)
    log = SqliteLog(folder / "log.db")
    with pytest.raises(LedgerRefused, match="has become another log meanwhile"):
        backUp(folder, tmp_path / "copy.db", tell=lambda done, total: log.renew())
    log.close()
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("audit", [True, False])
def test_gapIsFound(folder: Path, tmp_path: Path, audit: bool) -> None:
    """A log in which a page is missing is not called a backup, audited or not."""
    made(folder, 10, 20)
    sql(folder / "log.db", "DELETE FROM page WHERE last = 8")
    with opened_raw(folder) as log:
        log.execute("INSERT INTO page SELECT last + 5, first + 5, entries FROM page WHERE last = 4")
    with pytest.raises(LedgerRefused, match="ends at entry 9 and has"):
        backUp(folder, tmp_path / "copy.db", audit=audit)
    assert not (tmp_path / "copy.db").exists()


def opened_raw(folder: Path) -> sqlite3.Connection:
    """The log's file itself."""
    return sqlite3.connect(folder / "log.db")


def test_unsoundIsFound(folder: Path, tmp_path: Path) -> None:
    """A log that says what is not so is not called a backup, unless nobody looks."""
    made(folder, 10)
    sql(folder / "log.db", "UPDATE page SET entries = replace(entries, '\"balance\":0.1', '\"balance\":0.2')")
    with pytest.raises(LedgerRefused, match="is not sound, and no copy of it is kept: entry 6 says that balance"):
        backUp(folder, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    assert backUp(folder, tmp_path / "copy.db", audit=False).seq == 6


_BACKUP = """
import os, signal, sys
from pathlib import Path
from scalemgr.ledger import backup
stage = sys.argv[3]
def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)
if stage == "copied":
    backup._demandSound = die
elif stage == "named":
    os.fsync = (lambda fsync: lambda fd: die() if os.path.isdir(f"/proc/self/fd/{fd}") else fsync(fd))(os.fsync)
elif stage == "copying":
    backup._BYTES = 1
    os.fdatasync = die
backup.backUp(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize(("stage", "whole"), [("copying", False), ("copied", False), ("named", True)])
def test_killed(folder: Path, tmp_path: Path, stage: str, whole: bool) -> None:
    """A backup that is killed leaves nothing that is called as it should be, or all of it; the next one is not in its
    way, and takes nothing away from it."""
    made(folder, 10, 20, 30)
    target = tmp_path / "copy.db"
    words = [sys.executable, "-c", _BACKUP, str(folder), str(target), stage]
    ended = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert target.exists() == whole
    assert target.with_name("copy.db.partial").exists()
    if whole:
        target.rename(tmp_path / "moved.db")
    assert backUp(folder, target).seq == 10
    assert not target.with_name("copy.db.partial").exists()
    if whole:
        assert entries(tmp_path / "moved.db") == entries(target)


def test_oneAtATime(folder: Path, tmp_path: Path, copy: Copy) -> None:
    """Two backups to one name do not write the same file."""
    refused: list[str] = []

    def another(done: int, total: int) -> None:
        with pytest.raises(LedgerRefused) as raised:
            backUp(folder, tmp_path / "other.db")
        refused.append(str(raised.value))

    assert backUp(folder, tmp_path / "other.db", audit=False, tell=another).seq == copy.seq
    assert "is being written by another scalemgr" in refused[0]


# -- and back -------------------------------------------------------------------------------------------


def test_restored(folder: Path, tmp_path: Path, copy: Copy) -> None:
    """What is restored has the same entries and another epoch, skips orders, and can be opened and go on."""
    new = tmp_path / "new"
    restored = restore(copy.path, new, NOW_MS)
    assert restored.epoch != copy.epoch
    assert (restored.seq, restored.nextOrder) == (copy.seq, copy.nextOrder + 1_000_000)
    assert entries(new / "log.db") == entries(folder / "log.db")
    with opened(new) as ledger:
        assert ledger.epoch == restored.epoch
        assert depositEach(ledger, 5) == [restored.nextOrder]
    assert verify(new).differences == []


def test_restoredWithItsKeys(tmp_path: Path, folder: Path) -> None:
    """A deposit that the backup has is known again by its key, and not applied a second time."""
    keyed = replace(deposit(1, 700), cause=replace(CAUSE, key="payment-1"))
    with opened(folder) as ledger:
        populate(ledger)
        (first,) = commit(ledger, keyed)
    copy = backUp(folder, tmp_path / "copy.db")
    restored = restore(copy.path, tmp_path / "new", NOW_MS)
    with opened(tmp_path / "new") as ledger:
        (again,) = ledger.commit([replace(keyed, order=restored.nextOrder)], NOW_MS)
        assert again == Replay(first)
        account = ledger.book.account(1001)
        assert account is not None
        assert account.balance == 700


@pytest.mark.parametrize("inside", ["log.db", "views.db", "notes.txt"])
def test_onlyIntoNothing(tmp_path: Path, copy: Copy, inside: str) -> None:
    """A folder with anything in it is refused, and left as it is."""
    new = tmp_path / "new"
    new.mkdir()
    (new / inside).write_text("mine")
    with pytest.raises(LedgerRefused, match=f"not empty, {inside} is in it"):
        restore(copy.path, new, NOW_MS)
    assert (new / inside).read_text() == "mine"
    assert [path.name for path in new.iterdir()] == [inside]


def test_notUnderARunningDaemon(folder: Path, copy: Copy, tmp_path: Path) -> None:
    """The folder that a daemon uses is refused, and told apart from one that has something in it."""
    with opened(folder), pytest.raises(LedgerRefused, match="in use by another scalemgr"):
        restore(copy.path, folder, NOW_MS)
    lock = FolderLock(tmp_path / "new")
    with pytest.raises(LedgerRefused, match="in use by another scalemgr"):
        restore(copy.path, tmp_path / "new", NOW_MS)
    lock.release()


def test_unsoundIsNotRestored(folder: Path, tmp_path: Path) -> None:
    """A backup that is damaged makes no ledger, and leaves no folder."""
    made(folder, 10)
    sql(folder / "log.db", "UPDATE page SET entries = replace(entries, '\"balance\":0.1', '\"balance\":0.2')")
    copy = backUp(folder, tmp_path / "copy.db", audit=False)
    with pytest.raises(LedgerRefused, match="is not sound"):
        restore(copy.path, tmp_path / "new", NOW_MS)
    assert not (tmp_path / "new").exists()
    for bad in ("not a database" * 1000, ""):
        (tmp_path / "bad.db").write_text(bad)
        with pytest.raises(LedgerRefused):
            restore(tmp_path / "bad.db", tmp_path / "new", NOW_MS)
    with pytest.raises(LedgerRefused, match="does not exist"):
        restore(tmp_path / "none.db", tmp_path / "new", NOW_MS)
    assert not (tmp_path / "new").exists()


def test_halfRestored(tmp_path: Path, copy: Copy) -> None:
    """What a restore leaves that was killed is no ledger to begin anew in, and not in the way of another restore."""
    new = tmp_path / "new"
    new.mkdir()
    (new / PARTIAL).write_bytes(b"half")
    (new / f"{PARTIAL}-wal").write_bytes(b"half")
    with pytest.raises(LedgerRefused, match="not restored to its end"), opened(new):
        pass
    restored = restore(copy.path, new, NOW_MS)
    assert {p.name for p in new.iterdir()} == {"log.db", "lock"}
    with opened(new) as ledger:
        assert ledger.epoch == restored.epoch
