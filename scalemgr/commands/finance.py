"""Money in.

A plain command answers when the money is booked, with what was accepted. Its Sync form is the same and
answers with the trade: it adds C{__deferred} to what it returns, and dispatch does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ujson
from msgspec import Struct
from twisted.internet.defer import Deferred

from ..finance.records import TRADE_EVENT, Entry, FinanceTrade
from ..finance.requests import MoveMoney
from ..interfaces import IContext, ISubmission
from ..wire.codes import EventRecordType, TradeCommand, TradeState
from ..wire.errors import ADD_BALANCE_ERROR
from .base import Answer, command
from .params import Comment, IdempotencyKey, Login, Order, PositiveAmount, TimeoutMs, UnixTime

__all__ = ["balanceIn", "balanceInSync"]


class BalanceIn(Struct, frozen=True):
    """A deposit. C{order}: a deposit of this login to change; if it does not exist, a new one is made."""

    login: Login
    amount: PositiveAmount
    comment: Comment | None = None
    order: Order | None = None
    open_time: UnixTime | None = None
    close_time: UnixTime | None = None
    idempotency_key: IdempotencyKey | None = None
    timeout_ms: TimeoutMs | None = None


@command("BalanceIn", denied=ADD_BALANCE_ERROR)
def balanceIn(context: IContext, params: BalanceIn) -> Answer:
    """Deposit money, or change a deposit; answers with the order once it is booked."""
    return _book(context, params, TradeCommand.OP_BALANCE_IN, _whenBooked)


@command("BalanceInSync", denied=ADD_BALANCE_ERROR)
def balanceInSync(context: IContext, params: BalanceIn) -> Answer:
    """Deposit money, or change a deposit; answers with the trade once it is booked."""
    return _book(context, params, TradeCommand.OP_BALANCE_IN, _withTrade)


_Then = Callable[[IContext, BalanceIn, ISubmission], Answer]


def _book(context: IContext, params: BalanceIn, cmd: TradeCommand, then: _Then) -> Answer:
    """Reserve or reuse an order, queue the request, and go on."""

    def submit(existing: FinanceTrade | None) -> Any:
        request = MoveMoney(
            context.cause(params.idempotency_key),
            cmd,
            params.login,
            params.amount,
            named if existing is not None else _another(context, named),
            named,
            params.comment,
            params.open_time or 0,
            params.close_time or 0,
            context.strictOrders,
        )
        return then(context, params, context.submit(request))

    named = params.order or 0
    if named:
        # Whether it exists decides which event is to be waited for, so it must be known first.
        return context.trade(named, params.timeout_ms).addCallback(submit)
    answer: Answer = submit(None)
    return answer


def _another(context: IContext, named: int) -> int:
    """A new order; not even by chance the one that was named and does not exist."""
    order = context.reserveOrder()
    return order if order != named else context.reserveOrder()


def _whenBooked(context: IContext, params: BalanceIn, submission: ISubmission) -> Deferred[dict[str, Any]]:
    return context.settled(submission, params.timeout_ms).addCallback(_accepted)


def _accepted(entry: Entry) -> dict[str, Any]:
    """What is said of a booking: of a repeat, of the first one's."""
    trade = ujson.loads(entry.data)
    update = entry.type == EventRecordType.EV_RECORD_UPDATE
    return {
        "accepted": True,
        "order": entry.order,
        "state": TradeState.TS_FINANCE_UPDATE_REQUEST if update else TradeState.TS_FINANCE_OPEN_REQUEST,
        "login": entry.login,
        "cmd": trade["cmd"],
        "amount": trade["profit"],
        "balance_version": trade["balance_version"],
    }


def _withTrade(context: IContext, params: BalanceIn, submission: ISubmission) -> dict[str, Any]:
    request = submission.request
    assert type(request) is MoveMoney
    return {
        "accepted": True,
        "order": request.order,
        "__deferred": {
            "kind": "trade",
            "event": TRADE_EVENT,
            "type": EventRecordType.EV_RECORD_UPDATE if request.update else EventRecordType.EV_RECORD_ADD,
            "order": request.order,
            "timeout": params.timeout_ms,
            "cause": submission,
        },
    }
