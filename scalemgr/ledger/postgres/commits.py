"""The log on a PostgreSQL server, for who writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import psycopg
from msgspec import Struct

from ...finance.records import Entry
from ...finance.requests import KeyName
from ..errors import LedgerRefused
from ..pages import unpack
from .log import LOCK, PostgresLog, lastOf

__all__ = ["PAGES_MAX", "SKIPPED", "CommitLog", "Page", "Tail", "entriesOf"]

#: So many pages are read at once.
PAGES_MAX = 500
#: So many orders are skipped where a server takes over: more than were handed out, as far as anybody can still have
# them, by one that is lost with what it had not yet told this one.
SKIPPED = 100_000
_TIMELINE = "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"

# Asked in each commit, so the server need not read and plan it each time.
_TAIL = f"""
PREPARE tail (bigint) AS
SELECT epoch, first, last, stamp, CASE WHEN last > $1 THEN entries ELSE '' END FROM ledger LEFT JOIN
(SELECT * FROM page WHERE last >= $1 ORDER BY last LIMIT {PAGES_MAX}) AS those ON true WHERE id = 1 ORDER BY last
"""
_RENOUNCED = """
PREPARE renounced (bigint, text) AS SELECT n, principal, key FROM renounced WHERE n > $1 AND gateway <> $2 ORDER BY n
"""
# In binary: as text, each quote in a page would be looked for and escaped, which takes longer than all else together.
_INSERT = (
    "INSERT INTO page (last, first, stamp, entries)"
    " SELECT last, first, %s, entries"
    " FROM unnest(%b::bigint[], %b::bigint[], %b::text[]) AS those (last, first, entries)"
)


class Page(Struct, frozen=True):
    """Entries of one commit, the last of which is C{last}."""

    first: int
    last: int
    stamp: str
    entries: str


class Tail(Struct, frozen=True):
    """
    How the log ends.

    @ivar epoch: the name that it has.
    @ivar pages: from the one with the entry that was asked for, at most L{PAGES_MAX}.
    @ivar renounced: what other gateways have renounced, by number.
    """

    epoch: str
    pages: list[Page]
    renounced: dict[int, KeyName]


class CommitLog(PostgresLog):
    """One connection to commit over, used by one thread at a time."""

    prepared: ClassVar[str] = f"{_TAIL}; {_RENOUNCED}; PREPARE lock AS {LOCK};"

    def tail(self, cursor: int, renounced: int, gateway: str) -> Tail:
        """
        How the log ends, from the page with the entry C{cursor} on; without what is on that one, if it ends there.

        @param renounced: the last number up to which all that was renounced is known.
        @param gateway: what is of itself it knows.
        @raise psycopg.Error: if the server cannot be asked.
        """
        return self._tail("", cursor, renounced, gateway)

    def begin(self, cursor: int, renounced: int, gateway: str) -> Tail:
        """
        Begin a commit: nobody else commits until L{commit} or L{leave}. One round trip.

        @raise psycopg.Error: if that takes too long, or cannot be.
        """
        return self._tail("BEGIN; EXECUTE lock;", cursor, renounced, gateway)

    def _tail(self, before: str, cursor: int, renounced: int, gateway: str) -> Tail:
        # All in one message, where each sees what was committed before it began: the last one sees all that there was
        # before the lock was had. A pipeline would do the same with a message, and a turn of psycopg, for each.
        sql = f"{before} EXECUTE renounced ({renounced:d}, '{gateway}'); EXECUTE tail ({cursor:d})"
        answers = self.connection.execute(sql.encode())
        while answers.description is None or answers.description[0].name != "n":
            answers.nextset()
        known = {n: (principal, key) for n, principal, key in answers}
        rows = lastOf(answers).fetchall()
        if not rows:
            raise LedgerRefused(f"there is no ledger at {self._server.shown} any more")
        return Tail(rows[0][0], [Page(*row[1:]) for row in rows if row[1] is not None], known)

    def write(self, pages: Sequence[tuple[int, int, str]], stamp: str, channel: str) -> None:
        """
        Append, and end the commit. One round trip.

        @param pages: as L{pack} makes them.
        @param channel: who is to be told; empty: nobody is.
        @raise psycopg.Error: if it failed. If the connection is gone then, or the error has no C{sqlstate}, it is not
            known whether it did.
        """
        connection = self.connection
        lasts, firsts, texts = map(list, zip(*pages, strict=True))
        self._warnings.clear()
        with connection.pipeline():
            # Told without a payload: it is only to wake.
            sql = f"WITH those AS ({_INSERT}) SELECT pg_notify('{channel}', '')" if channel else _INSERT
            connection.execute(sql.encode(), [stamp, lasts, firsts, texts])
            connection.execute("COMMIT")
        self._checkDurable()

    def leave(self) -> None:
        """End a commit that comes to nothing, if one is under way."""
        if not self.closed and self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self.connection.execute("ROLLBACK")

    def stampOf(self, last: int) -> str | None:
        """
        The stamp of the page that ends with an entry, once no commit is under way any more, as far as it is as durable
        as anything is here: for it writes something itself, after it.

        @raise psycopg.Error: if it cannot be found out.
        """
        self._warnings.clear()
        with self.connection.transaction():
            self.connection.execute(LOCK.encode())
            self.touch()
            stamp = self.stampAt(last)
        self._checkDurable()
        return stamp

    def confirm(self) -> None:
        """See that it can be written, and that all there is by now, of commits that were given up too, is durable."""
        self.stampOf(0)

    @property
    def isRefused(self) -> bool:
        """After L{write} failed: is it certain that nothing was committed?"""
        return self.connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR

    def channel(self) -> str:
        """On which commits are told."""
        row = self.connection.execute("SELECT 'scalemgr_' || 'ledger'::regclass::oid").fetchone()
        assert row is not None
        return str(row[0])

    def touch(self) -> None:
        """Write something, durably, that means nothing: an order is skipped."""
        self.connection.execute("UPDATE ledger SET next_order = next_order + 1")

    # -- what is beside the entries ---------------------------------------------------------------------

    def reserveOrders(self, count: int) -> int:
        """Set orders aside, durably."""
        self._warnings.clear()
        row = self.connection.execute(
            f"UPDATE ledger SET timeline = {_TIMELINE}, next_order = next_order + %s"
            f" + CASE timeline WHEN {_TIMELINE} THEN 0 ELSE {SKIPPED} END RETURNING next_order - %s".encode(),
            [count, count],
        ).fetchone()
        assert row is not None
        self._checkDurable()
        return int(row[0])

    def returnOrders(self, nextOrder: int, end: int) -> None:
        """Take back the reserved orders from C{nextOrder} to before C{end}, unless others were reserved after them."""
        self.connection.execute("UPDATE ledger SET next_order = %s WHERE next_order = %s", [nextOrder, end])

    def save(self, last: int, stamp: str, body: bytes) -> None:
        """Write the book down, unless one is there that is later."""
        with self._long():
            self.connection.execute(
                "INSERT INTO book VALUES (1, %s, %s, %s) ON CONFLICT (id) DO UPDATE"
                " SET last = excluded.last, stamp = excluded.stamp, body = excluded.body"
                " WHERE book.last < excluded.last OR book.stamp NOT IN (SELECT stamp FROM page WHERE last = book.last)",
                [last, stamp, body],
            )


def entriesOf(pages: Sequence[Page], after: int) -> list[Entry]:
    """
    The entries of some pages that follow the entry C{after}.

    @raise ValueError: if a page is damaged.
    """
    text = f"[{','.join(page.entries for page in pages)}]".encode()
    entries = unpack([(page.first, page.last) for page in pages], text)
    return [entry for entry in entries if entry.seq > after]
