"""What is the same request, however it was written, and what is another one."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.money import Amount
from scalemgr.finance.requests import (
    CREDIT,
    AddAccount,
    AddGroup,
    AskForMoney,
    Cause,
    Decide,
    DeleteAccount,
    DeleteAccounts,
    DeleteGroup,
    ForgetKeys,
    MoveMoney,
    Request,
    TakeBack,
    UpdateAccount,
    UpdateGroup,
    fingerprint,
)
from scalemgr.finance.settle import _RULES
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

#: One of each kind, and what versions before this one made of it.
KEPT: dict[str, tuple[Request, str]] = {
    "a deposit": (
        MoveMoney(CRM, TradeCommand.OP_BALANCE_IN, 1001, Amount(25025, 2), 7, 0, "Payment gateway deposit"),
        "1b4a045ad5ebcdcfd6f781606e6860c2",
    ),
    "without a comment": (
        MoveMoney(CRM, TradeCommand.OP_CREDIT_OUT, 1001, Amount(-5, 0), 7),
        "5d7ec53aa8d59e108229117c1b776c9f",
    ),
    "a change": (
        MoveMoney(CRM, TradeCommand.OP_BALANCE_OUT, 1001, Amount(-5, 1), 7, 7, None, 10, 20),
        "75c3d1240f96f5aa141eda14be4b21c4",
    ),
    "a comment of any kind": (
        MoveMoney(CRM, TradeCommand.OP_BALANCE_IN, 1001, Amount(10**22, 0), 7, 0, 'it\'s "\\/", \x7f\n}, ]é€😀,}'),
        "a8c0cbd1f179e01c5208e500d5eec47c",
    ),
    "taken back": (TakeBack(CRM, 7, CREDIT), "64399c205dfbadaf991092275044dc8d"),
    "asked for": (
        AskForMoney(
            CRM, TradeCommand.OP_BALANCE_IN, 1001, Amount(25025, 2), 7, "don't", 10, 4, 8, "psp", "u-1", '{"a": [1, ]}'
        ),
        "c5fbf22305422a35f93ada2ef7729c50",
    ),
    "approved": (Decide(CRM, 7, True), "e329bc40deeb26e332ef30a9a3317821"),
    "declined": (Decide(CRM, 7, False, "no, thanks", "{}"), "d451be70847ff46e7f8fad426d19edc8"),
    "an account": (
        AddAccount(CRM, 0, "demo", 1, {"name": "x", "leverage": 1e-5, "tags": ["a"]}, "hash"),
        "a76115ceefd4a84a4afcc9741ea92e47",
    ),
    "a changed account": (
        UpdateAccount(CRM, 1001, "demo", 0, {"name": "é", "leverage": 1e16}),
        "deb5b6208a53e8e17a873d7ad0b325dd",
    ),
    "a closed account": (DeleteAccount(CRM, 1001), "dfec638912faea1eaca070f8344cf113"),
    "closed accounts": (DeleteAccounts(CRM, (1001, 1002)), "271a51418acb239fe46ba92c34d58bdc"),
    "a group": (AddGroup(CRM, "demo", "USD", 2, {"margin": 0.5}, Amount(-3, 0)), "2dee315caf7949e175df841a1fd340eb"),
    "a changed group": (UpdateGroup(CRM, "demo", "USD", 2, {}), "20f8f1bf2d43ca2d652ff66025628e2c"),
    "a deleted group": (DeleteGroup(CRM, "demo"), "7343443260bb29716271bbed90dfab97"),
    "forgotten keys": (ForgetKeys(CRM, 7), "4dfc1848e9d552a385cda1c04a3d848f"),
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


@pytest.mark.parametrize("what", KEPT)
def test_logsAreHeldAgainst(what: str) -> None:
    """What is asked today condenses to what it did when the log was written: a repeat is known years later."""
    request, kept = KEPT[what]
    assert fingerprint(request).hex() == kept


def test_eachKindIsHeldAgainst() -> None:
    """The table above has one of each kind that can be settled."""
    assert {type(request) for request, _ in KEPT.values()} == set(_RULES)


def test_kindsAreApart() -> None:
    """Requests of different kinds are never the same."""
    kinds: list[Request] = [MOVE, GROUP, ACCOUNT, ForgetKeys(CRM, 3)]
    assert len({fingerprint(request) for request in kinds}) == len(kinds)


def test_everyMemberIsLookedAt() -> None:
    """The tables here have each member of a deposit in them: one that is added later has to be thought about."""
    members = set(MoveMoney.__struct_fields__)
    assert members == {"cause", "cmd", "login", "amount", "order", "named", *FULL, "strict"}
