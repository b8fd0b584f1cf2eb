"""Who promises what to whom.

The boundaries of the house, documented here and nowhere else. A plugin author needs L{ICommand} and
L{IContext}; somebody who adds an engine needs L{ILedger}; the rest is between our own rooms.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import Attribute, Interface

from .finance.book import Book
from .finance.channels import Channels, Interest
from .finance.masks import Mask, Sight
from .finance.money import Currencies
from .finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from .finance.records import Entry, FinanceTrade, StoredAccount
from .finance.requests import Cause, KeyName, Request
from .finance.settle import Outcome
from .wire.codes import RetCode
from .wire.errors import ManagerError, NoService, ShuttingDown, SyncTimeout
from .wire.messages import Json

__all__ = [
    "About",
    "Asked",
    "ICommand",
    "IContext",
    "IEventReader",
    "ILedger",
    "IPrincipal",
    "ISubmission",
    "ITicket",
    "IWatcher",
    "Progress",
    "Refusal",
    "Storage",
    "Told",
]


class Asked(Struct, frozen=True):
    """
    How far a request is.

    @ivar state: C{"queued"}; C{"pending"}: it is being committed, or it is not known whether it was;
        C{"done"}; C{"refused"}; or C{"unknown"}: there is none with this key, or it was withdrawn.
    @ivar order: its trade, or 0.
    @ivar data: of what is done, the event's C{data}; of what is refused, the refusal's.
    @ivar seq: its entry of the log, or 0.
    """

    state: str
    order: int = 0
    data: Json | None = None
    seq: int = 0


class Refusal(Struct, frozen=True):
    """
    One way in which a command says no.

    @ivar error: the C{error} under which it does; empty: the code's name.
    @ivar status: the status; 0: the code's.
    """

    code: RetCode
    error: str = ""
    status: int = 0


class About(Struct, frozen=True):
    """
    What is documented of a command beside its parameters.

    @ivar answer: the shape of its answer's C{data}.
    @ivar errors: the refusals that are its own; those that any command may give are said once for all.
    @ivar events: what it causes, such as C{"trade:event EV_RECORD_ADD"}.
    @ivar beyond: what is ours about it; empty: it is as published.
    @ivar fields: what conditions and C{orderBy} may name, each with its kind, where it takes such.
    """

    answer: type[Struct] | None = None
    errors: tuple[RetCode | Refusal, ...] = ()
    events: tuple[str, ...] = ()
    beyond: str = ""
    fields: Mapping[str, str] = {}


# What a refusal may say of itself. A plugin may say anything.
_OUTCOMES = ("refused", "void", "pending")


class Told(Struct, frozen=True):
    """
    A request, and what it was answered.

    @ivar command: the command's own name; empty: there is no such command.
    @ivar extID: as JSON.
    @ivar principal: the id of the caller; empty: it showed no valid token.
    @ivar login: the account that it is about, or 0.
    @ivar order: the trade that it is about, or 0.
    @ivar seconds: how long it took.
    @ivar error: what was refused; C{None}: nothing was.
    @ivar replayed: is it the outcome of an earlier request?
    @ivar traceparent: as the client sent it, or empty.
    @ivar waited: did the answer wait for an event, as that of a sync command does?
    @ivar submitted: did it ask for something to be booked?
    """

    command: str
    extID: Json
    principal: str
    login: int
    order: int
    status: int
    seconds: float
    error: ManagerError | None = None
    replayed: bool = False
    traceparent: str = ""
    waited: bool = False
    submitted: bool = False

    @property
    def outcome(self) -> str:
        """
        What it came to, in one word of these:

        C{booked}, and on the disk; C{replayed}, it was booked before; C{read}: it was answered, and books nothing.

        C{refused}: a rule said no, for good: a repeat gets the same. C{untaken}: this attempt came to nothing, and
        nothing is kept of it: it was malformed, not permitted, too frequent, about nothing that there is, under a name
        that is in use, or came while the daemon stopped or its ledger was away. Whether an earlier one of its name was
        booked it does not say.
        C{void}: it was withdrawn, and never will be booked; C{pending}: it may be booked; C{error}: our own failure.

        The answer's own C{outcome} counts; only one that says C{refused} is that.
        """
        error = self.error
        if error is None:
            return "replayed" if self.replayed else "booked" if self.submitted else "read"
        outcome = error.outcome if isinstance(error, SyncTimeout) else error.details.get("outcome")
        if outcome in _OUTCOMES:
            return str(outcome)
        return "error" if self.status >= 500 and not isinstance(error, (NoService, ShuttingDown)) else "untaken"


class Progress(Struct, frozen=True):
    """
    How far the views of a log are.

    @ivar reached: the last entry that they have.
    @ivar failing: why they cannot go on now; empty: they can.
    @ivar restarts: how often what makes them has ended, and was started again.
    """

    reached: int
    failing: str = ""
    restarts: int = 0


class Storage(Struct, frozen=True):
    """
    What a ledger is kept in.

    @ivar folder: where it is; empty: in memory.
    @ivar files: the bytes of each of its files, by name.
    @ivar free: how many bytes more there is room for; C{None}: that is not known.
    @ivar refusal: why nothing can be written there, as far as can be seen without writing; empty: it can.
    """

    folder: str = ""
    files: Mapping[str, int] = {}
    free: int | None = None
    refusal: str = ""


class IPrincipal(Interface):
    """Who a session speaks for, as its last valid token says."""

    id: str = Attribute("The name of the caller. Idempotency keys are its own")
    role: int = Attribute("A C{SESSION_*} number")
    mask: Mask = Attribute("The groups that it may see and touch")
    events: frozenset[str] = Attribute("The names of the events that it may be sent")
    explicit: bool | None = Attribute(
        "Does only an C{idempotency_key} name a request, and never the C{extID}? C{None}: as configured"
    )
    login: int = Attribute("The only account that it may see, of a C{SESSION_USER}; else 0: all that the mask covers")

    def may(flag: str) -> bool:
        """Has it this one of the published manager flags?"""


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
    flags: frozenset[str] = Attribute(
        "The published manager flags (L{scalemgr.commands.base.FLAGS}) that it takes: a caller whose token withholds "
        "one is refused"
    )
    summary: str = Attribute("What it does, in one sentence")
    about: About = Attribute("What there is to know of it besides, for its documentation")
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
            submission causes will do, and if it is refused, that is the answer. The
            L{Awaited <scalemgr.runtime.waiters.Awaited>} that the member becomes may stand there, too.

            A member C{__status} is not sent either: it is the status of the answer, where that is not 200.
        @raise ManagerError: for a refusal. Anything else is answered with 500 and logged.
        """


class ISubmission(Interface):
    """
    A request on its way through the runtime, as one of those who ask for it sees it.

    A repeat of a request that is still under way is another submission of the same request.
    """

    request: Request = Attribute("What is under way: of a repeat, the first one's request, with its C{order}")
    outcome: Entry | Exception | None = Attribute("What became of it, once that is known")
    named: bool = Attribute("Does a key name it, so that it can be repeated?")
    replayed: bool = Attribute("Is the outcome that of somebody's earlier request?")

    def forsake(end: float) -> None:
        """
        Nobody wants to be told any more. It goes its way; but what is still queued when its time is up, and nobody else
        asks for, is withdrawn.

        @param end: when its time is up, in seconds of the clock that time-outs go by.
        """

    def withdraw() -> bool:
        """
        Take it back, unless it is being committed or somebody else asks for it, too.

        @return: C{True}: this attempt will never apply; C{False}: it may.
        """

    def giveUp() -> Deferred[str | None]:
        """
        Take it back, and find out what can be said of it for certain.

        @return: a Deferred of C{"void"}: nothing was ever applied for this request, and this attempt will not
            be; C{"pending"}: something may be; C{None}: an earlier attempt has an outcome, which is C{outcome}
            now.
        """


class IContext(Interface):
    """What a command may know and do. It reaches no socket and no SQL."""

    principal: IPrincipal = Attribute("Who asks")
    extID: str | int | float | None = Attribute("The C{extID} of the request")
    clock: IReactorTime = Attribute("The time; its C{seconds} are since 1970")
    log: Logger = Attribute("Where to say what an operator should know")
    sight: Sight = Attribute("What the caller may see, of all that can be read")
    currencies: Currencies = Attribute("The decimals of each currency")
    strictOrders: bool = Attribute("Is an C{order} that does not exist an error?")
    channels: Channels = Attribute("What the session has chosen to be sent, within what its principal may see")

    def cause(key: str | None = None) -> Cause:
        """
        The caller, as a request to the book names it.

        @param key: the request's own C{idempotency_key}; without one it is the C{extID}, unless the caller's
            keys are explicit.
        @raise InvalidData: if it cannot be kept.
        """

    def reserveOrder() -> int:
        """
        A new order number: no I/O, and nobody else ever gets it.

        @raise NoService: if none is at hand, and the ledger cannot be reached.
        @raise Overloaded: if none is at hand.
        """

    def submit(request: Request) -> ISubmission:
        """
        Queue a request for the next batch, or join it if the same one is under way already.

        @raise DuplicateRequest: if its C{extID} is in use and it has no other name; nothing was done.
        @raise NoService: if the ledger cannot be reached; nothing was done.
        @raise Overloaded: if the queue is full; nothing was done.
        @raise ShuttingDown: if the daemon stops; nothing was done.
        """

    def settled(submission: ISubmission, timeoutMs: int | None = None) -> Deferred[Entry]:
        """
        What becomes of a submission, once it is durable.

        @param timeoutMs: how long to wait; C{None} for as long as is configured.

        @return: a Deferred that fails with L{ManagerError}: the refusal, C{LedgerFailed} or C{SyncTimeout}.
        """

    def asked(key: str | None, extID: str | int | float | None = None) -> Deferred[Asked]:
        """
        How far a request of the caller's is.

        @param key: its C{idempotency_key}, or C{None}.
        @param extID: if it had none, its C{extID}.
        @return: a Deferred that fails with L{ManagerError} if it cannot be found out now.
        @raise InvalidData: if neither names one.
        """

    def subscribe(after: int | None, epoch: str | None = None, channels: Channels | None = None) -> None:
        """
        Once this request is answered, send the session every event after an entry that it may see and has
        chosen, then C{replay:done}, then live events again. If this raises, nothing has changed.

        @param after: C{None}: go on from where the session is.
        @param epoch: the log that C{after} counts in.
        @param channels: what it chooses, as of now; C{None}: as before. Of the events that it had chosen
            before none is lost by it and none repeated.
        @raise ResyncRequired: if it is not this log's, or C{after} is beyond its head.
        @raise DuplicateRequest: if the session is sent some already, and C{after} asks for more.
        """

    def caughtUp() -> Deferred[None]:
        """
        When L{head} is at least where the log is now, whoever wrote that. Until the caller has said where it goes on
        from (C{subscribe}), or this has failed, its session is sent no events.

        @return: a Deferred that fails with L{ManagerError} if that cannot be found out now, or not in time.
        """

    def trade(order: int, timeoutMs: int | None = None) -> Deferred[FinanceTrade | None]:
        """
        The trade with this number that the caller may see, as of all that was answered before now.

        @param timeoutMs: how long to wait; C{None} for as long as is configured.
        @return: a Deferred that fails with L{ManagerError} if that is not known, or not in time.
        """

    def account(login: int) -> Deferred[StoredAccount | None]:
        """The account with this login that the caller may see, as of all that was answered before now."""

    def table(query: TableQuery) -> Deferred[Table]:
        """
        Trades, accounts or groups, by a filter, as far as the caller may see them, as of all that was answered
        before now. A session's questions of this kind are answered one after the other, and the next one not before
        the peer has read the answer to the last.

        @return: a Deferred that fails with L{ManagerError}, as L{ILedger.table} says.
        """

    def statement(query: StatementQuery) -> Deferred[Statement | None]:
        """What moved on an account, if the caller may see that: as C{table}, and L{ILedger.statement}."""

    def head() -> tuple[str, int]:
        """The log's C{epoch}, and the number of the last entry that was broadcast."""

    def inThread(f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call something that blocks in a helper thread."""


class ITicket(Interface):
    """A question on its way."""

    isOver: bool = Attribute("Is there nothing to be waited for any more?")

    def callOff() -> None:
        """Nobody waits for the answer any more. May be called from any thread."""

    def running(interrupt: Callable[[], None], seconds: float) -> AbstractContextManager[None]:
        """
        The question is under way in this context, for at most so many seconds.

        @param interrupt: stops it; may be called from any thread.
        """

    def check(seconds: float) -> None:
        """
        Go on only if somebody waits, and there is time.

        @raise LedgerFailed: if not.
        """


class ILedger(Interface):
    """
    What is kept: a log, its book, its views. Every method blocks and none needs a reactor.

    C{open}, C{reserveOrders}, C{commit} and C{close} are called one at a time (in the ledger's own
    thread); the others may be called meanwhile, from other threads. L{scalemgr.finance.settle} decides,
    implementations only keep.
    """

    epoch: str = Attribute("The name of the log")
    book: Book = Attribute("The log folded, as of the last commit. Not to be changed")
    progress: Progress = Attribute("How far the views are. Any thread may ask, and need not wait")
    isShared: bool = Attribute("May others write to it, too? Then its log may have more than the book")
    away: str = Attribute(
        "Why what it is kept in cannot be reached now; empty: it can be. Any thread may ask, and need not wait"
    )

    lost: str = Attribute(
        "Why nothing more can be done with it before it is opened anew; empty: something can be. Goes with C{away}"
    )

    def open(nowMs: int) -> None:
        """
        Take possession, and fold what is there.

        @param nowMs: the time, in milliseconds since 1970, for a log that does not exist yet.
        @raise LedgerRefused: with a sentence for the operator.
        """

    def follow(wake: Callable[[], None]) -> None:
        """
        From now on, until it is closed, call this when the log may have entries that others wrote, or C{away} or
        C{lost} has changed: from any thread, and also once too often. A batch of nothing then catches up. It is open.

        @param wake: is quick and does not raise.
        """

    def reserveOrders(count: int) -> int:
        """
        Set orders aside, durably: they are never given out again, even if they are never used.

        @return: the first of C{count} consecutive ones.
        @raise LedgerFailed: if that cannot be made durable.
        """

    def commit(requests: Sequence[Request], nowMs: int, isOver: Callable[[int], bool] | None = None) -> list[Outcome]:
        """
        Settle a batch and make the entries durable, all or none, each with its idempotency key. A batch of
        nothing catches up with the log; and if the last one failed, it tries whether the log can be written again.

        @param nowMs: the time of the batch, in milliseconds since 1970.
        @param isOver: says of a request, by its number in the batch, whether nobody waits for it any more: where others
            may have been asked for the same meanwhile, nothing comes of it then. It is asked in the ledger's thread.
        @return: one outcome a request.
        @raise LedgerFailed: if they could not be made durable. The book is as it was; C{outcome} in its
            details says C{"void"} if nothing was kept, C{"pending"} if that is not known.
        """

    def takeCommitted() -> list[Entry]:
        """
        All entries that were committed since this was last asked, in order: those of the batches, with what
        followed from them, and those of a batch that failed with C{"pending"} and was found to be kept after all.
        """

    def close(nextOrder: int | None) -> None:
        """
        Let go. What was committed stays.

        @param nextOrder: the first order that was reserved and never handed to anyone, or C{None}: those
            from there on may be given out again.
        """

    def storage() -> Storage:
        """Look at what it is kept in. It may take as long as a disk takes."""

    def keyed(names: Collection[KeyName]) -> dict[KeyName, Entry]:
        """
        Those of the idempotency keys that were used and are not forgotten, each with its entry.

        @raise LedgerFailed: if they cannot be looked up.
        """

    def renounce(names: Collection[KeyName]) -> dict[KeyName, Entry]:
        """
        As C{keyed}; and with those that have none, nobody books anything that was asked for before now: whoever else
        writes in the log has to let go of it. What is under way here is for the caller to know.

        @raise LedgerFailed: if that cannot be made sure of.
        """

    def takeRenounced() -> Collection[KeyName]:
        """
        The keys that others have renounced, as far as that was seen since this was last asked: nothing may come of what
        was submitted with them before now.
        """

    def forgettable(beforeMs: int, limit: int) -> int:
        """
        The entry up to which keys can be forgotten next.

        @param beforeMs: only those of entries that are older, in milliseconds since 1970.
        @param limit: at most so many keys at once.
        """

    def entries(after: int, limit: int) -> list[Entry]:
        """Up to C{limit} committed entries of the log that follow the entry C{after}, in order."""

    def trade(order: int) -> tuple[FinanceTrade, str] | None:
        """A trade as of the head of the log on arrival, and the name of its group."""

    def account(login: int) -> StoredAccount | None:
        """An account as of the head of the log on arrival; C{None} also if it is deleted."""

    def table(query: TableQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None) -> Table:
        """
        Trades, accounts or groups, by a filter, all as of one entry: the head of the log on arrival, or later.

        @param sight: what the caller may see. The rest is as if it were not there.
        @param ticket: lets the caller call it off.
        @raise InvalidData: if the question is wrong, or the answer would have more rows or bytes than it may.
        @raise LedgerFailed: if it takes too long, is called off, or cannot be answered now.
        """

    def statement(
        query: StatementQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None
    ) -> Statement | None:
        """
        What moved on an account, be it deleted, as of the head of the log on arrival, or of an earlier entry.

        @return: C{None} if there never was such an account, or the caller may not see what is on it.
        @raise InvalidData: as C{table}.
        @raise LedgerFailed: as C{table}.
        """


class IWatcher(Interface):
    """Somebody who is told of every request that was answered."""

    def seconds() -> float:
        """The time, of a clock that is never set."""

    def told(told: Told) -> None:
        """A request was answered. Must not raise, and must be quick: this is asked for every deposit."""


class IEventReader(Interface):
    """Somebody to whom events are sent."""

    interest: Interest = Attribute("Which events it gets. The same as long as it is attached to the log")

    def deliver(lines: bytes, seq: int) -> None:
        """
        Take events.

        @param lines: whole lines.
        @param seq: the entry that they lead up to.
        """
