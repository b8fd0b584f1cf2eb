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

__all__ = ["Projector", "openViews", "viewsReach"]

_BATCH = 20_000
_RETRY_SECONDS = 1.0

# What SQLite says when something else is wrong than the file: a full disk, somebody else who writes, ...
_NO_DAMAGE = (["FULL"], ["BUSY"], ["LOCKED"], ["CANTOPEN"], ["IOERR"], ["NOMEM"], ["READONLY"], ["PERM"])

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
        if getattr(e, "sqlite_errorname", "").split("_")[1:2] in _NO_DAMAGE:
            raise LedgerRefused(f"{path} cannot be used now: {e}") from e
        _log.warn("views: {path} cannot be used ({why}); making it again from the log", path=str(path), why=e)
    try:
        removeViews(path)
        views = Views(path, log.epoch)
        catchUp(views, log)
    except (sqlite3.Error, OSError, ValueError) as e:
        raise LedgerRefused(f"{path} cannot be made: {e}") from e
    return views


def viewsReach(path: Path, epoch: str) -> int:
    """The last entry of this log that its views have; 0 if they do not say."""
    try:
        views = Views(path, epoch, readOnly=True)
    except (sqlite3.Error, ValueError, LedgerRefused):
        return 0
    try:
        return views.seq()
    except sqlite3.Error:
        return 0
    finally:
        views.close()


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

    @param views: open and caught up with the log; it is the projector's from here on.
    @ivar made: grows when the file may be another one than before.
    """

    def __init__(self, logPath: Path, viewsPath: Path, views: Views) -> None:
        super().__init__(name="scalemgr projector", daemon=True)
        self._entries = SqliteLog(logPath, readOnly=True)
        self._viewsPath = viewsPath
        self._views: Views | None = views
        self._state = threading.Condition()
        self._head = self._reached = views.seq()
        self._suspected = self._anew = False
        self._failing = False
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

    def suspect(self, seen: int, anew: bool = False) -> None:
        """
        Somebody could not read the views: look whether they are what they should be.

        @param seen: what C{made} was of those: if they have been made again since, there is nothing to look at.
        @param anew: do not even look, make them again.
        """
        with self._state:
            if seen != self.made:
                return
            self._suspected = True
            self._anew = self._anew or anew
            self._state.notify_all()

    def waitFor(self, seq: int, seconds: float) -> bool:
        """Block until an entry is in; C{False} if it takes longer than this, or something is in the way."""
        with self._state:
            self._state.wait_for(lambda: self._reached >= seq or self._failing, seconds)
            return self._reached >= seq

    def stop(self) -> None:
        """Finish what is committed, as far as possible, and end."""
        with self._state:
            self._stopping = True
            self._state.notify_all()
        self.join()

    def run(self) -> None:
        try:
            while self._work():
                pass
        finally:
            self._drop()
            self._entries.close()

    def _work(self) -> bool:
        """Wait for something to do and do it; C{False} if it is time to end."""
        with self._state:
            self._state.wait_for(lambda: self._stopping or self._suspected or self._head > self._reached)
            if self._stopping and self._head <= self._reached:
                return False
            suspected, self._suspected = self._suspected, False
            anew, self._anew = self._anew, False
        try:
            if suspected:
                self._drop()
            if anew:
                removeViews(self._viewsPath)
            reached = self._follow()
        except Exception:
            # A full disk, or damage. Deposits go on; questions fail until it is over.
            if not self._failing:
                _log.failure("views: cannot follow the log at entry {seq}; trying again", seq=self._reached)
            self._drop()
            with self._state:
                self._failing = True
                self._state.notify_all()
                return not self._state.wait_for(lambda: self._stopping, _RETRY_SECONDS)
        with self._state:
            self._failing = False
            self._reached = reached
            self._state.notify_all()
        return True

    def _follow(self) -> int:
        """One step; the last entry that is in then."""
        if self._views is None:
            self._views = openViews(self._viewsPath, self._entries)
            with self._state:
                # What was found meanwhile was of the file that they were made of.
                self.made += 1
                self._suspected = self._anew = False
            return self._views.seq()
        page = self._entries.read(self._reached, _BATCH)
        self._views.project(page)
        return page[-1].seq

    def _drop(self) -> None:
        views, self._views = self._views, None
        if views is not None:
            views.close()
