"""Copies of a log: made while a daemon writes it, and made a ledger again.

Nothing in a log ever changes, so its entries up to the one that was the last when the copy began are a consistent
copy, however long it takes. They are read a hundred pages at a time: no long transaction holds up what moves the
write-ahead log into the file; and half of the time is left to the daemon's commits, which wait for the same disk. Views
and snapshot are made from a log, and so are in no copy.

A copy is one SQLite file (no WAL beside it). It is written under another name, put on the disk, and only when it is
whole does it get its own: whatever is called as it should be is whole.

What is restored is another log than the one that was copied, and gets another epoch. Whoever knows more of the old one
than the backup has would otherwise take new entries for those with the same numbers.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from msgspec import Struct

from .audit import Tell, nobody, verifyLog
from .database import connect
from .errors import LedgerRefused
from .log import SqliteLog
from .sqlite import PARTIAL, FolderLock

__all__ = ["SKIPPED_ORDERS", "Copy", "HalfTime", "backUp", "demandEmpty", "restore"]

#: So many order numbers are not handed out again by a ledger that is restored, unless it is said otherwise.
SKIPPED_ORDERS = 1_000_000

# So many are copied in a statement, and after so many bytes it is put on the disk. What is left to the system for
# longer makes the commits of the daemon wait, for they go to the same disk.
_PAGES = 100
_BYTES = 1024 * 1024
# The longest rest, in seconds.
_REST_MAX_S = 0.25

_COPY = "INSERT INTO page SELECT * FROM source.page WHERE last > ? AND last <= ? ORDER BY last LIMIT ?"


class Copy(Struct, frozen=True):
    """
    A log that was copied.

    @ivar path: where it is now.
    @ivar epoch: its name.
    @ivar seq: its last entry.
    @ivar nextOrder: no order from here up was handed out before the copy, nor is skipped.
    @ivar size: in bytes.
    """

    path: Path
    epoch: str
    seq: int
    nextOrder: int
    size: int


class HalfTime:
    """Rests as long as it has worked, so that what a daemon does on the same disk comes in between."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._since = clock()

    def __call__(self) -> None:
        self._sleep(min(self._clock() - self._since, _REST_MAX_S))
        self._since = self._clock()


def backUp(
    folder: Path, target: Path, *, audit: bool = True, tell: Tell = nobody, rest: Callable[[], object] | None = None
) -> Copy:
    """
    Copy the log of the ledger in a folder, which a daemon may be using.

    @param target: the file to make. It must not exist.
    @param audit: fold the copy before it gets its name, and refuse it if anything is wrong.
    @param tell: is told how many entries are done, and of how many; to copy and to fold one are two.
    @param rest: is called whenever it is time to rest; by default a L{HalfTime}.
    @raise LedgerRefused: if there is no ledger, or C{target} exists; if it cannot be written, or is not sound. Then it
        does not exist.
    """
    source = folder / "log.db"
    if not source.exists():
        raise LedgerRefused(f"there is no ledger in {folder}")
    # First of all, for a folder may have no name to begin with: "." and "/".
    _refuseToReplace(target)
    partial = target.with_name(f"{target.name}.partial")
    with _writing(partial) as file:
        _refuseToReplace(target)
        copy = _copy(source, partial, file, tell=_halves(tell, 0, audit), rest=rest or HalfTime())
        if audit:
            _demandSound(partial, source, _halves(tell, 1, audit))
        _name(partial, target)
    return Copy(target, copy.epoch, copy.seq, copy.nextOrder, target.stat().st_size)


def restore(
    backup: Path, folder: Path, nowMs: int, *, skippedOrders: int = SKIPPED_ORDERS, tell: Tell = nobody
) -> Copy:
    """
    Make a ledger of a backup, with a new epoch.

    @param folder: made if it does not exist. There must be nothing in it.
    @param nowMs: milliseconds since 1970.
    @param skippedOrders: so many order numbers are never handed out: of those that were, after the backup, nothing is
        known here, but out there somebody does.
    @raise LedgerRefused: if the backup is none, or not sound; if there is something in the folder, or a daemon uses it.
        Then nothing was done.
    """
    if not backup.is_file():
        raise LedgerRefused(f"{backup} does not exist, or is no file")
    made = not folder.exists()
    if (folder / "lock").exists():
        # That a daemon runs is worth more to know than that there is something in its folder.
        FolderLock(folder).release()
    if not made:
        demandEmpty(folder)
    lock = FolderLock(folder)
    partial, log = folder / PARTIAL, folder / "log.db"
    try:
        # Again, now that nobody else may write in it.
        demandEmpty(folder)
        with _writing(partial) as file:
            copy = _copy(
                backup, partial, file, epoch=uuid4().hex, nowMs=nowMs, skip=skippedOrders, tell=_halves(tell, 0, True)
            )
            _demandSound(partial, backup, _halves(tell, 1, True))
            _name(partial, log)
    except BaseException:
        if made:
            with suppress(OSError):
                (folder / "lock").unlink()
                folder.rmdir()
        raise
    finally:
        lock.release()
    return Copy(log, copy.epoch, copy.seq, copy.nextOrder, log.stat().st_size)


def _halves(tell: Tell, before: int, two: bool) -> Tell:
    """One part of two, or all there is."""
    return (lambda done, total: tell(before * total + done, 2 * total)) if two else tell


# -- the file ---------------------------------------------------------------------------------------------


@contextmanager
def _writing(partial: Path) -> Iterator[int]:
    """
    A new file of this name, to be filled and given its own; it is gone afterwards in any case. What a copy that was
    killed has left there goes first.
    """
    try:
        _clearAway(partial)
        file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as e:
        raise LedgerRefused(f"{partial} cannot be written: {e.strerror}") from e
    try:
        _lock(file, partial)
        try:
            yield file
        except (sqlite3.Error, OSError) as e:
            raise LedgerRefused(f"{partial} cannot be written: {e}") from e
        finally:
            for path in (partial, *(partial.with_name(partial.name + end) for end in ("-wal", "-shm"))):
                path.unlink(missing_ok=True)
    finally:
        os.close(file)


def _clearAway(partial: Path) -> None:
    with suppress(FileNotFoundError):
        old = os.open(partial, os.O_RDWR)
        try:
            _lock(old, partial)
            partial.unlink()
        finally:
            os.close(old)


def _lock(file: int, partial: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise LedgerRefused(
            f"{partial} is being written by another scalemgr; wait for it, or take another name"
        ) from None


def _refuseToReplace(target: Path) -> None:
    if os.path.lexists(target):
        raise LedgerRefused(f"{target} exists already, and nothing is ever written over; take another name")


def _name(partial: Path, target: Path) -> None:
    """Give a file that is on the disk its name, which nothing has."""
    try:
        # Unlike a rename, this fails if somebody else has made one meanwhile.
        os.link(partial, target)
    except FileExistsError:
        _refuseToReplace(target)
    except OSError:
        # There are disks without links.
        _refuseToReplace(target)
        partial.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def demandEmpty(folder: Path) -> None:
    """
    See that there is nothing in a folder but what a restore or a copy leaves there that came to no end.

    @raise LedgerRefused: if there is.
    """
    try:
        found = sorted(path.name for path in folder.iterdir())
    except OSError as e:
        raise LedgerRefused(f"{folder} cannot be read: {e.strerror}") from e
    others = [name for name in found if name != "lock" and not name.startswith(PARTIAL)]
    if others:
        raise LedgerRefused(
            f"{folder} is not empty, {others[0]} is in it; a ledger is restored into a folder of its own, and the old "
            "one is better kept"
        )


# -- what is in it ----------------------------------------------------------------------------------------


def _copy(
    source: Path,
    partial: Path,
    file: int,
    *,
    epoch: str = "",
    nowMs: int = 0,
    skip: int = 0,
    tell: Tell,
    rest: Callable[[], object] = lambda: None,
) -> Copy:
    """
    Copy a log into an empty file, and put it on the disk.

    @param epoch: what it is called from now on; empty: what it is.
    """
    with _opened(source) as log:
        name, head = log.epoch, log.head()
    with closing(connect(partial, "log")) as connection:
        # It is one file, and there is nothing to go back to.
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("ATTACH ? AS source", (f"{source.absolute().as_uri()}?mode=ro",))
        after = written = 0
        while connection.execute(_COPY, (after, head, _PAGES)).rowcount:
            (after,) = connection.execute("SELECT max(last) FROM page").fetchone()
            size = os.fstat(file).st_size
            if size - written >= _BYTES:
                os.fdatasync(file)
                written = size
                rest()
            tell(after, head)
        (entries,) = connection.execute("SELECT coalesce(sum(last - first + 1), 0) FROM page").fetchone()
        # After the entries: so every order in them is below it.
        found, createdMs, nextOrder = connection.execute(
            "SELECT epoch, created_ms, next_order FROM source.ledger"
        ).fetchone()
        if found != name:
            raise LedgerRefused(f"{source} has become another log meanwhile; do it again")
        if entries != head:
            raise LedgerRefused(f"{source} is damaged: it ends at entry {head} and has {entries}")
        connection.execute(
            "INSERT INTO main.ledger (id, epoch, created_ms, next_order) VALUES (1, ?, ?, ?)",
            (epoch or name, nowMs or createdMs, nextOrder + skip),
        )
        connection.execute("DETACH source")
    os.fsync(file)
    return Copy(partial, epoch or name, head, nextOrder + skip, 0)


@contextmanager
def _opened(source: Path) -> Iterator[SqliteLog]:
    try:
        log = SqliteLog(source, readOnly=True)
    except sqlite3.Error as e:
        raise LedgerRefused(f"{source} is no log that can be read: {e}") from e
    with closing(log):
        yield log


def _demandSound(copy: Path, source: Path, tell: Tell) -> None:
    differences = verifyLog(copy, tell).differences
    if differences:
        first = differences[0].removeprefix("log.db: ")
        raise LedgerRefused(f"{source} is not sound, and no copy of it is kept: {first} ({len(differences)} in all)")
