"""Tables and statements may be read where they are a moment old; all else is read where it is as of now."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from msgspec.structs import replace

from scalemgr.finance.masks import Sight
from scalemgr.finance.questions import TRADES, Bounds, Statement, StatementQuery, TableQuery
from scalemgr.ledger.postgres.following import Servers
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.ledger.postgres.migrating import migrate
from scalemgr.ledger.postgres.views import PostgresViews
from scalemgr.ledger.projector import ThreadProjector
from scalemgr.ledger.settings import LedgerSettings

from ...postgres import ledgerUrl
from ..conftest import Logged
from ..helpers import NOW_MS, depositEach, populate

TABLE = TableQuery(table=TRADES, columns=("order",))
# One deposit of the three is in.
BEHIND = 6


class Replicated:
    """
    A ledger with three deposits, and a replica that is behind.

    @ivar replica: where that is.
    """

    def __init__(self, url: str, replica: str) -> None:
        self.replica = replica
        settings = LedgerSettings(url=url)
        first = self._opened(settings)
        depositEach(populate(first), 100, 200, 300)
        with psycopg.connect(replica, autocommit=True) as connection:
            migrate(connection, "views", "the replica")
            PostgresViews(connection, first.epoch).project(first.entries(0, BEHIND))
        first.close(None)
        self.ledger = self._opened(replace(settings, read_url=replica))

    def _opened(self, settings: LedgerSettings) -> PostgresLedger:
        ledger = PostgresLedger(settings, follow=lambda settings: ThreadProjector(Servers(settings)))
        ledger.open(NOW_MS)
        return ledger

    def statement(self, asOf: int | None = None) -> Statement:
        statement = self.ledger.statement(StatementQuery(login=1001, asOf=asOf), Sight(), Bounds())
        assert statement is not None
        return statement


@pytest.fixture
def replicated(postgresServer: str) -> Iterator[Replicated]:
    """A ledger whose tables and statements are read from a replica."""
    with ledgerUrl(postgresServer) as url, ledgerUrl(postgresServer) as replica:
        replicated = Replicated(url, replica)
        yield replicated
        replicated.ledger.close(None)


def test_saysAsOfWhich(replicated: Replicated) -> None:
    """What is read from a replica is as of the entry that it says, and does not wait for the log's end."""
    table = replicated.ledger.table(TABLE, Sight(), Bounds())
    assert (table.seq, table.count) == (BEHIND, 1)
    statement = replicated.statement()
    assert (statement.seq, statement.closing) == (BEHIND, (1.0, 0.0))


def test_whatIsAsOfNow(replicated: Replicated) -> None:
    """Accounts, trades, and a statement as of an entry that somebody names are not read from a replica."""
    ledger = replicated.ledger
    assert (account := ledger.account(1001)) is not None
    assert account.account.balance == 600
    assert ledger.trade(3) is not None
    statement = replicated.statement(ledger.book.seq)
    assert (statement.seq, statement.closing) == (ledger.book.seq, (6.0, 0.0))


def test_replicaThatIsGone(replicated: Replicated, logged: Logged) -> None:
    """If a replica cannot be read, what is kept up is, which is said once, and again when it can be read."""
    ledger = replicated.ledger
    assert ledger.table(TABLE, Sight(), Bounds()).count == 1
    with psycopg.connect(replicated.replica, autocommit=True) as connection:
        connection.execute("ALTER TABLE view RENAME TO hidden")
        assert [ledger.table(TABLE, Sight(), Bounds()).count for _ in range(3)] == [3, 3, 3]
        assert replicated.statement().seq == ledger.book.seq
        connection.execute("ALTER TABLE hidden RENAME TO view")
    assert ledger.table(TABLE, Sight(), Bounds()).count == 1
    said = [line for line in logged.lines() if "replica" in line]
    assert [line.split(" (")[0] for line in said] == ["the replica cannot be read", "the replica can be read again"]
    assert ledger.progress.failing == ""


def test_replicaOfAnotherLog(replicated: Replicated, logged: Logged) -> None:
    """A replica that has views of another log is not believed."""
    with psycopg.connect(replicated.replica, autocommit=True) as connection:
        connection.execute("UPDATE view SET epoch = 'another'")
    assert replicated.ledger.table(TABLE, Sight(), Bounds()).count == 3
    assert logged.has("the replica cannot be read", "another log")
