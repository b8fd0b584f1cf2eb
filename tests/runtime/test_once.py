"""Whoever asks for the same thing with the same key is told the same, and never what turns out to be wrong."""

from __future__ import annotations

import pytest

from scalemgr.finance.records import BALANCE_EVENT, TRADE_EVENT
from scalemgr.runtime.underway import RIVALS_MAX

from ..helpers import booked, token
from .house import COMMANDS, House, SlowReader, Told, both, keepAndFail, late, ok, told

# -- joining ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queued", [True, False], ids=["queued", "being committed"])
@pytest.mark.parametrize("second", COMMANDS)
@pytest.mark.parametrize("first", COMMANDS)
def test_join(house: House, first: str, second: str, queued: bool) -> None:
    """Who asks again meanwhile, on any session and in either form, is answered with the one outcome as a replay."""
    if queued:
        house.block()
    house.ledgerThread.held = True
    order = house.daemon.runtime.reserveOrder() + 1
    house.one.deposit("a", command=first)
    house.daemon.settle()
    house.two.deposit("a", command=second)
    house.one.deposit("b", command=second, idempotency_key="a")
    house.ledgerThread.release()
    house.daemon.settle()
    # On the same session as well: it is another extID there, and the same key.
    data = {(a["extID"], session): a for session in (house.one, house.two) for a in session.answers()}
    assert [a["status"] for a in data.values()] == [200] * 3
    assert [a.get("replayed") for a in data.values()] == [None, True, True]
    assert {a["data"]["order"] for a in data.values()} == {order}
    entries = [e for e in house.ledger.entries(5, 10) if e.login == 1001]
    assert [(e.event, e.key, e.order) for e in entries] == [(TRADE_EVENT, "a", order), (BALANCE_EVENT, None, 0)]
    assert house.daemon.balance() == 1000
    trade = {a["data"]["balance_version"] for a in data.values() if "profit" in a["data"]}
    assert trade <= {1}


def test_joinOnTheSameSession(house: House) -> None:
    """The same extID again on the same session joins, too: two answers, one effect."""
    house.one.deposit("a")
    house.one.deposit("a")
    house.daemon.settle()
    assert told(house.one) == ok("a") + ok("a", True)
    assert house.daemon.balance() == 1000


@both
def test_joinARefusal(house: House, command: str) -> None:
    """A refusal is everyone's, the same, and a replay for all but the first."""
    for session in (house.one, house.two):
        session.deposit("a", command=command, login=4711)
    house.daemon.settle()
    [one], [two] = house.one.answers(), house.two.answers()
    assert (one["data"], one["status"]) == (two["data"], two["status"])
    assert (one["data"]["reason"], one.get("replayed"), two.get("replayed")) == ("RET_USER_NOT_FOUND", None, True)


@both
def test_anotherRequestMeanwhile(house: House, command: str) -> None:
    """Another request with a key that is under way is refused with that one's order, and that one goes its way."""
    house.ledgerThread.held = True
    house.one.deposit("a", command=command)
    house.two.deposit("a", 11.0, command=command)
    house.release()
    assert told(house.one) == ok("a")
    [answer] = house.two.answers()
    assert (answer["status"], answer["data"]["reason"], answer["data"]["order"]) == (409, "RET_ERR_DUPLICATE", 1)
    assert "replayed" not in answer
    assert house.daemon.balance() == 1000


@both
def test_anotherRequestThanOneThatIsWithdrawn(house: House, command: str) -> None:
    """A key that is under way is not used yet: if the first is withdrawn, the other is booked."""
    house.block()
    house.one.deposit("a", command=command, timeout_ms=1000)
    house.two.deposit("a", 11.0, command=command)
    house.wait(1.1)
    assert told(house.one) == late("a", "pending")
    house.release()
    assert told(house.two) == ok("a")
    house.one.deposit("a", command=command)
    house.daemon.settle()
    [answer] = house.one.answers()
    assert (answer["status"], house.daemon.balance()) == (409, 1100)


def test_anotherRequestThanABookedOne(house: House) -> None:
    """With a used key, a repeat of the first is a replay, though a request that is none is under way before it."""
    first = booked(house.daemon, house.one, "a")
    house.block()
    house.one.deposit("a", 11.0)
    house.two.deposit("a")
    house.release()
    assert told(house.one) == [Told("a", 409, False, None)]
    [answer] = house.two.answers()
    assert (answer["status"], answer["data"], answer["replayed"]) == (200, first, True)


@pytest.mark.parametrize("count", [RIVALS_MAX, RIVALS_MAX + 1])
def test_tooManyOthers(house: House, count: int) -> None:
    """So many different requests may be under way with one key, and no more; who repeats one of them still joins."""
    house.block()
    for n in range(count):
        house.one.deposit(str(n), 1.0 + n, idempotency_key="a")
    assert [(a["extID"], a["status"]) for a in house.one.answers()] == [(str(n), 429) for n in range(RIVALS_MAX, count)]
    house.two.deposit("a", 99.0)
    house.two.deposit("b", 1.0, idempotency_key="a")
    house.release()
    assert sorted(told(house.two)) == [Told("a", 429, False, None), *ok("b", True)]
    assert [answer["status"] for answer in house.one.answers()] == [200] + [409] * (RIVALS_MAX - 1)
    assert house.daemon.balance() == 100


def test_anothersKey(house: House) -> None:
    """The same key of another principal is another key, also while the first is under way."""
    other = house.daemon.connect(token("psp"))
    house.one.deposit("a")
    other.deposit("a", 11.0)
    house.daemon.settle()
    assert told(house.one) == told(other) == ok("a")
    assert house.daemon.balance() == 2100


def test_replayIsTheFirstOutcome(house: House) -> None:
    """A repeat of what is booked has the first one's data in its own form, though its own order is another."""
    first = booked(house.daemon, house.one, "a")
    booked(house.daemon, house.one)
    for command, data in [("BalanceInSync", first), ("BalanceIn", None)]:
        house.two.deposit("a", command=command)
        house.daemon.settle()
        [answer] = house.two.answers()
        assert (answer["status"], answer["replayed"], answer["data"]["order"]) == (200, True, first["order"])
        assert data is None or answer["data"] == data
    assert house.daemon.balance() == 2000


# -- the end ------------------------------------------------------------------------------------------


def test_joinWhileStopping(house: House) -> None:
    """A runtime that stops takes no new work, and still tells whoever repeats what it has taken."""
    house.block()
    house.one.deposit("a")
    house.daemon.runtime.stop()
    house.two.deposit("a")
    house.two.deposit("b")
    house.release()
    assert sorted(told(house.two)) == [*ok("a", True), Told("b", 503, False, None)]
    assert told(house.one) == ok("a")


def test_nothingIsLeft(house: House) -> None:
    """When everyone has an answer nothing is kept of what was under way, however it ended."""
    reader = SlowReader(house)
    keepAndFail(house.ledger)
    for extID in "abc":
        house.one.deposit(extID)
    house.wait(1.2)
    house.block()
    for extID in "cde":
        house.two.deposit(extID, timeout_ms=500)
        house.one.send("GetRequest", f"q{extID}", {"extID": extID})
    house.wait(0.6)
    house.two.deposit("d")
    house.ledgerThread.release()
    for _ in range(5):
        house.wait(0.2)
        reader.letGo()
    house.one.lines()
    house.two.lines()
    underWay = house.daemon.runtime._underWay
    assert (underWay._byName, underWay._doubtful, underWay._searches) == ({}, {}, {})
    assert house.daemon.clock.getDelayedCalls() == []
