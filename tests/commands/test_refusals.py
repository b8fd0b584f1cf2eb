"""What a finance command refuses, how it says so, and that nothing is done: permission, accounts, limits."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from scalemgr.finance.money import MINOR_UNITS_MAX
from scalemgr.finance.records import BALANCE_EVENT, REFUSAL, TRADE_EVENT
from scalemgr.finance.requests import AddAccount, AddGroup

from ..helpers import NOW_MS, SYSTEM, Daemon, fresh, inShort, token

COMMANDS = pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])

#: The refusal of the page.
PUBLISHED = {"error": "ADD_BALANCE_ERROR", "message": "Invalid login or insufficient permissions"}


def refusal(daemon: Daemon, claims: dict[str, Any], command: str, **data: Any) -> dict[str, Any]:
    """The answer to a deposit that changes nothing."""
    before = daemon.kept()
    session, listening = daemon.connect(token(**claims)), daemon.staff()
    extID = fresh()
    session.deposit(extID, command=command, **data)
    daemon.settle()
    [answer] = session.lines()
    assert daemon.kept() == before
    assert listening.raw() == b""
    assert answer.pop("extID") == extID
    return answer


@COMMANDS
@pytest.mark.parametrize("role", [1, 2, 3])
def test_whoMay(role: int, command: str) -> None:
    """Managers, dealers and admins may deposit."""
    daemon = Daemon()
    session = daemon.connect(token(role=role))
    session.deposit("x", command=command)
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200]
    assert daemon.balance() == 1000


@COMMANDS
@pytest.mark.parametrize("role", [0, 4, 5, 9, 10, 11])
def test_whoMayNot(role: int, command: str) -> None:
    """Any other role gets the published refusal, with the finer code and reason beside it."""
    answer = refusal(Daemon(), {"role": role, "login": 1001}, command)
    assert answer["status"] == 401
    assert answer["data"] == {**PUBLISHED, "code": 7, "reason": "RET_NOT_ENOUGH_RIGHTS"}
    assert list(answer["data"])[:2] == ["error", "message"]


def test_roleBeforeData() -> None:
    """Who may not deposit is not told what would be wrong with the deposit."""
    answer = refusal(Daemon(), {"role": 0, "login": 1001}, "BalanceInSync", amount=-1, login="x")
    assert (answer["status"], answer["data"]["error"]) == (401, "ADD_BALANCE_ERROR")


@COMMANDS
def test_unknownLogin(command: str) -> None:
    """An account that does not exist gets the published refusal, with the finer code and reason beside it."""
    answer = refusal(Daemon(), {}, command, login=999)
    assert answer["status"] == 401
    assert answer["data"] == {**PUBLISHED, "code": 48, "reason": "RET_USER_NOT_FOUND", "outcome": "refused"}


@COMMANDS
def test_loginOutsideTheMask(command: str) -> None:
    """An account outside the caller's groups is answered exactly like one that does not exist."""
    daemon = Daemon()
    outside = refusal(daemon, {"groups": "demo"}, command, login=2001)
    assert outside == refusal(daemon, {"groups": "demo"}, command, login=999)
    assert outside["status"] == 401


def test_loginInsideTheMask() -> None:
    """A mask that covers the account's group lets the deposit through."""
    daemon = Daemon()
    session = daemon.connect(token(groups="real-*"))
    session.deposit("x", login=2001)
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200]
    assert daemon.balance(2001) == 1000


@COMMANDS
def test_disabledAccount(command: str) -> None:
    """An account that is disabled takes no money: 403, not the refusal for logins that are not there."""
    daemon = Daemon()
    accounts = daemon.ledger.book.accounts
    accounts[1002] = replace(accounts[1002], enable=0)
    answer = refusal(daemon, {}, command, login=1002)
    assert (answer["status"], answer["data"]["error"]) == (403, "RET_ACCOUNT_DISABLED")


@COMMANDS
def test_decimalsOfTheCurrency(command: str) -> None:
    """Digits beyond those of the account's currency are refused, never rounded, naming the field."""
    daemon = Daemon()
    daemon.ledger.commit([AddGroup(SYSTEM, "yen", "JPY", 0, {}), AddGroup(SYSTEM, "coin", "BTC", 8, {})], NOW_MS)
    daemon.ledger.commit(
        [AddAccount(SYSTEM, 3001, "yen", 1, {}, ""), AddAccount(SYSTEM, 3002, "coin", 1, {}, "")], NOW_MS
    )
    for login, good, bad in ((3001, 7.0, 7.5), (3002, 0.00000001, 0.000000001)):
        session = daemon.staff()
        session.deposit(f"good-{login}", good, command, login=login)
        daemon.settle()
        assert [answer["status"] for answer in session.answers()] == [200]
        answer = refusal(daemon, {}, command, login=login, amount=bad)
        assert (answer["status"], answer["data"]["field"]) == (400, "amount")
    assert [daemon.balance(login) for login in (3001, 3002)] == [7, 1]


@COMMANDS
def test_balanceAtItsGreatest(command: str) -> None:
    """A balance grows up to what 15 digits can tell, and a deposit beyond that is refused."""
    daemon = Daemon()
    accounts = daemon.ledger.book.accounts
    accounts[1001] = replace(accounts[1001], balance=MINOR_UNITS_MAX - 2)
    answer = refusal(daemon, {}, command, amount=0.02)
    assert (answer["status"], answer["data"]["reason"]) == (409, "RET_TRADE_LIMIT_REACHED")
    session = daemon.staff()
    session.deposit("x", 0.01, command)
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200]
    assert daemon.balance() == MINOR_UNITS_MAX - 1


@COMMANDS
def test_refusedAmongOthers(command: str) -> None:
    """A refusal in the middle of a batch costs its neighbours nothing; it is an entry, and no event."""
    daemon = Daemon()
    session = daemon.staff()
    for extID, login in (("a", 1001), ("b", 999), ("c", 1002)):
        session.deposit(extID, command=command, login=login)
    daemon.settle()
    lines = session.lines()
    assert [(line["extID"], line["status"]) for line in lines[:3]] == [("a", 200), ("b", 401), ("c", 200)]
    assert inShort(lines[3:]) == ["6", "7:10", "9", "10:10"]
    booked = [TRADE_EVENT, BALANCE_EVENT]
    assert [entry.event for entry in daemon.ledger.entries(5, 9)] == [*booked, REFUSAL, *booked]
