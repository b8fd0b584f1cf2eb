"""The log on a PostgreSQL server: one connection to it.

Who appends holds the ledger's lock until its transaction ends. So the numbers of the log have no gap, their order is
that of the commits, and whoever reads sees the log up to some entry, and nothing of what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import psycopg
from twisted.logger import Logger

from ...finance.records import Entry
from ...finance.requests import KeyName
from ...wire.errors import LedgerFailed
from ..errors import LedgerMissing, LedgerRefused, LedgerUnreachable
from ..pages import chosen, unpack
from ..readon import ReadOn
from .migrating import migrate
from .patience import PatientConnection, patient
from .server import Server, isAway, isMixedUp, why

__all__ = ["EXCLUDE", "LOCK", "UNREAD", "PostgresLog", "lastOf"]

# So many entries are looked through for a key that this gateway has not read yet, and no more.
_LATE = 100_000
# How long the book may take, which can be large, and for which nobody waits, in seconds.
_BOOK_S = 120
# "scal". The other half of the lock's key is the table, which is the same for all who use it, and no other ledger's.
_KEY = "1935892844, 'ledger'::regclass::oid::integer"
#: Nobody else commits from here on, until the transaction ends.
LOCK = f"SELECT pg_advisory_xact_lock({_KEY})"
_SHARE = f"SELECT pg_advisory_xact_lock_shared({_KEY})"
# "scag": held by each gateway that is at work.
_GATEWAYS = "1935892839, 'ledger'::regclass::oid::integer"
#: See to it that there is none, unless there is one.
EXCLUDE = f"SELECT CASE WHEN pg_is_in_recovery() THEN false ELSE pg_try_advisory_lock({_GATEWAYS}) END"
# For so long something that was asked for before may be on its way: an end is put to it long before.
_RENOUNCE = (
    "WITH old AS (DELETE FROM renounced WHERE at < now() - interval '10 minutes')"
    " INSERT INTO renounced (gateway, principal, key)"
    " SELECT %s, principal, key FROM unnest(%s::text[], %s::text[]) AS those (principal, key)"
)
# All that is asked of pages goes by their numbers. The server knows that only once it has looked at how many there are,
# and until then would read them all, at each commit.
_OPEN = """
SELECT epoch, whole, set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false),
set_config('jit', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false) FROM ledger
"""
# From the page with the next entry to the one with the last that is wanted, or, if there is a gap, the one after it.
_AFTER = (
    "SELECT first, last, entries FROM page WHERE last > %(after)s AND last <= coalesce("
    "(SELECT min(last) FROM page WHERE last >= %(after)s::bigint + %(limit)s), 9223372036854775807) ORDER BY last"
)
# How far so many bytes go; always to the end of the next page.
_REACH = (
    "SELECT max(last) FROM (SELECT last, sum(length(entries)) OVER (ORDER BY last) - length(entries) AS before"
    f" FROM ({_AFTER}) AS those) AS summed WHERE before < %(bytes)s"
)
_THESE = (
    "SELECT DISTINCT ON (last) first, last, entries FROM unnest(%s::bigint[]) AS wanted (seq) CROSS JOIN LATERAL"
    " (SELECT * FROM page WHERE last >= seq ORDER BY last LIMIT 1) AS those ORDER BY last"
)
_Answer = TypeVar("_Answer")
#: What one is told who asked for what is in the log. Why, and where that is, is for the operator.
UNREAD = "the log cannot be read now; ask again later"


class PostgresLog(ReadOn):
    """
    One connection, used by one thread at a time.

    @param purpose: what it is for, in C{pg_stat_activity}.
    @param renews: if its connection turns out to be cut when something is asked, it connects again and asks once more.
    @param nowMs: make the tables, and a log if there is none, at this time in milliseconds since 1970.
    @ivar epoch: the name of the log.
    @ivar isWhole: C{False}: it is being copied here, and not at its end.
    @ivar pid: the process that serves it there.
    @cvar prepared: what is prepared on the server for it.
    @raise LedgerRefused: if there is no log to be used.
    """

    _log = Logger()
    prepared: ClassVar[str] = ""

    def __init__(
        self,
        server: Server,
        purpose: str,
        *,
        nowMs: int | None = None,
        readOnly: bool = False,
        renews: bool = False,
    ) -> None:
        self._server = server
        self._purpose, self._readOnly, self._renews = purpose, readOnly, renews
        # What the server has warned of since this was last emptied.
        self._warnings: list[str] = []
        self._isUnread = False
        try:
            self.connection = self._connected()
        except psycopg.Error as e:
            raise LedgerUnreachable(f"{server.shown} cannot be reached: {why(e)}") from e
        try:
            if nowMs is not None:
                migrate(self.connection, "log", server.shown)
                self.connection.execute(
                    "INSERT INTO ledger (id, epoch, created_ms, next_order) VALUES (1, %s, %s, 1)"
                    " ON CONFLICT DO NOTHING",
                    [uuid4().hex, nowMs],
                )
            row = self._opened().fetchone()
        except psycopg.errors.UndefinedTable:
            self.connection.close()
            raise LedgerMissing(f"there is no ledger at {server.shown} yet; start a daemon once to make it") from None
        except psycopg.Error as e:
            self.connection.close()
            raise LedgerRefused(f"{server.shown}: {why(e)}") from e
        except BaseException:
            self.connection.close()
            raise
        if row is None:
            self.connection.close()
            raise LedgerRefused(f"{server.shown} has no whole log; start a daemon once to make it one")
        self.epoch: str = row[0]
        self.isWhole: bool = row[1]
        self.pid = self.connection.info.backend_pid

    def _connected(self) -> PatientConnection:
        connection = self._server.connect(self._purpose, readOnly=self._readOnly)
        # What is asked in each commit is prepared here. Psycopg would have the server forget that at each rollback.
        connection.prepare_threshold = None
        connection.add_notice_handler(self._noticed)
        return connection

    def _opened(self) -> psycopg.Cursor[Any]:
        return lastOf(self.connection.execute(f"{self.prepared} {_OPEN}".encode()))

    def _noticed(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warnings.append(notice.message_primary or "it warns, and does not say of what")

    @property
    def closed(self) -> bool:
        """Is the connection gone?"""
        return bool(self.connection.closed)

    def close(self) -> None:
        """Let go."""
        self.connection.close()

    # -- to read ----------------------------------------------------------------------------------------

    def _ask(self, question: Callable[[], _Answer]) -> _Answer:
        try:
            answer = self._askAgain(question)
        except (psycopg.Error, LedgerRefused) as e:
            if not self._isUnread:
                # Once, however often it is asked.
                self._log.warn("the log cannot be read: {why}", why=why(e))
            self._isUnread = True
            raise LedgerFailed(UNREAD) from e
        self._isUnread = False
        return answer

    def _askAgain(self, question: Callable[[], _Answer]) -> _Answer:
        try:
            return question()
        except psycopg.Error as e:
            if not self._renews or not (isAway(e, self.connection) or isMixedUp(e)):
                raise
        # It may have been cut while nothing was asked.
        self.connection.close()
        self.connection = self._connected()
        self._opened()
        return question()

    def _rows(self, sql: str, values: Any) -> list[Any]:
        return self._ask(lambda: self.connection.execute(sql.encode(), values).fetchall())

    def head(self) -> int:
        """The number of the last entry; 0 if there is none."""
        ((seq,),) = self._rows("SELECT max(last) FROM page", None)
        return seq or 0

    def read(self, after: int, limit: int, bytesMax: int | None = None) -> list[Entry]:
        """
        Up to C{limit} entries that follow the entry C{after}: fewer only where the log ends.

        @param bytesMax: fewer also if they have more than about so many bytes: entries may be large.
        @raise ValueError: if one of them is on a page that is damaged.
        @raise LedgerFailed: if the server cannot be asked.
        """
        words = {"after": after, "limit": limit, "bytes": bytesMax}
        if bytesMax is not None:
            ((reach,),) = self._rows(_REACH, words)
            words["limit"] = limit = min(limit, (reach or after) - after)
        entries = _unpack(self._rows(_AFTER, words))
        passed = max(0, after + 1 - entries[0].seq) if entries else 0
        return entries[passed : passed + limit]

    def at(self, seqs: Collection[int]) -> list[Entry]:
        """These entries, as far as they exist, in order; raises as L{read}."""
        rows = self._rows(_THESE, [list(seqs)])
        return chosen(seqs, [row[:2] for row in rows], _joined(rows)) if rows else []

    def settled(
        self, after: int, renounced: Collection[KeyName] = (), gateway: str = "", channel: str = ""
    ) -> list[Entry]:
        """
        The entries that follow an entry, with those of a commit that is under way: it is waited for.

        @param renounced: whoever commits after that is told to book none of these for what it was asked for before.
        @param gateway: who tells; C{channel} is where that is told.
        @raise LedgerFailed: if it cannot be asked, or there are too many.
        """

        def ask() -> list[Entry]:
            try:
                return look()
            except psycopg.Error:
                if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                    # Not even to leave the transaction went well: nothing could be asked here any more.
                    self.connection.close()
                raise

        def look() -> list[Entry]:
            self._warnings.clear()
            with self.connection.transaction():
                with self.connection.pipeline():
                    self.connection.execute(_SHARE.encode())
                    cursor = self.connection.execute(_AFTER.encode(), {"after": after, "limit": _LATE})
                    if renounced:
                        names = [list(each) for each in zip(*renounced, strict=True)]
                        self.connection.execute(_RENOUNCE.encode(), [gateway, *names])
                        if channel:
                            self.connection.execute(f"NOTIFY {channel}".encode())
                rows = cursor.fetchall()
            self._checkDurable()
            return _unpack(rows)

        entries = self._ask(ask)
        if len(entries) >= _LATE:
            raise LedgerFailed("this gateway is far behind the log; ask again later")
        return entries

    def _checkDurable(self) -> None:
        """
        A COMMIT that was interrupted while it waited for a standby says that it succeeded, and warns: it is on the disk
        there, but a server that takes over may lack it.
        """
        if self._warnings:
            raise psycopg.OperationalError(self._warnings[-1])

    def share(self) -> None:
        """
        Say, for as long as this connection lasts, that a gateway is at work here.

        @raise LedgerRefused: if somebody has seen to it that none is.
        """
        row = self.connection.execute(f"SELECT pg_try_advisory_lock_shared({_GATEWAYS})".encode()).fetchone()
        assert row is not None
        if not row[0]:
            raise LedgerRefused(f"the ledger at {self._server.shown} is being copied, or renewed; wait until that ends")

    def exclude(self) -> bool:
        """
        See to it, for as long as this connection lasts, that no gateway is at work here; C{False}: one is, or this is
        a standby, where that cannot be seen.
        """
        row = self.connection.execute(EXCLUDE.encode()).fetchone()
        assert row is not None
        return bool(row[0])

    def nextOrder(self) -> int:
        """No order from here up was ever reserved."""
        ((order,),) = self._rows("SELECT next_order FROM ledger", None)
        return int(order)

    def bounds(self, after: int, limit: int) -> list[tuple[int, int]]:
        """The first and the last entry of each of the pages that end after an entry, in order."""
        return self._rows("SELECT first, last FROM page WHERE last > %s ORDER BY last LIMIT %s", [after, limit])

    # -- what is beside the entries ---------------------------------------------------------------------

    def renew(self) -> None:
        """From here on it is another log than the one whose numbers others know, unless it is already."""
        self.connection.execute("UPDATE ledger SET epoch = %s WHERE epoch = %s", [uuid4().hex, self.epoch])
        row = self.connection.execute("SELECT epoch FROM ledger").fetchone()
        assert row is not None
        self.epoch = row[0]

    def stampOn(self, seq: int) -> str | None:
        """The stamp of the page that an entry is on."""
        row = self.connection.execute("SELECT stamp FROM page WHERE last >= %s ORDER BY last LIMIT 1", [seq]).fetchone()
        return None if row is None else str(row[0])

    def stampAt(self, last: int) -> str | None:
        """The stamp of the page that ends with an entry."""
        row = self.connection.execute("SELECT stamp FROM page WHERE last = %s", [last]).fetchone()
        return None if row is None else str(row[0])

    def saved(self) -> tuple[int, str, bytes] | None:
        """The book as it was written down last: at which entry, the stamp of that page, and the book."""
        with self._long():
            row = self.connection.execute("SELECT last, stamp, body FROM book").fetchone()
        return None if row is None else (row[0], row[1], bytes(row[2]))

    @contextmanager
    def _long(self) -> Iterator[None]:
        """For what may take longer than a statement that somebody waits for."""
        with patient(self.connection, _BOOK_S), self.connection.transaction():
            self.connection.execute(f"SET LOCAL statement_timeout = '{_BOOK_S}s'".encode())
            yield

    def sizes(self) -> dict[str, int]:
        """How many bytes each of its tables takes."""
        rows = self._rows(
            "SELECT name, pg_total_relation_size(name::regclass) FROM unnest(ARRAY['page', 'book']) AS those (name)",
            None,
        )
        return {name: int(size) for name, size in rows}


def lastOf(answers: psycopg.Cursor[Any]) -> psycopg.Cursor[Any]:
    """To the last of the answers of several statements."""
    while answers.nextset():
        pass
    return answers


def _joined(rows: Sequence[tuple[Any, ...]]) -> bytes:
    return f"[{','.join(row[-1] for row in rows)}]".encode()


def _unpack(rows: Sequence[tuple[Any, ...]]) -> list[Entry]:
    return unpack([row[:2] for row in rows], _joined(rows)) if rows else []
