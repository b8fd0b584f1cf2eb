"""Keys, when sessions go away or the ledger fails: who asked is told the truth."""

from __future__ import annotations

import pytest
from twisted.logger import LogEvent

from scalemgr.finance.records import BALANCE_EVENT, TRADE_EVENT

from ..helpers import booked, fresh
from .house import PENDING, VOID, House, SlowReader, Told, both, keepAndFail, late, ok, told

# -- sessions that go away ----------------------------------------------------------------------------


@both
@pytest.mark.parametrize("taken", [False, True], ids=["queued", "being committed"])
def test_sessionThatGoesAway(house: House, command: str, taken: bool) -> None:
    """A session that goes away does not take back what it asked for; who repeats it meanwhile joins it."""
    if not taken:
        house.block()
    house.ledgerThread.held = True
    house.one.deposit("a", command=command)
    house.daemon.settle()
    house.one.lose()
    assert house.state("a") == ("pending" if taken else "queued")
    house.two.deposit("a", command=command)
    house.release()
    assert told(house.two) == ok("a", True)
    assert house.daemon.balance() == 1000


@both
def test_sessionThatGoesAwayAndNobodyElse(house: House, command: str) -> None:
    """What it asked for is booked, within its time, and a later repeat is a replay."""
    house.block()
    house.one.deposit("a", command=command, timeout_ms=1500)
    house.one.lose()
    house.wait(1.4)
    assert house.state("a") == "queued"
    house.release()
    assert (house.daemon.balance(), house.state("a")) == (1000, "done")
    house.two.deposit("a", command=command)
    house.daemon.settle()
    assert told(house.two) == ok("a", True)


@both
@pytest.mark.parametrize("timeout_ms", [500, None], ids=["its own", "the configured one"])
def test_sessionThatGoesAwayForGood(house: House, command: str, timeout_ms: int | None) -> None:
    """Once its time is up it is never booked, though the ledger comes to it later; a repeat is a new attempt."""
    more = {} if timeout_ms is None else {"timeout_ms": timeout_ms}
    house.block()
    house.one.deposit("a", command=command, **more)
    house.one.lose()
    house.wait(5.1 if timeout_ms is None else 0.6)
    house.release()
    assert (house.daemon.balance(), house.state("a")) == (0, "unknown")
    house.two.deposit("a", command=command)
    house.daemon.settle()
    assert told(house.two) == ok("a")
    assert house.daemon.balance() == 1000


@both
def test_joinedAfterItsTime(house: House, command: str) -> None:
    """What somebody else asks for meanwhile is booked, also after the time of the one who went away."""
    house.block()
    house.one.deposit("a", command=command, timeout_ms=500)
    house.one.lose()
    house.wait(0.4)
    house.two.deposit("a", command=command)
    house.wait(0.6)
    house.release()
    assert told(house.two) == ok("a", True)
    assert house.daemon.balance() == 1000


@both
def test_oneOfTwoThatGoAway(house: House, command: str) -> None:
    """Of two who asked and went away, the later time counts."""
    house.block()
    house.one.deposit("a", command=command, timeout_ms=2000)
    house.two.deposit("a", command=command, timeout_ms=500)
    house.one.lose()
    house.two.lose()
    house.wait(1.0)
    house.release()
    assert (house.daemon.balance(), house.state("a")) == (1000, "done")


@both
def test_onlyOneLeftToBeTold(house: House, command: str) -> None:
    """Who has gone away is not asked: the last one who can be told takes it back with its time-out, and hears void."""
    house.block()
    house.one.deposit("a", command=command)
    house.two.deposit("a", command=command, timeout_ms=1000)
    house.one.lose()
    house.wait(1.1)
    assert told(house.two) == late("a", "void")
    house.release()
    assert (house.daemon.balance(), house.state("a")) == (0, "unknown")


def test_sessionThatGoesAwayDuringTheLookup(house: House) -> None:
    """A session that goes away while the key of what it withdrew is looked up leaves nothing behind."""
    house.block()
    house.readerThread.held = True
    house.one.deposit("a", timeout_ms=1000)
    house.wait(1.1)
    house.one.lose()
    house.one.raw()
    house.readerThread.release()
    house.release()
    assert house.one.raw() == b""
    assert (house.daemon.balance(), house.state("a"), len(house.daemon.waiters)) == (0, "unknown", 0)


@both
def test_joinerThatCannotWait(house: House, command: str) -> None:
    """Who joins with a time-out that is out of bounds is refused, and takes back nothing that the first asked for."""
    house.block()
    house.one.deposit("a", command=command)
    house.two.deposit("a", command=command, timeout_ms=99)
    [answer] = house.two.answers()
    assert (answer["status"], answer["data"]["error"]) == (400, "INVALID_DATA")
    house.release()
    assert told(house.one) == ok("a")
    assert house.daemon.balance() == 1000


# -- a ledger that fails ------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("used", [True, False])
def test_failedWithoutEffect(house: House, command: str, used: bool, blind: bool) -> None:
    """When a commit kept nothing, a repeat gets its first outcome, what is new is void, and who cannot tell says so."""
    if used:
        booked(house.daemon, house.one, "a")
    house.ledger.failures = [VOID]
    house.ledger.blind = blind
    # The ledger settles a repeat without writing, so it fails only because of its neighbour.
    for session in (house.one, house.two):
        session.deposit("a", command=command)
    house.one.deposit(fresh(), login=1002)
    house.daemon.settle()
    [one, _], [two] = told(house.one), told(house.two)
    if blind:
        assert [one, two] == [Told("a", 500, False, "pending")] * 2
    elif used:
        assert [one, two] == ok("a", True) * 2
    else:
        assert [one, two] == [Told("a", 500, False, "void")] * 2
    house.ledger.blind = False
    house.wait(1.2)
    house.two.deposit("a", command=command)
    house.daemon.settle()
    assert told(house.two) == ok("a", used)
    assert house.daemon.balance() == 1000


def test_failedAfterItsTime(house: House) -> None:
    """Whose time is up while it is found out what a failed commit means is told pending, and nothing more."""
    house.ledger.failures = [VOID]
    house.readerThread.held = True
    house.one.deposit("a", timeout_ms=500)
    house.wait(0.6)
    assert told(house.one) == late("a", "pending")
    house.readerThread.release()
    house.wait(1.2)
    assert told(house.one) == []
    assert (house.daemon.balance(), house.state("a")) == (0, "unknown")


@both
@pytest.mark.parametrize("failure", [PENDING, RuntimeError("a bug")])
def test_inDoubt(house: House, command: str, failure: Exception, failures: list[LogEvent]) -> None:
    """While it is not known whether a batch was kept, its keys are pending, whoever asks, until a commit tells."""
    house.ledger.failures = [failure]
    for key in "ac":
        house.one.deposit(key, command=command)
    house.daemon.settle()
    failures.clear()
    assert told(house.one) == [Told(key, 500, False, "pending") for key in "ac"]
    assert [house.state(key) for key in "abc"] == ["pending", "unknown", "pending"]
    # A repeat is a new attempt, which is withdrawn before it is in a batch: that says nothing of the first one.
    house.ledgerThread.held = house.ledger.dead = house.readerThread.held = True
    house.wait(0.1)
    house.two.deposit("a", command=command, timeout_ms=500)
    house.wait(0.6)
    assert told(house.two) == late("a", "pending")
    house.readerThread.release()
    # A commit that fails tells nothing.
    house.ledgerThread.release()
    house.two.deposit("a", command=command)
    house.wait(1.2)
    assert told(house.two) == [Told("a", 500, False, "pending")]
    assert house.state("a") == "pending"
    house.ledger.dead = False
    house.wait(1.2)
    assert house.state("a") == "unknown"
    house.two.deposit("a", command=command)
    house.daemon.settle()
    assert told(house.two) == ok("a")


@both
def test_inDoubtAndKept(house: House, command: str) -> None:
    """What was in doubt and turns out to be kept is done, and its repeat is a replay."""
    keepAndFail(house.ledger)
    house.one.deposit("a", command=command)
    house.daemon.settle()
    assert told(house.one) == [Told("a", 500, False, "pending")]
    assert house.state("a") == "pending"
    house.two.deposit("a", command=command)
    house.wait(1.2)
    assert told(house.two) == ok("a", True)
    assert (house.state("a"), house.daemon.balance()) == ("done", 1000)


def test_foundDuringTheLookup(house: House) -> None:
    """What turns out to be kept while C{GetRequest} looks for it is done."""
    reader = SlowReader(house)
    keepAndFail(house.ledger)
    house.one.deposit("a")
    # Before the ledger has it.
    house.two.send("GetRequest", "q", {"extID": "a"})
    house.wait(0.5)
    assert house.daemon.balance() == 1000
    reader.letGo()
    [answer] = house.two.answers()
    assert (answer["data"]["state"], answer["data"]["order"]) == ("done", 1)


def test_malformedDuringTheLookup(house: House) -> None:
    """What turns out to be malformed while C{GetRequest} looks for it has used no key."""
    reader = SlowReader(house)
    house.block()
    house.one.deposit("a", 0.001)
    house.two.send("GetRequest", "q", {"extID": "a"})
    house.ledgerThread.release()
    house.daemon.settle()
    assert [answer["status"] for answer in house.one.answers()] == [400]
    reader.letGo()
    [answer] = house.two.answers()
    assert answer["data"] == {"state": "unknown", "order": 0}


def test_foundByABatchThatFails(house: House) -> None:
    """A repeat in the very batch that finds the first, and fails itself, is told of the first; what is new is void."""
    keepAndFail(house.ledger)
    house.one.deposit("a")
    house.daemon.settle()
    assert [answer.outcome for answer in told(house.one)] == ["pending"]
    house.ledger.failures = [VOID]
    house.two.deposit("a")
    house.two.deposit("z")
    house.wait(0.2)
    assert told(house.two) == [Told("a", 200, True, None), Told("z", 500, False, "void")]


def test_bugAfterTheAppend(house: House, monkeypatch: pytest.MonkeyPatch, failures: list[LogEvent]) -> None:
    """If our own code fails when a booking is in the log already, no repeat is booked again, and none is void."""

    def fail(*args: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(house.ledger, "_appended", fail)
        house.one.deposit("a")
        house.daemon.settle()
    assert [answer.outcome for answer in told(house.one)] == ["pending"]
    for _ in range(3):
        house.two.deposit("a")
        house.two.deposit("b")
        house.wait(1.2)
        assert [(answer.status, answer.outcome) for answer in told(house.two)] == [(500, "pending")] * 2
    assert [(e.event, e.key) for e in house.ledger.entries(5, 10)] == [(TRADE_EVENT, "a"), (BALANCE_EVENT, None)]
    failures.clear()
