"""Accounts: opening them, and looking at one."""

from __future__ import annotations

from typing import Annotated, Any

import ujson
from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY
from msgspec import Meta, Struct
from msgspec.structs import asdict

from ..finance import requests
from ..finance.money import fromMinor
from ..interfaces import IContext
from ..wire.codes import RetCode
from ..wire.errors import Refused
from .base import READERS, command
from .groups import OFFICE
from .params import Comment, Flag, IdempotencyKey, Login, Text

__all__ = ["getAccountByLogin", "mngAddAccount"]

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
    magic: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0
    customer_id: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0
    idempotency_key: IdempotencyKey | None = None


@command("MngAddAccount", roles=OFFICE, aliases=("AddUser",))
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
    opened = ujson.loads(entry.data)
    return {name: opened[name] for name in ("login", "group", "leverage", "currency", "update_time")}


class GetAccountByLogin(Struct, frozen=True):
    """Which account."""

    login: Login


@command("GetAccountByLogin", roles=READERS, flags=("see_accounts",))
async def getAccountByLogin(context: IContext, params: GetAccountByLogin) -> dict[str, Any]:
    """An account: its profile, and, for who may see that, its balance and credit."""
    stored = await context.account(params.login)
    if stored is None:
        raise Refused(f"login {params.login} does not exist, or not for you", RetCode.RET_USER_NOT_FOUND)
    account, group = stored.account, stored.group
    equity = fromMinor(account.balance + account.credit, group.digits)
    profile = {
        **stored.profile,
        "login": account.login,
        "group": group.group,
        "currency": group.currency,
    }
    if not context.sight.balances:
        return profile
    return {
        **profile,
        "balance": fromMinor(account.balance, group.digits),
        "credit": fromMinor(account.credit, group.digits),
        # There are no open positions here to hold margin or make profit.
        "margin": 0.0,
        "margin_free": equity,
        "margin_level": 0.0,
        "equity": equity,
        "balance_version": account.balance_version,
    }
