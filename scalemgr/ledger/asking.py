"""Questions with filters, put to one connection: all of one answer is as of one moment, and in bounded time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ujson

from ..finance.masks import Sight
from ..finance.money import fromMinor
from ..finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from ..interfaces import ITicket
from ..wire.errors import InvalidData
from ..wire.messages import safe
from .columns import TABLES, unit
from .database import snapshot
from .query import DIGITS, NAMES, TableSql

__all__ = ["askStatement", "askTable"]

# An interrupt that comes between two statements is lost; so often, in steps of SQLite's machine, it is looked for.
_STEPS = 1_000_000


@contextmanager
def _bounded(connection: sqlite3.Connection, bounds: Bounds, ticket: ITicket) -> Iterator[None]:
    """What is read in here is as of one moment, and takes no longer than it may."""
    # The end of the transaction is out of reach of whatever ends the question.
    with snapshot(connection):
        connection.set_progress_handler(lambda: ticket.isOver, _STEPS)
        try:
            with ticket.running(connection.interrupt, bounds.seconds):
                yield
        except sqlite3.Error as e:
            if getattr(e, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
                ticket.check(bounds.seconds)
            raise
        finally:
            connection.set_progress_handler(None, 0)


def _rows(connection: sqlite3.Connection, bounds: Bounds, sql: str, values: Sequence[Any]) -> str:
    """The rows of an answer, which has no more bytes than it may."""
    before = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, bounds.bytes)
    try:
        (rows,) = connection.execute(sql, values).fetchone()
    except sqlite3.Error as e:
        if getattr(e, "sqlite_errorname", "") != "SQLITE_TOOBIG":
            raise
        most = f"{bounds.bytes / 2**20:.3g} MiB"
        raise InvalidData(f"the answer would have more than {most}: ask for less at a time") from None
    finally:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)
    return str(rows)


def askTable(connection: sqlite3.Connection, query: TableQuery, sight: Sight, bounds: Bounds, ticket: ITicket) -> Table:
    """
    Rows of a table.

    @raise InvalidData: if the question is wrong.
    @raise LedgerFailed: if it takes too long, or is called off.
    """
    ask = connection.execute
    with _bounded(connection, bounds, ticket):
        groups, digits = (ujson.loads(ask(sql).fetchone()[0]) for sql in (NAMES, DIGITS))
        sql = TableSql(query, sight, bounds, groups, digits)
        ticket.check(bounds.seconds)
        count, *sums = ask(*sql.count()).fetchone()
        (all,) = ask(f"SELECT count(*) FROM {TABLES[query.table].rows}").fetchone()
        ticket.check(bounds.seconds)
        rows = _rows(connection, bounds, *sql.page(count, all))
        (seq,) = ask("SELECT seq FROM view").fetchone()
    return Table(seq, sql.structure, safe(rows), count, sql.totals(sums))


_STATEMENT = {
    "seq": "m.seq",
    # In seconds, as events have it.
    "time": "m.time_ms / 1e3",
    "type": "m.type",
    "order": 'm."order"',
    "cmd": "m.cmd",
    "amount": "m.balance_change / u.unit",
    "credit_amount": "m.credit_change / u.unit",
    "balance": "m.balance / u.unit",
    "credit": "m.credit / u.unit",
    "comment": "json(m.comment)",
}
# The account, its decimals and what they are worth.
_WHOSE = 'SELECT "group", currency, digits FROM account WHERE login = ?'
_FIRST = "SELECT seq FROM movement WHERE login = ? AND time_ms >= ? ORDER BY seq LIMIT 1"
_LAST = "SELECT seq FROM movement WHERE login = ? AND seq <= ? AND time_ms < ? ORDER BY seq DESC LIMIT 1"
_AS_OF = "SELECT balance, credit FROM movement WHERE login = ? AND seq <= ? ORDER BY seq DESC LIMIT 1"
_COUNT = (
    "SELECT count(*), count(*) FILTER (WHERE seq BETWEEN ? AND ?) FROM movement WHERE login = ? AND seq BETWEEN ? AND ?"
)
_PAGE = (
    f"SELECT json_group_array(json_array({', '.join(_STATEMENT.values())})) FROM (SELECT seq AS id FROM movement"
    " WHERE login = ? AND seq BETWEEN ? AND ? ORDER BY seq {} LIMIT ?) AS page"
    f" CROSS JOIN (SELECT {unit('?')} AS unit) AS u CROSS JOIN movement AS m ON m.seq = page.id"
)
# Beyond all that is ever numbered or timed.
_EVER = 2**62


def askStatement(
    connection: sqlite3.Connection, query: StatementQuery, sight: Sight, bounds: Bounds, ticket: ITicket
) -> Statement | None:
    """
    What moved on an account; C{None} if there never was one, or it is not to be seen.

    @raise InvalidData: if the question is wrong.
    @raise LedgerFailed: if it takes too long, or is called off.
    """
    if query.limit is not None and not 1 <= query.limit <= bounds.rows:
        raise InvalidData(f"expected 1 to {bounds.rows}", field="limit")
    ask = connection.execute
    with _bounded(connection, bounds, ticket):
        (seq,) = ask("SELECT seq FROM view").fetchone()
        if query.asOf is not None and query.asOf > seq:
            raise InvalidData(f"the log has {seq} entries", field="as_of")
        seq = seq if query.asOf is None else query.asOf
        login = query.login
        whose = ask(_WHOSE, (login,)).fetchone()
        if whose is None or not sight.balances or not sight.covers(whose[0], login):
            return None
        group, currency, digits = whose
        first, last = _range(connection, query, seq)
        begin, end = _page(query, first, last)
        count, more = ask(_COUNT, (begin, end, login, first, last)).fetchone()
        if query.limit is None and more > bounds.rows:
            raise InvalidData(
                f"{more} rows match, one answer has at most {bounds.rows}: use limit, and after_seq for the next page",
                field="limit",
            )
        page = (login, begin, end, query.limit or bounds.rows, digits)
        ticket.check(bounds.seconds)
        rows = _rows(connection, bounds, _PAGE.format("DESC" if query.newestFirst else "ASC"), page)
        opening = ask(_AS_OF, (login, first - 1)).fetchone() or (0, 0)
        closing = ask(_AS_OF, (login, max(last, first - 1))).fetchone() or (0, 0)
    return Statement(
        login,
        group,
        currency,
        seq,
        (fromMinor(opening[0], digits), fromMinor(opening[1], digits)),
        (fromMinor(closing[0], digits), fromMinor(closing[1], digits)),
        list(_STATEMENT),
        safe(rows),
        count,
    )


def _range(connection: sqlite3.Connection, query: StatementQuery, seq: int) -> tuple[int, int]:
    """The first and the last entry; the first is after the last if there is nothing between."""
    login, toMs = query.login, _EVER if query.toS is None else (query.toS + 1) * 1000
    last = connection.execute(_LAST, (login, seq, toMs)).fetchone()
    first = connection.execute(_FIRST, (login, query.fromS * 1000)).fetchone()
    if first is None or first[0] > seq:
        # All of it was booked before: it opens, and closes, with what there was in the end.
        return seq + 1, seq
    if last is None or last[0] < first[0]:
        return first[0], first[0] - 1
    return first[0], last[0]


def _page(query: StatementQuery, first: int, last: int) -> tuple[int, int]:
    """The entries between which the rows are, both inclusive."""
    if query.newestFirst:
        return first, min(last, query.afterSeq - 1) if query.afterSeq else last
    return max(first, query.afterSeq + 1), last
