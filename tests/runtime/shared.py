"""A ledger that others write, too, and that can be away; and a daemon on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.money import readAmount
from scalemgr.finance.records import Entry
from scalemgr.finance.requests import Cause, KeyName, MoveMoney, Request
from scalemgr.finance.settle import settleBatch
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.wire.codes import TradeCommand
from scalemgr.wire.errors import LedgerFailed

from ..helpers import NOW_MS, SYSTEM, Daemon, WatchedLedger

GONE = "connection refused"
# The first of the orders that others have.
_OTHERS = 1_000_001


class SharedLedger(WatchedLedger):
    """
    In memory. What others write is there at the next commit, before what that one adds.

    @ivar isShared: it is.
    @ivar gone: nothing can be done with it; C{away} says so, for so long or from the next call on.
    @ivar calls: how often it was asked to commit something, or nothing.
    @ivar wake: what it was given to call.
    @ivar renounced: the keys of which this one has told that there is nothing.
    """

    isShared = True

    def __init__(self) -> None:
        super().__init__()
        self.gone = False
        self.calls = 0
        self.wake: Callable[[], None] = lambda: None
        self.renounced: list[KeyName] = []
        self._byOthers: list[Request] = []
        self._othersRenounce: set[KeyName] = set()
        self._seen: set[KeyName] = set()
        self._read = 0

    def follow(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def goAway(self, *, said: bool = True) -> None:
        """
        It cannot be reached any more.

        @param said: does it know already, and call?
        """
        self.gone = True
        if said:
            self.away = GONE
            self.wake()

    def comeBack(self, *, said: bool = True) -> None:
        """It can be reached again; see C{goAway}."""
        self.gone = False
        if said:
            self.away = ""
            self.wake()

    def byOthers(self, cents: int, key: str | None = None) -> int:
        """Somebody else books a deposit on 1001, by this key of C{crm}'s; its order. It does not call."""
        order = _OTHERS + len(self._byOthers)
        cause = SYSTEM if key is None else Cause("crm", EVERYTHING, key)
        self._byOthers.append(MoveMoney(cause, TradeCommand.OP_BALANCE_IN, 1001, readAmount(cents / 100), order))
        return order

    def othersRenounce(self, key: str) -> None:
        """Somebody else tells that there is nothing with this key of C{crm}'s. It does not call."""
        self._othersRenounce.add(("crm", key))

    def renounce(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        found = self.keyed(names)
        self.renounced += sorted(names)
        return found

    def takeRenounced(self) -> Collection[KeyName]:
        seen, self._seen = self._seen, set()
        return seen

    def _dropped(self, requests: Sequence[Request], isOver: Callable[[int], bool] | None) -> Collection[int]:
        return {i for i, r in enumerate(requests) if (isOver and isOver(i)) or r.cause.name in self._seen}

    def _refresh(self) -> list[Entry]:
        self.calls += 1
        self._check()
        self._seen |= self._othersRenounce
        self._othersRenounce.clear()
        fresh = self._byOthers[self._read :]
        self._read = len(self._byOthers)
        if not fresh:
            return []
        _, draft = settleBatch(self.book, {}, {}, fresh, NOW_MS, {})
        MemoryLedger._append(self, draft.entries)
        self.book.absorb(draft)
        self._appended(draft.entries)
        return draft.entries

    def reserveOrders(self, count: int) -> int:
        self._check()
        return super().reserveOrders(count)

    def keyed(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        self._check()
        return super().keyed(names)

    def _check(self) -> None:
        if self.gone:
            self.away = GONE
            raise LedgerFailed("it is not there", outcome="void")
        self.away = ""


def shared(**more: Any) -> tuple[Daemon, SharedLedger]:
    """A daemon on such a ledger, which wakes it."""
    ledger = SharedLedger()
    daemon = Daemon(ledger=ledger, **more)
    ledger.follow(daemon.runtime.wake)
    return daemon, ledger
