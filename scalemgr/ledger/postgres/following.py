"""The views on a server, kept up with the log by one of the gateways, while the others look how far it is.

Each gateway has one of these. Who has the lock (L{tenure}) folds in what there is, as the one of a folder does; the
others stand by, and take over when the lock is free. The log and the views may be on two servers; nothing is as of one
moment in both. What holds is: the log first, then the views. So who finds the views ahead of the log has found another
log than they were made of; and so has who finds their last entry on another page of it, after a fail-over to a server
that lacked some of the log and has gone on from there.
"""

from __future__ import annotations

import time
from itertools import chain
from typing import ClassVar

import psycopg
from msgspec import Struct
from psycopg import errors
from twisted.logger import Logger

from ...finance.records import Entry
from ...wire.errors import LedgerFailed
from ..errors import LedgerRefused
from ..following import PAGE, turn
from ..settings import LedgerSettings
from .log import PostgresLog
from .migrating import clearAway, migrate
from .server import Server, why
from .tenure import TABLES, Row, Tenure
from .views import PostgresViews

__all__ = ["PostgresFollower", "Servers"]

# How often to look at the views, and, who makes them, at the log, even if the gateway says nothing: it may have
# stopped, while the others have not.
_IDLE_SECONDS = 1.0
# How long, at a start, another gateway may take to see that the log is another one now. It looks as often as above.
_PATIENCE_SECONDS = 5.0
# Of a server that takes too long for a page, no less is asked.
_PAGE_MIN = 500

_NAMED = (
    "SELECT epoch, (SELECT max(last) FROM page), (SELECT stamp FROM page WHERE last >= %s ORDER BY last LIMIT 1)"
    " FROM ledger"
)

# What makes them no good, and not a statement.
_DAMAGED = errors.DataCorrupted, errors.IndexCorrupted
# What says all that is to be known; of anything else one wants to see where it comes from.
_PLAIN = psycopg.Error, LedgerFailed, LedgerRefused

_log = Logger()


class Servers(Struct, frozen=True):
    """A log and its views on one server or two: L{ISource <scalemgr.ledger.projector.ISource>}."""

    kind: ClassVar[str] = "postgresql"

    settings: LedgerSettings

    def follower(self, made: int) -> PostgresFollower:
        """What follows that log: L{ISource.follower <scalemgr.ledger.projector.ISource.follower>}."""
        return PostgresFollower(self.settings, made)

    def __repr__(self) -> str:
        # The settings have passwords.
        return "Servers(...)"


class _OtherLog(LedgerRefused):
    """Somebody makes views of another log there."""


class PostgresFollower:
    """
    Follows a log on a server: L{IFollower <scalemgr.ledger.projector.IFollower>}.

    @param made: if it is another one in the place of one that has ended, what C{made} is to be. Then it is made even if
        the servers are away, and goes on when they are back.
    @raise LedgerRefused: if there can be no views now.
    """

    idleSeconds: float | None = _IDLE_SECONDS

    def __init__(self, settings: LedgerSettings, made: int = 0) -> None:
        self._logServer = Server(settings.url, settings)
        self._viewsServer = Server(settings.views_url or settings.url, settings)
        self.reached, self.made, self.failing = 0, made, ""
        self._tenure: Tenure | None = None
        # Those who make them have these two, too.
        self._entries: PostgresLog | None = None
        self._views: PostgresViews | None = None
        # How far they are, if it makes them.
        self._row = Row()
        # Of which log they should be; empty: it is to be found out.
        self._epoch = ""
        self._page = PAGE
        # Were they found damaged, or without a table, and not made again since?
        self._isDamaged = self._isIncomplete = False
        # Is it on its way from where it began to where the log ends?
        self._catchingUp = True
        # As what it has failed, and said so.
        self._failedAs = ""
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._settle(self._reopened())
                return
            except Exception as e:
                if made:
                    self._fail(e)
                    return
                self._drop()
                if not isinstance(e, _OtherLog) or time.monotonic() > until:
                    raise LedgerRefused(f"the views at {self._viewsServer.shown} cannot be used now: {why(e)}") from e
            time.sleep(_PATIENCE_SECONDS / 10)

    @property
    def isStandingBy(self) -> bool:
        """Does another gateway make them?"""
        return self._tenure is not None and not self._tenure.isMine

    def step(self, suspected: bool = False, anew: bool = False) -> bool:
        """One turn: L{IFollower.step <scalemgr.ledger.projector.IFollower.step>}."""
        before = self.reached
        try:
            tenure = self._tenure
            if tenure is None or (not tenure.isMine and (suspected or anew)):
                # There is nothing that one who stands by could mend but this.
                tenure = self._reopened()
                self.made += 1
            if self._views is None:
                self._settle(tenure)
            elif suspected or anew:
                self._begin(tenure, suspected, anew)
            if self._views is not None:
                self._turn(tenure, self._views)
        except Exception as e:
            self._fail(e)
            return False
        if self.failing:
            _log.info("views: the log can be followed again, from entry {seq} on", seq=self.reached)
        self.failing = ""
        if not self.isStandingBy or self._failedAs == "other" or self.reached > before:
            # What it has failed at in their making is not over because another one tries.
            self._failedAs = ""
        return True

    # -- who makes them ---------------------------------------------------------------------------------

    def _reopened(self) -> Tenure:
        """Another connection to the views."""
        self._drop()
        connection = self._viewsServer.connect("views")
        try:
            if self._isIncomplete:
                _log.warn("views: tables are missing at {shown}; making them again", shown=self._viewsServer.shown)
                clearAway(connection, "views", TABLES)
                self._isIncomplete = False
            migrate(connection, "views", self._viewsServer.shown)
        except BaseException:
            connection.close()
            raise
        self._tenure = Tenure(connection)
        return self._tenure

    def _settle(self, tenure: Tenure) -> None:
        """Make them, if nobody else does; else look how far they are."""
        row = tenure.take()
        if tenure.isMine:
            self._begin(tenure)
            _log.info("views: this gateway makes them, from entry {seq} on", seq=self.reached)
            return
        if row.epoch != self._epoch:
            entries = PostgresLog(self._logServer, "views")
            self._epoch = entries.epoch
            entries.close()
        if row.epoch != self._epoch:
            # Whoever has the lock makes them again, if it follows the same log.
            self.made += self.reached > 0
            self.reached, self._epoch = 0, ""
            if row.epoch:
                raise _OtherLog("the views are those of another log, and another gateway has them")
            return
        if row.seq < self.reached:
            self.made += 1
        self.reached = row.seq

    def _begin(self, tenure: Tenure, suspected: bool = False, anew: bool = False) -> None:
        """They are made here: see whether they are what they should be, and else begin anew."""
        self._views = None
        self._letLogGo()
        self._entries = entries = PostgresLog(self._logServer, "views")
        self._epoch = entries.epoch
        row = tenure.look()
        # After the views, for both grow.
        _, head, stamp = self._named(entries, row.seq)
        trouble = ""
        if not row.epoch:
            trouble = "there are none"
        elif row.epoch != entries.epoch:
            trouble = "these are views of another log"
        elif row.seq > head:
            trouble = "these views are ahead of the log"
        elif row.stamp != stamp:
            trouble = f"the log has another entry {row.seq} now"
        elif anew or self._isDamaged:
            trouble = "they are damaged"
        else:
            try:
                PostgresViews(tenure.connection, entries.epoch).check(thorough=suspected)
            except _DAMAGED as e:
                trouble = why(e)
        if trouble and (row.epoch or head):
            _log.warn(
                "views: those at {shown} cannot be used ({why}); making them again from the log",
                shown=self._viewsServer.shown,
                why=trouble,
            )
        if trouble:
            tenure.clear(entries.epoch)
            self._isDamaged = False
            row = Row(entries.epoch)
        if trouble or suspected:
            self.made += 1
        self._views = PostgresViews(tenure.connection, entries.epoch)
        self._row, self.reached = row, row.seq
        self._catchingUp = True

    # -- the making -------------------------------------------------------------------------------------

    def _turn(self, tenure: Tenure, views: PostgresViews) -> None:
        entries = self._entries
        assert entries is not None
        page: list[Entry] = []
        pages = turn(entries, self.reached, self._page)
        if (first := next(pages, None)) is None:
            self._compare(tenure, entries)
            return
        with views.turn():
            tenure.hold(self._row)
            for page in chain([first], pages):
                views.project(page)
            # No log gets a name back that it had. So what was read, before this was, is of that one.
            epoch, _, stamp = self._named(entries, page[-1].seq)
            if epoch != entries.epoch:
                raise LedgerRefused("the log has become another one")
            tenure.mark(stamp)
        self._row = Row(epoch, page[-1].seq, stamp)
        self.reached = page[-1].seq
        if len(page) < self._page:
            self._catchingUp = False
        elif self._catchingUp:
            _log.info("views: {reached:,} of {head:,} entries are in", reached=self.reached, head=entries.head())
        self._page = min(PAGE, 2 * self._page)

    def _compare(self, tenure: Tenure, entries: PostgresLog) -> None:
        """There is nothing to do, so see whether that is so because the log, or the views, are not what they were."""
        row = tenure.look()
        epoch, _, stamp = self._named(entries, self.reached)
        if row != self._row or (epoch, stamp) != (row.epoch, row.stamp):
            self._begin(tenure)
            self.made += 1

    def _named(self, entries: PostgresLog, seq: int) -> tuple[str, int, str]:
        """What the log is called now, where it ends, and the stamp of the page with this entry."""
        row = entries.connection.execute(_NAMED.encode(), [seq]).fetchone()
        assert row is not None
        return row[0], row[1] or 0, (row[2] or "") if seq else ""

    # -- the end ----------------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        """A server is away, or cannot do it. Deposits go on if they can; questions fail until it is over."""
        if not self._failedAs:
            if isinstance(error, _PLAIN):
                _log.error(
                    "views: cannot follow the log at entry {seq} ({why}); trying again",
                    seq=self.reached,
                    why=why(error),
                )
            else:
                _log.failure("views: cannot follow the log at entry {seq}; trying again", seq=self.reached)
        isMaker = self._tenure is not None and self._tenure.isMine
        self._failedAs = "maker" if isMaker else self._failedAs or "other"
        self.failing = why(error)
        self._isDamaged = self._isDamaged or isinstance(error, _DAMAGED)
        self._isIncomplete = self._isIncomplete or isinstance(error, errors.UndefinedTable)
        if isinstance(error, errors.QueryCanceled):
            self._page = max(_PAGE_MIN, self._page // 4)
        # All of it, with the lock: another gateway may be better off.
        self._drop()

    def _drop(self) -> None:
        self._views = None
        tenure, self._tenure = self._tenure, None
        if tenure is not None:
            tenure.close()
        self._letLogGo()

    def _letLogGo(self) -> None:
        entries, self._entries = self._entries, None
        if entries is not None:
            entries.close()

    def close(self) -> None:
        """Let go of the servers, and of the lock."""
        self._drop()
