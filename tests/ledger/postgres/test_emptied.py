"""Views that are made again while somebody asks them: nobody takes what they do not have yet for what there is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from scalemgr.finance.masks import Sight
from scalemgr.finance.questions import TRADES, Bounds, StatementQuery, TableQuery
from scalemgr.finance.records import Entry
from scalemgr.ledger.postgres.migrating import migrate
from scalemgr.ledger.postgres.tenure import Tenure
from scalemgr.ledger.postgres.views import PostgresViews

from ..scribe import Scribe

BOUNDS = Bounds()
QUESTIONS: dict[str, Callable[[PostgresViews], Any]] = {
    "trade": lambda views: views.trade(1),
    "trades": lambda views: views.trades([1]),
    "keyed": lambda views: views.keyed([("crm", "k")]),
    "account": lambda views: views.account(1001),
    "profiles": lambda views: views.profiles([1001]),
    "table": lambda views: views.table(TableQuery(table=TRADES, columns=("order",)), Sight(), BOUNDS),
    "statement": lambda views: views.statement(StatementQuery(login=1001), Sight(), BOUNDS),
}
each = pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS.keys())


class Both:
    """
    Who makes views, and who asks them.

    @ivar maker: empties and fills.
    @ivar reader: has asked how far they are, when they had all.
    """

    def __init__(self, url: str) -> None:
        self.connections = [psycopg.connect(url, autocommit=True) for _ in range(2)]
        migrate(self.connections[0], "views", "here")
        scribe = Scribe(says=True).story()
        first = next(entry for entry in scribe.entries if entry.order == 1)
        keyed = Entry(**{**{name: getattr(first, name) for name in Entry.__struct_fields__}, "key": "k"})
        self.entries = [keyed if entry is first else entry for entry in scribe.entries]
        self.maker = PostgresViews(self.connections[0], "epoch")
        self.tenure = Tenure(self.connections[0])
        self.reader = PostgresViews(self.connections[1], "epoch", readOnly=True)
        self.maker.project(self.entries)
        assert self.reader.seq() == self.entries[-1].seq

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


@pytest.fixture
def both(postgresUrl: str) -> Iterator[Both]:
    """Views with something of everything."""
    both = Both(postgresUrl)
    try:
        yield both
    finally:
        both.close()


@each
def test_emptiedMeanwhile(both: Both, ask: Callable[[PostgresViews], Any]) -> None:
    """Whoever has seen how far they are, and asks when they are less, is refused until they are as far again."""
    before = ask(both.reader)
    assert before
    both.tenure.clear("epoch")
    with pytest.raises(ValueError, match="made again"):
        ask(both.reader)
    both.maker.project(both.entries[:-1])
    with pytest.raises(ValueError, match="made again"):
        ask(both.reader)
    both.maker.project(both.entries[-1:])
    assert ask(both.reader) == before


@each
def test_emptiedJustNow(both: Both, ask: Callable[[PostgresViews], Any]) -> None:
    """A question that comes in the middle of that waits for it, and then does not answer from what is not there."""
    failed: list[Exception] = []

    def question() -> None:
        try:
            failed.append(AssertionError(ask(both.reader)))
        except Exception as e:
            failed.append(e)

    thread = threading.Thread(target=question)
    with both.maker.turn():
        both.tenure.clear("epoch")
        thread.start()
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s"
        pid = both.connections[1].info.backend_pid
        while not both.connections[0].execute(waits.encode(), [pid]).fetchall():
            assert thread.is_alive()
    thread.join(30)
    assert [str(e) for e in failed] == ["they are being made again"]


def test_noneThere(both: Both) -> None:
    """Views that say nothing of how far they are answer nothing."""
    both.connections[0].execute("DELETE FROM view")
    for ask in [PostgresViews.seq, *QUESTIONS.values()]:
        with pytest.raises(ValueError, match="made again"):
            ask(both.reader)
