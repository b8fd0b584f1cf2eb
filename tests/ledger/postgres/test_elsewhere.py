"""What one gateway has answered holds at the others at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from scalemgr.finance.masks import Sight
from scalemgr.finance.questions import TRADES, Bounds, StatementQuery, TableQuery
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.wire.errors import LedgerFailed

from ..conftest import Logged
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


def test_times_go_forward(two: Two, logged: Logged) -> None:
    """An entry is not before those that it follows, though another gateway's clock is a little ahead."""
    one, other = two
    [first] = one.commit([deposit(1)], NOW_MS + 3000)
    [second] = other.commit([deposit(2)], NOW_MS)
    assert (first.time_ms, second.time_ms) == (NOW_MS + 3000, NOW_MS + 3000)
    assert not logged.has("clock")


def test_clock_that_is_far_ahead(two: Two, logged: Logged) -> None:
    """A clock that is far ahead does not take the others with it; each that sees it says so once."""
    one, other = two
    one.commit([deposit(1)], NOW_MS + 3_600_000)
    times = [other.commit([deposit(n)], NOW_MS + n)[0].time_ms for n in (2, 3)]
    assert times == [NOW_MS + 2, NOW_MS + 3]
    assert len([line for line in logged.lines() if "clock" in line]) == 1


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
