"""What is said when the time is up: void is certain, and nothing said is contradicted later."""

from __future__ import annotations

import pytest

from scalemgr.runtime.lookups import LOOKUP_S

from ..helpers import booked
from .house import COMMANDS, House, SlowReader, Told, both, late, ok, told

# -- time-outs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", COMMANDS)
@pytest.mark.parametrize("first", COMMANDS)
def test_timeOutWhileAnotherWaits(house: House, first: str, second: str) -> None:
    """Whose time is up while another waits for the same is told pending; it stays queued, and the other gets it."""
    house.block()
    house.one.deposit("a", command=first, timeout_ms=10_000)
    house.two.deposit("a", command=second, timeout_ms=1000)
    house.wait(1.1)
    assert told(house.two) == late("a", "pending")
    assert house.state("a") == "queued"
    house.release()
    assert told(house.one) == ok("a")
    assert house.daemon.balance() == 1000


@both
def test_firstIsLateAndTheOtherWaits(house: House, command: str) -> None:
    """It makes no difference whether it is the first whose time is up."""
    house.block()
    house.one.deposit("a", command=command, timeout_ms=1000)
    house.two.deposit("a", command=command, timeout_ms=10_000)
    house.wait(1.1)
    assert told(house.one) == late("a", "pending")
    house.release()
    assert told(house.two) == ok("a", True)
    assert house.daemon.balance() == 1000


@both
def test_lastTimeOut(house: House, command: str) -> None:
    """The last whose time is up withdraws it and is told void, and it never applies."""
    house.block()
    house.one.deposit("a", command=command, timeout_ms=1000)
    house.two.deposit("a", command=command, timeout_ms=2000)
    house.wait(1.1)
    assert told(house.one) == late("a", "pending")
    house.wait(1.0)
    assert told(house.two) == late("a", "void")
    assert house.state("a") == "unknown"
    house.release()
    assert (house.daemon.balance(), house.state("a")) == (0, "unknown")


def test_repeatAfterVoid(house: House) -> None:
    """A repeat of what was withdrawn is a new attempt with an order of its own, and not a replay."""
    house.block()
    house.one.deposit("a", timeout_ms=1000)
    house.wait(1.1)
    [void] = house.one.answers()
    assert (void["data"]["outcome"], void["data"]["order"]) == ("void", 2)
    house.two.deposit("a")
    house.release()
    [answer] = house.two.answers()
    assert (answer["status"], answer.get("replayed"), answer["data"]["order"]) == (200, None, 3)
    assert house.daemon.balance() == 1000


@both
@pytest.mark.parametrize("login", [1001, 4711], ids=["booked", "refused"])
def test_timeOutOfARepeat(house: House, command: str, login: int) -> None:
    """A repeat whose own attempt is withdrawn is answered with the first outcome, which stands; never with void."""
    house.one.deposit("a", command=command, login=login)
    house.daemon.settle()
    [first] = house.one.answers()
    house.block()
    house.two.deposit("a", command=command, login=login, timeout_ms=1000)
    house.wait(1.1)
    [answer] = house.two.answers()
    assert answer == {**first, "replayed": True}
    house.release()
    assert house.daemon.balance() == (1000 if login == 1001 else 0)
    assert told(house.two) == []


def test_timeOutOfAnotherRequest(house: House) -> None:
    """Another request with a used key, whose attempt is withdrawn, is told that the key is used, and by what."""
    order = booked(house.daemon, house.one, "a")["order"]
    house.block()
    house.two.deposit("a", 11.0, timeout_ms=1000)
    house.wait(1.1)
    [answer] = house.two.answers()
    assert (answer["status"], answer["data"]["order"], answer.get("replayed")) == (409, order, None)


@both
@pytest.mark.parametrize("used", [True, False])
def test_lookupThatHangs(house: House, command: str, used: bool) -> None:
    """If it cannot be found out in time whether a key was used, the answer is pending, after LOOKUP_S; not void."""
    if used:
        booked(house.daemon, house.one, "a")
    house.block()
    house.readerThread.held = True
    house.two.deposit("a", command=command, timeout_ms=1000)
    house.wait(1.0 + LOOKUP_S - 0.05)
    assert told(house.two) == []
    house.wait(0.15)
    assert told(house.two) == late("a", "pending")
    house.readerThread.release()
    house.release()
    assert told(house.two) == []
    assert house.daemon.balance() == (1000 if used else 0)


def test_withoutAKeyNothingIsLookedUp(house: House) -> None:
    """What has no key is certainly void once it is withdrawn, also if the ledger cannot be asked."""
    house.block()
    house.readerThread.held = house.ledger.blind = True
    house.one.send("BalanceInSync", None, {"login": 1001, "amount": 10.0, "timeout_ms": 1000})
    house.wait(1.1)
    [answer] = house.one.answers()
    assert answer["data"]["outcome"] == "void"


@pytest.mark.parametrize(
    ("amount", "applied", "status", "said"),
    [(10.0, True, 200, None), (11.0, True, 409, None), (10.0, False, 504, "pending")],
    ids=["applied", "another applied", "queued"],
)
def test_newAttemptDuringTheLookup(house: House, amount: float, applied: bool, status: int, said: str | None) -> None:
    """While the key of what was withdrawn is looked up, a new attempt with it may apply: void is not said then."""
    reader = SlowReader(house)
    house.block()
    house.one.deposit("a", timeout_ms=1000)
    house.wait(1.1)
    house.two.deposit("a", amount)
    if applied:
        house.ledgerThread.release()
        house.daemon.settle()
        assert told(house.two) == ok("a")
    reader.letGo()
    assert told(house.one) == [Told("a", status, status == 200, said)]
    house.release()
    assert house.daemon.balance() == amount * 100


def test_stateOfWhatBeganDuringTheLookup(house: House) -> None:
    """C{GetRequest} knows what began with its key since it asked the log, and what came of that."""
    reader = SlowReader(house)
    for applied, state in [(False, "queued"), (True, "done")]:
        house.block()
        house.one.send("GetRequest", "q", {"extID": state})
        house.two.deposit(state)
        if applied:
            house.ledgerThread.release()
        house.daemon.settle()
        reader.letGo()
        [answer] = house.one.answers()
        assert answer["data"]["state"] == state
        house.release()
        assert told(house.two) == ok(state)


def test_stateOfARepeatThatBeganDuringTheLookup(house: House) -> None:
    """What was booked and answered since the log was asked is done, also if a repeat of it is queued by then."""
    reader = SlowReader(house)
    house.one.send("GetRequest", "q", {"extID": "a"})
    house.two.deposit("a")
    house.daemon.settle()
    assert told(house.two) == ok("a")
    house.block()
    house.two.deposit("a")
    reader.letGo()
    [answer] = house.one.answers()
    assert (answer["data"]["state"], answer["data"]["order"]) == ("done", 1)
    house.release()


def test_stateOfARivalThatIsBookedDuringTheLookup(house: House) -> None:
    """What was booked since the log was asked is done, also if it is not what was first under way with that key."""
    reader = SlowReader(house)
    house.block()
    house.one.deposit("a", timeout_ms=1000)
    house.two.deposit("a", 11.0)
    house.wait(0.5)
    house.one.send("GetRequest", "q", {"extID": "a"})
    house.wait(0.6)
    house.ledgerThread.release()
    house.daemon.settle()
    assert told(house.two) == ok("a")
    reader.letGo()
    states = [a["data"].get("state") for a in house.one.answers()]
    assert [state for state in states if state is not None] == ["done"]


def test_stateWhenNobodyCanLook(house: House) -> None:
    """If keys cannot be looked up nothing is said: what is under way may be a repeat of what is done."""
    house.block()
    house.one.deposit("a")
    house.ledger.blind = True
    assert [house.state(key) for key in "ab"] == ["500", "500"]
