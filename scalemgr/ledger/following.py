"""The views of a log, opened and kept up with it, behind the commit. Where that is done is no matter here.

It needs nothing but the two files. It works in large batches, and never holds up a deposit. If the views turn out to
be damaged it makes them again from the log.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import ClassVar

from msgspec import Struct
from twisted.logger import Logger

from ..finance.records import Entry
from .errors import LedgerRefused
from .finding import Log
from .log import SqliteLog
from .views import Views

__all__ = [
    "PAGE",
    "PAUSE_SECONDS",
    "RETRY_SECONDS",
    "STANDBY_SECONDS",
    "Files",
    "SqliteFollower",
    "openViews",
    "turn",
    "viewsReach",
]

#: Folded in at a time: so many entries, or those of about so many bytes.
PAGE = 20_000
_PAGE_BYTES = 32 * 1024 * 1024
# A turn is one commit of the views. The more is in it, the less often each page of an index is written; but who asks
# waits for one that is under way, and then for one more.
_TURN = 100_000
_TURN_SECONDS = 0.5

#: How long to wait after a failure.
RETRY_SECONDS = 1.0
#: Unless somebody waits, no two turns begin within this time: each costs about the same, however little is in it.
PAUSE_SECONDS = 0.05
#: How often to look how far somebody else is with the views, while one waits for that.
STANDBY_SECONDS = 0.02

# What SQLite says when something else is wrong than the file: a full disk, somebody else who writes, ...
_NO_DAMAGE = (["FULL"], ["BUSY"], ["LOCKED"], ["CANTOPEN"], ["IOERR"], ["NOMEM"], ["READONLY"], ["PERM"])

_log = Logger()


def openViews(path: Path, log: SqliteLog, *, suspected: bool = False) -> Views:
    """
    The views of a log, which may be behind it. Views that are missing, damaged or of another log are begun anew.

    @param suspected: somebody could not read them, so look at every page.
    @raise LedgerRefused: if they cannot be made.
    """
    if not path.exists() and log.head():
        _log.warn("views: {path} is missing; making it from the log", path=str(path))
    try:
        views = Views(path, log.epoch)
        try:
            views.check(thorough=suspected)
            if views.seq() > log.head():
                raise ValueError("these views are ahead of the log")
            views.begin()
            return views
        except BaseException:
            views.close()
            raise
    except (sqlite3.Error, ValueError, LedgerRefused, KeyError) as e:
        if isDamage(e):
            _log.warn("views: {path} cannot be used ({why}); making it again from the log", path=str(path), why=e)
        else:
            raise LedgerRefused(f"{path} cannot be used now: {e}") from e
    try:
        removeViews(path)
        views = Views(path, log.epoch)
        views.begin()
        return views
    except (sqlite3.Error, OSError, ValueError) as e:
        raise LedgerRefused(f"{path} cannot be made: {e}") from e


def isDamage(error: Exception) -> bool:
    """Is it the file that is wrong, and not the disk or somebody else?"""
    return getattr(error, "sqlite_errorname", "").split("_")[1:2] not in _NO_DAMAGE


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


def turn(log: Log, after: int, atATime: int) -> Iterator[list[Entry]]:
    """The pages that are folded in together: those after an entry, as many as make one commit of the views."""
    until, most = time.monotonic() + _TURN_SECONDS, after + _TURN
    page = log.read(after, atATime, _PAGE_BYTES)
    while page:
        yield page
        if len(page) < atATime or page[-1].seq >= most or time.monotonic() >= until:
            return
        page = log.read(page[-1].seq, atATime, _PAGE_BYTES)


class Files(Struct, frozen=True):
    """The two files of a folder, by their absolute paths."""

    kind: ClassVar[str] = "sqlite"

    log: str
    views: str

    def follower(self, made: int) -> SqliteFollower:
        """What follows that log: L{ISource.follower}."""
        return SqliteFollower(Path(self.log), Path(self.views), made)


class SqliteFollower:
    """
    Follows the log of one folder, when it is told to: L{IFollower}.

    @raise LedgerRefused: if there can be no views now.
    """

    # One daemon has a folder at a time, and knows of all that happens in it.
    isStandingBy = False
    idleSeconds: float | None = None

    def __init__(self, logPath: Path, viewsPath: Path, made: int = 0) -> None:
        self._entries = SqliteLog(logPath, readOnly=True)
        self._viewsPath = viewsPath
        self._views: Views | None = None
        self.made = made
        self.failing = ""
        self._isSuspected = False
        try:
            self._views = openViews(viewsPath, self._entries)
            self.reached = self._views.seq()
        except BaseException:
            self.close()
            raise
        # Is it on its way from where it began to where the log ends?
        self._catchingUp = True

    def step(self, suspected: bool = False, anew: bool = False) -> bool:
        """One turn: L{IFollower.step}."""
        try:
            if suspected or anew:
                self._drop()
            if anew:
                removeViews(self._viewsPath)
            if self._views is None:
                self._views = openViews(self._viewsPath, self._entries, suspected=suspected or self._isSuspected)
                self.made += 1
                self.reached = self._views.seq()
                self._catchingUp = True
            self._turn(self._views)
        except Exception as e:
            # A full disk, or damage. Deposits go on; questions fail until it is over.
            if not self.failing:
                _log.failure("views: cannot follow the log at entry {seq}; trying again", seq=self.reached)
            self._drop()
            self.failing = str(e)[:500] or type(e).__name__
            self._isSuspected = self._isSuspected or isDamage(e)
            return False
        self.failing = ""
        self._isSuspected = False
        return True

    def _turn(self, views: Views) -> None:
        page: list[Entry] = []
        pages = turn(self._entries, self.reached, PAGE)
        # That there is none is seen before the views are locked.
        if (first := next(pages, None)) is None:
            return
        with views.turn():
            for page in chain([first], pages):
                views.project(page)
        self.reached = page[-1].seq
        if len(page) < PAGE:
            self._catchingUp = False
        elif self._catchingUp:
            _log.info("views: {reached:,} of {head:,} entries are in", reached=self.reached, head=self._entries.head())

    def _drop(self) -> None:
        views, self._views = self._views, None
        if views is not None:
            views.close()

    def close(self) -> None:
        """Let go of the files."""
        if self._views is not None:
            try:
                self._views.rest()
            except sqlite3.Error as e:
                _log.warn("views: they could not be laid to rest ({why})", why=e)
        self._drop()
        self._entries.close()
