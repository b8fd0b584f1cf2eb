"""What is the same request, however it was written, and what is another one."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.requests import Cause, ForgetKeys, MoveMoney, Request, fingerprint
from scalemgr.wire.codes import TradeCommand

from .books import (
    CRM,
    KEYED,
    change,
    deposit,
    newAccount,
    newGroup,
)

#: The same key, of somebody else.
OTHER = Cause("psp", EVERYTHING, KEYED.key)

# -- the same request ---------------------------------------------------------------------------------

FULL: dict[str, Any] = {"comment": "x", "open_time": 10, "close_time": 20}
SAME: dict[str, tuple[Request, Request]] = {
    "250 and 250.0": (deposit(250), deposit(250.0)),
    "as a double writes it": (deposit(59.97), deposit(59.970000000000006)),
    "default comment": (deposit(5), deposit(5, comment="Finance")),
    "reserved order": (deposit(5, order=7, **FULL), deposit(5, order=8, **FULL)),
    "named order that is found": (deposit(5, order=8, named=9), deposit(5, order=9, named=9)),
    "strictness": (deposit(5), deposit(5, strict=True)),
    "who asks": (deposit(5), deposit(5, cause=OTHER)),
    "password": (newAccount(1, hash="a", name="x"), newAccount(1, hash="b", name="x")),
    "order of fields": (newAccount(name="x", city="y"), newAccount(city="y", name="x")),
    "order of a group's fields": (newGroup(a=1, b=2), newGroup(b=2, a=1)),
    "forgetting": (ForgetKeys(CRM, 3), ForgetKeys(OTHER, 3)),
}
MOVE, UPDATE, GROUP = deposit(5, **FULL), change(5, **FULL), newGroup("g", margin=1)
ACCOUNT = newAccount(1, "g", name="x")
OTHERS: dict[str, tuple[Request, Request]] = {
    "amount": (MOVE, deposit(5.01, **FULL)),
    "decimals": (deposit(12), deposit(1.2)),
    "cmd": (MOVE, deposit(5, **FULL, cmd=TradeCommand.OP_BALANCE_OUT)),
    "login": (MOVE, deposit(5, 1002, **FULL)),
    "comment": (MOVE, deposit(5, **{**FULL, "comment": "X"})),
    "no comment": (MOVE, deposit(5, **{**FULL, "comment": None})),
    "empty comment": (deposit(5), deposit(5, comment="")),
    "comment of a change": (change(5), change(5, comment="Finance")),
    "open_time": (MOVE, deposit(5, **{**FULL, "open_time": 11})),
    "close_time": (MOVE, deposit(5, **{**FULL, "close_time": 21})),
    "the other time": (deposit(5, open_time=10), deposit(5, close_time=10)),
    "named": (MOVE, UPDATE),
    "other order named": (UPDATE, change(5, order=8, **FULL)),
    "forget up to": (ForgetKeys(CRM, 3), ForgetKeys(CRM, 4)),
    "group": (GROUP, newGroup("h", margin=1)),
    "currency": (GROUP, newGroup("g", currency="EUR", margin=1)),
    "digits": (GROUP, newGroup("g", digits=3, margin=1)),
    "group's field": (GROUP, newGroup("g", margin=2)),
    "group's other field": (GROUP, newGroup("g", margin=1, more=1)),
    "account's login": (ACCOUNT, newAccount(2, "g", name="x")),
    "assigned login": (ACCOUNT, newAccount(0, "g", name="x")),
    "account's group": (ACCOUNT, newAccount(1, "h", name="x")),
    "enable": (ACCOUNT, newAccount(1, "g", name="x", enable=0)),
    "account's field": (ACCOUNT, newAccount(1, "g", name="y")),
    "account's other field": (ACCOUNT, newAccount(1, "g", city="x")),
}


@pytest.mark.parametrize("what", SAME)
def test_theSameRequest(what: str) -> None:
    """How a request was written, and what the server added to it, do not make it another one."""
    one, two = SAME[what]
    assert fingerprint(one) == fingerprint(two)
    assert len(fingerprint(one)) == 16


@pytest.mark.parametrize("what", OTHERS)
def test_anotherRequest(what: str) -> None:
    """Each thing that can be asked differently makes it another request."""
    one, two = OTHERS[what]
    assert fingerprint(one) != fingerprint(two)


def test_kindsAreApart() -> None:
    """Requests of different kinds are never the same."""
    kinds: list[Request] = [MOVE, GROUP, ACCOUNT, ForgetKeys(CRM, 3)]
    assert len({fingerprint(request) for request in kinds}) == len(kinds)


def test_everyMemberIsLookedAt() -> None:
    """The tables here have each member of a deposit in them: one that is added later has to be thought about."""
    members = set(MoveMoney.__struct_fields__)
    assert members == {"cause", "cmd", "login", "amount", "order", "named", *FULL, "strict"}
