"""Questions to views on a server: all of one answer is as of one moment, and in bounded time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection, errors
from psycopg.pq import TransactionStatus

from ...finance.questions import Bounds
from ...interfaces import ITicket
from ..asking import tooMuch
from ..columns import Source
from ..dialect import Dialect
from ..errors import ViewsBehind
from ..ticket import tooLong
from .dialect import POSTGRES, TABLES
from .patience import patient

__all__ = ["PostgresAsked", "checked", "snapshot"]

# How long it may take to tell the server that nobody wants the answer, in seconds.
_CANCEL_S = 2.0
# How much later the server gives up by itself, in seconds, if that cannot be told.
_GRACE_S = 1.0

# Numbers shall be read as the same again; to compile a question would take longer than most of them.
_BEGIN = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL extra_float_digits = 1;
SET LOCAL jit = off;
SET LOCAL statement_timeout = {:d};
SELECT seq FROM view
"""

# So many of the rows as one answer may have bytes, and how many all of them have. What goes by on the way is kept on
# the server's disk if it is much.
_BOUNDED = """
SELECT '[' || coalesce(string_agg(row, ',' ORDER BY n) FILTER (WHERE bytes < ?), '') || ']', coalesce(max(bytes), 0) + 1
FROM (SELECT n, row, sum(octet_length(row) + 1) OVER (ORDER BY n) AS bytes FROM ({}) AS page) AS page
"""


class PostgresAsked:
    """
    Views on a server.

    @ivar floor: how far they must be.
    """

    dialect: Dialect = POSTGRES
    tables: Mapping[str, Source] = TABLES

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self.floor = 0

    @contextmanager
    def bounded(self, bounds: Bounds, ticket: ITicket) -> Iterator[None]:
        # The end of the transaction is out of reach of whatever ends the question.
        begun = snapshot(self._connection, bounds.seconds + _GRACE_S)
        try:
            with begun as row, ticket.running(self._interrupt, bounds.seconds):
                checked(row, self.floor)
                yield
        except errors.QueryCanceled as e:
            ticket.check(bounds.seconds)
            raise tooLong(bounds.seconds) from e

    def _interrupt(self) -> None:
        # If the server cannot be told, it gives up by itself.
        try:
            self._connection.cancel_safe(timeout=_CANCEL_S)
        except psycopg.Error:
            pass

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        return self._connection.execute(_written(sql), values).fetchone()

    def rows(self, sql: str, values: Sequence[Any], bounds: Bounds) -> str:
        rows, size = self.one(_BOUNDED.format(sql), [bounds.bytes, *values])
        if size > bounds.bytes:
            raise tooMuch(bounds)
        return str(rows)


def _written(sql: str) -> bytes:
    """As psycopg takes it."""
    return sql.replace("%", "%%").replace("?", "%s").encode("utf-8")


def checked(row: Any, floor: int) -> int:
    """
    How far views are.

    @param row: begins with what they say of it.
    @raise ViewsBehind: if that is not as far as this, or they say nothing.
    """
    if row is None or row[0] < floor:
        raise ViewsBehind("they are being made again")
    return int(row[0])


@contextmanager
def snapshot(connection: Connection[Any], seconds: float) -> Iterator[Any]:
    """
    A read transaction: all that is read in it is as of one moment. It begins with how far the views are, and until it
    ends nobody empties them.

    @param seconds: that a statement may take; 0: as long as it does.
    """
    with patient(connection, seconds):
        try:
            # It may have begun when what follows fails.
            cursor = connection.execute(_BEGIN.format(int(1000 * seconds)).encode())
            while cursor.nextset():
                pass
            yield cursor.fetchone()
        finally:
            if connection.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
                connection.execute("ROLLBACK")
