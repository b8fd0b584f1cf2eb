"""Trading groups: what accounts have in common, above all their currency.

What concerns money is interpreted: C{currency}, and C{floor}, which is ours. Everything else of the published record
is checked, kept and given back.
"""

from __future__ import annotations

from typing import Annotated, Any

import ujson
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from ..finance import requests
from ..finance.records import Entry
from ..interfaces import About, IContext, Refusal
from ..wire.codes import RetCode, SessionType
from ..wire.errors import InvalidData
from ..wire.messages import encode
from .answers import Done, GroupSaid
from .base import command
from .params import NAME, SAFE_INTEGER, Flag, IdempotencyKey, SignedAmount, Text

__all__ = ["addGroup", "deleteGroup", "updateGroup"]

#: Those who may change what accounts are, not only what is on them.
OFFICE = frozenset({SessionType.SESSION_MANAGER, SessionType.SESSION_ADMIN})

#: What may be kept of a group, in bytes of JSON.
RECORD_MAX = 64 * 1024

# What a mask gives a meaning to cannot be part of a name.
GroupName = Annotated[str, Meta(pattern=r"\A[^\s*!,\x00-\x1f\x7f]{1,64}\Z", description=NAME)]
_Kept = Annotated[int, Meta(ge=-SAFE_INTEGER, le=SAFE_INTEGER, description="kept and given back")]
_KeptNumber = Annotated[float, Meta(ge=-SAFE_INTEGER, le=SAFE_INTEGER, description="kept and given back")]
_KeptList = Annotated[list[dict[str, Any]], Meta(max_length=1000, description="kept and given back")]


class AddGroup(Struct, frozen=True, kw_only=True):
    """A group (C{wire.md} 3.7); C{currency} is an ISO 4217 code, or one that the configuration adds."""

    group: GroupName
    currency: Annotated[str, Meta(min_length=1, max_length=12)]
    floor: Annotated[SignedAmount, Meta(description="no balance may be taken below this; 0 at first")] | None = None
    enable: Flag | UnsetType = UNSET
    company: Text | UnsetType = UNSET
    brand: Text | UnsetType = UNSET
    grp_index: _Kept | UnsetType = UNSET
    timeout: _Kept | UnsetType = UNSET
    account_mode: _Kept | UnsetType = UNSET
    public_opening: _Kept | UnsetType = UNSET
    default_leverage: _Kept | UnsetType = UNSET
    default_deposit: _KeptNumber | UnsetType = UNSET
    credit: _KeptNumber | UnsetType = UNSET
    margin_call: _Kept | UnsetType = UNSET
    margin_mode: _Kept | UnsetType = UNSET
    margin_type: _Kept | UnsetType = UNSET
    margin_stopout: _Kept | UnsetType = UNSET
    interestrate: _KeptNumber | UnsetType = UNSET
    use_swap: _Kept | UnsetType = UNSET
    hedge_prohibited: _Kept | UnsetType = UNSET
    hedge_largeleg: _Kept | UnsetType = UNSET
    maxpositions: _Kept | UnsetType = UNSET
    partial_close: _Kept | UnsetType = UNSET
    allow_sl_tp_slippage: _Kept | UnsetType = UNSET
    stopout_skip_hedged: _Kept | UnsetType = UNSET
    archive_pending_period: _Kept | UnsetType = UNSET
    close_reopen: _Kept | UnsetType = UNSET
    secgroups: _KeptList | UnsetType = UNSET
    secmargins: _KeptList | UnsetType = UNSET
    idempotency_key: IdempotencyKey | None = None


@command(
    "AddGroup",
    roles=OFFICE,
    flags=("set_accounts",),
    about=About(
        GroupSaid,
        (RetCode.RET_DUPLICATE_RECORD,),
        ("group:event EV_RECORD_ADD",),
        "`floor`; only `group` and `currency` are required; `idempotency_key`",
    ),
)
async def addGroup(context: IContext, params: AddGroup) -> dict[str, Any]:
    """Make a group of accounts in one currency."""
    return await _arrange(context, params, requests.AddGroup)


@command(
    "UpdateGroup",
    roles=OFFICE,
    flags=("set_accounts", "see_accounts"),
    about=About(
        GroupSaid,
        (RetCode.RET_GROUP_USE_BY_USER,),
        ("group:event EV_RECORD_UPDATE or EV_RECORD_ADD",),
        "`floor`; only `group` and `currency` are required; `idempotency_key`",
    ),
)
async def updateGroup(context: IContext, params: AddGroup) -> dict[str, Any]:
    """Change a group, or make it if there is none; what is left out stays as it is."""
    return await _arrange(context, params, requests.UpdateGroup)


async def _arrange(context: IContext, params: AddGroup, request: type[requests.AddGroup]) -> dict[str, Any]:
    try:
        digits = context.currencies.digits(params.currency)
    except ValueError as e:
        raise InvalidData(str(e), field="currency") from None
    fields = {name: value for name, value in asdict(params).items() if value is not UNSET}
    for apart in ("group", "currency", "floor", "idempotency_key"):
        fields.pop(apart, None)
    for name in ("secgroups", "secmargins"):
        try:
            encode(fields.get(name))
        except ValueError:
            # Somewhere in a list that nobody interprets.
            raise InvalidData("a number in it is not finite", field=name) from None
    if len(encode(fields)) > RECORD_MAX:
        raise InvalidData(f"all that is said of a group may have at most {RECORD_MAX} bytes")
    cause = context.cause(params.idempotency_key)
    asked = request(cause, params.group, params.currency, digits, fields, params.floor)
    return _told(await context.settled(context.submit(asked)))


def _told(entry: Entry) -> dict[str, Any]:
    data: dict[str, Any] = ujson.loads(entry.data)
    return data


class DeleteGroup(Struct, frozen=True):
    """Which group."""

    group: GroupName
    idempotency_key: IdempotencyKey | None = None


@command(
    "DeleteGroup",
    roles=OFFICE,
    flags=("del_accounts", "see_accounts"),
    about=About(
        Done,
        (RetCode.RET_GROUP_NOT_FOUND, Refusal(RetCode.RET_GROUP_USE_BY_USER, "DELETE_GROUP_ERROR")),
        ("group:event EV_RECORD_DELETE",),
        "`idempotency_key`",
    ),
)
async def deleteGroup(context: IContext, params: DeleteGroup) -> dict[str, Any]:
    """Remove a group in which there is no account."""
    await context.settled(context.submit(requests.DeleteGroup(context.cause(params.idempotency_key), params.group)))
    return {"data": "OK"}
