"""Who watches is told of every request that was answered, once, and of nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from scalemgr.daemon.joining import Watchers
from scalemgr.interfaces import IContext, IWatcher, Told
from scalemgr.server.rates import Rate
from scalemgr.wire.codes import RetCode
from scalemgr.wire.errors import (
    InternalError,
    InvalidData,
    LedgerFailed,
    ManagerError,
    NoService,
    Overloaded,
    PermissionDenied,
    Refused,
    ShuttingDown,
    SyncTimeout,
    TooFrequent,
    UnknownCommand,
)
from scalemgr.wire.messages import Json

from ..helpers import Daemon, thirdParty, token


@implementer(IWatcher)
class Watching:
    """Remembers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.all: list[Told] = []

    def seconds(self) -> float:
        return self.now

    def told(self, told: Told) -> None:
        self.all.append(told)


def short(told: Told) -> tuple[Any, ...]:
    """What a request was, and came to."""
    return told.command, told.extID, told.principal, told.login, told.order, told.status, told.replayed


def test_deposit() -> None:
    """A deposit is told when it is answered, with its account, its order and how long it took; a repeat as a repeat."""
    watching = Watching()
    daemon = Daemon(watcher=watching)
    session = daemon.staff()
    watching.all.clear()
    session.deposit("pay-1", 10.0)
    assert not watching.all
    watching.now = 1.5
    daemon.settle()
    session.deposit("pay-1", 10.0)
    daemon.settle()
    first, _ = session.answers()
    order = first["data"]["order"]
    assert [short(told) for told in watching.all] == [
        ("BalanceInSync", '"pay-1"', "crm", 1001, order, 200, False),
        ("BalanceInSync", '"pay-1"', "crm", 1001, order, 200, True),
    ]
    assert [told.seconds for told in watching.all] == [1.5, 0.0]


def test_refusals() -> None:
    """Of what is refused, the refusal is told, and the command, whoever asked for it; of an unknown one no name."""
    watching = Watching()
    daemon = Daemon(watcher=watching)
    daemon.connect().send("Ping", "stranger")
    session = daemon.connect(token())
    session.send("Pong", "unknown")
    session.send("BalanceInSync", "wrong", {"login": "x"})
    session.deposit("nobody", 10.0, login=999)
    daemon.settle()
    assert [short(told) for told in watching.all] == [
        ("Ping", '"stranger"', "", 0, 0, 401, False),
        ("", '"unknown"', "crm", 0, 0, 404, False),
        ("BalanceInSync", '"wrong"', "crm", 0, 0, 400, False),
        ("BalanceInSync", '"nobody"', "crm", 999, 0, 401, False),
    ]
    assert [told.error.code.name for told in watching.all if told.error is not None] == [
        "RET_UNAUTHORIZED",
        "RET_INVALID_METHOD",
        "RET_INVALID_DATA",
        "RET_USER_NOT_FOUND",
    ]


@pytest.mark.parametrize("refusal", [TooFrequent, ShuttingDown])
def test_refusedBeforeItIsLookedAt(refusal: type[ManagerError]) -> None:
    """What is not taken, for its caller asks too often or the daemon stops, is told by the command's own name, also if
    it was asked for by another; and a command that there is not is refused no better."""
    watching = Watching()
    daemon = Daemon(watcher=watching, rate=Rate(1, 1))
    session = daemon.connect(token())
    daemon.dispatcher.stopping = refusal is ShuttingDown
    session.send("Ping", 1)
    session.deposit("r2")
    session.send("AddUser", 3)
    session.send("Pong", 4)
    assert [told.command for told in watching.all] == ["Ping", "BalanceInSync", "MngAddAccount", ""]
    assert all(isinstance(told.error, refusal) for told in watching.all[1:])


def test_later() -> None:
    """A command that takes its time is told when it is answered, be it with a bug of ours."""
    watching = Watching()
    later: Deferred[dict[str, Any]] = Deferred()
    daemon = Daemon(watcher=watching, also=[thirdParty(lambda context: later)])
    session = daemon.staff()
    watching.all.clear()
    session.send("ThirdParty", "slow")
    watching.now = 3.0
    later.callback({"__status": 202, "order": 7})
    assert [(*short(told), told.seconds) for told in watching.all] == [
        ("ThirdParty", '"slow"', "crm", 0, 7, 202, False, 3.0)
    ]


def test_linesThatAreNoRequests() -> None:
    """What a session refuses without asking anybody is told, too: a line that is no JSON, an extID in use under the
    command's own name, and the last word to a peer whose line is too long."""
    watching = Watching()
    daemon = Daemon(watcher=watching)
    session = daemon.staff()
    watching.all.clear()
    session.sendRaw(b"noise\r\n")
    session.deposit("one", idempotency_key="a")
    session.deposit("one", idempotency_key="b")
    session.sendRaw(b"x" * 100_000)
    assert [short(told) for told in watching.all] == [
        ("", "null", "crm", 0, 0, 400, False),
        ("BalanceInSync", '"one"', "crm", 0, 0, 409, False),
        ("", "null", "crm", 0, 0, 400, False),
    ]


def test_waiting() -> None:
    """Of an answer it is told whether it waited for an event: that of a sync command does, unless it is refused at
    once; no other does, however long it takes."""
    watching = Watching()

    async def later(context: IContext) -> dict[str, Any]:
        return {"__deferred": {"kind": "x", "event": "trade:event", "type": 0, "order": 77, "timeout": 100}}

    daemon = Daemon(watcher=watching, also=[thirdParty(later)])
    session = daemon.staff()
    watching.all.clear()
    session.deposit("sync")
    session.deposit("plain", command="BalanceIn")
    session.deposit("refused", login="x")
    session.send("ThirdParty", "later")
    daemon.clock.pump([0.0, 0.1, 0.1])
    assert {told.extID: (told.status, told.waited) for told in watching.all} == {
        '"sync"': (200, True),
        '"plain"': (200, False),
        '"refused"': (400, False),
        '"later"': (504, True),
    }


def test_whoseTokenWasRefusedIsNobody() -> None:
    """A request with a token of its own that is refused is nobody's, whoever the session speaks for."""
    watching = Watching()
    daemon = Daemon(watcher=watching)
    session = daemon.staff()
    watching.all.clear()
    session.send("Ping", "forged", __token="e30.e30.x")
    session.send("Ping", "mine", __token=token("other"))
    assert [short(told)[:3] for told in watching.all] == [("Ping", '"forged"', ""), ("Ping", '"mine"', "other")]


def test_trace() -> None:
    """The trace that a request is a part of is told with it, and so are all lines that its command logs; not others."""
    watching, events = Watching(), []
    daemon = Daemon(watcher=watching, also=[thirdParty(lambda context: context.log.info("hm {n}", n=1) or {})])
    session = daemon.staff()
    watching.all.clear()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    globalLogPublisher.addObserver(events.append)
    try:
        session.send("ThirdParty", 1, traceparent=trace)
        session.send("ThirdParty", 2, traceparent="00-no")
        session.send("ThirdParty", 3)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [told.traceparent for told in watching.all] == [trace, "", ""]
    said = [(event["n"], event.get("trace_id"), event.get("parent_id"), event["log_namespace"]) for event in events]
    place = "scalemgr.server.dispatch.Dispatcher"
    assert said == [
        (1, "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", place),
        (1, None, None, place),
        (1, None, None, place),
    ]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (SyncTimeout("trade", 7, "void"), "void"),
        (SyncTimeout("trade", 7, "pending"), "pending"),
        (LedgerFailed("no", outcome="void"), "void"),
        (LedgerFailed("no"), "error"),
        (InternalError("E1"), "error"),
        (ShuttingDown(), "untaken"),
        (NoService(), "untaken"),
        (Overloaded("no"), "untaken"),
        (TooFrequent(7), "untaken"),
        (PermissionDenied("no"), "untaken"),
        (InvalidData("no"), "untaken"),
        (UnknownCommand("no"), "untaken"),
        (Refused("no", RetCode.RET_TRADE_NO_MONEY, outcome="refused"), "refused"),
        (Refused("no", RetCode.RET_TRADE_NO_MONEY, outcome="whatever a plugin says"), "untaken"),
        (ManagerError("no", error="ADD_BALANCE_ERROR", status=401, outcome="refused"), "refused"),
    ],
)
def test_outcomeOfARefusal(error: ManagerError, outcome: str) -> None:
    """In one word: what the answer says of itself, or whose failure it is. Only what says that it is refused is."""
    assert Told("", Json("1"), "", 0, 0, error.status, 0.0, error).outcome == outcome


def test_outcome() -> None:
    """What was answered was booked, or had been, or was only looked up; a refusal that is repeated is a refusal."""
    watching = Watching()
    daemon = Daemon(watcher=watching)
    session = daemon.staff()
    for command, key, amount in (
        ("BalanceInSync", "a", 10.0),
        ("BalanceIn", "b", 10.0),
        ("BalanceInSync", "a", 10.0),
        ("BalanceOutSync", "c", -1000.0),
        ("BalanceOutSync", "c", -1000.0),
    ):
        session.deposit(key, amount, command)
        daemon.settle()
    assert [(told.outcome, told.replayed) for told in watching.all] == [
        ("read", False),
        ("booked", False),
        ("booked", False),
        ("replayed", True),
        ("refused", False),
        ("refused", True),
    ]


def test_several() -> None:
    """Each of several watchers is told of each request, in turn, and they have one clock."""
    first, second = Watching(), Watching()
    both = Watchers(lambda: 7.0, [first, second])
    daemon = Daemon(watcher=both)
    daemon.staff()
    assert [short(told) for told in first.all] == [("Ping", '"hello"', "crm", 0, 0, 200, False)]
    assert first.all == second.all
    assert both.seconds() == 7.0
