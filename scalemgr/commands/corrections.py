"""Taking a movement of money back: it is as if it had never been made, but for the record of it.

The record stays readable, with state 6 (C{TS_DELETED}). What would overdraw the account is refused.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ..finance.requests import BALANCE, CREDIT, TakeBack
from ..interfaces import IContext, ISubmission, Refusal
from ..wire.codes import EventRecordType, RetCode, TradeCommand, TradeState
from .base import Command
from .booking import SEES, both
from .params import SAFE_INTEGER, IdempotencyKey, TimeoutMs

__all__ = ["deleteBalance", "deleteBalanceSync", "deleteCredit", "deleteCreditSync"]


class Delete(Struct, frozen=True):
    """Which transaction."""

    order: Annotated[int, Meta(ge=1, le=SAFE_INTEGER, description="number of the transaction")]
    idempotency_key: IdempotencyKey | None = None
    timeout_ms: TimeoutMs | None = None


def _both(name: str, kinds: frozenset[TradeCommand], does: str) -> tuple[Command, Command]:
    def takeBack(context: IContext, params: Any) -> ISubmission:
        return context.submit(TakeBack(context.cause(params.idempotency_key), params.order, kinds))

    return both(
        name,
        Delete,
        takeBack,
        does,
        state=TradeState.TS_FINANCE_DELETE_REQUEST,
        flags=("del_accounts_balance", *SEES),
        errors=(
            Refusal(RetCode.RET_NOT_FOUND, "TRADE_NOT_FOUND"),
            RetCode.RET_TRADE_INCORRECT_ORDER,
            RetCode.RET_TRADE_INCORRECT_STATE,
            RetCode.RET_TRADE_NO_MONEY,
            RetCode.RET_TRADE_LIMIT_REACHED,
        ),
        beyond="the record has state 6 (published samples show 4); `idempotency_key`, `timeout_ms`",
        event=EventRecordType.EV_RECORD_DELETE,
    )


deleteBalance, deleteBalanceSync = _both("DeleteBalance", BALANCE, "Take a deposit or a withdrawal back")
deleteCredit, deleteCreditSync = _both("DeleteCredit", CREDIT, "Take a movement of credit back")
