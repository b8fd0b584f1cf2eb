"""Looking at what was booked."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ..finance.records import FinanceTrade
from ..interfaces import IContext
from ..wire.codes import RetCode
from ..wire.errors import Refused
from .base import command
from .params import Order

__all__ = ["getTradeByOrder"]


class GetTradeByOrder(Struct, frozen=True):
    """Which trade."""

    order: Order


@command("GetTradeByOrder")
async def getTradeByOrder(context: IContext, params: GetTradeByOrder) -> dict[str, Any]:
    """A trade by its number."""
    trade = await context.trade(params.order)
    if trade is None:
        raise Refused(
            f"order {params.order} does not exist, or not for you", RetCode.RET_NOT_FOUND, error="TRADE_NOT_FOUND"
        )
    return _columns(trade)


def _columns(trade: FinanceTrade) -> dict[str, Any]:
    """The columns of the published trade tables (C{wire.md} 3.5), and what we have besides."""
    return {
        **trade.data(),
        "volume": 0,
        "open_price": 0.0,
        "close_price": 0.0,
        "sl": 0.0,
        "tp": 0.0,
        "commission": 0.0,
        "storage": 0.0,
        "expiration": 0,
    }
