"""What the clients want: of every kind, told apart in the log, and some of it at odds with what others want."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from .asked import APPROVE, CREDIT, DECLINE, MOVES, NAMES, OFFICE, TAKES_BACK, UNKNOWN_LOGINS, UNKNOWN_ORDERS
from .holdings import Holdings, Movement
from .office import CLIENT_GROUPS
from .session import _data
from .wishes import Mix, Wish


@pytest.fixture
def holdings() -> Holdings:
    """A client that has a deposit and a withdrawal of credit, opened two accounts, and heard of three requests."""
    holdings = Holdings()
    holdings.logins += [2001, 2002]
    holdings.done("BalanceIn", 1001, 0, 0, 11)
    holdings.done("CreditOut", 1002, 0, 0, 12)
    for order in (21, 22, 23):
        holdings.hear({"order": order, "login": 1001, "cmd": 6})
    return holdings


def mixOf(holdings: Holdings, n: int = 0, count: int = 1) -> Mix:
    return Mix(Random(n), f"k{n}", [1001, 1002], (n, count), holdings)


def test_amountsAreDistinct(holdings: Holdings) -> None:
    """No two wishes of any two clients ask for one amount, so an entry tells whose it is."""
    wishes = [wish for n in range(3) for mix in [mixOf(holdings, n, 3)] for _ in range(2000) for wish in mix.wishes()]
    amounts = [abs(wish.cents) for wish in wishes if wish.cents]
    assert len(set(amounts)) == len(amounts) > 4000
    assert {wish.login for wish in wishes if wish.login} - set(UNKNOWN_LOGINS) == {1001, 1002, 2001, 2002}


def test_everyKindIsDrawn(holdings: Holdings) -> None:
    """Every command is asked for in both forms, signed as it wants it, with a comment where one is required."""
    mix = mixOf(holdings)
    sent = [mix.attempt(n, wish) for n in range(4000) for wish in mix.wishes()]
    kinds = Counter("change" if attempt.changes else attempt.kind for attempt in sent)
    assert kinds.keys() == NAMES.keys()
    assert min(kinds.values()) > 5
    assert {(attempt.kind, attempt.isSync) for attempt in sent} == {
        (kind, sync) for kind in NAMES if kind != "change" for sync in (True, False) if not (sync and kind in OFFICE)
    }
    for attempt in sent:
        if attempt.kind in OFFICE:
            continue
        data = _data(attempt)
        cmd = MOVES.get(attempt.kind, attempt.cmd)
        assert ("amount" in data, "login" in data) == (cmd > 0, cmd > 0)
        assert (data.get("amount", 0) < 0) == (cmd in (8, 9))
        assert ("order" in data) == (attempt.changes or not cmd)
        assert attempt.comment is not None or MOVES.get(attempt.kind) not in CREDIT


def test_whatIsNamed(holdings: Holdings) -> None:
    """What is changed or taken back is one's own, what is decided was asked for; a few name what nobody has."""
    mix = mixOf(holdings)
    wishes = [wish for _ in range(4000) for wish in mix.wishes() if wish.order]
    assert {w.order for w in wishes if w.kind in TAKES_BACK} - set(UNKNOWN_ORDERS) == {11, 12}
    assert {w.order for w in wishes if w.kind in (APPROVE, DECLINE)} - set(UNKNOWN_ORDERS) == {11, 12, 21, 22, 23}
    assert 0 < sum(w.order in UNKNOWN_ORDERS for w in wishes) < len(wishes) / 10


def test_office(holdings: Holdings) -> None:
    """Groups are a few that all clients share, marks are nobody else's; only one's own accounts are closed."""
    mix = mixOf(holdings)
    wishes = [wish for _ in range(6000) for wish in mix.wishes() if wish.kind in OFFICE]
    asked = [_data(mix.attempt(n, wish)) for n, wish in enumerate(wishes)]
    groups = {data["group"] for data in asked if "group" in data}
    assert groups == {*CLIENT_GROUPS, "real-usd"}
    assert all(wish.name != "real-usd" for wish in wishes if wish.kind != "MngAddAccount")
    assert {wish.login for wish in wishes if wish.kind == "MngDeleteAccount"} == {2001, 2002}
    lists = [data["logins"] for data in asked if "logins" in data]
    assert {login for logins in lists for login in logins} - set(UNKNOWN_LOGINS) == {2001, 2002}
    assert all(len(set(logins)) == len(logins) > 0 for logins in lists)
    marks = Counter((wish.kind, wish.mark) for wish in wishes if wish.mark)
    assert max(marks.values()) <= 2  # One of them may be wanted under two keys.


def test_rivals(holdings: Holdings) -> None:
    """Now and then two want other things under one key, or one thing under two; a repeat is what it repeats."""
    mix = mixOf(holdings)
    drawn = [mix.wishes() for _ in range(3000)]
    pairs = [wishes for wishes in drawn if len(wishes) == 2]
    ofOneKey = [(a, b) for a, b in pairs if a.key == b.key]
    ofOneOrder = [(a, b) for a, b in pairs if a.key != b.key]
    assert ofOneKey
    assert all(_content(a) != _content(b) for a, b in ofOneKey)
    assert {(a.kind, b.kind) for a, b in ofOneOrder} >= {(APPROVE, APPROVE), (APPROVE, DECLINE), (DECLINE, APPROVE)}
    assert all(a.order == b.order and not a.cents for a, b in ofOneOrder)
    keys = {wish.key for wishes in drawn for wish in wishes}
    assert len(keys) == len(drawn) + len(ofOneOrder)
    numbers = [wish.number for wishes in drawn for wish in wishes]
    assert len(set(numbers)) == len(numbers)
    wish = drawn[0][0]
    assert len({mix.attempt(n, wish).content for n in range(50)}) == 1


def _content(wish: Wish) -> tuple[object, ...]:
    return wish.kind, wish.login, wish.cents, wish.order


def test_freshRequestsAreDecided(holdings: Holdings) -> None:
    """Of what is asked for, about every other one is decided at once, by whoever hears of it."""
    for order in range(100, 1100):
        holdings.hear({"order": order, "login": 1001, "cmd": 6})
    mix = mixOf(holdings)
    decided = 0
    while holdings.fresh:
        decided += any(wish.order >= 100 for wish in mix.wishes())
    assert 350 < decided < 550


def test_holdings() -> None:
    """A change is no new movement, an approval is one, and a request that is heard of again is known already."""
    holdings = Holdings()
    holdings.done("BalanceOut", 1001, 0, 0, 11)
    holdings.done("BalanceOut", 1001, 11, 0, 11)
    holdings.done("DeleteBalance", 0, 11, 0, 11)
    holdings.done("MngCreateFinanceRequest", 1001, 0, 7, 12)
    holdings.hear({"order": 12, "login": 1001, "cmd": 7})
    holdings.done(DECLINE, 0, 12, 0, 12)
    assert holdings.movements == [Movement(11, 1001, 8)]
    assert holdings.requests == holdings.fresh == [Movement(12, 1001, 7)]
    holdings.done(APPROVE, 0, 12, 0, 12)
    holdings.done("BalanceIn", 1001, UNKNOWN_ORDERS[0], 0, 13)
    assert holdings.movements[1:] == [Movement(12, 1001, 7), Movement(13, 1001, 6)]
