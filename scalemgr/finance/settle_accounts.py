"""The rules of accounts and groups: who may open, change and close which.

An account is closed only when nothing is on it and nothing awaits approval, a group is removed only when no
account is in it. The currency of money that is there cannot change: neither that of a group with accounts, nor
by moving an account to a group of another one.
"""

from __future__ import annotations

from typing import Any

import ujson

from ..wire.codes import RetCode
from ..wire.errors import InvalidData, NotPermitted, Refused
from ..wire.messages import Json, encode
from .desk import Desk, Rule
from .money import fromMinor, toMinor
from .records import ACCOUNTS_DELETED, ADDED, DELETED, GROUP_EVENT, UPDATED, USER_EVENT, Account, Entry, Group
from .requests import (
    AddAccount,
    AddGroup,
    DeleteAccount,
    DeleteAccounts,
    DeleteGroup,
    Request,
    UpdateAccount,
    UpdateGroup,
)

__all__ = ["GROUPS_MAX", "RULES"]

#: How many groups there may be: all that is known of each is in memory.
GROUPS_MAX = 2000

# As published, whatever was in the way of each.
_NOTHING_DELETED = 409


def _addAccount(desk: Desk, request: AddAccount) -> Entry:
    group = _group(desk, request, request.group)
    login = request.login or desk.book.nextLogin
    if desk.book.ever(login) is not None:
        raise Refused(f"login {login} exists already, or did", RetCode.RET_USR_LOGIN_EXIST)
    record = {
        **request.fields,
        "login": login,
        "group": group.group,
        "enable": request.enable,
        "regdate": desk.now,
        "update_time": desk.now,
        "password_hash": request.passwordHash,
    }
    return _said(desk, request, ADDED, group, record)


def _updateAccount(desk: Desk, request: UpdateAccount) -> Entry:
    account, before = desk.account(request, request.login)
    group = _group(desk, request, request.group)
    if (group.currency, group.digits) != (before.currency, before.digits):
        raise Refused(
            f"login {account.login} has {_money(before)}, and the group {group.group!r} has {_money(group)}",
            RetCode.RET_USR_DIFFERENT_CURRENCY,
        )
    record = {
        **desk.profile(account.login),
        **request.fields,
        "group": group.group,
        "enable": request.enable,
        "update_time": desk.now,
    }
    return _said(desk, request, UPDATED, group, record)


def _money(group: Group) -> str:
    return f"{group.currency} with {group.digits} decimals"


def _said(desk: Desk, request: Request, type: int, group: Group, record: dict[str, Any]) -> Entry:
    """The entry of a profile as it is now."""
    data = {
        "login": record["login"],
        "name": record.get("name", ""),
        "group": group.group,
        "leverage": record.get("leverage", 0),
        "currency": group.currency,
        "enable": record["enable"],
        "update_time": record["update_time"],
    }
    return desk.entry(
        request, USER_EVENT, type, group.group, encode(data), login=record["login"], record=encode(record)
    )


def _deleteAccount(desk: Desk, request: DeleteAccount) -> Entry:
    account = _closable(desk, request, request.login)
    return desk.entry(request, USER_EVENT, DELETED, account.group, _gone(desk, account), login=account.login)


def _deleteAccounts(desk: Desk, request: DeleteAccounts) -> list[Entry]:
    """The outcome is an entry that says what became of each; of those that are closed, the events follow."""
    closed: list[Account] = []
    failures: list[dict[str, Any]] = []
    rows = []
    for login in dict.fromkeys(request.logins):
        deleted = True
        try:
            closed.append(_closable(desk, request, login))
        except Refused as e:
            deleted = False
            failures.append({"login": login, **e.data()})
        rows.append({"login": login, "deleted": deleted})
    missing = sum(failure["code"] == RetCode.RET_USER_NOT_FOUND for failure in failures)
    said = {
        "rows": rows,
        "matched": len(rows) - missing,
        "deleted": len(closed),
        "failed": len(failures),
        "failures": failures,
    }
    if not closed:
        raise Refused(
            "none of these accounts was deleted",
            RetCode(failures[0]["code"]),
            error=failures[0]["error"],
            status=_NOTHING_DELETED,
            **said,
        )
    # Of no group, and never sent: which accounts there are is not everybody's business.
    first = desk.entry(request, ACCOUNTS_DELETED, DELETED, "", encode(said))
    return [first] + [
        desk.further(first, nth, USER_EVENT, DELETED, account.group, _gone(desk, account), login=account.login)
        for nth, account in enumerate(closed, 1)
    ]


def _closable(desk: Desk, request: Request, login: int) -> Account:
    """An account that may be closed."""
    account, group = desk.account(request, login)
    if account.balance or account.credit:
        has = [
            f"{fromMinor(minor, group.digits)} {group.currency} of {name}"
            for name, minor in (("balance", account.balance), ("credit", account.credit))
            if minor
        ]
        what = " and ".join(has) if request.cause.seesBalance else "money"
        raise Refused(f"login {login} has {what} on it", RetCode.RET_USR_HAS_TRADES)
    if account.pending:
        count = f": {account.pending}" if request.cause.seesBalance else ""
        raise Refused(f"login {login} has requests that await approval{count}", RetCode.RET_USR_HAS_TRADES)
    return account


def _gone(desk: Desk, account: Account) -> Json:
    return encode({"login": account.login, "group": account.group, "update_time": desk.now})


def _addGroup(desk: Desk, request: AddGroup) -> Entry:
    _checkOwn(request, request.group)
    if desk.book.group(request.group) is not None:
        raise Refused(f"the group {request.group!r} exists already", RetCode.RET_DUPLICATE_RECORD)
    return _arranged(desk, request, None)


def _updateGroup(desk: Desk, request: UpdateGroup) -> Entry:
    _checkOwn(request, request.group)
    before = desk.book.group(request.group)
    if before is not None and before.accounts and request.currency != before.currency:
        raise Refused(
            f"the group {request.group!r} has accounts in {before.currency}",
            RetCode.RET_GROUP_USE_BY_USER,
        )
    return _arranged(desk, request, before)


def _arranged(desk: Desk, request: AddGroup, before: Group | None) -> Entry:
    """The entry of a group as it is now."""
    if before is None and desk.book.countGroups() >= GROUPS_MAX:
        raise Refused(f"there are {GROUPS_MAX} groups already", RetCode.RET_CFG_LIMIT_REACHED)
    kept = ujson.loads(before.record) if before is not None else {}
    # What is on its accounts is counted in these digits, whatever the configuration says by now.
    digits = before.digits if before is not None and before.currency == request.currency else request.digits
    record = {**kept, **request.fields, "group": request.group, "currency": request.currency, "digits": digits}
    if before is not None and digits != before.digits:
        record.pop("floor", None)
    if request.floor is not None:
        try:
            record["floor"] = toMinor(request.floor, digits)
        except ValueError as e:
            raise InvalidData(f"{e} ({request.currency})", field="floor") from None
    type = ADDED if before is None else UPDATED
    told = {name: value for name, value in record.items() if not isinstance(value, list)}
    told["floor"] = fromMinor(record.get("floor", 0), digits)
    return desk.entry(request, GROUP_EVENT, type, request.group, encode(told), record=encode(record))


def _deleteGroup(desk: Desk, request: DeleteGroup) -> Entry:
    group = _group(desk, request, request.group)
    if group.accounts:
        raise Refused(
            f"Group is still in use: {group.group!r} has accounts: {group.accounts}",
            RetCode.RET_GROUP_USE_BY_USER,
            error="DELETE_GROUP_ERROR",
        )
    data = encode({"group": group.group, "currency": group.currency})
    return desk.entry(request, GROUP_EVENT, DELETED, group.group, data)


def _group(desk: Desk, request: Request, name: str) -> Group:
    """A group that the caller may touch. Those of others are answered like those that do not exist."""
    group = desk.book.group(name)
    if group is None or not request.cause.mask.covers(name):
        raise Refused(f"the group {name!r} does not exist, or not for you", RetCode.RET_GROUP_NOT_FOUND)
    return group


def _checkOwn(request: Request, name: str) -> None:
    if not request.cause.mask.covers(name):
        raise NotPermitted(f"the group {name!r} is outside your group mask")


#: How to settle each kind of request.
RULES: dict[type[Request], Rule] = {
    AddAccount: _addAccount,
    UpdateAccount: _updateAccount,
    DeleteAccount: _deleteAccount,
    DeleteAccounts: _deleteAccounts,
    AddGroup: _addGroup,
    UpdateGroup: _updateGroup,
    DeleteGroup: _deleteGroup,
}
