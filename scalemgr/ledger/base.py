"""What every ledger does alike: settle a batch on its book, keep the entries, then believe them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..finance.book import Book
from ..finance.records import Entry, FinanceTrade
from ..finance.requests import KeyName, Request
from ..finance.settle import Outcome, settleBatch
from ..wire.codes import RetCode
from ..wire.errors import LedgerFailed

__all__ = ["BaseLedger"]

_BROKEN = "a bug has struck in the middle of a commit; nothing can be done until the daemon is started again"


class BaseLedger:
    """
    A ledger less its storage.

    @ivar isShared: may others write to it, too? Never to what is our own.
    @ivar away: why that cannot be reached now; empty, as always where it is our own: it can be.
    @ivar lost: why nothing more can become of this one, whatever happens; empty: it goes on.
    """

    isShared = False
    away = lost = ""

    def __init__(self) -> None:
        self.book = Book()
        # Committed, and not taken by those who tell everybody.
        self._untold: list[Entry] = []
        self._broken = False

    def follow(self, wake: Callable[[], None]) -> None:
        """Nobody else writes to what is our own."""

    def takeCommitted(self) -> list[Entry]:
        entries, self._untold = self._untold, []
        return entries

    def commit(
        self, requests: Sequence[Request], nowMs: int, isOver: Callable[[int], bool] | None = None
    ) -> list[Outcome]:
        if self._broken:
            raise LedgerFailed(_BROKEN, outcome="void")
        self._untold += self._refresh()
        dropped = self._dropped(requests, isOver)
        if not dropped:
            return self._settle(requests, nowMs)
        settled = iter(self._settle([r for i, r in enumerate(requests) if i not in dropped], nowMs))
        return [_renounced() if i in dropped else next(settled) for i in range(len(requests))]

    def _settle(self, requests: Sequence[Request], nowMs: int) -> list[Outcome]:
        orders = {order for r in requests if (order := r.existing)}
        trades = self._named(orders) if orders else {}
        names = {name for r in requests if (name := r.cause.name) is not None}
        known = self._known(names) if names else {}
        logins = {login for r in requests if (login := r.changes)}
        profiles = self._profiles(logins) if logins else {}
        outcomes, draft = settleBatch(self.book, trades, known, requests, nowMs, profiles)
        entries = draft.entries
        if entries:
            self._append(entries)
            with self._folding():
                self.book.absorb(draft)
                self._appended(entries)
            self._untold += entries
        return outcomes

    @contextmanager
    def _folding(self) -> Iterator[None]:
        """What is in the log is taken in. If that fails the book is neither as it was nor as it should be."""
        try:
            yield
        except BaseException:
            # Not before: others may ask meanwhile, and nothing is wrong.
            self._broken = True
            raise

    def keyed(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        if self._broken:
            raise LedgerFailed(_BROKEN)
        return self._unforgotten(self._keyed(names))

    def _unforgotten(self, found: Mapping[KeyName, Entry]) -> dict[KeyName, Entry]:
        return {name: entry for name, entry in found.items() if entry.seq > self.book.forgotten}

    def renounce(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        # Nobody else writes.
        return self.keyed(names)

    def takeRenounced(self) -> Collection[KeyName]:
        return ()

    def _dropped(self, requests: Sequence[Request], isOver: Callable[[int], bool] | None) -> Collection[int]:
        """The numbers of those of which nothing may come: it is this ledger's turn to write."""
        return ()

    def _keyed(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        """The entries of these keys, forgotten or not; raise L{LedgerFailed} if they cannot be looked up."""
        raise NotImplementedError

    def _known(self, names: Collection[KeyName]) -> Mapping[KeyName, Entry]:
        """The same for a commit: its C{get} may raise L{LedgerFailed} for a key that cannot be looked up."""
        return self._keyed(names)

    def _refresh(self) -> list[Entry]:
        """Fold in what the log has and the book does not."""
        return []

    def _named(self, orders: Collection[int]) -> Mapping[int, FinanceTrade]:
        """Those of the trades that exist, as of the last commit."""
        raise NotImplementedError

    def _profiles(self, logins: Collection[int]) -> Mapping[int, dict[str, Any]]:
        """
        All that is known of those of the accounts that exist, as of the last commit, with their passwords' hashes;
        its C{get} may raise L{LedgerFailed} for one that cannot be looked up.
        """
        raise NotImplementedError

    def _append(self, entries: list[Entry]) -> None:
        """Make entries durable, all or none; raise L{LedgerFailed} if that fails."""
        raise NotImplementedError

    def _appended(self, entries: list[Entry]) -> None:
        """They are durable, and in the book."""
        raise NotImplementedError


def _renounced() -> LedgerFailed:
    return LedgerFailed(
        "this was given up: its time was up, or another gateway has told that it was not booked; nothing was done",
        RetCode.RET_ERR_CANCEL,
        outcome="void",
    )
