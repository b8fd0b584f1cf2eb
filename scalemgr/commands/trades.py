"""Trades: one by its number, and tables of them.

All of them are movements of money, booked (state 3), taken back (6, they stay to be read), asked for (17) or
declined (18). C{tradeType} selects: 0 all; 1 open: none, there are no positions here; 2 closed: what was booked and
not taken back, so its profits add up to the balance and the credit; 3 pending: what awaits approval; 4 finance: as 2,
and what was declined.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ..finance.questions import TRADES, Filter, TableQuery
from ..finance.records import FinanceTrade
from ..interfaces import About, IContext, Refusal
from ..wire.codes import RetCode
from ..wire.errors import InvalidData, Refused
from .answers import Table, TradeFields, Trades
from .base import READERS, command
from .filters import Filtered, GroupMask, Limit, Offset, fields, table
from .params import SAFE_INTEGER, Flag, Login, Order, UnixTime

__all__ = ["COLUMNS", "getTradeByOrder", "getTradesByGroup", "getTradesHistoryByLogin", "mngGetTradesByFilter"]

_ALL, _CLOSED, _PENDING = 0, 2, 3
_BEYOND = "`limit`, `offset`; a table of too many rows is refused"

#: The published columns (C{wire.md} 3.5), then the newer ones.
COLUMNS = (
    "order",
    "login",
    "cmd",
    "state",
    "symbol",
    "reason",
    "volume",
    "open_time",
    "close_time",
    "open_price",
    "close_price",
    "sl",
    "tp",
    "profit",
    "commission",
    "storage",
    "comment",
    "digits",
    "expiration",
    "group",
    "update_time",
    "net_profit",
    "balance_version",
)


class GetTradeByOrder(Struct, frozen=True):
    """Which trade."""

    order: Order


@command(
    "GetTradeByOrder",
    roles=READERS,
    flags=("see_trades",),
    about=About(
        TradeFields, (Refusal(RetCode.RET_NOT_FOUND, "TRADE_NOT_FOUND"),), beyond="`update_time`, `balance_version`"
    ),
)
async def getTradeByOrder(context: IContext, params: GetTradeByOrder) -> dict[str, Any]:
    """A trade by its number."""
    trade = await context.trade(params.order)
    if trade is None:
        raise Refused(
            f"order {params.order} does not exist, or not for you", RetCode.RET_NOT_FOUND, error="TRADE_NOT_FOUND"
        )
    fields = _fields(trade)
    if not context.sight.balances:
        for money in ("profit", "commission", "storage", "balance_version"):
            del fields[money]
    return fields


def _fields(trade: FinanceTrade) -> dict[str, Any]:
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


class GetTradesHistoryByLogin(Struct, frozen=True, rename={"from_": "from"}):
    """Of which account, and from when to when, both inclusive. C{limit} and C{offset} are ours."""

    login: Login
    from_: Annotated[UnixTime, Meta(description="unix seconds, inclusive; 0: from the first")]
    to: Annotated[UnixTime, Meta(description="unix seconds, inclusive; 0: to the last")]
    limit: Limit | None = None
    offset: Offset = 0


@command("GetTradesHistoryByLogin", roles=READERS, flags=("see_trades",), about=About(Table, beyond=_BEYOND))
async def getTradesHistoryByLogin(context: IContext, params: GetTradesHistoryByLogin) -> dict[str, Any]:
    """What was booked on an account and not taken back, by its close_time."""
    to = params.to or SAFE_INTEGER
    if to < params.from_:
        raise InvalidData("expected it after from", field="to")
    query = TableQuery(
        table=TRADES,
        columns=COLUMNS,
        tradeType=_CLOSED,
        filter=Filter(
            where=[["login", "=", params.login]],
            whereBetween=[["close_time", [params.from_, to]]],
            orderBy=["close_time", "ASC"],
        ),
        limit=params.limit,
        offset=params.offset,
    )
    return table(await context.table(query))


class GetTradesByGroup(Struct, frozen=True):
    """Of which groups. C{limit} and C{offset} are ours."""

    group_mask: GroupMask
    open_only: Annotated[Flag, Meta(description="1: only what is not decided yet, requests that await approval")] = 0
    limit: Limit | None = None
    offset: Offset = 0


@command("GetTradesByGroup", roles=READERS, flags=("see_trades",), about=About(Table, beyond=_BEYOND))
async def getTradesByGroup(context: IContext, params: GetTradesByGroup) -> dict[str, Any]:
    """The trades of some groups: all there are, or those that are not decided yet."""
    query = TableQuery(
        table=TRADES,
        columns=COLUMNS,
        groupFilter=params.group_mask,
        tradeType=_PENDING if params.open_only else _ALL,
        limit=params.limit,
        offset=params.offset,
    )
    return table(await context.table(query))


class MngGetTradesByFilter(Filtered, frozen=True, kw_only=True):
    """Which trades; all conditions hold."""

    tradeType: Annotated[
        int, Meta(ge=0, le=4, description="0 all, 1 open (none), 2 closed, 3 pending, 4 finance: closed and declined")
    ] = 0


@command(
    "MngGetTradesByFilter",
    roles=READERS,
    flags=("see_trades",),
    about=About(Trades, beyond="`limit` and `offset` may be left out; `balance_version`", fields=fields(TRADES)),
)
async def mngGetTradesByFilter(context: IContext, params: MngGetTradesByFilter) -> dict[str, Any]:
    """Trades by a filter, and what all that match come to."""
    query = TableQuery(
        table=TRADES,
        columns=COLUMNS,
        filter=params.filter(),
        groupFilter=params.groupFilter,
        tradeType=params.tradeType,
        limit=params.limit,
        offset=params.offset,
        totals=("profit",),
    )
    found = await context.table(query)
    totals: dict[str, float] = {}
    if found.totals:
        profit = found.totals["profit"]
        totals = {"total_profit": profit, "total_net_profit": profit, "total_storage": 0.0, "total_commission": 0.0}
    return table(found, **totals, total_volume=0)
