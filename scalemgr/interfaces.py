"""Who promises what to whom.

The boundaries of the house, documented here and nowhere else. A plugin author needs L{ICommand} and
L{IContext}; somebody who adds an engine needs L{ILedger}; the rest is between our own rooms.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import Attribute, Interface

from .finance.book import Book
from .finance.masks import Mask
from .finance.money import Currencies
from .finance.records import Entry, FinanceTrade, StoredAccount
from .finance.settle import Cause, Outcome, Request

__all__ = ["ICommand", "IContext", "IEventReader", "ILedger", "IPrincipal", "ISubmission"]


class IPrincipal(Interface):
    """Who a session speaks for, as its last valid token says."""

    id: str = Attribute("The name of the caller. Idempotency keys are its own")
    role: int = Attribute("A C{SESSION_*} number")
    mask: Mask = Attribute("The groups that it may see and touch")


class ICommand(Interface):
    """
    One thing that can be asked. Found with C{getPlugins(ICommand)}, so also provide C{IPlugin};
    L{scalemgr.commands.base.Command} does both.
    """

    name: str = Attribute("The C{command} on the wire, case-sensitive")
    aliases: Sequence[str] = Attribute("Older names of it")
    roles: frozenset[int] = Attribute("The C{SESSION_*} numbers that may call it; empty: anyone with a token")
    params: type[Struct] = Attribute(
        "C{data} is converted to this, strictly, before C{run} is called; members that it does not declare "
        "are ignored. Its annotations and C{Meta} are what is documented"
    )
    summary: str = Attribute("What it does, in one sentence")
    denied: str | None = Attribute(
        "The published C{error} under which a refusal of the caller, or of a login that is not the caller's "
        "to touch, is answered with 401; or C{None} for the refusal's own name and status"
    )

    def run(context: IContext, params: Any) -> Mapping[str, Any] | Awaitable[Mapping[str, Any]]:
        """
        Do it.

        @param params: an instance of C{self.params}.
        @return: the C{data} of the answer, or an awaitable of it (a Deferred, or C{async def}).
            A mapping with the member C{__deferred} is not sent. Instead the request stays open until the
            event that the member describes is emitted, and is answered with that event's C{data}, or with
            504 C{SYNC_TIMEOUT}::

                {"kind": "trade", "event": "trade:event", "type": EV_RECORD_ADD, "order": 7, "timeout": 5000}

            C{kind} is what the 504 says; C{timeout} is in milliseconds and may be left out, for the
            configured one. C{cause}, an L{ISubmission}, may be added: then only the event that this very
            submission causes will do, and if it is refused, that is the answer.
        @raise ManagerError: for a refusal. Anything else is answered with 500 and logged.
        """


class ISubmission(Interface):
    """A request on its way through the runtime."""

    request: Request = Attribute("What was asked")
    outcome: Outcome | None = Attribute("What became of it, once that is known")

    def withdraw() -> bool:
        """
        Take it back if it is not being committed yet.

        @return: C{True}: it will never apply; C{False}: too late, it may apply.
        """


class IContext(Interface):
    """What a command may know and do. It reaches no socket and no SQL."""

    principal: IPrincipal = Attribute("Who asks")
    extID: str | int | float | None = Attribute("The C{extID} of the request")
    clock: IReactorTime = Attribute("The time; its C{seconds} are since 1970")
    log: Logger = Attribute("Where to say what an operator should know")
    currencies: Currencies = Attribute("The decimals of each currency")
    strictOrders: bool = Attribute("Is an C{order} that does not exist an error?")

    def cause(key: str | None = None) -> Cause:
        """
        The caller, as a request to the book names it.

        @param key: the request's own C{idempotency_key}; without one it is the C{extID}.
        """

    def reserveOrder() -> int:
        """
        A new order number: no I/O, and nobody else ever gets it.

        @raise Overloaded: if none is at hand.
        """

    def submit(request: Request) -> ISubmission:
        """
        Queue a request for the next batch.

        @raise Overloaded: if the queue is full; nothing was done.
        @raise ShuttingDown: if the daemon stops; nothing was done.
        """

    def settled(submission: ISubmission, timeoutMs: int | None = None) -> Deferred[Entry]:
        """
        What becomes of a submission, once it is durable.

        @param timeoutMs: how long to wait; C{None} for as long as is configured.

        @return: a Deferred that fails with L{ManagerError}: the refusal, C{LedgerFailed} or C{SyncTimeout}.
        """

    def trade(order: int) -> Deferred[FinanceTrade | None]:
        """The trade with this number that the caller may see, as of all that was answered before now."""

    def account(login: int) -> Deferred[StoredAccount | None]:
        """The account with this login that the caller may see, as of all that was answered before now."""

    def head() -> tuple[str, int]:
        """The log's C{epoch} and the number of its last entry."""

    def inThread(f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call something that blocks in a helper thread."""


class ILedger(Interface):
    """
    What is kept: a log, its book, its views. Every method blocks and none needs a reactor.

    C{open}, C{reserveOrders}, C{commit} and C{close} are called one at a time (in the ledger's own
    thread); the others may be called meanwhile, from one other thread. L{scalemgr.finance.settle} decides,
    implementations only keep.
    """

    epoch: str = Attribute("The name of the log")
    book: Book = Attribute("The log folded, as of the last commit. Not to be changed")

    def open(nowMs: int) -> None:
        """
        Take possession, and fold what is there.

        @param nowMs: the time, in milliseconds since 1970, for a log that does not exist yet.
        @raise LedgerRefused: with a sentence for the operator.
        """

    def reserveOrders(count: int) -> int:
        """
        Set orders aside, durably: they are never given out again, even if they are never used.

        @return: the first of C{count} consecutive ones.
        @raise LedgerFailed: if that cannot be made durable.
        """

    def commit(requests: Sequence[Request], nowMs: int) -> list[Outcome]:
        """
        Settle a batch and make the entries durable, all or none. A batch of nothing catches up with the log.

        @param nowMs: the time of the batch, in milliseconds since 1970.
        @return: one outcome a request.
        @raise LedgerFailed: if they could not be made durable. The book is as it was; C{outcome} in its
            details says C{"void"} if nothing was kept, C{"pending"} if that is not known.
        """

    def takeFound() -> list[Entry]:
        """
        Entries that C{commit} found in the log and not in the book, each once: those of a batch that failed
        with C{"pending"} and was kept after all. They come before the entries of that C{commit}.
        """

    def close(nextOrder: int | None) -> None:
        """
        Let go. What was committed stays.

        @param nextOrder: the first order that was reserved and never handed to anyone, or C{None}: those
            from there on may be given out again.
        """

    def entries(after: int, limit: int) -> list[Entry]:
        """Up to C{limit} committed entries of the log that follow the entry C{after}, in order."""

    def trade(order: int) -> tuple[FinanceTrade, str] | None:
        """A trade as of the head of the log on arrival, and the name of its group."""

    def account(login: int) -> StoredAccount | None:
        """An account as of the head of the log on arrival."""


class IEventReader(Interface):
    """Somebody to whom events are sent."""

    mask: Mask = Attribute("Which groups' events it gets")

    def deliver(lines: bytes, seq: int) -> None:
        """
        Take events.

        @param lines: whole lines.
        @param seq: the number of the last event among them.
        """
