"""What a command gets to work with."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from ..finance.money import Currencies
from ..finance.records import Entry, FinanceTrade, StoredAccount
from ..finance.settle import Cause, Request
from ..interfaces import IContext, ILedger, IPrincipal, ISubmission
from ..runtime.mainloop import InThread, TradingRuntime
from ..runtime.waiters import Awaited, Waiters
from ..wire.messages import ExtID

__all__ = ["Context", "House"]


class House(Struct, frozen=True):
    """
    What all contexts share.

    @ivar inReader: runs the ledger's questions, one at a time.
    @ivar inHelper: runs anything else that blocks.
    """

    clock: IReactorTime
    ledger: ILedger
    runtime: TradingRuntime
    waiters: Waiters
    inReader: InThread
    inHelper: InThread
    currencies: Currencies
    strictOrders: bool = False


@implementer(IContext)
class Context:
    """One request's view of the house."""

    __slots__ = ("_extIDText", "_house", "_session", "_submitted", "extID", "log", "principal")

    def __init__(
        self, house: House, session: Hashable, principal: IPrincipal, extID: ExtID, extIDText: str, log: Logger
    ) -> None:
        self._house = house
        self._session = session
        self._extIDText = extIDText
        self._submitted: list[ISubmission] = []
        self.principal = principal
        self.extID = extID
        self.log = log

    @property
    def clock(self) -> IReactorTime:
        return self._house.clock

    @property
    def currencies(self) -> Currencies:
        return self._house.currencies

    @property
    def strictOrders(self) -> bool:
        return self._house.strictOrders

    def cause(self, key: str | None = None) -> Cause:
        if key is None and self.extID is not None and self.extID != "":
            key = str(self.extID)
        return Cause(self.principal.id, self.principal.mask, key)

    def reserveOrder(self) -> int:
        return self._house.runtime.reserveOrder()

    def submit(self, request: Request) -> ISubmission:
        submission = self._house.runtime.submit(request)
        self._submitted.append(submission)
        return submission

    def abandon(self) -> None:
        """The request has failed: take back what it submitted, where that can still be done."""
        for submission in self._submitted:
            submission.withdraw()

    def settled(self, submission: ISubmission, timeoutMs: int | None = None) -> Deferred[Entry]:
        order = getattr(submission.request, "order", 0)
        awaited = Awaited("trade" if order else "record", "", 0, order, timeoutMs, submission)
        return maybeDeferred(self._house.waiters.wait, awaited, self._session, self._extIDText)

    def trade(self, order: int) -> Deferred[FinanceTrade | None]:
        def seen(found: tuple[FinanceTrade, str] | None) -> FinanceTrade | None:
            return found[0] if found is not None and self.principal.mask.covers(found[1]) else None

        # Of a trade that is being written, it is not known yet whether it exists.
        written = self._house.runtime.whenWritten(order)
        return written.addCallback(lambda _: self._house.inReader(self._house.ledger.trade, order)).addCallback(seen)

    def account(self, login: int) -> Deferred[StoredAccount | None]:
        def seen(found: StoredAccount | None) -> StoredAccount | None:
            return found if found is not None and self.principal.mask.covers(found.group.group) else None

        return self._house.inReader(self._house.ledger.account, login).addCallback(seen)

    def head(self) -> tuple[str, int]:
        return self._house.ledger.epoch, self._house.ledger.book.seq

    def inThread(self, f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return self._house.inHelper(f, *args)
