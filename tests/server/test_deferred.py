"""The generic deferred flow: any command becomes a sync command by adding C{__deferred} to what it returns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import succeed
from twisted.logger import LogEvent

from scalemgr.finance.money import Amount
from scalemgr.finance.requests import MoveMoney
from scalemgr.interfaces import IContext, ISubmission
from scalemgr.wire.codes import EventRecordType, TradeCommand

from ..helpers import Daemon, Session, inShort, thirdParty

ADD, UPDATE = EventRecordType.EV_RECORD_ADD, EventRecordType.EV_RECORD_UPDATE


async def soon(value: Any) -> Any:
    return value


HOWS = {"plain": lambda value: value, "Deferred": succeed, "async def": soon}


def service(order: Any = 7, **more: Any) -> dict[str, Any]:
    return {"kind": "bonus", "event": "trade:event", "type": ADD, "order": order, **more}


def submit(context: IContext, cents: int = 500) -> ISubmission:
    """What a finance command of somebody else's would do."""
    order = context.reserveOrder()
    return context.submit(
        MoveMoney(context.cause(), TradeCommand.OP_BALANCE_IN, 1001, Amount(cents, 2), order, comment="bonus")
    )


def ofItsOwn(how: str, **more: Any) -> Any:
    """A sync command that waits for what it submitted itself."""

    def run(context: IContext) -> Any:
        submission = submit(context)
        order = submission.request.order  # type: ignore[union-attr]
        return HOWS[how]({"intermediate": 1, "__deferred": service(order, cause=submission, **more)})

    return thirdParty(run)


@pytest.mark.parametrize("how", HOWS)
def test_ownEvent(how: str) -> None:
    """The intermediate answer is not sent; the event's C{data} is, byte for byte, when it comes."""
    daemon = Daemon(also=[ofItsOwn(how)])
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.send("ThirdParty", "x")
    daemon.settle()
    daemon.clock.pump([0.05] * 20)
    assert session.raw() == b""
    daemon.ledgerThread.release()
    daemon.settle()
    raw = session.raw()
    assert b"__deferred" not in raw
    assert b"intermediate" not in raw
    answer, event, balance, rest = raw.split(b"\r\n")
    data = answer.removeprefix(b'{"extID":"x","status":200,"data":').removesuffix(b"}")
    assert event.startswith(b'{"event":"trade:event","type":0,"data":%s,"seq":6' % data)
    assert b'"comment":"bonus"' in data
    assert inShort([json.loads(balance)]) == ["7:5"]
    assert rest == b""


@pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])
def test_builtIn(command: str) -> None:
    """C{__deferred} is in no line that a built-in command causes, whatever becomes of the request."""
    daemon = Daemon()
    session, listening = daemon.staff(), daemon.staff()
    session.deposit("a", command=command)
    session.deposit("b", command=command, login=999)
    session.deposit("c", command=command, timeout_ms=1)
    daemon.settle()
    daemon.ledgerThread.held = True
    session.deposit("d", command=command, timeout_ms=100)
    daemon.clock.pump([0.05] * 4)
    raw = session.raw()
    # Four answers, and the two events of the first deposit.
    assert raw.count(b"\r\n") == 6
    assert b"deferred" not in raw + listening.raw()


def waitingFor(order: int, **more: Any) -> Any:
    """A sync command that waits for what somebody else does."""
    return thirdParty(lambda context: {"intermediate": 1, "__deferred": service(order, **more)})


def test_eventOfSomebodyElse() -> None:
    """A command may wait for an event that another session causes, and is answered before it hears of it."""
    daemon = Daemon(also=[waitingFor(2)])
    session, other = daemon.staff(), daemon.staff()
    session.send("ThirdParty", "x")
    other.deposit("a", 1.0)
    daemon.settle()
    assert [line.get("event") for line in session.lines()] == ["trade:event", "balance:event"]
    other.deposit("b", 2.0)
    daemon.settle()
    lines = session.lines()
    assert inShort(lines) == ["x", "8", "9:3"]
    answer, event, _ = lines
    assert (answer["extID"], answer["data"]["order"], answer["data"]["profit"]) == ("x", 2, 2.0)
    assert event["data"] == answer["data"]


def test_updateOfSomebodyElse() -> None:
    """The type of the event counts: who waits for an update is not answered by the making of that order."""
    daemon = Daemon(also=[waitingFor(1, type=UPDATE)])
    session, other = daemon.staff(), daemon.staff()
    session.send("ThirdParty", "x")
    other.deposit("a", 1.0)
    daemon.settle()
    assert session.answers() == []
    other.deposit("b", 3.0, order=1)
    daemon.settle()
    assert [answer["data"]["profit"] for answer in session.answers()] == [3.0]


def test_manyWaitForOneEvent() -> None:
    """One event answers all who wait for it, on one session and on others, each under its own extID."""
    daemon = Daemon(also=[waitingFor(1)])
    one, two, other = daemon.staff(), daemon.staff(), daemon.staff()
    for session, extID in ((one, "a"), (two, "a"), (one, 7)):
        session.send("ThirdParty", extID)
    other.deposit("a")
    daemon.settle()
    assert [answer["extID"] for answer in one.answers()] == ["a", 7]
    assert [answer["extID"] for answer in two.answers()] == ["a"]


@pytest.mark.parametrize(("more", "milliseconds"), [({}, 5000), ({"timeout": 700}, 700), ({"timeout": None}, 5000)])
def test_timeout(more: dict[str, Any], milliseconds: int) -> None:
    """Without the event in time the answer is 504 with the kind and order that the command gave."""
    daemon = Daemon(also=[waitingFor(77, **more)])
    session = daemon.staff()
    session.send("ThirdParty", "x")
    daemon.clock.advance(milliseconds / 1000 - 0.001)
    assert session.raw() == b""
    daemon.clock.pump([0.05, 0.05])
    [answer] = session.lines()
    assert (answer["extID"], answer["status"]) == ("x", 504)
    assert list(answer["data"].items())[:4] == [
        ("error", "SYNC_TIMEOUT"),
        ("kind", "bonus"),
        ("order", 77),
        ("outcome", "pending"),
    ]


@pytest.mark.parametrize("how", HOWS)
def test_timeoutOfItsOwn(how: str) -> None:
    """A third party's submission is withdrawn by its time-out like any other: void, and never applied."""
    daemon = Daemon(also=[ofItsOwn(how, timeout=300)])
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("first")
    daemon.settle()
    session.send("ThirdParty", "x")
    daemon.clock.pump([0.05] * 8)
    assert [(a["extID"], a["data"]["outcome"]) for a in session.answers()] == [("x", "void")]
    daemon.ledgerThread.release()
    daemon.settle()
    assert daemon.balance() == 1000


def test_refusalOfItsOwn() -> None:
    """If a command's own submission is refused, that is the answer."""

    def run(context: IContext) -> dict[str, Any]:
        order = context.reserveOrder()
        amount = Amount(1, 3)
        submission = context.submit(MoveMoney(context.cause(), TradeCommand.OP_BALANCE_IN, 1001, amount, order))
        return {"__deferred": service(order, cause=submission)}

    daemon = Daemon(also=[thirdParty(run)])
    session = daemon.staff()
    session.send("ThirdParty", "x")
    daemon.settle()
    [answer] = session.lines()
    assert (answer["status"], answer["data"]["field"]) == (400, "amount")


MALFORMED: list[Any] = [
    None,
    {},
    [],
    7,
    "trade",
    True,
    {"kind": "trade"},
    {**service(), "more": 1},
    {key: value for key, value in service().items() if key != "order"},
    service(kind=None),
    service(event=1),
    service(type="EV_RECORD_ADD"),
    service("7"),
    service([7]),
    service(timeout="5000"),
    service(timeout=1.5),
    service(cause={}),
    service(cause=7),
]


def assertBug(session: Session, failures: list[LogEvent]) -> None:
    """One request answered with 500 and logged once, and nothing of the intermediate answer told."""
    raw = session.raw()
    assert raw.count(b"\r\n") == raw.count(b'"status":500') == 1
    assert b"deferred" not in raw
    assert b"intermediate" not in raw
    assert [event["log_failure"].type for event in failures] == [TypeError]
    failures.clear()


@pytest.mark.parametrize("malformed", MALFORMED)
def test_malformed(malformed: Any, failures: list[LogEvent]) -> None:
    """A C{__deferred} that is none is a bug of the command: 500, logged, and nothing is left behind."""
    for how in HOWS.values():
        daemon = Daemon(also=[thirdParty(lambda context, how=how: how({"intermediate": 1, "__deferred": malformed}))])
        session = daemon.staff()
        session.send("ThirdParty", "x")
        daemon.settle()
        assertBug(session, failures)
        assert len(daemon.waiters) == 0
        daemon.clock.pump([0.05] * 120)
        session.deposit("x")
        daemon.settle()
        assert [answer["status"] for answer in session.answers()] == [200]


def test_malformedWithdraws(failures: list[LogEvent]) -> None:
    """What a command submitted before it returned a malformed C{__deferred} is withdrawn: 500, and not applied."""

    def run(context: IContext) -> dict[str, Any]:
        return {"intermediate": 1, "__deferred": {**service(), "cause": submit(context), "more": 1}}

    daemon = Daemon(also=[thirdParty(run)])
    session = daemon.staff()
    session.send("ThirdParty", "x")
    daemon.settle()
    assertBug(session, failures)
    assert daemon.balance() == 0


def test_clientSent() -> None:
    """What a client calls C{__deferred} is nothing: it is neither believed nor sent back."""
    daemon = Daemon(also=[thirdParty(lambda context: {"fine": 1})])
    session = daemon.staff()
    session.send("ThirdParty", "x", {"__deferred": service()}, __deferred=service())
    assert session.raw() == b'{"extID":"x","status":200,"data":{"fine":1}}\r\n'
    assert len(daemon.waiters) == 0
