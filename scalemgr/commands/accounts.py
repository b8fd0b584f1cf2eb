"""Accounts: opening, changing and closing them, and looking at one."""

from __future__ import annotations

from typing import Annotated, Any

import ujson
from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY
from msgspec import Meta, Struct
from msgspec.structs import asdict

from ..finance import requests
from ..finance.records import Entry
from ..interfaces import About, IContext
from ..wire.codes import RetCode
from ..wire.errors import Refused
from .answers import Account, AccountSaid, Deleted, Done
from .base import READERS, command
from .groups import OFFICE
from .params import SAFE_INTEGER, Comment, Flag, IdempotencyKey, Login, Text

__all__ = ["deleteUsersList", "getAccountByLogin", "mngAddAccount", "mngDeleteAccount", "mngUpdateAccount"]

# It holds parameters only. The argon2 rules of RFC 9106 for machines that do other things as well.
_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


class MngAddAccount(Struct, frozen=True, kw_only=True):
    """An account (C{wire.md} 3.6). C{login}: assigned from 1001 up when omitted."""

    group: Text
    name: Text
    password: Annotated[str, Meta(min_length=6, max_length=128, description="kept as a salted hash only")]
    leverage: Annotated[int, Meta(ge=1, le=10000)]
    enable: Flag
    email: Text
    login: Login | None = None
    comment: Comment = ""
    country: Text = ""
    city: Text = ""
    state: Text = ""
    zipcode: Text = ""
    address: Text = ""
    phone: Text = ""
    id: Text = ""
    lead_source: Text = ""
    user_color: Text = "#ffffff"
    enable_read_only: Flag = 0
    enable_change_password: Flag = 1
    send_reports: Flag = 0
    magic: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)] = 0
    customer_id: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)] = 0
    idempotency_key: IdempotencyKey | None = None


@command(
    "MngAddAccount",
    roles=OFFICE,
    flags=("set_accounts",),
    aliases=("AddUser",),
    about=About(
        AccountSaid,
        (RetCode.RET_GROUP_NOT_FOUND, RetCode.RET_USR_LOGIN_EXIST),
        ("user:event EV_RECORD_ADD",),
        "`group` in the answer; `idempotency_key`",
    ),
)
async def mngAddAccount(context: IContext, params: MngAddAccount) -> dict[str, Any]:
    """Open an account in a group."""
    profile = asdict(params)
    for apart in ("group", "login", "enable", "password", "idempotency_key"):
        del profile[apart]
    # Hashing is slow on purpose.
    passwordHash: str = await context.inThread(_HASHER.hash, params.password)
    cause = context.cause(params.idempotency_key)
    request = requests.AddAccount(cause, params.login or 0, params.group, params.enable, profile, passwordHash)
    entry = await context.settled(context.submit(request))
    return _told(entry)


def _told(entry: Entry) -> dict[str, Any]:
    said = ujson.loads(entry.data)
    return {name: said[name] for name in ("login", "group", "leverage", "currency", "update_time")}


class MngUpdateAccount(Struct, frozen=True, kw_only=True):
    """An account as it shall be (C{wire.md} 3.6); what is left out stays as it is, and so does the password."""

    login: Login
    group: Text
    name: Text
    email: Text
    leverage: Annotated[int, Meta(ge=1, le=10000)]
    enable: Flag
    comment: Comment | None = None
    country: Text | None = None
    city: Text | None = None
    state: Text | None = None
    zipcode: Text | None = None
    address: Text | None = None
    phone: Text | None = None
    id: Text | None = None
    lead_source: Text | None = None
    user_color: Text | None = None
    enable_read_only: Flag | None = None
    enable_change_password: Flag | None = None
    send_reports: Flag | None = None
    magic: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)] | None = None
    customer_id: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)] | None = None
    idempotency_key: IdempotencyKey | None = None


@command(
    "MngUpdateAccount",
    roles=OFFICE,
    flags=("set_accounts",),
    aliases=("UpdateUser",),
    about=About(
        AccountSaid,
        (RetCode.RET_USER_NOT_FOUND, RetCode.RET_GROUP_NOT_FOUND, RetCode.RET_USR_DIFFERENT_CURRENCY),
        ("user:event EV_RECORD_UPDATE",),
        "`group` in the answer; `idempotency_key`",
    ),
)
async def mngUpdateAccount(context: IContext, params: MngUpdateAccount) -> dict[str, Any]:
    """Change an account's profile, its group (to one of the same currency), or whether it is enabled."""
    profile = {name: value for name, value in asdict(params).items() if value is not None}
    for apart in ("group", "login", "enable", "idempotency_key"):
        profile.pop(apart, None)
    cause = context.cause(params.idempotency_key)
    request = requests.UpdateAccount(cause, params.login, params.group, params.enable, profile)
    return _told(await context.settled(context.submit(request)))


class MngDeleteAccount(Struct, frozen=True):
    """Which account."""

    login: Login
    idempotency_key: IdempotencyKey | None = None


@command(
    "MngDeleteAccount",
    roles=OFFICE,
    flags=("del_accounts",),
    aliases=("DeleteUser",),
    about=About(
        Done,
        (RetCode.RET_USER_NOT_FOUND, RetCode.RET_USR_HAS_TRADES),
        ("user:event EV_RECORD_DELETE",),
        "money or pending requests block, as open positions do; its history stays readable; `idempotency_key`",
    ),
)
async def mngDeleteAccount(context: IContext, params: MngDeleteAccount) -> dict[str, Any]:
    """Close an account for good, if nothing is on it and nothing awaits approval."""
    await context.settled(context.submit(requests.DeleteAccount(context.cause(params.idempotency_key), params.login)))
    return {"data": "OK"}


class DeleteUsersList(Struct, frozen=True):
    """Which accounts."""

    logins: Annotated[list[Login], Meta(min_length=1, max_length=1000)]
    idempotency_key: IdempotencyKey | None = None


@command(
    "DeleteUsersList",
    roles=OFFICE,
    flags=("del_accounts",),
    about=About(
        Deleted,
        (RetCode.RET_USER_NOT_FOUND, RetCode.RET_USR_HAS_TRADES),
        ("user:event EV_RECORD_DELETE of each",),
        "`code` and `reason` of each failure; `idempotency_key`",
    ),
)
async def deleteUsersList(context: IContext, params: DeleteUsersList) -> dict[str, Any]:
    """Close each of these accounts that can be closed: 200 all, 207 some, 409 none of them."""
    cause = context.cause(params.idempotency_key)
    entry = await context.settled(context.submit(requests.DeleteAccounts(cause, tuple(params.logins))))
    said: dict[str, Any] = ujson.loads(entry.data)
    return {"__status": 207 if said["failed"] else 200, **said}


# In the published order, and what is ours.
_FIGURES = ("balance", "credit", "margin", "margin_free", "margin_level", "equity", "balance_version")


class GetAccountByLogin(Struct, frozen=True):
    """Which account."""

    login: Login


@command(
    "GetAccountByLogin",
    roles=READERS,
    flags=("see_accounts",),
    about=About(Account, (RetCode.RET_USER_NOT_FOUND,), beyond="`balance_version`; never a `password`"),
)
async def getAccountByLogin(context: IContext, params: GetAccountByLogin) -> dict[str, Any]:
    """An account: its profile, and, for who may see that, its balance and credit."""
    stored = await context.account(params.login)
    if stored is None:
        raise Refused(f"login {params.login} does not exist, or not for you", RetCode.RET_USER_NOT_FOUND)
    account, group = stored.account, stored.group
    profile = {
        **stored.profile,
        "login": account.login,
        "group": group.group,
        "currency": group.currency,
    }
    if not context.sight.balances:
        return profile
    figures = account.figures(group.digits)
    return {**profile, **{name: figures[name] for name in _FIGURES}}
