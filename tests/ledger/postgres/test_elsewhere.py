"""What one gateway has answered holds at the others at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from scalemgr.finance.masks import Sight
from scalemgr.finance.questions import TRADES, Bounds, StatementQuery, TableQuery
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.wire.errors import LedgerFailed

from ..helpers import NOW_MS, commit, deposit, populate
from ..keys import A, keyed
from .gateways import gateway
from .proxy import Proxy

Two = tuple[PostgresLedger, PostgresLedger]


@pytest.fixture
def two(postgresUrl: str) -> Iterator[Two]:
    """Two gateways on one populated log, of which neither is told what the other does."""
    with gateway(postgresUrl) as one, gateway(postgresUrl) as other:
        populate(one)
        other.commit([], NOW_MS)
        yield one, other


def test_read_elsewhere(two: Two) -> None:
    """Whoever was answered by one gateway finds what was done when he asks another one."""
    one, other = two
    for n in range(1, 6):
        commit(one, deposit(n, 100))
        found = other.trade(n)
        assert found is not None
        assert (found[0].order, found[1]) == (n, "demo")
        assert (account := other.account(1001)) is not None
        assert account.account.balance == n * 100
        assert other.table(TableQuery(table=TRADES, columns=("order",)), Sight(), Bounds()).count == n
        assert (statement := other.statement(StatementQuery(login=1001), Sight(), Bounds())) is not None
        assert (statement.seq, statement.count) == (one.book.seq, n)
    assert other.book.seq < one.book.seq
    assert other.trade(6) is None


def test_views_away(postgresUrl: str) -> None:
    """Without the views nothing that has a key could be booked: then the ledger is away, until they are there again."""
    with closing(Proxy(postgresUrl)) as proxy, gateway(postgresUrl, views_url=proxy.url()) as ledger:
        populate(ledger)
        order = ledger.reserveOrders(3)
        with proxy.away():
            with pytest.raises(LedgerFailed) as failed:
                ledger.commit([keyed(order, A)], NOW_MS)
            assert failed.value.details == {"outcome": "void"}
            assert "the views cannot be read" in ledger.away
            with pytest.raises(LedgerFailed):
                ledger.commit([], NOW_MS)
            assert ledger.away
        ledger.commit([], NOW_MS)
        assert ledger.away == ""
        [booked] = commit(ledger, keyed(order + 1, A))
        assert booked.order == order + 1
