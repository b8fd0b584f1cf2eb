"""Gateways on one log, in threads of a test, and what somebody sees who looks at the log behind their backs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from scalemgr.finance.records import Entry
from scalemgr.ledger.postgres import committing as module
from scalemgr.ledger.postgres.following import Servers
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.ledger.postgres.log import PostgresLog
from scalemgr.ledger.postgres.server import Server
from scalemgr.ledger.projector import ThreadProjector
from scalemgr.ledger.settings import LedgerSettings
from scalemgr.wire.errors import LedgerFailed

from ..helpers import NOW_MS, folded, state

__all__ = ["Truth", "gateway", "outcomeOf", "quick"]


@contextmanager
def gateway(url: str, direct: str = "", **more: Any) -> Iterator[PostgresLedger]:
    """
    One gateway's ledger, for a while.

    @param direct: what is not the commit, and would only confuse, goes there.
    @param more: further settings. Nobody tells it anything, and it does not look, unless they say so.
    """
    settings = LedgerSettings(**{"notify": False, "poll_seconds": 600, "views_url": direct, **more, "url": url})
    views = LedgerSettings(url=direct or url, statement_seconds=60, lock_seconds=60)
    ledger = PostgresLedger(settings, follow=lambda _: ThreadProjector(Servers(views)))
    ledger.open(NOW_MS)
    try:
        yield ledger
    finally:
        ledger.close(None)


def quick(monkeypatch: pytest.MonkeyPatch, doubtS: float = 0.4) -> None:
    """Nobody need wait long until nobody knows."""
    monkeypatch.setattr(module, "_DOUBT_S", doubtS)
    monkeypatch.setattr(module, "_AGAIN_S", 0.02)


def outcomeOf(failed: LedgerFailed) -> str:
    """What may be said of a batch that failed."""
    return str(failed.details.get("outcome"))


class Truth:
    """
    The log, as the server has it.

    @ivar told: what gateways have told, by name, in the order in which they did.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._log: PostgresLog | None = None
        self.told: dict[str, list[Entry]] = {}

    def sql(self, query: str, *values: Any) -> list[Any]:
        """Something said to the server behind the gateways' backs."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def entries(self) -> list[Entry]:
        """All there are; each number once, without a gap."""
        if self._log is None:
            self._log = PostgresLog(Server(self._url, LedgerSettings(url=self._url)), "tests", renews=True)
        entries = [entry for page in self._log.pages(0) for entry in page]
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        return entries

    def keys(self) -> dict[str, int]:
        """By key, where its entry is; none has two."""
        named = [(entry.key, entry.seq) for entry in self.entries() if entry.key is not None]
        assert len(dict(named)) == len(named)
        return dict(named)

    def close(self) -> None:
        """Look no more."""
        if self._log is not None:
            self._log.close()

    def tell(self, name: str, ledger: PostgresLedger) -> list[Entry]:
        """A gateway tells what it has."""
        told = ledger.takeCommitted()
        self.told.setdefault(name, []).extend(told)
        return told

    def agrees(self, name: str, ledger: PostgresLedger) -> None:
        """Its book is what its part of the log makes; and what it told is that part, each entry once, in order."""
        self.tell(name, ledger)
        entries = self.entries()[: ledger.book.seq]
        assert len(entries) == ledger.book.seq
        assert state(ledger.book) == folded(entries)
        assert self.told[name] == entries[-len(self.told[name]) or len(entries) :]
