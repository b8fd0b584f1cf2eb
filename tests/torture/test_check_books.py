"""The checks that fold the log find what they are for, and nothing where nothing is wrong."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from .check_books import checkBooks, checkOnce
from .scripted import Script


@pytest.fixture
def script() -> Script:
    """An account that is open."""
    script = Script()
    script.open()
    return script


def wrong(script: Script) -> list[str]:
    """What the checks of the books find."""
    return checkBooks(script.log, script.keys()) + checkOnce(script.log, script.keys())


def test_nothingWrong(script: Script) -> None:
    """Movements of all kinds, changed, taken back, approved and declined, each with its balance event, are right."""
    first = script.move(500, "a")
    script.move(-200, "b")
    credit = script.move(300, "c", cmd=7)
    script.move(-100, "d", cmd=9)
    script.change(first.order, 600, "e")
    script.change(first.order, 600, "f")
    request, other = script.request(-50, "g"), script.request(70, "h", cmd=7)
    script.ask(-1000, "BalanceOut", "n")
    script.refuse("n", "RET_TRADE_NO_MONEY", available=4.0)
    approved = script.approve(request.order, "i")
    script.decline(other.order, "j")
    script.takeBack(approved.order, "k")
    script.ask(0, "DeleteCredit", "l", order=credit.order)
    script.refuse("l", "RET_TRADE_NO_MONEY", credit.order, available=2.0)
    assert wrong(script) == []
    assert [entry.event for entry in script.log].count("balance:event") == 7


# -- the balance event ----------------------------------------------------------------------------------


def test_balanceEventAsPublished(script: Script) -> None:
    """A balance event says what there is, exactly and in order; this one is written out by hand."""
    script.move(10010)
    script.book(2005, "c", cmd=7)
    script.balance(
        data='{"login":1001,"balance":100.1,"credit":20.05,"equity":120.15,"margin":0.0,"margin_free":120.15,'
        '"margin_level":0.0,"balance_version":2}'
    )
    assert wrong(script) == []


def test_balanceEventIsMissing(script: Script) -> None:
    """Money that moved without a balance event after it is found, in the middle of the log and at its end."""
    script.book(key="a")
    assert wrong(script) == ["entry 2 moved money, and the log ends without its balance event"]
    script.move(key="b")
    assert wrong(script) == ["entry 2 moved money, and entry 3 after it is no balance event"]


@pytest.mark.parametrize(
    ("right", "other"),
    [
        ('"login":1001', '"login":1002'),
        ('"balance":1.0', '"balance":1.01'),
        ('"credit":0.0', '"credit":1.0'),
        ('"equity":1.0', '"equity":0.0'),
        ('"margin":0.0', '"margin":1.0'),
        ('"margin_free":1.0', '"margin_free":0.0'),
        ('"margin_level":0.0', '"margin_level":1.0'),
        ('"balance_version":1', '"balance_version":2'),
        ('"margin":0.0,"margin_free":1.0', '"margin_free":1.0,"margin":0.0'),
        ('"login":1001,', ""),
    ],
)
def test_balanceEventSaysOtherwise(script: Script, right: str, other: str) -> None:
    """A balance event with any other amount, version or login, or in another order, is found."""
    script.move()
    data = script.log[-1].data
    assert right in data
    script.log[-1] = replace(script.log[-1], data=data.replace(right, other))
    (sentence,) = wrong(script)
    assert sentence.startswith("entry 3 says ")


@pytest.mark.parametrize(
    "other",
    [{"group": "x"}, {"type": 0}, {"login": 1002}, {"order": 12}, {"principal": "x"}, {"key": "x"}, {"time_ms": 9}],
)
def test_balanceEventOfAnother(script: Script, other: dict[str, object]) -> None:
    """A balance event of another type, account, time or caller than what moved the money, or with a key, is found."""
    script.book()
    script.balance(**other)
    (sentence,) = wrong(script)
    assert sentence.startswith("entry 3 is ")
    assert "the balance event of entry 2 is" in sentence


def test_balanceEventOfNothing(script: Script) -> None:
    """A balance event that follows no movement is found, also a second one."""
    script.move()
    script.balance()
    assert wrong(script) == ["entry 4 is a balance event, and entry 3 moved nothing"]
    script.request(key="r")
    script.balance()
    assert wrong(script)[1:] == ["entry 6 is a balance event, and entry 5 moved nothing"]


# -- what moves -----------------------------------------------------------------------------------------


def test_movesOtherwise(script: Script) -> None:
    """An entry that moves another amount than comes of what it says is found, or the balance instead of the credit."""
    script.book(100, "a", change=99)
    script.balance()
    script.book(100, "b", cmd=7, credit=0, balance=100)
    script.balance()
    script.book(100, "c", cmd=6, state=17, change=100)
    script.balance()
    assert wrong(script) == [
        "entry 2 moves 99 and 0, and 100 and 0 is right",
        "entry 4 moves 100 and 0, and 0 and 100 is right",
        "entry 6 moves 100 and 0, and 0 and 0 is right",
    ]


def test_refusalMoves(script: Script) -> None:
    """A refusal that moves money is found."""
    script.move(key="a")
    script.refuse("n")
    script.log[-1] = replace(script.log[-1], balance=5)
    script.balance()
    assert wrong(script)[0] == "entry 4 moves 5 and 0, and is no trade"


@pytest.mark.parametrize("cmd", [8, 9])
def test_overdrawn(script: Script, cmd: int) -> None:
    """A balance or a credit below zero is found at the entry that leaves it so, also if it is made up for later."""
    script.move(100, "a", cmd=cmd - 2)
    script.move(-101, "b", cmd=cmd)
    script.move(500, "c", cmd=cmd - 2)
    (sentence,) = wrong(script)
    assert sentence.startswith("entry 4 leaves ")


def test_versionSkipped(script: Script) -> None:
    """A trade that has another balance_version than its account comes to is found."""
    entry = script.move()
    script.log[1] = replace(entry, data=entry.data.replace('"balance_version":1', '"balance_version":2'))
    (sentence,) = wrong(script)
    assert sentence.startswith("entry 2 does not have version 1")


def test_madeTwice(script: Script) -> None:
    """Two trades with one number are found."""
    script.move(key="a")
    script.book(key="b", order=12)
    script.balance()
    assert "entry 4 of type 0 takes order 12 from state 3 to 3" in wrong(script)


@pytest.mark.parametrize("other", [{"cmd": 7}, {"opened": 2}])
def test_otherTrade(script: Script, other: dict[str, int]) -> None:
    """A change that makes a movement of another kind, or one that was made at another time, of a trade is found."""
    made = script.move(key="a")
    script.change(made.order, 100, "b", **other)
    assert any(sentence.startswith("entry 4 makes another trade of order 12") for sentence in wrong(script))


def test_otherComment(script: Script) -> None:
    """A comment that changes with nobody asking for another one is found: in a change, a deletion, a decision."""
    made, request = script.move(key="a"), script.request(key="r")
    script.ask(200, key="b", order=made.order)
    script.askOf(made.order, "DeleteBalance", "c")
    script.askOf(request.order, "MngApproveFinanceRequest", "d")
    script.ask(300, key="e", order=request.order, comment="asked for")
    script.change(made.order, 200, "b", comment="one")
    script.takeBack(made.order, "c", comment="two")
    script.approve(request.order, "d", comment="three")
    script.change(request.order, 300, "e", comment="asked for")
    found = [sentence.partition(":")[0] for sentence in wrong(script)]
    assert found == [
        "entry 5 has another comment than 'Finance'",
        "entry 7 has another comment than 'one'",
        "entry 9 has another comment than 'Finance'",
    ]


def test_otherGroup(script: Script) -> None:
    """An entry of another group than its account's, so that others see it, is found, and one of no account."""
    script.book(key="a", group="x")
    script.balance(group="x")
    script.book(key="b", state=17)
    script.close()
    script.book(key="c", state=17)
    assert wrong(script) == [
        "entry 2 is of group 'x', and its account is of 'real-usd'",
        "entry 6 is of group 'real-usd', and its account is of None",
    ]


def test_otherAmountApproved(script: Script) -> None:
    """An approval, a decline or a deletion that has another amount than what it is about is found."""
    request = script.request(key="a")
    script.book(200, "b", order=request.order, type=1)
    script.balance()
    assert wrong(script) == ["entry 3 changes the amount of order 12 from 100 to 200"]


# -- once -----------------------------------------------------------------------------------------------


def test_approvedTwice(script: Script) -> None:
    """A request that two keys have approved is found, whether the money came twice or not."""
    request = script.request(key="r")
    for key in ("a", "b"):
        script.askOf(request.order, "MngApproveFinanceRequestSync", key)
    script.approve(request.order, "a")
    script.approve(request.order, "b")
    assert "order 12 was decided 2 times, as entries [3, 5]" in wrong(script)
    script.log.pop()
    script.approve(request.order, "b", change=100)
    assert "entry 5 moves 100 and 0, and 0 and 0 is right" in wrong(script)
    assert any(s.startswith("entry 5 was to be refused with RET_TRADE_INCORRECT_STATE") for s in wrong(script))


def test_approvedAndDeclined(script: Script) -> None:
    """A request that was declined after it was approved is found, and one that was approved after it was declined."""
    request, other = script.request(key="r"), script.request(key="s")
    script.askOf(request.order, "MngApproveFinanceRequest", "a")
    script.askOf(request.order, "MngDeclineFinanceRequest", "b")
    script.askOf(other.order, "MngDeclineFinanceRequest", "c")
    script.askOf(other.order, "MngApproveFinanceRequest", "d")
    script.approve(request.order, "a")
    script.decline(request.order, "b")
    script.decline(other.order, "c")
    script.approve(other.order, "d")
    found = wrong(script)
    for order in (request.order, other.order):
        assert any(sentence.startswith(f"order {order} was decided 2 times") for sentence in found)
    assert any(sentence.endswith("takes order 12 from state 3 to 18") for sentence in found)
    assert any(sentence.endswith("takes order 13 from state 18 to 3") for sentence in found)


def test_takenBackTwice(script: Script) -> None:
    """A movement that was taken back twice is found, whether the money went twice or not."""
    made = script.move(100, "a")
    script.move(100, "b")
    script.takeBack(made.order, "x")
    script.takeBack(made.order, "y", change=-100)
    found = wrong(script)
    assert "order 12 was taken back 2 times, as entries [6, 8]" in found
    assert "entry 8 of type 2 takes order 12 from state 6 to 6" in found
    assert "entry 8 moves -100 and 0, and 0 and 0 is right" in found


def test_changedAfterItWasTakenBack(script: Script) -> None:
    """A movement that comes back after it was taken back is found."""
    made = script.move(100, "a")
    script.takeBack(made.order, "x")
    script.change(made.order, 300, "c")
    assert "entry 6 of type 1 takes order 12 from state 6 to 3" in wrong(script)


def test_takenBackUnasked(script: Script) -> None:
    """What was booked and is gone without anybody's wish is found: the entry has no key, or one for something else."""
    made = script.move(100, "a")
    script.done(script.ask(key="a"), made)
    script.takeBack(made.order, "a")
    assert any("is not what anybody asked for" in sentence for sentence in script.wrong())
    assert any("applied 2 times" in sentence for sentence in script.wrong())
