"""What a request says, and what may become of it.

A L{Content} knows its own rule: what must be done, or refused, at a place in the log, given all that is true
there. It never knows when that is; the entry tells.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar

from scalemgr.finance.masks import Mask
from scalemgr.finance.records import REFUSAL, TRADE_EVENT, Entry
from scalemgr.wire.codes import RetCode

from .truth import (
    ADD,
    ASKED_FOR,
    BOOKED,
    CHANGE,
    DECLINED,
    DELETE,
    OF_CREDIT,
    TAKEN_BACK,
    Account,
    Movement,
    Truth,
    cents,
)

#: What must be: the members that a refusal's C{data} must have, with its C{code}; or the event, its type and what
#: its C{data} must have.
Refusal = dict[str, Any]
Effect = tuple[str, int, dict[str, Any]]

#: Those of them that leave no trace in the log.
UNTRACED = frozenset({RetCode.RET_INVALID_DATA, RetCode.RET_NOT_ENOUGH_RIGHTS})
_MALFORMED: Refusal = {"code": RetCode.RET_INVALID_DATA}


class Content:
    """
    What a request says.

    @cvar command: its command, in the plain form.
    @cvar ofMoney: has the command a Sync form, and a time-out?
    """

    command: str
    ofMoney: ClassVar[bool] = True

    def data(self) -> dict[str, Any]:
        """As it is sent."""
        raise NotImplementedError

    def said(self) -> Hashable:
        """Equal for contents that are the same request."""
        return self

    @property
    def names(self) -> int | None:
        """The order of a movement that there is, in the eyes of who asks."""
        return None

    @property
    def looksUp(self) -> bool:
        """Is something looked up before it is taken?"""
        return False

    def malformed(self) -> bool:
        """Has it an amount of more digits than its currency?"""
        return False

    def forbidden(self, mask: Mask) -> bool:
        """Is it never for somebody with this mask?"""
        return False

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        """What must become of it, asked by somebody with this mask, where this is true."""
        raise NotImplementedError

    def refers(self, truth: Truth, mask: Mask) -> tuple[int, int]:
        """The login and the order that a refusal of it is about."""
        return 0, self.names or 0

    def became(self, due: Refusal | Effect, entry: Entry, truth: Truth, mask: Mask) -> bool:
        """Is this entry what was due, given what is true before the entry?"""
        data = json.loads(entry.data)
        if isinstance(due, dict):
            rest = {"outcome": "refused", **due}
            about = entry.login, entry.order
            found = entry.event == REFUSAL and entry.type == due["code"] and about == self.refers(truth, mask)
            return due["code"] not in UNTRACED and found and rest.items() <= data.items()
        return (entry.event, entry.type) == due[:2] and due[2].items() <= data.items()

    def told(self, entry: Entry, sync: bool) -> tuple[int, dict[str, Any]]:
        """The status and the data of the answer, if this entry is what became of it, and not a refusal."""
        trade = json.loads(entry.data)
        if sync:
            return 200, trade
        return 200, {
            "accepted": True,
            "order": entry.order,
            "state": self.accepted(entry),
            "login": entry.login,
            "cmd": trade["cmd"],
            "amount": trade["profit"],
            "balance_version": trade["balance_version"],
        }

    def accepted(self, entry: Entry) -> int:
        """The state that the plain answer tells."""
        raise NotImplementedError


def _account(truth: Truth, mask: Mask, login: int) -> Account | None:
    account = truth.account(login)
    return account if account is not None and mask.covers(account.group) else None


def _unfunded(truth: Truth, account: Account, ofCredit: bool, change: int) -> Refusal | None:
    """The refusal of what takes more than is there."""
    has, least = (account.credit, 0) if ofCredit else (account.balance, truth.groups[account.group].floor)
    if change >= 0 or has + change >= least:
        return None
    return {"code": RetCode.RET_TRADE_NO_MONEY, "available": max(0, has - least) / 100}


_CMDS = {"BalanceIn": 6, "CreditIn": 7, "BalanceOut": 8, "CreditOut": 9}


@dataclass(frozen=True)
class Move(Content):
    """
    Money in or out.

    @ivar order: the movement that it changes, or C{None} for a new one.
    """

    command: str
    login: int
    amount: float
    comment: str | None = None
    order: int | None = None

    @property
    def cmd(self) -> int:
        return _CMDS[self.command]

    @property
    def names(self) -> int | None:
        return self.order

    @property
    def looksUp(self) -> bool:
        return self.order is not None

    def data(self) -> dict[str, Any]:
        said = {"login": self.login, "amount": self.amount, "comment": self.comment, "order": self.order}
        return {name: value for name, value in said.items() if value is not None}

    def said(self) -> Hashable:
        """No comment is the default one, for a new movement."""
        comment = "Finance" if self.comment is None and self.order is None else self.comment
        return self.command, self.login, self.amount, comment, self.order

    def malformed(self) -> bool:
        return round(self.amount, 2) != self.amount

    def changes(self, truth: Truth, mask: Mask) -> Movement | None:
        """The movement that it changes. One that does not exist, or not for the asker, makes a new one of it."""
        before = truth.movements.get(self.order or 0)
        return before if before is not None and mask.covers(truth.accounts[before.login].group) else None

    def refers(self, truth: Truth, mask: Mask) -> tuple[int, int]:
        return self.login, 0 if self.changes(truth, mask) is None else self.order or 0

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        account = _account(truth, mask, self.login)
        if account is None:
            return {"code": RetCode.RET_USER_NOT_FOUND}
        if self.malformed():
            return _MALFORMED
        if not account.enable:
            return {"code": RetCode.RET_ACCOUNT_DISABLED}
        before = self.changes(truth, mask)
        if before is not None and (before.login, before.cmd) != (self.login, self.cmd):
            return {"code": RetCode.RET_TRADE_INCORRECT_ORDER}
        if before is not None and before.state != BOOKED:
            return {"code": RetCode.RET_TRADE_INCORRECT_STATE}
        change = cents(self.amount) - (0 if before is None else before.cents)
        unfunded = _unfunded(truth, account, self.cmd in OF_CREDIT, change)
        if unfunded is not None:
            return unfunded
        comment = self.comment if self.comment is not None else "Finance" if before is None else before.comment
        says = {"login": self.login, "cmd": self.cmd, "profit": self.amount, "state": BOOKED, "comment": comment}
        if before is None:
            return TRADE_EVENT, ADD, says
        return TRADE_EVENT, CHANGE, {**says, "order": self.order}

    def accepted(self, entry: Entry) -> int:
        return 10 if entry.type == ADD else 11


@dataclass(frozen=True)
class TakeBack(Content):
    """A movement shall never have been: C{DeleteBalance} or C{DeleteCredit}."""

    command: str
    order: int

    @property
    def names(self) -> int | None:
        return self.order

    def data(self) -> dict[str, Any]:
        return {"order": self.order}

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        before = truth.movements.get(self.order)
        account = None if before is None else _account(truth, mask, before.login)
        if before is None or account is None:
            return {"code": RetCode.RET_NOT_FOUND, "error": "TRADE_NOT_FOUND"}
        if before.ofCredit != (self.command == "DeleteCredit"):
            return {"code": RetCode.RET_TRADE_INCORRECT_ORDER}
        if before.state != BOOKED:
            return {"code": RetCode.RET_TRADE_INCORRECT_STATE}
        unfunded = _unfunded(truth, account, before.ofCredit, -before.cents)
        return unfunded or (TRADE_EVENT, DELETE, {"order": self.order, "state": TAKEN_BACK})

    def accepted(self, entry: Entry) -> int:
        return 12


@dataclass(frozen=True)
class AskFor(Content):
    """Money shall move, when somebody has approved of it."""

    login: int
    cmd: int
    amount: float
    comment: str | None = None
    command: str = "MngCreateFinanceRequest"

    def data(self) -> dict[str, Any]:
        said = {"login": self.login, "cmd": self.cmd, "amount": self.amount}
        return said if self.comment is None else {**said, "comment": self.comment}

    def said(self) -> Hashable:
        return self.command, self.login, self.cmd, self.amount, self.comment or "Finance"

    def malformed(self) -> bool:
        return round(self.amount, 2) != self.amount

    def refers(self, truth: Truth, mask: Mask) -> tuple[int, int]:
        return self.login, 0

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        account = _account(truth, mask, self.login)
        if account is None:
            return {"code": RetCode.RET_USER_NOT_FOUND}
        if self.malformed():
            return _MALFORMED
        if not account.enable:
            return {"code": RetCode.RET_ACCOUNT_DISABLED}
        comment = self.comment or "Finance"
        says = {"login": self.login, "cmd": self.cmd, "profit": self.amount, "state": ASKED_FOR, "comment": comment}
        return TRADE_EVENT, ADD, says

    def accepted(self, entry: Entry) -> int:
        return ASKED_FOR


@dataclass(frozen=True)
class Decide(Content):
    """Somebody approves of a request, or declines it, perhaps with a comment."""

    command: str
    order: int
    comment: str | None = None

    @property
    def names(self) -> int | None:
        return self.order

    def data(self) -> dict[str, Any]:
        return {"order": self.order} if self.comment is None else {"order": self.order, "comment": self.comment}

    def due(self, truth: Truth, mask: Mask) -> Refusal | Effect:
        before = truth.movements.get(self.order)
        account = None if before is None else _account(truth, mask, before.login)
        if before is None or account is None:
            return {"code": RetCode.RET_NOT_FOUND, "error": "TRADE_NOT_FOUND"}
        if before.state != ASKED_FOR:
            return {"code": RetCode.RET_TRADE_INCORRECT_STATE}
        says = {"order": self.order, "comment": self.comment or before.comment}
        if self.command == "MngDeclineFinanceRequest":
            return TRADE_EVENT, CHANGE, {**says, "state": DECLINED}
        if not account.enable:
            return {"code": RetCode.RET_ACCOUNT_DISABLED}
        unfunded = _unfunded(truth, account, before.ofCredit, before.cents)
        return unfunded or (TRADE_EVENT, CHANGE, {**says, "state": BOOKED})

    def accepted(self, entry: Entry) -> int:
        return DECLINED if self.command == "MngDeclineFinanceRequest" else 10
