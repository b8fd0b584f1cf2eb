"""Questions with filters, put to one connection: all of one answer is as of one moment, and in bounded time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import ujson

from ..finance.masks import Sight
from ..finance.money import fromMinor
from ..finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from ..interfaces import ITicket
from ..wire.errors import InvalidData
from ..wire.messages import safe
from .columns import TABLES, Source, statementOf
from .database import snapshot
from .dialect import SQLITE, Dialect
from .query import TableSql, digits, names

__all__ = ["Asked", "SqliteAsked", "askStatement", "askTable", "tooMuch"]

# An interrupt that comes between two statements is lost; so often, in steps of SQLite's machine, it is looked for.
_STEPS = 1_000_000


class Asked(Protocol):
    """
    A connection to views, to ask.

    @ivar dialect: what it understands.
    @ivar tables: what can be asked for, in that.
    """

    dialect: Dialect
    tables: Mapping[str, Source]

    def bounded(self, bounds: Bounds, ticket: ITicket) -> AbstractContextManager[None]:
        """What is read in here is as of one moment, and takes no longer than it may: else, L{LedgerFailed}."""

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row, if there is one."""

    def rows(self, sql: str, values: Sequence[Any], bounds: Bounds) -> str:
        """A page, as JSON; L{tooMuch} if that has more bytes than it may."""


def tooMuch(bounds: Bounds) -> InvalidData:
    """What is told to whoever asks for so much."""
    return InvalidData(f"the answer would have more than {bounds.bytes / 2**20:.3g} MiB: ask for less at a time")


class SqliteAsked:
    """Views that are a file."""

    dialect = SQLITE
    tables: Mapping[str, Source] = TABLES

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @contextmanager
    def bounded(self, bounds: Bounds, ticket: ITicket) -> Iterator[None]:
        connection = self._connection
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

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        return self._connection.execute(sql, values).fetchone()

    def rows(self, sql: str, values: Sequence[Any], bounds: Bounds) -> str:
        connection = self._connection
        before = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, bounds.bytes)
        try:
            (rows,) = connection.execute(sql, values).fetchone()
        except sqlite3.Error as e:
            if getattr(e, "sqlite_errorname", "") != "SQLITE_TOOBIG":
                raise
            raise tooMuch(bounds) from None
        finally:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)
        return str(rows)


def askTable(asked: Asked, query: TableQuery, sight: Sight, bounds: Bounds, ticket: ITicket) -> Table:
    """
    Rows of a table.

    @raise InvalidData: if the question is wrong.
    @raise LedgerFailed: if it takes too long, or is called off.
    """
    source, dialect = asked.tables[query.table], asked.dialect
    with asked.bounded(bounds, ticket):
        known = (ujson.loads(asked.one(sql(dialect))[0]) for sql in (names, digits))
        sql = TableSql(source, query, sight, bounds, *known)
        ticket.check(bounds.seconds)
        count, *sums = asked.one(*sql.count())
        all = asked.one(f"SELECT count(*) FROM {source.rows}")[0] if dialect.steers else 0
        ticket.check(bounds.seconds)
        rows = asked.rows(*sql.page(count, all), bounds)
        (seq,) = asked.one("SELECT seq FROM view")
    return Table(seq, sql.structure, safe(rows), count, sql.totals(sums))


# The account, its decimals and what they are worth.
_WHOSE = 'SELECT "group", currency, digits FROM account WHERE login = ?'
_FIRST = "SELECT seq FROM movement WHERE login = ? AND time_ms >= ? ORDER BY seq LIMIT 1"
_LAST = "SELECT seq FROM movement WHERE login = ? AND seq <= ? AND time_ms < ? ORDER BY seq DESC LIMIT 1"
_AS_OF = "SELECT balance, credit FROM movement WHERE login = ? AND seq <= ? ORDER BY seq DESC LIMIT 1"
_COUNT = (
    "SELECT count(*), count(*) FILTER (WHERE seq BETWEEN ? AND ?) FROM movement WHERE login = ? AND seq BETWEEN ? AND ?"
)
_FOUND = "SELECT seq AS id FROM movement WHERE login = ? AND seq BETWEEN ? AND ? ORDER BY seq {} LIMIT ?"
# Beyond all that is ever numbered or timed.
_EVER = 2**62


def askStatement(
    asked: Asked, query: StatementQuery, sight: Sight, bounds: Bounds, ticket: ITicket
) -> Statement | None:
    """
    What moved on an account; C{None} if there never was one, or it is not to be seen.

    @raise InvalidData: if the question is wrong.
    @raise LedgerFailed: if it takes too long, or is called off.
    """
    if query.limit is not None and not 1 <= query.limit <= bounds.rows:
        raise InvalidData(f"expected 1 to {bounds.rows}", field="limit")
    ask = asked.one
    with asked.bounded(bounds, ticket):
        (seq,) = ask("SELECT seq FROM view")
        if query.asOf is not None and query.asOf > seq:
            raise InvalidData(f"the log has {seq} entries", field="as_of")
        seq = seq if query.asOf is None else query.asOf
        login = query.login
        whose = ask(_WHOSE, (login,))
        if whose is None or not sight.balances or not sight.covers(whose[0], login):
            return None
        group, currency, digits = whose
        first, last = _range(ask, query, seq)
        begin, end = _page(query, first, last)
        count, more = ask(_COUNT, (begin, end, login, first, last))
        if query.limit is None and more > bounds.rows:
            raise InvalidData(
                f"{more} rows match, one answer has at most {bounds.rows}: use limit, and after_seq for the next page",
                field="limit",
            )
        columns = statementOf(asked.dialect, digits)
        row = asked.dialect.array([column.json for column in columns.values()])
        found = _FOUND.format("DESC" if query.newestFirst else "ASC")
        page = asked.dialect.page(row, found, "movement AS m", "m.seq")
        ticket.check(bounds.seconds)
        rows = asked.rows(page, (login, begin, end, query.limit or bounds.rows), bounds)
        opening = ask(_AS_OF, (login, first - 1)) or (0, 0)
        closing = ask(_AS_OF, (login, max(last, first - 1))) or (0, 0)
    return Statement(
        login,
        group,
        currency,
        seq,
        (fromMinor(opening[0], digits), fromMinor(opening[1], digits)),
        (fromMinor(closing[0], digits), fromMinor(closing[1], digits)),
        list(columns),
        safe(rows),
        count,
    )


def _range(ask: Callable[..., Any], query: StatementQuery, seq: int) -> tuple[int, int]:
    """The first and the last entry; the first is after the last if there is nothing between."""
    login, toMs = query.login, _EVER if query.toS is None else (query.toS + 1) * 1000
    last = ask(_LAST, (login, seq, toMs))
    first = ask(_FIRST, (login, query.fromS * 1000))
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
