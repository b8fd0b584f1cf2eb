"""What every ledger does alike: settle a batch on its book, keep the entries, then believe them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..finance.book import Book
from ..finance.records import Entry, FinanceTrade
from ..finance.settle import MoveMoney, Outcome, Request, settleBatch

__all__ = ["BaseLedger"]


class BaseLedger:
    """A ledger less its storage."""

    def __init__(self) -> None:
        self.book = Book()
        self._found: list[Entry] = []

    def takeFound(self) -> list[Entry]:
        found, self._found = self._found, []
        return found

    def commit(self, requests: Sequence[Request], nowMs: int) -> list[Outcome]:
        self._found += self._refresh()
        orders = {r.order for r in requests if type(r) is MoveMoney and r.update}
        trades = self._named(orders) if orders else {}
        outcomes, draft = settleBatch(self.book, trades, requests, nowMs)
        entries = [outcome for outcome in outcomes if type(outcome) is Entry]
        if entries:
            self._append(entries)
            self.book.absorb(draft)
            self._appended(entries)
        return outcomes

    def _refresh(self) -> list[Entry]:
        """Fold in what the log has and the book does not."""
        return []

    def _named(self, orders: Iterable[int]) -> dict[int, FinanceTrade]:
        """Those of the trades that exist, as of the last commit."""
        raise NotImplementedError

    def _append(self, entries: list[Entry]) -> None:
        """Make entries durable, all or none; raise L{LedgerFailed} if that fails."""
        raise NotImplementedError

    def _appended(self, entries: list[Entry]) -> None:
        """They are durable, and in the book."""
        raise NotImplementedError
