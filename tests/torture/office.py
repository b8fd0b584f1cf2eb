"""Accounts and groups that come and go while money moves: what is asked for, and what must come of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ujson

from .books import Books
from .history import Attempt, Entry
from .journal import Sent

__all__ = ["CLIENT_GROUPS", "checkClosings", "dataOf", "isOfficeEffect", "officeReason", "officeTells"]

#: The groups that the clients make and delete; all clients the same ones.
CLIENT_GROUPS = tuple(f"office-{n}" for n in range(6))

_ADD, _UPDATE, _DELETE = 0, 1, 2
_OK = '{"data":"OK"}'
_PROFILE = {"email": "ann@example.com", "password": "change-me-1", "leverage": 100, "enable": 1}
_TOLD = ("login", "group", "leverage", "currency", "update_time")


def dataOf(sent: Sent) -> dict[str, Any]:
    """What is sent, but for the key."""
    if sent.kind == "MngAddAccount":
        return {"group": sent.name, "name": f"n{sent.mark}", **_PROFILE}
    if sent.kind in ("AddGroup", "UpdateGroup"):
        return {"group": sent.name, "currency": "USD", "margin_call": sent.mark}
    if sent.kind == "DeleteGroup":
        return {"group": sent.name}
    return {"login": sent.login} if sent.kind == "MngDeleteAccount" else {"logins": list(sent.logins)}


def isOfficeEffect(entry: Entry, sent: Sent) -> bool:
    """Is this entry what was asked for?"""
    data = ujson.loads(entry.data)
    is_ = entry.event, entry.type
    if sent.kind == "DeleteUsersList":
        asked = list(dict.fromkeys(sent.logins))
        closes = is_ == ("accounts:deleted", _DELETE) and data["deleted"] > 0
        return closes and [row["login"] for row in data["rows"]] == asked
    if sent.kind == "MngAddAccount":
        said = data.get("login"), data.get("name"), data.get("group")
        return is_ == ("user:event", _ADD) and said == (entry.login, f"n{sent.mark}", sent.name)
    if sent.kind == "MngDeleteAccount":
        return is_ == ("user:event", _DELETE) and sent.login == entry.login == data["login"]
    types = {"AddGroup": [_ADD], "UpdateGroup": [_ADD, _UPDATE], "DeleteGroup": [_DELETE]}[sent.kind]
    if entry.event != "group:event" or entry.type not in types or data["group"] != sent.name:
        return False
    return sent.kind == "DeleteGroup" or bool(data.get("margin_call") == sent.mark)


def officeTells(attempt: Attempt, entry: Entry) -> bool:
    """Is this the answer about this entry?"""
    assert attempt.answer is not None
    kind, told, data = attempt.sent.kind, attempt.answer.data, ujson.loads(entry.data)
    if kind in ("AddGroup", "UpdateGroup"):
        return told == entry.data
    if kind == "MngAddAccount":
        return bool(ujson.loads(told) == {name: data[name] for name in _TOLD})
    if kind != "DeleteUsersList":
        return told == _OK
    return attempt.answer.status == (207 if data["failed"] else 200) and told == entry.data


def officeReason(sent: Sent, books: Books) -> str:
    """The C{reason} of its refusal as things stand; nothing, if it is to be done."""
    if sent.kind == "MngDeleteAccount":
        return closing(sent.login, books)
    if sent.kind == "DeleteUsersList":
        # Only if none can be closed, and then for the first.
        reasons = [closing(login, books) for login in dict.fromkeys(sent.logins)]
        return reasons[0] if all(reasons) else ""
    if sent.kind == "AddGroup":
        return "RET_DUPLICATE_RECORD" if sent.name in books.groups else ""
    if sent.kind in ("DeleteGroup", "MngAddAccount") and sent.name not in books.groups:
        return "RET_GROUP_NOT_FOUND"
    if sent.kind == "DeleteGroup" and sent.name in books.groupOf.values():
        return "RET_GROUP_USE_BY_USER"
    return ""


def closing(login: int, books: Books) -> str:
    """Why an account cannot be closed."""
    if login not in books.groupOf:
        return "RET_USER_NOT_FOUND"
    account = books.accounts[login]
    return "RET_USR_HAS_TRADES" if account.balance or account.credit or books.waiting[login] else ""


def checkClosings(entry: Entry, books: Books) -> Iterator[str]:
    """Of a list of accounts, each was closed that could be, and no other."""
    said = ujson.loads(entry.data)
    failures = {failure["login"]: failure["reason"] for failure in said["failures"]}
    right = {row["login"]: reason for row in said["rows"] if (reason := closing(row["login"], books))}
    closed = [row["login"] for row in said["rows"] if row["deleted"]]
    if failures != right or len(closed) != said["deleted"] or set(closed) & failures.keys():
        yield f"entry {entry.seq} closes {closed} and not {failures}, and {right} cannot be closed"
