"""A whole daemon without a reactor: a clock to turn by hand, sessions on string transports, the memory ledger."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any

import jwt
from msgspec import Struct
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from scalemgr.commands.base import Command, command
from scalemgr.finance.book import Book, Draft
from scalemgr.finance.caps import CapsOf
from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.money import Currencies
from scalemgr.finance.questions import Bounds
from scalemgr.finance.records import BALANCE_EVENT, REFUSAL, TRADE_EVENT, Entry
from scalemgr.finance.requests import AddAccount, AddGroup, Cause, Request
from scalemgr.finance.settle import Outcome
from scalemgr.interfaces import ICommand, IContext, ILedger, IWatcher
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.runtime.eventlog import EventLog
from scalemgr.runtime.mainloop import TradingRuntime
from scalemgr.runtime.waiters import TimeoutBounds, Waiters
from scalemgr.server.auth import Authenticator, Keys, Principal
from scalemgr.server.context import House
from scalemgr.server.discovery import findCommands
from scalemgr.server.dispatch import Dispatcher
from scalemgr.server.factory import ManagerFactory
from scalemgr.server.gate import Gate, GateRules
from scalemgr.server.limits import Lanes, SessionLimits
from scalemgr.server.outbox import Outbox
from scalemgr.server.protocol import ManagerProtocol
from scalemgr.server.rates import Rate, Rates
from scalemgr.wire.codes import EventRecordType
from scalemgr.wire.messages import encode

#: When every test begins: milliseconds that are no whole second.
NOW_MS = 1_763_836_800_250
SECRET = b"0123456789abcdef0123456789abcdef"
SYSTEM = Cause("system", EVERYTHING)
LIMITS = SessionLimits(
    lineBytesMax=65536, inFlightMax=1000, sessionsMax=1000, authSeconds=30, bufferBytesMax=1024 * 1024
)


def token(id: object = "crm", role: object = "manager", **claims: Any) -> str:
    """A token that the daemon under test believes."""
    return jwt.encode({"id": id, "role": role, **claims}, SECRET, algorithm="HS256")


@cache
def builtIn() -> list[ICommand]:
    """The commands that are found; looking for them takes longer than all else about a daemon."""
    return findCommands().commands


_FRESH = count(1)


def fresh() -> str:
    """An extID that no request has had."""
    return f"fresh-{next(_FRESH)}"


def onAccount(login: int, version: int, balance: int, credit: int = 0, digits: int = 2) -> dict[str, Any]:
    """The C{data} of a balance:event, made here and not by what is tested; the amounts are in minor units."""
    unit = 10**digits
    return {
        "login": login,
        "balance": balance / unit,
        "credit": credit / unit,
        "equity": (balance + credit) / unit,
        "margin": 0.0,
        "margin_free": (balance + credit) / unit,
        "margin_level": 0.0,
        "balance_version": version,
    }


def trades(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of events, the trades: for what is not about the balance:event that follows each one that moves money."""
    return [event for event in events if event["event"] == TRADE_EVENT]


def inShort(lines: Iterable[dict[str, Any]]) -> list[str]:
    """
    What a session was sent: an answer by its extID, an event by its seq. Of a balance:event, which must be as
    published, the balance follows: C{7:10} is entry 7, and there are 10.00 then.
    """
    return [_inShort(line) for line in lines]


def _inShort(line: dict[str, Any]) -> str:
    if "event" not in line:
        return str(line["extID"])
    if line["event"] != BALANCE_EVENT:
        return str(line["seq"])
    data = line["data"]
    cents = round(data["balance"] * 100), round(data["credit"] * 100)
    assert data == onAccount(data["login"], data["balance_version"], *cents)
    assert line["type"] == EventRecordType.EV_RECORD_UPDATE
    return f"{line['seq']}:{data['balance']:g}"


def byStatus(lines: Iterable[dict[str, Any]]) -> list[Any]:
    """What a session was sent, as L{inShort}, but an answer by its status; and a mark (C{replay:done}) by its name."""
    return [_inShort(line) if "seq" in line else line.get("event") or line["status"] for line in lines]


def ofDeposits(first: int, count: int = 1, before: int = 0) -> list[str]:
    """The events of so many deposits of 10.00 in short, from this seq on; so much was on the account before them."""
    return [said for n in range(count) for said in (str(first + 2 * n), f"{first + 2 * n + 1}:{before + 10 * (n + 1)}")]


def wholeLog(book: Book, causes: Iterable[Entry]) -> list[Entry]:
    """
    What the log must have on top of a book, of which these are the entries that requests caused: each of them, and
    right after each that moves money the balance:event of what the account has then. No other.
    """
    draft = Draft(book)
    for cause in causes:
        draft.apply(cause)
        following = balanceEvent(draft, cause)
        if following is not None:
            draft.apply(following)
    return draft.entries


def balanceEvent(book: Book, cause: Entry) -> Entry | None:
    """The entry that must follow this one, which is folded into the book already; C{None} if it moves no money."""
    if not (cause.balance or cause.credit):
        return None
    account = book.account(cause.login)
    assert account is not None
    group = book.group(account.group)
    assert group is not None
    said = onAccount(account.login, account.balance_version, account.balance, account.credit, group.digits)
    return Entry(
        seq=cause.seq + 1,
        time_ms=cause.time_ms,
        event=BALANCE_EVENT,
        type=EventRecordType.EV_RECORD_UPDATE,
        group=account.group,
        login=account.login,
        order=0,
        balance=0,
        credit=0,
        principal=cause.principal,
        key=None,
        fingerprint=None,
        data=encode(said),
    )


class Nothing(Struct, frozen=True):
    """No parameters."""


def thirdParty(run: Callable[[IContext], Any], name: str = "ThirdParty", **more: Any) -> Command:
    """A command of somebody else's package that does this."""

    @command(name, **more)
    def handler(context: IContext, params: Nothing) -> Any:
        """Whatever somebody else thought of."""
        return run(context)

    return handler


class Threads:
    """
    Stands in for a thread: calls run at once, or, while it is held, when they are let go.
    """

    def __init__(self) -> None:
        self.held = False
        self._waiting: deque[Callable[[], None]] = deque()

    def __call__(self, f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if not self.held:
            return maybeDeferred(f, *args)
        done: Deferred[Any] = Deferred()
        self._waiting.append(lambda: maybeDeferred(f, *args).chainDeferred(done))
        return done

    def waiting(self) -> int:
        """How many calls are held."""
        return len(self._waiting)

    def step(self) -> None:
        """Run the first of what is held, if there is any."""
        if self._waiting:
            self._waiting.popleft()()

    def release(self) -> None:
        """Run what was held, in order, and hold no more."""
        self.held = False
        while self._waiting:
            self._waiting.popleft()()


class WatchedLedger(MemoryLedger):
    """
    A memory ledger that remembers what it was asked to commit, and fails when told to.

    @ivar batches: the requests of each commit.
    @ivar failures: what the next commits fail with, one each.
    @ivar reserveFailures: the same for setting orders aside.
    @ivar clock: if given, when each commit began is kept in C{times}.
    """

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[Request]] = []
        self.failures: list[Exception] = []
        self.reserveFailures: list[Exception] = []
        self.clock: Clock | None = None
        self.times: list[float] = []

    def commit(
        self, requests: Sequence[Request], nowMs: int, isOver: Callable[[int], bool] | None = None
    ) -> list[Outcome]:
        self.batches.append(list(requests))
        if self.clock is not None:
            self.times.append(self.clock.seconds())
        return super().commit(requests, nowMs, isOver)

    def reserveOrders(self, count: int) -> int:
        if self.reserveFailures:
            raise self.reserveFailures.pop(0)
        return super().reserveOrders(count)

    def _append(self, entries: list[Entry]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        super()._append(entries)


class Session:
    """A client on a string transport."""

    def __init__(self, protocol: ManagerProtocol, token: str | None) -> None:
        self.protocol = protocol
        self.transport = StringTransport()
        self.token = token
        protocol.makeConnection(self.transport)

    def sendRaw(self, data: bytes) -> None:
        """Bytes, as they are."""
        self.protocol.dataReceived(data)

    def send(self, command: str, extID: Any = None, data: Any = None, **more: Any) -> None:
        """A request, with the session's token."""
        envelope = {"command": command, "extID": extID, "data": data or {}, **more}
        if self.token is not None:
            envelope.setdefault("__token", self.token)
        self.sendRaw(json.dumps(envelope).encode() + b"\r\n")

    def deposit(self, extID: Any = None, amount: Any = 10.0, command: str = "BalanceInSync", **data: Any) -> None:
        """The method of the seed page; on account 1001 unless it says otherwise."""
        self.send(command, extID, {"login": 1001, "amount": amount, **data})

    def raw(self) -> bytes:
        """What was sent to it since it was last asked."""
        value = self.transport.value()
        self.transport.clear()
        return value

    def lines(self) -> list[dict[str, Any]]:
        """The same, as messages."""
        value = self.raw()
        assert value.endswith(b"\r\n") or not value
        return [json.loads(line) for line in value.split(b"\r\n")[:-1]]

    def answers(self) -> list[dict[str, Any]]:
        """Of those, the answers."""
        return [message for message in self.lines() if "event" not in message]

    def lose(self) -> None:
        """The connection breaks."""
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        self.protocol.connectionLost(Failure(ConnectionDone()))


class Daemon:
    """
    The rooms, joined as the service joins them, on a ledger with a group C{demo} in USD (accounts 1001 and
    1002) and a group C{real-eu} in EUR (account 2001).
    """

    def __init__(
        self,
        *,
        ledger: ILedger | None = None,
        limits: SessionLimits = LIMITS,
        commands: Iterable[ICommand] | None = None,
        also: Iterable[ICommand] = (),
        anonymous: Principal | None = None,
        bounds: TimeoutBounds | None = None,
        waitersMax: int = 1000,
        queueMax: int = 1000,
        batchMax: int = 100,
        orderBlock: int = 1000,
        strictOrders: bool = False,
        explicitKeys: bool = False,
        queryBounds: Bounds | None = None,
        caps: Mapping[str, CapsOf] | None = None,
        watcher: IWatcher | None = None,
        keys: Keys | None = None,
        rate: Rate | None = None,
        gate: GateRules | None = None,
    ) -> None:
        self.clock = Clock()
        self.clock.rightNow = NOW_MS / 1000
        self.ledger = ledger if ledger is not None else MemoryLedger()
        self.ledger.open(NOW_MS)
        if self.ledger.book.group("demo") is None:
            populate(self.ledger)
        self.ledgerThread, self.readerThread, self.helperThread, self.replayThread = (Threads() for _ in range(4))
        self.queryThread = Threads()
        self.events = EventLog(self.ledger, self.replayThread)
        self.waiters = Waiters(self.clock, bounds or TimeoutBounds(), waitersMax)
        outbox = Outbox()
        self.runtime = TradingRuntime(
            self.clock,
            self.ledger,
            self.ledgerThread,
            self.readerThread,
            self.waiters,
            self.events,
            queueMax=queueMax,
            batchMax=batchMax,
            orderBlock=orderBlock,
            gathering=outbox,
        )
        house = House(
            self.clock,
            self.ledger,
            self.runtime,
            self.waiters,
            self.events,
            self.readerThread,
            Lanes(self.queryThread, 1000),
            self.helperThread,
            Currencies({"BTC": 8}),
            strictOrders,
            explicitKeys,
            queryBounds or Bounds(),
            {} if caps is None else caps,
        )
        self.auth = Authenticator(self.clock, keys or Keys("HS256", [SECRET]), anonymous)
        found = builtIn() if commands is None else list(commands)
        self.rates = Rates(self.clock, rate)
        self.dispatcher = Dispatcher([*found, *also], house, self.auth, watcher, self.rates)
        self.factory = ManagerFactory(
            self.clock, self.dispatcher, self.auth, self.events, self.waiters, limits, outbox, Gate(gate)
        )
        self.runtime.start(self.ledger.reserveOrders(orderBlock))

    def connect(self, token: str | None = None) -> Session:
        """A new session; it sends this token with each request."""
        return Session(self.factory.buildProtocol(None), token)

    def staff(self) -> Session:
        """A session of a manager who has shown a token already."""
        session = self.connect(token())
        session.send("Ping", "hello")
        assert [answer["status"] for answer in session.answers()] == [200]
        return session

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(10):
            self.clock.advance(0)

    def kept(self) -> tuple[Any, ...]:
        """All that its ledger holds but refusals, to compare: the last entry that did something, and the book."""
        book = self.ledger.book
        did = [e.seq for e in self.ledger.entries(0, book.seq) if e.event != REFUSAL]
        return did[-1], book.nextLogin, dict(book.groups), dict(book.accounts), dict(book.turnover.sums)

    def balance(self, login: int = 1001) -> int:
        """In minor units."""
        account = self.ledger.book.account(login)
        assert account is not None
        return account.balance


def booked(
    daemon: Daemon, session: Session, extID: str | None = None, amount: float = 10.0, **more: Any
) -> dict[str, Any]:
    """The trade that a deposit is answered with."""
    session.deposit(extID or fresh(), amount, **more)
    daemon.settle()
    [answer] = session.answers()
    assert answer["status"] == 200, answer
    data: dict[str, Any] = answer["data"]
    return data


def populate(ledger: ILedger) -> None:
    """The groups and accounts of every test."""
    outcomes = ledger.commit(
        [
            AddGroup(SYSTEM, "demo", "USD", 2, {}),
            AddGroup(SYSTEM, "real-eu", "EUR", 2, {}),
            AddAccount(SYSTEM, 1001, "demo", 1, {"name": "One"}, ""),
            AddAccount(SYSTEM, 1002, "demo", 1, {"name": "Two"}, ""),
            AddAccount(SYSTEM, 2001, "real-eu", 1, {"name": "Three"}, ""),
        ],
        NOW_MS,
    )
    assert not any(isinstance(outcome, Exception) for outcome in outcomes), outcomes
