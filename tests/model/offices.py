"""What requests about accounts and groups say, and what may become of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from scalemgr.finance.masks import Mask
from scalemgr.finance.records import ACCOUNTS_DELETED, GROUP_EVENT, USER_EVENT, Entry
from scalemgr.wire.codes import RetCode

from .contents import Content, Effect, Refusal
from .truth import ADD, CHANGE, DELETE, Truth

_PROFILE = {"name": "Ann", "email": "ann@example.com", "leverage": 100}


class _Office(Content):
    """All of them have one form only."""

    ofMoney: ClassVar[bool] = False


@dataclass(frozen=True)
class OpenAccount(_Office):
    """An account shall be opened."""

    login: int
    group: str
    enable: int = 1
    command: str = "MngAddAccount"

    def data(self) -> dict[str, Any]:
        said = {"login": self.login, "group": self.group, "enable": self.enable}
        return {**_PROFILE, **said, "password": "change-me"}

    def refers(self, truth: Truth, mask: Mask) -> tuple[int, int]:
        return self.login, 0

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        if self.group not in truth.groups or not mask.covers(self.group):
            return {"code": RetCode.RET_GROUP_NOT_FOUND}
        if self.login in truth.accounts:
            return {"code": RetCode.RET_USR_LOGIN_EXIST}
        return USER_EVENT, ADD, {"login": self.login, "group": self.group, "enable": self.enable}

    def told(self, entry: Entry, sync: bool) -> tuple[int, dict[str, Any]]:
        said = json.loads(entry.data)
        return 200, {name: said[name] for name in ("login", "group", "leverage", "currency", "update_time")}


@dataclass(frozen=True)
class ChangeAccount(_Office):
    """An account shall be in this group, enabled or not."""

    login: int
    group: str
    enable: int
    command: str = "MngUpdateAccount"

    def data(self) -> dict[str, Any]:
        return {**_PROFILE, "login": self.login, "group": self.group, "enable": self.enable}

    def refers(self, truth: Truth, mask: Mask) -> tuple[int, int]:
        return self.login, 0

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        account = truth.account(self.login)
        if account is None or not mask.covers(account.group):
            return {"code": RetCode.RET_USER_NOT_FOUND}
        if self.group not in truth.groups or not mask.covers(self.group):
            return {"code": RetCode.RET_GROUP_NOT_FOUND}
        if truth.groups[self.group].currency != truth.groups[account.group].currency:
            return {"code": RetCode.RET_USR_DIFFERENT_CURRENCY}
        return USER_EVENT, CHANGE, {"login": self.login, "group": self.group, "enable": self.enable}

    def told(self, entry: Entry, sync: bool) -> tuple[int, dict[str, Any]]:
        said = json.loads(entry.data)
        return 200, {name: said[name] for name in ("login", "group", "leverage", "currency", "update_time")}


def _notClosable(truth: Truth, mask: Mask, login: int) -> RetCode | None:
    account = truth.account(login)
    if account is None or not mask.covers(account.group):
        return RetCode.RET_USER_NOT_FOUND
    return RetCode.RET_USR_HAS_TRADES if account.balance or account.credit or account.pending else None


@dataclass(frozen=True)
class CloseAccount(_Office):
    """An account shall be closed."""

    login: int
    command: str = "MngDeleteAccount"

    def data(self) -> dict[str, Any]:
        return {"login": self.login}

    def refers(self, truth: Truth, mask: Mask) -> tuple[int, int]:
        return self.login, 0

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        why = _notClosable(truth, mask, self.login)
        return (USER_EVENT, DELETE, {"login": self.login}) if why is None else {"code": why}

    def told(self, entry: Entry, sync: bool) -> tuple[int, dict[str, Any]]:
        return 200, {"data": "OK"}


@dataclass(frozen=True)
class CloseAccounts(_Office):
    """Several shall be closed, each that can be."""

    logins: tuple[int, ...]
    command: str = "DeleteUsersList"

    def data(self) -> dict[str, Any]:
        return {"logins": list(self.logins)}

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        codes = {login: _notClosable(truth, mask, login) for login in self.logins}
        failed = [code for code in codes.values() if code is not None]
        says = {
            "rows": [{"login": login, "deleted": code is None} for login, code in codes.items()],
            "matched": len(codes) - failed.count(RetCode.RET_USER_NOT_FOUND),
            "deleted": len(codes) - len(failed),
            "failed": len(failed),
        }
        return (ACCOUNTS_DELETED, DELETE, says) if not failed or says["deleted"] else {"code": failed[0], **says}

    def told(self, entry: Entry, sync: bool) -> tuple[int, dict[str, Any]]:
        said = json.loads(entry.data)
        return 207 if said["failed"] else 200, said


@dataclass(frozen=True)
class Arrange(_Office):
    """A group shall be as said: C{AddGroup} or C{UpdateGroup}."""

    command: str
    group: str
    currency: str
    floor: float | None = None

    def data(self) -> dict[str, Any]:
        said = {"group": self.group, "currency": self.currency}
        return said if self.floor is None else {**said, "floor": self.floor}

    def forbidden(self, mask: Mask) -> bool:
        return not mask.covers(self.group)

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        before = truth.groups.get(self.group)
        if self.forbidden(mask):
            return {"code": RetCode.RET_NOT_ENOUGH_RIGHTS}
        if before is not None and self.command == "AddGroup":
            return {"code": RetCode.RET_DUPLICATE_RECORD}
        if before is not None and before.currency != self.currency and truth.members(self.group):
            return {"code": RetCode.RET_GROUP_USE_BY_USER}
        kept = 0.0 if before is None else before.floor / 100
        says = {
            "group": self.group,
            "currency": self.currency,
            "floor": kept if self.floor is None else self.floor,
        }
        return GROUP_EVENT, ADD if before is None else CHANGE, says

    def told(self, entry: Entry, sync: bool) -> tuple[int, dict[str, Any]]:
        return 200, json.loads(entry.data)


@dataclass(frozen=True)
class RemoveGroup(_Office):
    """A group shall go."""

    group: str
    command: str = "DeleteGroup"

    def data(self) -> dict[str, Any]:
        return {"group": self.group}

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        if self.group not in truth.groups or not mask.covers(self.group):
            return {"code": RetCode.RET_GROUP_NOT_FOUND}
        if truth.members(self.group):
            return {"code": RetCode.RET_GROUP_USE_BY_USER, "error": "DELETE_GROUP_ERROR"}
        return GROUP_EVENT, DELETE, {"group": self.group}

    def told(self, entry: Entry, sync: bool) -> tuple[int, dict[str, Any]]:
        return 200, {"data": "OK"}
