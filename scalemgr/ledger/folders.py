"""A ledger in a folder, as what is copied, and as what is copied to.

While a log is copied here it is called C{log.db.partial}, as one that is restored: no daemon opens it. At its end it
gets its own name.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from .backup import demandEmpty
from .copying import Row
from .database import connect, transaction
from .errors import LedgerMissing, LedgerRefused
from .pages import WITHOUT_GAP
from .sqlite import PARTIAL, FolderLock

__all__ = ["FolderOrigin", "FolderTarget", "renew"]

# How much is copied at a time.
_PAGES = 10_000
_BYTES = 8 * 1024 * 1024

_NEXT = "SELECT last, first, entries, '' FROM page WHERE last > ? AND last <= ? ORDER BY last"
_HEAD = "SELECT coalesce(max(last), 0) FROM page"


@contextmanager
def _saying(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as e:
        raise LedgerRefused(f"{path}: {e}") from e


class _Folder:
    """What the two have in common: a connection to a log."""

    def __init__(self, folder: Path) -> None:
        self.shown = f"sqlite:{folder}"
        self.identity: object = str(folder.resolve())
        self._path = folder / "log.db"
        self._connection: sqlite3.Connection

    def head(self) -> int:
        """The last entry; 0: there is none."""
        return int(self._one(_HEAD))

    def pageAt(self, last: int) -> str | None:
        """What is on the page that ends with an entry."""
        with _saying(self._path):
            row = self._connection.execute("SELECT entries FROM page WHERE last = ?", (last,)).fetchone()
        return None if row is None else str(row[0])

    def _one(self, sql: str) -> str:
        with _saying(self._path):
            (value,) = self._connection.execute(sql).fetchone() or ("",)
        return str(value)


class FolderOrigin(_Folder):
    """
    A folder that is copied: L{IOrigin <scalemgr.ledger.copying.IOrigin>}.

    @raise LedgerRefused: if there is no ledger in it that can be read.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder
        self._lock: FolderLock | None = None
        if not self._path.exists():
            raise LedgerMissing(f"{self._path} does not exist, so there is no ledger to be copied")
        with _saying(self._path):
            self._connection = connect(self._path, "log", readOnly=True)
            row = self._connection.execute("SELECT epoch, created_ms FROM ledger").fetchone()
        if row is None:
            self._connection.close()
            raise LedgerRefused(f"{self._path} is not a whole log; start the daemon once to make it one")
        self.epoch: str = row[0]
        self.createdMs: int = row[1]

    def nextOrder(self) -> int:
        """No order from here up was ever reserved."""
        return int(self._one("SELECT next_order FROM ledger"))

    def named(self) -> str:
        """The name that it has by now."""
        return self._one("SELECT epoch FROM ledger")

    def pages(self, after: int, upTo: int) -> list[Row]:
        """The next ones. Not longer at a time, so that the write-ahead log can be moved into the file meanwhile."""
        rows: list[Row] = []
        size = 0
        with _saying(self._path):
            cursor = self._connection.execute(_NEXT, (after, upTo))
            for row in cursor:
                rows.append(row)
                size += len(row[2])
                if size >= _BYTES or len(rows) >= _PAGES:
                    break
            cursor.close()
        return rows

    def exclude(self) -> str:
        """Take the folder, so that no daemon starts meanwhile."""
        if self._lock is None:
            try:
                self._lock = FolderLock(self._folder)
            except LedgerRefused as e:
                # What follows is said to daemons.
                return f"{str(e).partition(';')[0]}; stop it"
        return ""

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()


class FolderTarget(_Folder):
    """
    A folder that is copied to: L{ITarget <scalemgr.ledger.copying.ITarget>}. It is made if it does not exist.

    @raise LedgerRefused: if a daemon uses it, or there is something else in it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        made = not folder.exists()
        self._lock = FolderLock(folder)
        try:
            self._made = made
            self.isWhole = self._path.exists()
            if not self.isWhole:
                demandEmpty(folder)
                self._path = folder / PARTIAL
            self._named = folder / "log.db"
            with _saying(self._path):
                self._connection = connect(self._path, "log", readOnly=self.isWhole)
            self.epoch = self._one("SELECT epoch FROM ledger")
        except BaseException:
            self._lock.release()
            raise

    def begin(self, epoch: str, createdMs: int) -> None:
        """An empty log."""
        with _saying(self._path):
            self._connection.execute("INSERT INTO ledger VALUES (1, ?, ?, 1)", (epoch, createdMs))
        self.epoch = epoch

    def add(self, rows: Sequence[Row]) -> None:
        """Add pages."""
        with _saying(self._path), transaction(self._connection):
            self._connection.executemany("INSERT INTO page (last, first, entries) VALUES (?, ?, ?)", _unstamped(rows))

    def finish(self, nextOrder: int) -> None:
        """Put all of it into one file, and give that its name."""
        with _saying(self._path):
            (isAll,) = self._connection.execute(WITHOUT_GAP).fetchone()
            if not isAll:
                raise LedgerRefused(f"pages are missing among those in {self._path}; remove it, and copy it anew")
            self._connection.execute("UPDATE ledger SET next_order = ?", (nextOrder,))
            # What is written beside it goes into it, and is gone.
            (mode,) = self._connection.execute("PRAGMA journal_mode=DELETE").fetchone()
            if mode != "delete":
                raise LedgerRefused(f"{self._path} is open elsewhere; say the same again when it is not")
            self._connection.close()
            # Nobody else may make anything here.
            self._path.rename(self._named)
            folder = os.open(self._named.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self.isWhole = True

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()
        self._lock.release()


def _unstamped(rows: Sequence[Row]) -> Iterator[tuple[int, int, str]]:
    return (row[:3] for row in rows)


def renew(folder: Path, skippedOrders: int) -> tuple[str, int, int]:
    """
    Make a log another one, that has all of its entries.

    @return: its new name, its last entry, and the next order that is handed out.
    @raise LedgerRefused: if a daemon uses it, or it cannot be written.
    """
    path = folder / "log.db"
    if not path.exists():
        raise LedgerMissing(f"{path} does not exist, so there is no ledger to be renewed")
    lock = FolderLock(folder)
    try:
        with _saying(path):
            connection = connect(path, "log")
            try:
                epoch = uuid4().hex
                with transaction(connection):
                    connection.execute(
                        "UPDATE ledger SET epoch = ?, next_order = next_order + ?", (epoch, skippedOrders)
                    )
                (head,) = connection.execute(_HEAD).fetchone()
                (order,) = connection.execute("SELECT next_order FROM ledger").fetchone()
            finally:
                connection.close()
    finally:
        lock.release()
    return epoch, head, order
