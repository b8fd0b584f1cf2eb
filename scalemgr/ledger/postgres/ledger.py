"""A ledger on a PostgreSQL server that any number of gateways share: each is one of these.

How they commit is in L{scalemgr.ledger.postgres.committing}. Here is what begins and ends, and what is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import TypeVar

import psycopg
from twisted.logger import Logger
from zope.interface import implementer

from ...finance.masks import Sight
from ...finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from ...finance.records import Entry, FinanceTrade
from ...finance.requests import KeyName
from ...interfaces import ILedger, ITicket, Storage
from ...wire.errors import LedgerFailed
from ..errors import LedgerRefused
from ..finding import Views
from ..projector import Projector
from ..settings import LedgerSettings
from ..snapshot import dumpSnapshot, readSnapshot
from .asked import Asked
from .commits import PAGES_MAX, SKIPPED, CommitLog
from .committing import Committing, Diverged
from .listening import Listener
from .log import UNREAD, PostgresLog
from .server import isAway
from .server import why as whyOf
from .views import PostgresViews

__all__ = ["PostgresLedger"]

# After folding so many entries, the book is written down, so that the next start need not.
_SNAPSHOT_AFTER = 10_000
_TELL_EACH = 100_000
_Answer = TypeVar("_Answer")


@implementer(ILedger)
class PostgresLedger(Committing):
    """
    One gateway's ledger.

    @param settings: where it is, and how it is talked to.
    @param queryS: how long a question waits for the views to catch up, in seconds.
    @param follow: makes what keeps the views up with the log.
    """

    _log = Logger()

    def __init__(
        self,
        settings: LedgerSettings,
        *,
        queryS: float = 5.0,
        follow: Callable[[LedgerSettings], Projector],
    ) -> None:
        super().__init__(settings, queryS)
        self._settings = settings
        self._makeProjector = follow
        self._blockEnd = 0
        self._suspected = self._hasLostReplica = False
        self._savedSeq = 0
        self._readers = threading.local()
        self._opened: list[PostgresLog] = []

    # -- open and close ---------------------------------------------------------------------------------

    def open(self, nowMs: int) -> None:
        with ExitStack() as undo:
            self._file = CommitLog(self._server, "commits", nowMs=nowMs)
            undo.callback(self._file.close)
            if not self._file.isWhole:
                raise LedgerRefused(f"a ledger is being copied to {self._server.shown}, and is not there to its end")
            self.epoch = self._file.epoch
            try:
                self._file.share()
                self._channel = self._file.channel() if self._settings.notify else ""
            except psycopg.Error as e:
                raise LedgerRefused(f"{self._server.shown} cannot be read: {whyOf(e)}") from e
            self._projector = self._makeProjector(self._settings)
            undo.callback(self._projector.stop)
            self._asked = Asked(self._settings, self._server, self.epoch)
            undo.callback(self._asked.close)
            try:
                self._fold()
            except (psycopg.Error, LedgerFailed) as e:
                raise LedgerRefused(f"{self._server.shown} cannot be read: {whyOf(e)}") from e
            except Diverged as e:
                raise LedgerRefused(str(e)) from e
            except (ValueError, KeyError, AssertionError) as e:
                raise LedgerRefused(
                    f"the log at {self._server.shown} is damaged after entry {self.book.seq}: {e}; restore it"
                ) from e
            self._follow(self._file, f"the log at {self._server.shown}", f"the views at {self._asked.shown}")
            self._listener = Listener(self._server, self._channel, self._settings.poll_seconds, self._heard)
            undo.pop_all()
        self._listener.start()

    def _fold(self) -> None:
        self._load()
        self._savedSeq = told = self.book.seq
        head = self._file.head()
        while True:
            tail = self._file.tail(self.book.seq, 0, self._name)
            self._renounced.seen(tail.renounced, isAll=False)
            self._take(tail)
            if len(tail.pages) < PAGES_MAX:
                break
            if self.book.seq - told >= _TELL_EACH:
                told = self.book.seq
                self._log.info("book: {seq:,} of {head:,} entries are folded", seq=told, head=head)
        # Nothing is under way here yet.
        self._renounced.take()
        self._save()

    def _load(self) -> None:
        """Begin with the book that was written down, if there is one of this log."""
        # Before the log, for both grow.
        views, saved = self._asked.row(), self._saved()
        known = [(views.seq, views.stamp)] if views.epoch == self.epoch else []
        book = None if saved is None else readSnapshot(saved[2], self.epoch)
        if saved is not None and book is not None:
            known.append(saved[:2])
        lost = [seq for seq, stamp in known if stamp and self._file.stampOn(seq) != stamp]
        if lost:
            self._renew(max(lost))
        elif saved is not None and book is not None and book.seq == saved[0]:
            self.book, self._stamp = book, saved[1]

    def _renew(self, known: int) -> None:
        """What views, or the book, have seen of the log is not there any more: it is another log from here on."""
        self._log.critical(
            "the log at {shown} ends at entry {head}, and what it had up to entry {known} is not there: some was lost. "
            "Was an older one put back, or has a server taken over that lacked it? It gets a new epoch, so that those "
            "who go on from a number that is used again are told, and {skipped:,} order numbers are skipped",
            shown=self._server.shown,
            head=self._file.head(),
            known=known,
            skipped=SKIPPED,
        )
        self._file.reserveOrders(SKIPPED)
        self._file.renew()
        self.epoch = self._asked.epoch = self._file.epoch

    def _saved(self) -> tuple[int, str, bytes] | None:
        try:
            return self._file.saved()
        except psycopg.Error as e:
            if self._file.closed:
                raise
            self._log.warn("book: the snapshot cannot be read ({why}); the whole log is folded", why=whyOf(e))
            return None

    def _save(self) -> None:
        """Write the book down, if that spares a start much."""
        if self.book.seq - self._savedSeq < _SNAPSHOT_AFTER:
            return
        try:
            self._file.save(self.book.seq, self._stamp, dumpSnapshot(self.epoch, self.book))
            self._savedSeq = self.book.seq
        except psycopg.Error as e:
            self._log.warn("book: no snapshot could be written ({why}); the next start takes longer", why=whyOf(e))

    def close(self, nextOrder: int | None) -> None:
        self._listener.stop()
        # What is not in the views yet, others put there, or the next start.
        self._projector.stop(finish=False)
        self._asked.close()
        if self._diverged is None:
            try:
                if nextOrder is not None and self._blockEnd:
                    self._file.returnOrders(nextOrder, self._blockEnd)
            except psycopg.Error as e:
                self._log.warn("ledger: unused orders were not returned ({why}); numbers are skipped", why=whyOf(e))
            self._save()
        for reader in self._opened:
            reader.close()
        self._file.close()

    def reserveOrders(self, count: int) -> int:
        tries = 0
        while True:
            tries += 1
            try:
                self._connect()
                first = self._file.reserveOrders(count)
                break
            except (psycopg.Error, LedgerRefused) as e:
                # What may have been reserved is skipped.
                if self._isWorthRepeating(e, tries):
                    continue
                self._say(e)
                raise LedgerFailed(f"the ledger cannot be written: {whyOf(e)}") from e
        self._blockEnd = first + count
        return first

    def follow(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def _heard(self, pid: int) -> None:
        """Somebody has committed, or it is time to look."""
        if pid != self._file.pid:
            self._wake()

    def storage(self) -> Storage:
        try:
            return Storage(self._server.shown, self._reader().sizes())
        except (LedgerFailed, LedgerRefused):
            # How big it is cannot be read now; whether it can be written is told by C{away} and by the commits.
            # A refusal here would stand until the next look, with everybody not ready when all goes on again.
            return Storage(self._server.shown)

    # -- who reads --------------------------------------------------------------------------------------

    def _reader(self) -> PostgresLog:
        reader: PostgresLog | None = getattr(self._readers, "log", None)
        if reader is None:
            try:
                reader = self._readers.log = PostgresLog(self._server, "questions", renews=True)
            except LedgerRefused as e:
                raise LedgerFailed(UNREAD) from e
            self._opened.append(reader)
        return reader

    def renounce(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        return self._unforgotten(self._keyed(names, renounced=names))

    def takeRenounced(self) -> Collection[KeyName]:
        return self._renounced.take()

    def _keyed(self, names: Collection[KeyName], renounced: Collection[KeyName] = ()) -> dict[KeyName, Entry]:
        """
        For who is to be told that there is none: what others have committed and this one has not read yet counts, and
        so does what they are committing now.
        """
        # First: what comes in meanwhile is then found in either.
        known = self._recent.last
        late = {
            (entry.principal, entry.key): entry
            for entry in self._reader().settled(known, renounced, self._name, self._channel)
        }
        found = super()._keyed(names)
        # What is in both is the same; or it was forgotten, and done again under the name that was free.
        return {**found, **{name: late[name] for name in names if name in late}}

    def _views(self) -> PostgresViews:
        return self._asked.views()

    def _put(self, question: Callable[[Views], _Answer], reached: int) -> _Answer:
        views = self._views()
        # Each answer says it: to ask first would be a round trip more, in each commit.
        views.demand(reached)
        return question(views)

    def _suspect(self, why: Exception) -> None:
        if isinstance(why, LedgerRefused) or isAway(why):
            self._viewsAway = whyOf(why)
        if not self._suspected:
            self._log.warn("the views at {shown} cannot be read: {why}", shown=self._asked.shown, why=whyOf(why))
        self._suspected = True
        if not isinstance(why, (LedgerRefused, psycopg.OperationalError)):
            self._projector.suspect(self._projector.made)

    def _found(self) -> None:
        self._suspected = False

    def trade(self, order: int) -> tuple[FinanceTrade, str] | None:
        # What others were answered may not have been read here yet.
        if self._head() <= self._recent.last:
            return super().trade(order)
        return self._askNow(lambda views: views.trade(order))

    def _head(self) -> int:
        """The last entry, whoever wrote it."""
        head = max(self.book.seq, self._reader().head())
        self._projector.wake(head)
        return head

    def table(self, query: TableQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None) -> Table:
        if not self._asked.hasReplica:
            return super().table(query, sight, bounds, ticket)
        return self._askReplica(lambda views: views.table(query, sight, bounds, ticket), ticket)

    def statement(
        self, query: StatementQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None
    ) -> Statement | None:
        if not self._asked.hasReplica or query.asOf is not None:
            # Who names an entry may have heard of it a moment ago.
            return super().statement(query, sight, bounds, ticket)
        return self._askReplica(lambda views: views.statement(query, sight, bounds, ticket), ticket)

    def _askReplica(self, question: Callable[[Views], _Answer], ticket: ITicket | None) -> _Answer:
        """Ask views that may be a moment old; if they cannot be asked, those that are kept up."""
        if ticket is not None:
            ticket.check(0)
        try:
            answer = question(self._asked.replica())
        except self._unread as e:
            if not self._hasLostReplica:
                self._log.warn("the replica cannot be read ({why}); the views themselves are asked", why=whyOf(e))
            self._hasLostReplica = True
            return self._askNow(question, ticket)
        if self._hasLostReplica:
            self._log.info("the replica can be read again")
        self._hasLostReplica = False
        return answer
