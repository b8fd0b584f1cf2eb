"""The views on a PostgreSQL server: what L{scalemgr.ledger.views.Views} is on a file, and answers alike.

One gateway at a time projects, see L{scalemgr.ledger.postgres.tenure}; that two do it by mistake costs one of them a
C{ValueError}, and harms nothing. Any number of gateways ask, each over connections of its own.

Who projects may empty them at any time, to begin again. What has asked how far they are (L{PostgresViews.seq}), or
knows how far they must be (L{PostgresViews.demand}), must not take what it is not told then for what there is not: each
answer is checked, as of its own moment, to come from views that are as far at least.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import ujson
from psycopg import Connection
from psycopg.pq import TransactionStatus
from twisted.logger import Logger

from ...finance.masks import Sight
from ...finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from ...finance.records import Account, Entry, FinanceTrade, Group, StoredAccount
from ...finance.requests import KeyName
from ...interfaces import ITicket
from ..asking import askStatement, askTable
from ..frozen import Frozen, freeze
from ..ticket import Ticket
from .asking import PostgresAsked, checked, snapshot
from .filling import askKeys, fill
from .patience import patient
from .server import isCut
from .tenure import TABLES

__all__ = ["PostgresViews"]

_log = Logger()

# So many rows at a time are read of what may be long.
_PIECE = 10_000
# How long one statement of a turn may take, in milliseconds.
_TURN_MS = 600_000


class PostgresViews:
    """
    One connection to the views of one log, whose tables are there. Any thread may use it, one at a time.

    @param connection: in autocommit mode. It is closed with these.
    @param epoch: the log's; C{None} to take what the views say.
    @param readOnly: nothing is written, not even that these are views of this log, if they are of none yet.
    @raise psycopg.Error: from any method, if the server does not do it.
    @raise ValueError: if the views are of another log.
    """

    def __init__(self, connection: Connection[Any], epoch: str | None = None, *, readOnly: bool = False) -> None:
        self._connection = connection
        self._asked = PostgresAsked(connection)
        try:
            if epoch is not None and not readOnly:
                connection.execute(
                    "INSERT INTO view (id, epoch, seq) VALUES (1, %s, 0) ON CONFLICT DO NOTHING", [epoch]
                )
            row = connection.execute("SELECT epoch FROM view").fetchone()
            if row is None or epoch not in (None, row[0]):
                raise ValueError("these are views of another log")
        except BaseException:
            connection.close()
            raise

    @property
    def closed(self) -> bool:
        """Is the connection closed, by whichever end?"""
        return isCut(self._connection)

    def seq(self) -> int:
        """
        The last entry that is in.

        @raise ViewsBehind: from here and all questions, if the views have none, or less than when this was called last.
        """
        self._asked.floor = 0
        row = self._connection.execute("SELECT seq FROM view").fetchone()
        self._asked.floor = seq = checked(row, 0)
        return seq

    def demand(self, floor: int) -> None:
        """As L{seq}, for who knows how far they must be: nothing is asked, but each answer says whether they are."""
        self._asked.floor = floor

    def check(self, *, thorough: bool = True) -> None:
        """
        Look for damage, which is the server's to find: is there every table?

        @raise psycopg.Error: if there is not.
        """
        for table in TABLES:
            self._connection.execute(f"SELECT 1 FROM {table} LIMIT 1".encode())

    @contextmanager
    def turn(self) -> Iterator[None]:
        """All that is projected in here is seen at its end, together."""
        with patient(self._connection, _TURN_MS / 1000), self._connection.transaction():
            # What a crash of the server takes of the latest turns is projected again.
            self._connection.execute("SET LOCAL synchronous_commit = off")
            # To sweep out keys is to read them all, and nobody waits.
            self._connection.execute(f"SET LOCAL statement_timeout = {_TURN_MS}")
            yield

    def project(self, entries: list[Entry]) -> None:
        """Fold in the entries that follow the last one that is in: in a turn, or as one."""
        with self._transaction():
            twice = fill(self._connection, entries)
        if twice:
            self._accuse(twice)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._connection.info.transaction_status == TransactionStatus.IDLE:
            with self.turn():
                yield
        else:
            yield

    def _accuse(self, twice: list[tuple[str, str, int]]) -> None:
        """A key was used twice: what must never be has happened, and is in the log for good. The first one counts."""
        first = self.keyed([(principal, key) for principal, key, _ in twice])
        for principal, key, seq in twice:
            _log.critical(
                "the key {key!r} of {principal} has two entries, {first} and {second}: it was applied twice",
                key=key,
                principal=principal,
                first=first[principal, key],
                second=seq,
            )

    def trade(self, order: int) -> tuple[FinanceTrade, str] | None:
        """A trade and the name of its group."""
        rows = self._ask('SELECT data, "group" FROM trade WHERE "order" = %s', order)
        return (FinanceTrade.fromData(ujson.loads(rows[0][0])), rows[0][1]) if rows else None

    def trades(self, orders: Iterable[int]) -> dict[int, FinanceTrade]:
        """Those trades that exist, by order."""
        rows = self._ask('SELECT data FROM trade WHERE "order" = ANY(%s)', list(orders))
        trades = (FinanceTrade.fromData(ujson.loads(data)) for (data,) in rows)
        return {trade.order: trade for trade in trades}

    def keyed(self, names: Collection[KeyName]) -> dict[KeyName, int]:
        """Those of the idempotency keys that were used, each with its entry."""
        sql, values = askKeys(names)
        return {(principal, key): seq for principal, key, seq in self._ask(sql, *values)}

    def account(self, login: int) -> StoredAccount | None:
        """An account as it is, unless it is deleted."""
        rows = self._ask(
            'SELECT a."group", a.enable, a.balance, a.credit, a.balance_version, a.pending,'
            " a.currency, a.digits, p.record, g.record"
            ' FROM account a JOIN profile p USING (login) JOIN "group" g USING ("group")'
            " WHERE login = %s AND NOT a.deleted",
            login,
        )
        if not rows:
            return None
        *facts, currency, digits, record, groupRecord = rows[0]
        profile = ujson.loads(record)
        profile.pop("password_hash", None)
        floor = ujson.loads(groupRecord).get("floor", 0)
        account = Account(login, *facts)
        return StoredAccount(account, Group(account.group, currency, digits, floor, record=groupRecord), profile)

    def profiles(self, logins: Iterable[int]) -> dict[int, dict[str, Any]]:
        """All that is known of those accounts that exist, by login; with the password's hash."""
        rows = self._ask(
            "SELECT login, record FROM account JOIN profile USING (login) WHERE login = ANY(%s) AND NOT deleted",
            list(logins),
        )
        return {login: ujson.loads(record) for login, record in rows}

    def table(self, query: TableQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None) -> Table:
        """Rows of a table: L{ILedger.table}."""
        return askTable(self._asked, query, sight, bounds, ticket or Ticket())

    def statement(
        self, query: StatementQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None
    ) -> Statement | None:
        """What moved on an account: L{ILedger.statement}."""
        return askStatement(self._asked, query, sight, bounds, ticket or Ticket())

    def frozen(self) -> Frozen:
        """What an audit compares, as of one moment."""
        with snapshot(self._connection, 0):
            return freeze(self._pieces)

    def _pieces(self, sql: str) -> Iterator[tuple[Any, ...]]:
        with self._connection.cursor(name=f"pieces_{uuid4().hex}") as cursor:
            cursor.itersize = _PIECE
            yield from cursor.execute(sql.encode())

    def _ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a question, the first column of which is never null."""
        # One statement, so of one moment: both tables are locked before it looks at either.
        question = f"SELECT v.seq, q.* FROM view AS v LEFT JOIN ({sql}) AS q ON true WHERE v.id = 1"
        rows = self._connection.execute(question.encode(), values).fetchall()
        checked(rows[0] if rows else None, self._asked.floor)
        return [row[1:] for row in rows if row[1] is not None]

    def close(self) -> None:
        """Let go."""
        self._connection.close()
