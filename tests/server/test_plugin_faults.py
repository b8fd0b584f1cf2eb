"""Commands that misbehave: each costs its own caller an answer of 500, and nobody else anything."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct
from twisted.internet.defer import CancelledError, fail
from twisted.logger import LogEvent

from scalemgr.commands.base import command
from scalemgr.finance.money import Amount
from scalemgr.finance.requests import MoveMoney
from scalemgr.interfaces import ICommand, IContext
from scalemgr.server.discovery import findCommands
from scalemgr.wire.codes import RetCode, TradeCommand
from scalemgr.wire.errors import Refused

from ..helpers import Daemon


class Nothing(Struct, frozen=True):
    """No parameters."""


def submitted(context: IContext, order: Any = None) -> Any:
    """A deposit of 10.00, on its way."""
    request = MoveMoney(
        context.cause(),
        TradeCommand.OP_BALANCE_IN,
        1001,
        Amount(10, 0),
        context.reserveOrder() if order is None else order,
    )
    return context.submit(request)


@command("RaiseAfterSubmit")
def raiseAfterSubmit(context: IContext, params: Nothing) -> dict[str, Any]:
    """Submits, then fails."""
    submitted(context)
    raise KeyError("a bug")


@command("FailAfterSubmit")
def failAfterSubmit(context: IContext, params: Nothing) -> Any:
    """Submits, then fails through a Deferred."""
    submitted(context)
    return fail(KeyError("a bug"))


@command("Cancelled")
def cancelled(context: IContext, params: Nothing) -> Any:
    """Something of its own was cancelled."""
    return fail(CancelledError())


@command("NoJson")
def noJson(context: IContext, params: Nothing) -> Any:
    """Refuses with details that cannot be sent."""
    return fail(Refused("no", RetCode.RET_NOT_FOUND, why=object()))


@command("NoJsonAtOnce")
def noJsonAtOnce(context: IContext, params: Nothing) -> dict[str, Any]:
    """The same, at once."""
    raise Refused("no", RetCode.RET_NOT_FOUND, why=object())


@command("NoAnswer")
def noAnswer(context: IContext, params: Nothing) -> Any:
    """Forgets to answer."""


@command("BadCause")
def badCause(context: IContext, params: Nothing) -> dict[str, Any]:
    """Waits for something that is no submission."""
    return {"__deferred": {"kind": "trade", "event": "trade:event", "type": 0, "order": 1, "cause": {}}}


@command("NullDeferred")
def nullDeferred(context: IContext, params: Nothing) -> dict[str, Any]:
    """Has nothing to wait for."""
    return {"__deferred": None}


@command("HugeOrder")
def hugeOrder(context: IContext, params: Nothing) -> Any:
    """Gives an order that cannot be kept."""
    return context.settled(submitted(context, 2**70)).addCallback(lambda entry: {})


FAULTY = (
    raiseAfterSubmit,
    failAfterSubmit,
    cancelled,
    noJson,
    noJsonAtOnce,
    noAnswer,
    badCause,
    nullDeferred,
    hugeOrder,
)


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda c: c.name)
def test_faultCostsOneAnswer(faulty: ICommand, failures: list[LogEvent]) -> None:
    """The caller gets 500 with a reference; nothing is booked; the session and all others go on, time-outs too."""
    daemon = Daemon(commands=[*findCommands().commands, faulty])
    session, other = daemon.staff(), daemon.staff()
    session.send(faulty.name, "x")
    other.send("BalanceInSync", "y", {"login": 1002, "amount": 1})
    daemon.settle()
    (answer,) = session.answers()
    assert (answer["extID"], answer["status"], answer["data"]["reason"]) == ("x", 500, "RET_ERROR")
    assert "__deferred" not in str(answer)
    assert any(answer["data"]["reference"] in str(event.get("reference")) for event in failures)
    failures.clear()
    assert [a["status"] for a in other.answers()] == [200]
    assert daemon.balance(1001) == 0
    daemon.ledgerThread.held = True
    session.send("BalanceInSync", "z", {"login": 1001, "amount": 1})
    daemon.settle()
    daemon.clock.pump([1] * 6)
    assert [a["status"] for a in session.answers()] == [504]
