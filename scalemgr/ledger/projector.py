"""Keeps the views up with the log, behind the commit.

A thread of its own with connections of its own: it needs nothing but the two files. It is woken after each
commit, works in large batches, and never holds up a deposit. If the views turn out to be damaged it makes
them again from the log.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from twisted.logger import Logger

from .errors import LedgerRefused
from .log import SqliteLog
from .views import Views

__all__ = ["Projector", "openViews"]

_BATCH = 20_000
_RETRY_SECONDS = 1.0

_log = Logger()


def openViews(path: Path, log: SqliteLog) -> Views:
    """
    The views of a log, caught up with it. Views that are missing, damaged or of another log are made anew.

    @raise LedgerRefused: if they cannot be made.
    """
    if not path.exists() and log.head():
        _log.warn("views: {path} is missing; making it from the log", path=str(path))
    try:
        views = Views(path, log.epoch)
        try:
            views.check()
            if views.seq() > log.head():
                raise ValueError("these views are ahead of the log")
            catchUp(views, log)
            return views
        except BaseException:
            views.close()
            raise
    except (sqlite3.Error, ValueError, LedgerRefused, KeyError) as e:
        _log.warn("views: {path} cannot be used ({why}); making it again from the log", path=str(path), why=e)
    removeViews(path)
    try:
        views = Views(path, log.epoch)
        catchUp(views, log)
    except (sqlite3.Error, OSError) as e:
        raise LedgerRefused(f"{path} cannot be made: {e}") from e
    return views


def removeViews(path: Path) -> None:
    """Delete the views, with what SQLite keeps beside them."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def catchUp(views: Views, log: SqliteLog) -> int:
    """Fold in all that the log has more than the views; the number of the last entry."""
    head, reached = log.head(), views.seq()
    while reached < head:
        page = log.read(reached, _BATCH)
        views.project(page)
        reached = page[-1].seq
        if head - reached > 0 or len(page) == _BATCH:
            _log.info("views: {reached:,} of {head:,} entries are in", reached=reached, head=head)
    return reached


class Projector(threading.Thread):
    """
    Follows the log of one folder.

    @param reached: the last entry that is in already.
    @ivar made: grows when the file may be another one than before.
    """

    def __init__(self, logPath: Path, viewsPath: Path, reached: int) -> None:
        super().__init__(name="scalemgr projector", daemon=True)
        self._logPath = logPath
        self._viewsPath = viewsPath
        self._state = threading.Condition()
        self._head = self._reached = reached
        self._stopping = False
        self.made = 0

    @property
    def reached(self) -> int:
        """The last entry that is in."""
        return self._reached

    def wake(self, head: int) -> None:
        """The log has grown."""
        with self._state:
            self._head = head
            self._state.notify_all()

    def waitFor(self, seq: int, seconds: float) -> bool:
        """Block until an entry is in; C{False} if it takes longer than this."""
        with self._state:
            return self._state.wait_for(lambda: self._reached >= seq, seconds)

    def stop(self) -> None:
        """Finish what is committed, as far as possible, and end."""
        with self._state:
            self._stopping = True
            self._state.notify_all()
        self.join()

    def run(self) -> None:
        log = SqliteLog(self._logPath, readOnly=True)
        views: Views | None = None
        try:
            while True:
                with self._state:
                    self._state.wait_for(lambda: self._stopping or self._head > self._reached)
                    if self._head <= self._reached:
                        return
                try:
                    if views is None:
                        views = openViews(self._viewsPath, log)
                        reached = views.seq()
                        self.made += 1
                    else:
                        page = log.read(self._reached, _BATCH)
                        views.project(page)
                        reached = page[-1].seq
                except Exception:
                    # A full disk, or damage. Deposits go on; questions wait.
                    _log.failure("views: cannot follow the log at entry {seq}; trying again", seq=self._reached)
                    if views is not None:
                        views.close()
                        views = None
                    with self._state:
                        if self._state.wait_for(lambda: self._stopping, _RETRY_SECONDS):
                            return
                    continue
                with self._state:
                    self._reached = reached
                    self._state.notify_all()
        finally:
            if views is not None:
                views.close()
            log.close()
