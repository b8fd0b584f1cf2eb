"""Lists of accounts and of groups."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ..finance.questions import ACCOUNTS, GROUPS, TableQuery
from ..interfaces import About, IContext
from .answers import Accounts, Rows, Table
from .base import READERS, STAFF, command
from .filters import Filtered, GroupMask, Limit, Offset, fields, rows, table
from .params import Login

__all__ = ["getAccountsByGroup", "getGroups", "getUserBalanceList", "getUsersByFilter"]

#: The published columns (C{wire.md} 3.6).
_PUBLISHED = (
    "login",
    "enable",
    "enable_read_only",
    "enable_change_password",
    "leverage",
    "currency",
    "group",
    "email",
    "country",
    "phone",
    "comment",
    "address",
    "city",
    "zipcode",
    "name",
    "regdate",
    "prevbalance",
    "prevmonthbalance",
    "balance",
    "credit",
    "margin",
    "margin_free",
    "margin_level",
    "equity",
)
#: And what belongs to them besides.
_COLUMNS = (*_PUBLISHED, "update_time", "magic", "customer_id", "balance_version")

_BALANCE = (
    "balance",
    "credit",
    "profit",
    "commission",
    "storage",
    "margin",
    "margin_free",
    "margin_level",
    "equity",
    "level_type",
    # Beyond the published: without it nobody could tell whose it is.
    "login",
)


class GetAccountsByGroup(Struct, frozen=True):
    """Of which groups. C{limit} and C{offset} are ours."""

    group_mask: GroupMask = "*"
    limit: Limit | None = None
    offset: Offset = 0


@command(
    "GetAccountsByGroup",
    roles=STAFF,
    flags=("see_accounts",),
    about=About(Table, beyond="`limit`, `offset`; a table of too many rows is refused"),
)
async def getAccountsByGroup(context: IContext, params: GetAccountsByGroup) -> dict[str, Any]:
    """The accounts of some groups."""
    query = TableQuery(
        table=ACCOUNTS,
        columns=_PUBLISHED,
        groupFilter=params.group_mask,
        limit=params.limit,
        offset=params.offset,
        nowMs=_nowMs(context),
    )
    return table(await context.table(query))


class GetUsersByFilter(Filtered, frozen=True, kw_only=True):
    """Which accounts; all conditions hold."""


@command(
    "GetUsersByFilter",
    roles=READERS,
    flags=("see_accounts",),
    about=About(Accounts, beyond="`limit` and `offset` may be left out; `balance_version`", fields=fields(ACCOUNTS)),
)
async def getUsersByFilter(context: IContext, params: GetUsersByFilter) -> dict[str, Any]:
    """Accounts by a filter, and what is on all that match."""
    query = TableQuery(
        table=ACCOUNTS,
        columns=_COLUMNS,
        filter=params.filter(),
        groupFilter=params.groupFilter,
        limit=params.limit,
        offset=params.offset,
        totals=("balance", "credit"),
        nowMs=_nowMs(context),
    )
    found = await context.table(query)
    totals = {f"total_{name}": total for name, total in found.totals.items()}
    if totals:
        totals |= {"total_profit": 0.0, "total_net_profit": 0.0}
    return table(found, **totals)


class GetUserBalanceList(Struct, frozen=True):
    """Which accounts."""

    logins: Annotated[list[Login], Meta(max_length=50_000)]


@command(
    "GetUserBalanceList",
    roles=STAFF,
    flags=("see_accounts_balance",),
    about=About(Rows, beyond="the `login` of each row"),
)
async def getUserBalanceList(context: IContext, params: GetUserBalanceList) -> dict[str, Any]:
    """What is on these accounts; those that do not exist are left out."""
    query = TableQuery(table=ACCOUNTS, columns=_BALANCE, objects=True, logins=tuple(params.logins))
    return rows(await context.table(query))


class GetGroups(Struct, frozen=True):
    """C{limit} and C{offset} are ours."""

    limit: Limit | None = None
    offset: Offset = 0


@command(
    "GetGroups", roles=STAFF, flags=("see_accounts",), about=About(Rows, beyond="`digits`, `floor`; `limit`, `offset`")
)
async def getGroups(context: IContext, params: GetGroups) -> dict[str, Any]:
    """The groups that the caller may see, each with all that is known of it."""
    return rows(await context.table(TableQuery(table=GROUPS, limit=params.limit, offset=params.offset)))


def _nowMs(context: IContext) -> int:
    return int(context.clock.seconds() * 1000)
