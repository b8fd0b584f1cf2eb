"""Requests for money that somebody else has to approve: 17, then booked, or 18.

A request has no effect on the balance until it is approved, and it is decided once.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ..finance.requests import DEFAULT_COMMENT, AskForMoney, Decide
from ..interfaces import IContext, ISubmission, Refusal
from ..wire.codes import EventRecordType, RetCode, TradeCommand, TradeReason, TradeState
from ..wire.errors import InvalidData
from .booking import SEES, both
from .params import SAFE_INTEGER, Comment, IdempotencyKey, Login, SignedAmount, Text, TimeoutMs, UnixTime

__all__ = [
    "mngApproveFinanceRequest",
    "mngApproveFinanceRequestSync",
    "mngCreateFinanceRequest",
    "mngCreateFinanceRequestSync",
    "mngDeclineFinanceRequest",
    "mngDeclineFinanceRequestSync",
]

_INCOMING = (TradeCommand.OP_BALANCE_IN, TradeCommand.OP_CREDIT_IN)
_OrderOfRequest = Annotated[int, Meta(ge=1, le=SAFE_INTEGER, description="number of the request")]
_ApiData = Annotated[str, Meta(max_length=4096, description="kept and given back")]


class Create(Struct, frozen=True, kw_only=True):
    """A movement of money that awaits approval; what comes in is positive, what goes out negative."""

    login: Login
    cmd: Annotated[int, Meta(ge=6, le=9, description="6 deposit, 7 credit in, 8 withdrawal, 9 credit out")]
    amount: SignedAmount
    comment: Comment = DEFAULT_COMMENT
    open_time: UnixTime | None = None
    reason: Annotated[int, Meta(ge=0, le=SAFE_INTEGER, description="a TR_REASON_*")] = TradeReason.TR_REASON_API
    gw_order: Annotated[int, Meta(ge=0, le=SAFE_INTEGER, description="the payment gateway's number of it")] = 0
    gw_source: Text = ""
    gw_uuid: Text = ""
    api_data: _ApiData = ""
    idempotency_key: IdempotencyKey | None = None
    timeout_ms: TimeoutMs | None = None


class Approve(Struct, frozen=True):
    """Which request."""

    order: _OrderOfRequest
    idempotency_key: IdempotencyKey | None = None
    timeout_ms: TimeoutMs | None = None


class Decline(Struct, frozen=True):
    """Which request, and what to note on it."""

    order: _OrderOfRequest
    comment: Comment | None = None
    api_data: _ApiData | None = None
    idempotency_key: IdempotencyKey | None = None
    timeout_ms: TimeoutMs | None = None


def _create(context: IContext, params: Any) -> ISubmission:
    cmd = TradeCommand(params.cmd)
    if (params.amount.coefficient > 0) != (cmd in _INCOMING) or not params.amount.coefficient:
        wanted = "greater" if cmd in _INCOMING else "less"
        raise InvalidData(f"expected a number {wanted} than 0 for cmd {params.cmd}", field="amount")
    return context.submit(
        AskForMoney(
            context.cause(params.idempotency_key),
            cmd,
            params.login,
            params.amount,
            context.reserveOrder(),
            params.comment,
            params.open_time or 0,
            params.reason,
            params.gw_order,
            params.gw_source,
            params.gw_uuid,
            params.api_data,
        )
    )


def _approve(context: IContext, params: Any) -> ISubmission:
    return context.submit(Decide(context.cause(params.idempotency_key), params.order, approve=True))


def _decline(context: IContext, params: Any) -> ISubmission:
    cause = context.cause(params.idempotency_key)
    return context.submit(Decide(cause, params.order, False, params.comment, params.api_data))


_UNDECIDABLE = (Refusal(RetCode.RET_NOT_FOUND, "TRADE_NOT_FOUND"), RetCode.RET_TRADE_INCORRECT_STATE)
_BEYOND = "the Sync form, `idempotency_key`, `timeout_ms`"

mngCreateFinanceRequest, mngCreateFinanceRequestSync = both(
    "MngCreateFinanceRequest",
    Create,
    _create,
    "Ask for a movement of money, which awaits approval",
    state=TradeState.TS_FINANCE_OPEN_PENDING,
    flags=("set_finance",),
    errors=(RetCode.RET_USER_NOT_FOUND, RetCode.RET_ACCOUNT_DISABLED, RetCode.RET_TRADE_LIMIT_REACHED),
    moves=False,
    beyond=_BEYOND,
)
mngApproveFinanceRequest, mngApproveFinanceRequestSync = both(
    "MngApproveFinanceRequest",
    Approve,
    _approve,
    "Approve a request for money, which books it",
    state=TradeState.TS_FINANCE_OPEN_REQUEST,
    flags=("approve_finance", *SEES),
    errors=(
        *_UNDECIDABLE,
        RetCode.RET_ACCOUNT_DISABLED,
        RetCode.RET_TRADE_NO_MONEY,
        RetCode.RET_TRADE_LIMIT_REACHED,
    ),
    event=EventRecordType.EV_RECORD_UPDATE,
    beyond=_BEYOND,
)
mngDeclineFinanceRequest, mngDeclineFinanceRequestSync = both(
    "MngDeclineFinanceRequest",
    Decline,
    _decline,
    "Decline a request for money",
    state=TradeState.TS_FINANCE_OPEN_DECLINE,
    flags=("decline_finance", *SEES),
    errors=_UNDECIDABLE,
    event=EventRecordType.EV_RECORD_UPDATE,
    moves=False,
    beyond=_BEYOND,
)
