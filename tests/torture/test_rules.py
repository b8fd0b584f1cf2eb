"""What had to be refused and was not, what was refused and had not to be, and every reason that there is."""

from __future__ import annotations

from typing import Any

import pytest

from .asked import UNKNOWN_LOGINS, UNKNOWN_ORDERS
from .check_books import checkBooks
from .scripted import Script

NOBODY, NOTHING = UNKNOWN_LOGINS[0], UNKNOWN_ORDERS[0]
# What there is: 1.00 and a credit of 0.50; a deposit of 3.00 of which 2.00 were withdrawn, a withdrawal that was
# taken back, a request for 9.00 out, one that was declined.
DEPOSIT, CREDIT, GONE, REQUEST, DECLINED = range(11, 16)


@pytest.fixture
def script() -> Script:
    script = Script()
    script.open()
    made: list[tuple[int, int, dict[str, Any]]] = [
        (300, DEPOSIT, {}),
        (-200, 99, {}),
        (50, CREDIT, {"cmd": 7}),
        (-1, GONE, {}),
        (-900, REQUEST, {"state": 17}),
        (5, DECLINED, {"state": 17}),
    ]
    for cents, order, more in made:
        if script.book(cents, f"{order}", order=order, **more).moves:
            script.balance()
    script.takeBack(GONE, "gone")
    script.decline(DECLINED, "declined")
    return script


REASONS: list[tuple[str, dict[str, Any], str]] = [
    ("BalanceIn", {"cents": 1}, ""),
    ("BalanceIn", {"cents": 1, "login": NOBODY}, "RET_USER_NOT_FOUND"),
    ("BalanceIn", {"cents": 1, "order": NOTHING}, ""),
    ("BalanceIn", {"cents": 200, "order": DEPOSIT}, ""),
    ("BalanceIn", {"cents": 199, "order": DEPOSIT}, "RET_TRADE_NO_MONEY"),
    ("BalanceIn", {"cents": 1, "order": CREDIT}, "RET_TRADE_INCORRECT_ORDER"),
    ("BalanceIn", {"cents": 1, "order": DECLINED}, "RET_TRADE_INCORRECT_STATE"),
    ("BalanceOut", {"cents": -100}, ""),
    ("BalanceOut", {"cents": -101}, "RET_TRADE_NO_MONEY"),
    ("BalanceOut", {"cents": -1, "order": GONE}, "RET_TRADE_INCORRECT_STATE"),
    ("CreditIn", {"cents": 1}, ""),
    ("CreditOut", {"cents": -50}, ""),
    ("CreditOut", {"cents": -51}, "RET_TRADE_NO_MONEY"),
    ("DeleteBalance", {"order": DEPOSIT}, "RET_TRADE_NO_MONEY"),
    ("DeleteBalance", {"order": 99}, ""),
    ("DeleteBalance", {"order": NOTHING}, "RET_NOT_FOUND"),
    ("DeleteBalance", {"order": CREDIT}, "RET_TRADE_INCORRECT_ORDER"),
    ("DeleteBalance", {"order": GONE}, "RET_TRADE_INCORRECT_STATE"),
    ("DeleteBalance", {"order": REQUEST}, "RET_TRADE_INCORRECT_STATE"),
    ("DeleteCredit", {"order": CREDIT}, ""),
    ("DeleteCredit", {"order": DEPOSIT}, "RET_TRADE_INCORRECT_ORDER"),
    ("MngCreateFinanceRequest", {"cents": -1000, "cmd": 8}, ""),
    ("MngCreateFinanceRequest", {"cents": 1, "cmd": 6, "login": NOBODY}, "RET_USER_NOT_FOUND"),
    ("MngApproveFinanceRequest", {"order": REQUEST}, "RET_TRADE_NO_MONEY"),
    ("MngApproveFinanceRequest", {"order": DECLINED}, "RET_TRADE_INCORRECT_STATE"),
    ("MngApproveFinanceRequest", {"order": DEPOSIT}, "RET_TRADE_INCORRECT_STATE"),
    ("MngApproveFinanceRequest", {"order": NOTHING}, "RET_NOT_FOUND"),
    ("MngDeclineFinanceRequest", {"order": REQUEST}, ""),
    ("MngDeclineFinanceRequest", {"order": DECLINED}, "RET_TRADE_INCORRECT_STATE"),
]


@pytest.mark.parametrize(("command", "wanted", "reason"), REASONS)
def test_refusals(script: Script, command: str, wanted: dict[str, Any], reason: str) -> None:
    """A refusal with the reason that there was is right; with another one, or with no reason at all, it is found."""
    script.ask(command=command, **{"cents": 0, **wanted})
    script.refuse(reason=reason or "RET_TRADE_NO_MONEY", order=wanted.get("order", 0))
    found = checkBooks(script.log, script.keys())
    if reason:
        assert found == []
        script.log.pop()
        script.refuse(reason="RET_ACCOUNT_DISABLED")
        found = checkBooks(script.log, script.keys())
        assert found == [f"entry {len(script.log)} refuses with RET_ACCOUNT_DISABLED, and ['{reason}'] is right"]
    else:
        assert found == [f"entry {len(script.log)} refuses with RET_TRADE_NO_MONEY, and [''] is right"]


def test_refusedForOneOfTwo(script: Script) -> None:
    """Of two that claim one key either may be the one that was refused."""
    script.ask(1)
    script.ask(-101, "BalanceOut")
    script.refuse(reason="RET_TRADE_NO_MONEY", available=1.0)
    assert checkBooks(script.log, script.keys()) == []


@pytest.mark.parametrize(("available", "right"), [(1.0, True), (0.5, True), (0.99, False)])
def test_available(script: Script, available: float, right: bool) -> None:
    """A refusal for want of money that tells of more or less than there is, is found."""
    script.ask(-101, "BalanceOut")
    script.refuse(reason="RET_TRADE_NO_MONEY", available=available)
    found = checkBooks(script.log, script.keys())
    assert found == ([] if right else [f"entry {len(script.log)} says that {available} is available"])


@pytest.mark.parametrize(
    ("command", "order", "reason"),
    [
        ("MngApproveFinanceRequest", REQUEST, "RET_TRADE_NO_MONEY"),
        ("DeleteBalance", DEPOSIT, "RET_TRADE_NO_MONEY"),
        ("DeleteBalance", GONE, "RET_TRADE_INCORRECT_STATE"),
    ],
)
def test_notRefused(script: Script, command: str, order: int, reason: str) -> None:
    """What was booked although it had to be refused is found."""
    script.askOf(order, command)
    if command == "DeleteBalance":
        script.takeBack(order)
    else:
        script.approve(order)
    found = checkBooks(script.log, script.keys())
    assert any(f"was to be refused with {reason}" in sentence for sentence in found), found
