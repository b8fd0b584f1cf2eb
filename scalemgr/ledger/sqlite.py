"""The embedded ledger: a folder with a log, its views, and a snapshot of the book.

    log.db          the truth; WAL, synchronous=FULL
    views.db        made from it, and made again if it is missing or damaged
    book.snapshot   the book at some entry, so that a start is quick
    lock            held by the daemon that has the folder

One daemon has a folder at a time. Others may read the log and the views meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from twisted.logger import Logger
from zope.interface import implementer

from ..finance.book import Book
from ..finance.records import Entry
from ..interfaces import ILedger, Storage
from ..wire.errors import LedgerFailed
from .checkpoint import WAL_PAGES_MAX, Checkpointer
from .errors import LedgerRefused
from .following import Files, viewsReach
from .log import SqliteLog
from .projector import Projector, ThreadProjector
from .snapshot import loadSnapshot, saveSnapshot
from .storage import lookAt
from .viewed import ViewedLedger
from .views import Views

__all__ = ["PARTIAL", "FolderLock", "SqliteLedger"]

#: What a log is called while it is restored, or copied here.
PARTIAL = "log.db.partial"

# After folding this many entries at a start, the book is written down, so that the next start need not.
_SNAPSHOT_AFTER = 10_000
# How often it is said how far that is, in entries.
_TELL_EACH = 100_000


class FolderLock:
    """
    The right to write in a ledger's folder, until it is released or the process ends, however it ends.

    @raise LedgerRefused: if another process has it, or the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as e:
            raise LedgerRefused(f"the ledger's folder {folder} cannot be used: {e.strerror}") from e
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise LedgerRefused(
                f"the ledger in {folder} is in use by another scalemgr (process {holder}); "
                "stop that one first, or give this one a ledger of its own"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._file)


class _Replaced(ValueError):
    """It is not the file that it was."""


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@implementer(ILedger)
class SqliteLedger(ViewedLedger):
    """
    The ledger in a folder.

    @param folder: made if it does not exist, for its owner only.
    @param queryS: how long a question waits for the views to catch up, in seconds.
    @param follow: makes what keeps the views up with the log, of where both are.
    """

    _log = Logger()
    unreadable = (sqlite3.Error,)

    def __init__(
        self, folder: Path, *, queryS: float = 5.0, follow: Callable[[Files], Projector] = ThreadProjector
    ) -> None:
        super().__init__(queryS)
        self._makeProjector = follow
        self.epoch = ""
        self._folder = folder
        # Is it unknown whether the last batch is in the log? And did it fail, however that may be?
        self._inDoubt = self._failed = False
        # Were the views found unreadable, and not readable since?
        self._suspected = False
        # Each thread that asks has a connection of its own.
        self._readers = threading.local()
        self._opened: list[Views | SqliteLog] = []

    def open(self, nowMs: int) -> None:
        with ExitStack() as undo:
            self._lock = FolderLock(self._folder)
            undo.callback(self._lock.release)
            self._checkWhole()
            self._file = SqliteLog(self._logPath, nowMs=nowMs)
            undo.callback(self._file.close)
            # What takes time to start does so while the book is made.
            self._projector = self._makeProjector(Files(str(self._logPath.absolute()), str(self._viewsPath.absolute())))
            undo.callback(self._projector.stop)
            saved = self._saved()
            self.epoch = self._file.epoch
            self._file.checkpointAt(WAL_PAGES_MAX)
            self._fold(saved)
            self._follow(self._file, str(self._logPath), str(self._viewsPath))
            self._checkpointer = Checkpointer(self._logPath)
            undo.pop_all()
        self._checkpointer.start()

    def _checkWhole(self) -> None:
        """A log that is gone must not look like one that has not begun."""
        if self._logPath.exists() and self._logPath.stat().st_size:
            return
        if (self._folder / PARTIAL).exists():
            raise LedgerRefused(
                f"{self._folder} has a log that is not restored to its end, or not copied; do that again, or empty the "
                "folder to begin a new ledger"
            )
        for rest in (self._viewsPath, self._snapshotPath):
            if rest.exists():
                raise LedgerRefused(
                    f"{self._logPath} is missing, but {rest.name} beside it was made from one; put the log back, "
                    "or empty the folder to begin a new ledger"
                )
        self._log.info("a new ledger is made in {folder}", folder=str(self._folder.absolute()))

    @property
    def _logPath(self) -> Path:
        return self._folder / "log.db"

    @property
    def _viewsPath(self) -> Path:
        return self._folder / "views.db"

    @property
    def _snapshotPath(self) -> Path:
        return self._folder / "book.snapshot"

    def _saved(self) -> Book | None:
        """The book as it was written down, if the log goes that far; if it does not, it is another log from here on."""
        try:
            head = self._file.head()
        except sqlite3.Error as e:
            raise LedgerRefused(f"{self._logPath} is damaged: {e}; restore it") from e
        saved = loadSnapshot(self._snapshotPath, self._file.epoch)
        known = max(0 if saved is None else saved.seq, viewsReach(self._viewsPath, self._file.epoch))
        if known <= head:
            return saved
        self._log.critical(
            "the log ends at entry {head}, but it had {known} entries: some were lost. Was an older log put back? It "
            "gets a new epoch, so that those who go on from a number that is used again are told",
            head=head,
            known=known,
        )
        self._file.renew()
        return None

    def _fold(self, saved: Book | None) -> None:
        if saved is not None:
            self.book = saved
        self._savedSeq = self.book.seq
        try:
            self._foldTail(self._file.head())
        except (sqlite3.Error, ValueError, KeyError, AssertionError) as e:
            raise LedgerRefused(f"{self._logPath} is damaged after entry {self.book.seq}: {e}; restore it") from e
        if self.book.seq - self._savedSeq >= _SNAPSHOT_AFTER:
            self._save()

    def _foldTail(self, head: int) -> None:
        for page in self._file.pages(self.book.seq):
            for entry in page:
                self.book.apply(entry)
            if self.book.seq < head and self.book.seq % _TELL_EACH < len(page):
                self._log.info("book: {seq:,} of {head:,} entries are folded", seq=self.book.seq, head=head)

    def _save(self) -> None:
        try:
            saveSnapshot(self._snapshotPath, self.epoch, self.book)
            self._savedSeq = self.book.seq
        except OSError as e:
            self._log.warn("book: no snapshot could be written ({why}); the next start takes longer", why=e)

    def close(self, nextOrder: int | None) -> None:
        self._projector.stop()
        self._checkpointer.stop()
        try:
            if nextOrder is not None:
                self._file.returnOrders(nextOrder)
        except sqlite3.Error as e:
            self._log.warn("ledger: unused orders were not returned ({why}); numbers are skipped", why=e)
        if self.book.seq > self._savedSeq:
            self._save()
        for reader in self._opened:
            reader.close()
        self._file.close()
        self._lock.release()

    def reserveOrders(self, count: int) -> int:
        try:
            return self._file.reserveOrders(count)
        except sqlite3.Error as e:
            raise LedgerFailed(f"the ledger cannot be written: {e}") from e

    # -- how it is --------------------------------------------------------------------------------------

    def storage(self) -> Storage:
        return lookAt(self._folder)

    # -- who reads --------------------------------------------------------------------------------------

    def _reader(self) -> SqliteLog:
        reader: SqliteLog | None = getattr(self._readers, "log", None)
        if reader is None:
            reader = self._readers.log = SqliteLog(self._logPath, readOnly=True)
            self._opened.append(reader)
        return reader

    def _found(self) -> None:
        self._suspected = False

    def _suspect(self, why: Exception) -> None:
        """The views cannot be read, or believed. Said once, until they can."""
        if not self._suspected:
            self._log.warn("the views cannot be read, and are made again if need be: {why}", why=why)
        self._suspected = True
        made, _, views = getattr(self._readers, "views", (0, None, None))
        seen = self._projector.made if views is None else made
        self._projector.suspect(seen, anew=isinstance(why, _Replaced))

    def _views(self) -> Views:
        made, identity, views = getattr(self._readers, "views", (0, None, None))
        if views is None or made != self._projector.made:
            # None yet, or of a file that was since made again.
            if views is not None:
                self._readers.views = 0, None, None
                self._opened.remove(views)
                views.close()
            made = self._projector.made
            identity = _identity(self._viewsPath)
            views = Views(self._viewsPath, self.epoch, readOnly=True)
            self._readers.views = made, identity, views
            self._opened.append(views)
        elif _identity(self._viewsPath) != identity:
            raise _Replaced("somebody has replaced the file")
        return views

    # -- the commit -------------------------------------------------------------------------------------

    def _refresh(self) -> list[Entry]:
        self._awaitProjector()
        kept: list[Entry] = []
        if self._failed:
            try:
                self._file.touch()
                kept = self._file.read(self.book.seq, self._file.head()) if self._inDoubt else []
            except (sqlite3.Error, ValueError) as e:
                raise LedgerFailed(f"the ledger cannot be written: {e}", outcome="void") from e
            for entry in kept:
                self.book.apply(entry)
            if kept:
                self._appended(kept)
            self._inDoubt = self._failed = False
        return kept

    def _append(self, entries: list[Entry]) -> None:
        try:
            self._file.append(entries)
        except ValueError as e:
            raise LedgerFailed(f"the ledger cannot keep this: {e}", outcome="void") from e
        except sqlite3.Error as e:
            self._failed = True
            # A COMMIT that fails in its fsync leaves whole frames behind, which a crash could revive.
            # Once something else is written in their place, they cannot come back.
            try:
                self._file.touch()
                kept = self._file.read(entries[0].seq - 1, len(entries)) == entries
            except (sqlite3.Error, ValueError):
                # A full disk, or somebody else who writes: it never came to the fsync.
                if getattr(e, "sqlite_errorname", "") not in ("SQLITE_FULL", "SQLITE_BUSY"):
                    self._inDoubt = True
                    raise LedgerFailed(f"the ledger failed in its commit: {e}", outcome="pending") from e
                kept = False
            if not kept:
                raise LedgerFailed(f"the ledger cannot be written: {e}", outcome="void") from e

    def _appended(self, entries: list[Entry]) -> None:
        self._recent.release(self._projector.reached)
        self._recent.add(entries)
        self._checkpointer.wrote(len(entries))
        self._projector.wake(self.book.seq)
