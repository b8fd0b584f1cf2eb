"""A ledger that forgets everything when it is closed: for tests, trials, and scripts that want a dry run."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from threading import Lock
from typing import Any
from uuid import uuid4
from weakref import finalize

from zope.interface import implementer

from ..finance.masks import Sight
from ..finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from ..finance.records import Entry, FinanceTrade, StoredAccount
from ..finance.requests import KeyName
from ..interfaces import ILedger, ITicket, Progress, Storage
from .base import BaseLedger
from .views import Views

__all__ = ["MemoryLedger"]


@implementer(ILedger)
class MemoryLedger(BaseLedger):
    """The log is a list; the views follow it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = uuid4().hex
        self._entries: list[Entry] = []
        self._keys: dict[KeyName, Entry] = {}
        self._nextOrder = 1
        self._views = Views(":memory:", self.epoch)
        # Whoever drops a dry run need not close it.
        finalize(self, self._views.close)
        # The views are written by one thread and read by another, over one connection.
        self._lock = Lock()

    def open(self, nowMs: int) -> None:
        """There is nothing to open."""

    def close(self, nextOrder: int | None) -> None:
        with self._lock:
            self._views.close()

    @property
    def progress(self) -> Progress:
        return Progress(self.book.seq)

    def storage(self) -> Storage:
        return Storage()

    def reserveOrders(self, count: int) -> int:
        first = self._nextOrder
        self._nextOrder += count
        return first

    def entries(self, after: int, limit: int) -> list[Entry]:
        return self._entries[after : after + limit]

    def trade(self, order: int) -> tuple[FinanceTrade, str] | None:
        with self._lock:
            return self._views.trade(order)

    def account(self, login: int) -> StoredAccount | None:
        with self._lock:
            return self._views.account(login)

    def table(self, query: TableQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None) -> Table:
        with self._lock:
            return self._views.table(query, sight, bounds, ticket)

    def statement(
        self, query: StatementQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None
    ) -> Statement | None:
        with self._lock:
            return self._views.statement(query, sight, bounds, ticket)

    def forgettable(self, beforeMs: int, limit: int) -> int:
        upTo = self.book.forgotten
        keyed = (entry for entry in self._entries[upTo:] if entry.key is not None)
        for entry in islice(keyed, limit):
            if entry.time_ms >= beforeMs:
                break
            upTo = entry.seq
        return upTo

    def _keyed(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        return {name: self._keys[name] for name in names if name in self._keys}

    def _named(self, orders: Collection[int]) -> dict[int, FinanceTrade]:
        with self._lock:
            return self._views.trades(orders)

    def _profiles(self, logins: Collection[int]) -> dict[int, dict[str, Any]]:
        with self._lock:
            return self._views.profiles(logins)

    def _append(self, entries: list[Entry]) -> None:
        with self._lock:
            self._views.project(entries)
            self._entries += entries

    def _appended(self, entries: list[Entry]) -> None:
        # The views have them already.
        self._keys.update({(e.principal, e.key): e for e in entries if e.key is not None})
