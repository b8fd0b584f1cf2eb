"""Moves what was committed from the write-ahead log into the log's own file, beside the commits and not in one.

Left to itself, SQLite does that in the COMMIT that makes the write-ahead log long enough, and who is in that batch
waits for it. Here a thread with a connection of its own does it. Only while nobody writes can the write-ahead log
begin again at its start, so from a length that it does not reach otherwise SQLite does the rest, which is little, in
a commit as before; so it does if this thread cannot.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from twisted.logger import Logger

from .database import connect
from .errors import LedgerRefused

__all__ = ["WAL_PAGES_MAX", "Checkpointer"]

#: From so many pages (of 4 KiB) on, a commit does it: the write-ahead log is not much longer than this.
WAL_PAGES_MAX = 8_000
# After so many it is begun.
_PAGES = 1_000

_log = Logger()


class Checkpointer(threading.Thread):
    """Follows the log in one file."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="scalemgr checkpointer", daemon=True)
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._written = 0
        self._due = threading.Event()
        self._stopping = False
        self._failing = False

    def wrote(self, entries: int) -> None:
        """So many entries were committed."""
        # The last page of the table and the one above it once more, and what is new: a dozen entries a page.
        self._written += 2 + entries // 12
        if self._written >= _PAGES:
            self._written = 0
            self._due.set()

    def stop(self) -> None:
        """End, after what it is at."""
        self._stopping = True
        self._due.set()
        self.join()

    def run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._stopping:
                break
            self._checkpoint()
        if self._connection is not None:
            self._connection.close()

    def _checkpoint(self) -> None:
        try:
            if self._connection is None:
                self._connection = connect(self._path, "log")
            # Waits for nobody, and nobody for it.
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except (sqlite3.Error, LedgerRefused) as e:
            if not self._failing:
                _log.warn("log: its write-ahead log cannot be moved into it now ({why}); the commits do it", why=e)
            self._failing = True
        else:
            self._failing = False
