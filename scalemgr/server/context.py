"""What a command gets to work with."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..finance.caps import CapsOf
from ..finance.channels import Channels
from ..finance.masks import Sight
from ..finance.money import Currencies
from ..finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from ..finance.records import Entry, FinanceTrade, StoredAccount
from ..finance.requests import Cause, Request
from ..interfaces import Asked, IContext, ILedger, ISubmission
from ..ledger.ticket import Ticket
from ..runtime.eventlog import EventLog
from ..runtime.mainloop import TradingRuntime
from ..runtime.orders import InThread
from ..runtime.waiters import Awaited, Waiters
from ..wire.codes import RetCode
from ..wire.errors import ExtIDInUse, InvalidData, LedgerFailed, ResyncRequired
from ..wire.messages import EXTID_BYTES_MAX, ExtID
from .auth import Principal
from .limits import Lanes, Turns

__all__ = ["Context", "House", "ISubscriber"]

_Answer = TypeVar("_Answer")
_Result = TypeVar("_Result")


class ISubscriber(Hashable, Protocol):
    """What a context needs of its session. (Not zope's: it stays inside this folder.)"""

    turns: Turns

    @property
    def channels(self) -> Channels:
        """What it has chosen to be sent."""

    def subscribe(self, channels: Channels, after: int | None) -> None:
        """Choose; and, once the request under way is answered, go back to an entry of the log, if one is given."""

    def hold(self) -> None:
        """Send no events until it is known where to go back to."""

    def goOn(self) -> None:
        """It does not go back: send what it was not sent meanwhile."""


class House(Struct, frozen=True):
    """
    What all contexts share.

    @ivar inReader: runs the ledger's questions, one at a time.
    @ivar inQuery: runs those about tables and statements, which may take longer.
    @ivar bounds: how much such a question may be.
    @ivar inHelper: runs anything else that blocks.
    @ivar explicitKeys: does only an C{idempotency_key} name a request, unless a token says otherwise?
    @ivar caps: how much callers may move, by their ids; who is not here has none but those of its token. It is looked
        at for each request, so a change is in force at once.
    """

    clock: IReactorTime
    ledger: ILedger
    runtime: TradingRuntime
    waiters: Waiters
    events: EventLog
    inReader: InThread
    inQuery: Lanes
    inHelper: InThread
    currencies: Currencies
    strictOrders: bool = False
    explicitKeys: bool = False
    bounds: Bounds = Bounds()
    caps: Mapping[str, CapsOf] = MappingProxyType({})


@implementer(IContext)
class Context(Struct, eq=False):
    """One request's view of the house."""

    _house: House
    _session: ISubscriber
    principal: Principal
    extID: ExtID
    _extIDText: str
    # Is another request with this extID under way?
    _again: bool
    log: Logger
    _submitted: tuple[ISubmission, ...] = ()

    @property
    def clock(self) -> IReactorTime:
        return self._house.clock

    @property
    def currencies(self) -> Currencies:
        return self._house.currencies

    @property
    def strictOrders(self) -> bool:
        return self._house.strictOrders

    @property
    def inUse(self) -> bool:
        """Is the C{extID} that of another request under way, of which this one is no repeat?"""
        return self._again and not self._submitted

    @property
    def submitted(self) -> bool:
        """Did this request ask for something to be booked?"""
        return bool(self._submitted)

    @property
    def replayed(self) -> bool:
        """Is what became of this request the outcome of an earlier one?"""
        for submission in self._submitted:  # noqa: SIM110 - this is asked of each answer, and any() takes twice as long
            if submission.replayed:
                return True
        return False

    @property
    def sight(self) -> Sight:
        """What the caller may see."""
        who = self.principal
        return Sight(who.mask, who.login, who.may("see_accounts_balance"))

    def cause(self, key: str | None = None) -> Cause:
        extID = self.extID
        if key is None and extID is not None and extID != "" and not self._explicit():
            key = extID if type(extID) is str else _nameOf(extID)
        if key is not None and not _canBeKept(key):
            raise InvalidData(f"expected 1 to {EXTID_BYTES_MAX} bytes of text", field="idempotency_key")
        principal = self.principal
        caps, configured = principal.caps, self._house.caps.get(principal.id)
        if configured is not None:
            # A token only narrows what is configured.
            caps = configured if caps is None else configured.narrowed(caps)
        return Cause(principal.id, principal.mask, key, principal.may("see_accounts_balance"), caps)

    def _explicit(self) -> bool:
        ofPrincipal = self.principal.explicit
        return self._house.explicitKeys if ofPrincipal is None else ofPrincipal

    def reserveOrder(self) -> int:
        return self._house.runtime.reserveOrder()

    def submit(self, request: Request) -> ISubmission:
        if self._again and request.cause.key is None:
            raise ExtIDInUse
        submission = self._house.runtime.submit(request)
        self._submitted = (*self._submitted, submission)
        return submission

    def abandon(self) -> None:
        """The request has failed: take back what it submitted, where that can still be done."""
        for submission in self._submitted:
            submission.withdraw()

    def settled(self, submission: ISubmission, timeoutMs: int | None = None) -> Deferred[Entry]:
        order = getattr(submission.request, "order", 0)
        awaited = Awaited("trade" if order else "record", "", 0, order, timeoutMs, submission)
        return maybeDeferred(self.wait, awaited)

    def wait(self, awaited: Awaited) -> Deferred[Entry]:
        """Wait for what a sync command described."""
        if awaited.cause is None:
            # The event of something that this request submitted is that submission's outcome: if it is a
            # repeat, there is no other event.
            for submission in self._submitted:
                if awaited.order and getattr(submission.request, "order", 0) == awaited.order:
                    awaited = replace(awaited, cause=submission)
        return self._house.waiters.wait(awaited, self._session, self._extIDText)

    def asked(self, key: str | None, extID: ExtID = None) -> Deferred[Asked]:
        if key is None and extID is not None:
            if self._explicit():
                raise InvalidData("your extIDs name nothing, only an idempotency_key does", field="extID")
            key = _nameOf(extID)
        if not key:
            raise InvalidData("expected it, or extID", field="idempotency_key")
        return self._house.runtime.asked((self.principal.id, key))

    @property
    def channels(self) -> Channels:
        return self._session.channels

    def subscribe(self, after: int | None, epoch: str | None = None, channels: Channels | None = None) -> None:
        current, head = self.head()
        try:
            self._checkKnown(after, epoch, current, head)
        except ResyncRequired:
            self._session.goOn()
            raise
        self._session.subscribe(self.channels if channels is None else channels, after)

    def _checkKnown(self, after: int | None, epoch: str | None, current: str, head: int) -> None:
        if epoch not in (None, current):
            raise ResyncRequired("this is another log than the one you know", current, head)
        if after is not None and after > head:
            raise ResyncRequired(f"the log has {head} entries, and you know {after}", current, head)

    def caughtUp(self) -> Deferred[None]:
        def failed(failure: Failure) -> Failure:
            self._session.goOn()
            return failure

        # What is read meanwhile it may have already.
        self._session.hold()
        return self._inTime(self._house.runtime.catchUp(), None).addErrback(failed)

    def trade(self, order: int, timeoutMs: int | None = None) -> Deferred[FinanceTrade | None]:
        def seen(found: tuple[FinanceTrade, str] | None) -> FinanceTrade | None:
            return found[0] if found is not None and self.sight.covers(found[1], found[0].login) else None

        # Of a trade that is being made, it is not known yet whether it exists.
        written = self._house.runtime.whenWritten(order)
        found = written.addCallback(lambda _: self._house.inReader(self._house.ledger.trade, order))
        return self._inTime(found, timeoutMs).addCallback(seen)

    def account(self, login: int) -> Deferred[StoredAccount | None]:
        def seen(found: StoredAccount | None) -> StoredAccount | None:
            return found if found is not None and self.sight.covers(found.group.group, login) else None

        return self._inTime(self._house.inReader(self._house.ledger.account, login), None).addCallback(seen)

    def table(self, query: TableQuery) -> Deferred[Table]:
        return self._inTurn(self._house.ledger.table, query)

    def statement(self, query: StatementQuery) -> Deferred[Statement | None]:
        return self._inTurn(self._house.ledger.statement, query)

    def _inTurn(self, ask: Callable[..., _Answer], query: TableQuery | StatementQuery) -> Deferred[_Answer]:
        house, turns, ticket = self._house, self._session.turns, Ticket()

        def go(_: None) -> Deferred[_Answer]:
            turns.begun(ticket)
            # The views may have to catch up first.
            seconds = house.bounds.seconds + house.waiters.seconds(None)
            question = partial(ask, query, self.sight, house.bounds, ticket)
            return self._within(house.inQuery(self.principal.id, question), seconds).addBoth(over)

        def over(result: _Result) -> _Result:
            # If the time was up, it must not go on, or begin yet.
            ticket.callOff()
            turns.done()
            return result

        return turns.take().addCallback(go)

    def _inTime(self, asked: Deferred[Any], timeoutMs: int | None) -> Deferred[Any]:
        return self._within(asked, self._house.waiters.seconds(timeoutMs))

    def _within(self, asked: Deferred[Any], seconds: float) -> Deferred[Any]:
        """A ledger that hangs must not keep a question for ever."""

        def late(result: object, _: float) -> object:
            if isinstance(result, Failure) and result.check(CancelledError):
                raise LedgerFailed("the ledger does not answer in time; ask again later", RetCode.RET_ERR_TIMEOUT)
            return result

        return asked.addTimeout(seconds, self._house.clock, late)

    def head(self) -> tuple[str, int]:
        return self._house.events.epoch, self._house.events.head

    def inThread(self, f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return self._house.inHelper(f, *args)


# Up to here a double can be told from the next whole number.
_COUNTED = 2**53


def _nameOf(extID: str | int | float) -> str:
    """1, 1.0 and "1" are one key: to take two requests for one is safer than to take one for two."""
    counted = isinstance(extID, float) and extID.is_integer() and abs(extID) < _COUNTED
    return str(int(extID) if counted else extID)


def _canBeKept(key: str) -> bool:
    try:
        count = len(key) if key.isascii() else len(key.encode("utf-8"))
        return 0 < count <= EXTID_BYTES_MAX and "\0" not in key
    except UnicodeEncodeError:
        return False
