"""Order numbers, at hand without I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..interfaces import ILedger
from ..wire.errors import LedgerFailed, NoService, Overloaded

__all__ = ["InThread", "Orders"]

#: Calls something that blocks in some thread; a Deferred of its result.
InThread = Callable[..., "Deferred[Any]"]


class Orders:
    """
    Order numbers, from blocks that were set aside durably. A second block is fetched before the first is used up.

    @param blockSize: how many numbers a block has; a crash skips at most two blocks.
    """

    _log = Logger()

    def __init__(self, ledger: ILedger, inLedger: InThread, blockSize: int) -> None:
        self._ledger = ledger
        self._inLedger = inLedger
        self._blockSize = blockSize
        self._next = self._end = 0
        self._spare: int | None = None
        self._fetching = False

    def give(self, first: int) -> None:
        """Here is a block that was set aside."""
        if self._next == self._end:
            self._next, self._end = first, first + self._blockSize
        else:
            self._spare = first

    def take(self) -> int:
        """
        A number that nobody else has or gets.

        @raise NoService: if none is at hand, and the ledger cannot be reached.
        @raise Overloaded: if none is at hand.
        """
        if self._next == self._end:
            if self._spare is None:
                self._fetch()
                if self._ledger.away:
                    raise NoService
                raise Overloaded("no order numbers are at hand; nothing was done")
            self._next, self._end, self._spare = self._spare, self._spare + self._blockSize, None
        order = self._next
        self._next += 1
        self.refill()
        return order

    def refill(self) -> None:
        """Fetch a block if that is due: with each number, and once the ledger can be reached again."""
        if self._spare is None and self._end - self._next < self._blockSize // 2:
            self._fetch()

    def unused(self) -> int | None:
        """The first number from which on none was taken, if the blocks at hand are the last ones."""
        if self._fetching:
            # It may be set aside by now, after a block of another gateway, which was not this one's to return.
            return None
        if self._spare is None:
            return self._next or None
        return self._next if self._end == self._spare else None

    def _fetch(self) -> None:
        # While the ledger cannot be reached, to try would only hold up whoever finds out when it can be.
        if not self._fetching and not self._ledger.away:
            self._fetching = True
            self._inLedger(self._ledger.reserveOrders, self._blockSize).addCallbacks(self._fetched, self._failed)

    def _fetched(self, first: int) -> None:
        self._fetching = False
        self.give(first)

    def _failed(self, failure: Failure) -> None:
        self._fetching = False
        if failure.check(LedgerFailed):
            self._log.critical("no order numbers could be reserved: {why}", why=failure.getErrorMessage())
        else:
            self._log.failure("no order numbers could be reserved", failure)
