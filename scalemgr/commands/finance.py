"""Money in and out: of the balance, and of the credit.

What goes out is negative. An C{order} that exists is changed, if it is of the same login and kind; one that does
not makes a new transaction, as published, or is refused where the configuration says so.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred

from ..finance.records import FinanceTrade
from ..finance.requests import MoveMoney
from ..interfaces import IContext, ISubmission
from ..wire.codes import RetCode, TradeCommand, TradeState
from ..wire.errors import NotPermitted
from .base import Command
from .booking import SEES, Submitting, both
from .params import (
    Comment,
    IdempotencyKey,
    Login,
    NegativeAmount,
    Order,
    PositiveAmount,
    SignedAmount,
    TimeoutMs,
    UnixTime,
)

__all__ = [
    "balanceIn",
    "balanceInSync",
    "balanceOut",
    "balanceOutSync",
    "creditIn",
    "creditInSync",
    "creditOut",
    "creditOutSync",
]


_ORDER = (
    "a transaction of this login and kind to change: amount takes the place of the old one, what is left out stays as "
    "it is; 0, or one that does not exist: a new one is made (or 404, if the server is configured to be strict)"
)


class _Movement(Struct, frozen=True):
    """What they all take. C{order}: one of this login to change; if it does not exist, a new one is made."""

    login: Login
    amount: SignedAmount
    comment: Comment | None = None
    order: Annotated[Order, Meta(description=_ORDER)] | None = None
    open_time: UnixTime | None = None
    close_time: UnixTime | None = None
    idempotency_key: IdempotencyKey | None = None
    timeout_ms: TimeoutMs | None = None


class BalanceIn(_Movement, frozen=True):
    """A deposit."""

    amount: PositiveAmount


class BalanceOut(_Movement, frozen=True):
    """A withdrawal; its amount is negative."""

    amount: NegativeAmount


class CreditIn(BalanceIn, frozen=True):
    """Credit that is granted, and why."""

    comment: Comment


class CreditOut(BalanceOut, frozen=True):
    """Credit that is taken, and why; its amount is negative."""

    comment: Comment


def _moving(cmd: TradeCommand) -> Submitting:
    """Reserve or reuse an order, and queue the movement."""

    def move(context: IContext, params: Any) -> ISubmission | Deferred[ISubmission]:
        named = params.order
        if not named:
            return _submit(None, context, params, cmd, 0)
        withheld = [flag for flag in SEES if not context.principal.may(flag)]
        if withheld:
            # The answer would tell what is there.
            raise NotPermitted(f"your token withholds {', '.join(withheld)}, which changing a transaction takes")
        # Whether it exists decides which event is to be waited for, so it must be known first.
        return context.trade(named, params.timeout_ms).addCallback(_submit, context, params, cmd, named)

    return move


def _submit(
    existing: FinanceTrade | None, context: IContext, params: Any, cmd: TradeCommand, named: int
) -> ISubmission:
    cause = context.cause(params.idempotency_key)
    order = named if existing is not None else _another(context, named)
    times = params.open_time or 0, params.close_time or 0
    return context.submit(
        MoveMoney(
            cause, cmd, params.login, params.amount, order, named, params.comment, *times, strict=context.strictOrders
        )
    )


def _another(context: IContext, named: int) -> int:
    """A new order; not even by chance the one that was named and does not exist."""
    order = context.reserveOrder()
    return order if order != named else context.reserveOrder()


_ERRORS = (
    RetCode.RET_USER_NOT_FOUND,
    RetCode.RET_ACCOUNT_DISABLED,
    RetCode.RET_TRADE_NO_MONEY,
    RetCode.RET_TRADE_LIMIT_REACHED,
    RetCode.RET_TRADE_BAD_CLOSE_TIME,
    RetCode.RET_TRADE_INCORRECT_ORDER,
    RetCode.RET_TRADE_INCORRECT_STATE,
    RetCode.RET_NOT_FOUND,
)


def _both(name: str, params: type[Struct], cmd: TradeCommand, does: str) -> tuple[Command, Command]:
    return both(
        name,
        params,
        _moving(cmd),
        does,
        state=TradeState.TS_FINANCE_OPEN_REQUEST,
        changed=TradeState.TS_FINANCE_UPDATE_REQUEST,
        flags=("set_accounts_balance",),
        errors=_ERRORS,
        beyond="`idempotency_key`, `timeout_ms`",
    )


balanceIn, balanceInSync = _both(
    "BalanceIn", BalanceIn, TradeCommand.OP_BALANCE_IN, "Deposit money, or change a deposit"
)
balanceOut, balanceOutSync = _both(
    "BalanceOut", BalanceOut, TradeCommand.OP_BALANCE_OUT, "Withdraw money, or change a withdrawal"
)
creditIn, creditInSync = _both(
    "CreditIn", CreditIn, TradeCommand.OP_CREDIT_IN, "Grant credit, or change what was granted"
)
creditOut, creditOutSync = _both(
    "CreditOut", CreditOut, TradeCommand.OP_CREDIT_OUT, "Take credit, or change what was taken"
)
