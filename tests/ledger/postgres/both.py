"""Views on a file and views on a server, that are told the same and asked the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from scalemgr.finance.masks import Sight
from scalemgr.finance.questions import Bounds, StatementQuery, TableQuery
from scalemgr.finance.records import Entry
from scalemgr.ledger.postgres.migrating import migrate
from scalemgr.ledger.postgres.tenure import Tenure
from scalemgr.ledger.postgres.views import PostgresViews
from scalemgr.ledger.views import Views
from scalemgr.wire.errors import ManagerError

from ..scribe import told

TABLES = ("trade", "account", "profile", '"group"', "movement", "key", "digits")


@contextmanager
def opened(url: str, epoch: str | None = "epoch", **more: Any) -> Iterator[PostgresViews]:
    """Views at a URL, whose tables are made if need be."""
    connection = psycopg.connect(url, autocommit=True)
    if not more.get("readOnly"):
        migrate(connection, "views", "the server")
    with closing(PostgresViews(connection, epoch, **more)) as views:
        yield views


class Both:
    """
    @param there: views on a server; they are emptied.
    @ivar here: views in memory.
    """

    def __init__(self, there: PostgresViews) -> None:
        self.there = there
        self.here = Views(":memory:", "epoch")
        Tenure(there._connection).clear("epoch")

    def project(self, entries: list[Entry], *sizes: int) -> None:
        """Fold these in, in batches of these sizes and the rest in one, into both; see that both then keep the same."""
        at = 0
        for size in (*sizes, len(entries)):
            if batch := entries[at : at + size]:
                self.here.project(batch)
                self.there.project(batch)
            at += size
        for table in TABLES:
            assert rows(self.here, f"SELECT * FROM {table}") == rows(self.there, f"SELECT * FROM {table}"), table
        state = "SELECT epoch, seq, forgotten, swept FROM view"
        assert rows(self.here, state) == rows(self.there, state)
        assert self.here.frozen() == self.there.frozen()

    def same(self, ask: Callable[[Any], Any], about: object = None) -> Any:
        """What both say."""
        here, there = ask(self.here), ask(self.there)
        assert here == there, about
        return here

    def table(self, query: TableQuery, sight: Sight, bounds: Bounds) -> Any:
        """What both answer, or how both refuse."""
        return self.same(lambda views: outcome(lambda: views.table(query, sight, bounds)), (query, sight, bounds))

    def statement(self, query: StatementQuery, sight: Sight, bounds: Bounds) -> Any:
        """What both answer, or how both refuse."""
        return self.same(lambda views: outcome(lambda: views.statement(query, sight, bounds)), (query, sight, bounds))


def rows(views: Any, query: str) -> list[tuple[Any, ...]]:
    """What is kept; a truth is a number, as SQLite has it."""
    found = views._connection.execute(query).fetchall()
    return sorted(tuple(int(value) if isinstance(value, bool) else value for value in row) for row in found)


def outcome(ask: Callable[[], Any]) -> Any:
    """An answer with its rows read, numbers by their kind; or what a client is told instead."""
    try:
        found = ask()
    except ManagerError as e:
        return type(e).__name__, e.code, e.message, e.details
    if found is None:
        return None
    facts = {name: getattr(found, name) for name in found.__struct_fields__}
    text = facts.pop("rows")
    # A double may be written in more ways than one if it has an exponent; all else is the same text.
    return repr(facts), repr(told(text)), None if "e-" in text or "e+" in text else str(text)
