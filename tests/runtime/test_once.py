"""Whoever asks for the same thing with the same key is told the same, and never what turns out to be wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent

from scalemgr.finance.records import Entry
from scalemgr.finance.requests import KeyName
from scalemgr.runtime.lookups import LOOKUP_S
from scalemgr.runtime.underway import RIVALS_MAX
from scalemgr.wire.errors import LedgerFailed

from ..helpers import Daemon, Session, WatchedLedger, booked, fresh, token

COMMANDS = ["BalanceIn", "BalanceInSync"]
both = pytest.mark.parametrize("command", COMMANDS)
VOID = LedgerFailed("the disk is full", outcome="void")
PENDING = LedgerFailed("the disk went away", outcome="pending")
ACCEPTED = {"accepted": True, "order": 1, "state": 9, "login": 1001, "cmd": 6, "amount": 10.0}


class Ledger(WatchedLedger):
    """
    @ivar blind: can keys not be looked up?
    @ivar dead: is it not even found out what became of the last batch?
    """

    blind = dead = False

    def _refresh(self) -> list[Entry]:
        if self.dead:
            raise VOID
        return super()._refresh()

    def keyed(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        if self.blind:
            raise LedgerFailed("the views cannot be read now", outcome="pending")
        return super().keyed(names)


class House:
    """A daemon with two sessions of one principal."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.daemon = Daemon(ledger=self.ledger)
        self.one, self.two = self.daemon.staff(), self.daemon.staff()
        self.ledgerThread, self.readerThread = self.daemon.ledgerThread, self.daemon.readerThread

    def block(self) -> None:
        """Put a batch under way, so that what comes next stays in the queue."""
        self.ledgerThread.held = True
        self.daemon.staff().deposit(fresh(), 1.0, login=1002, timeout_ms=25_000)
        self.daemon.settle()

    def wait(self, seconds: float) -> None:
        self.daemon.clock.pump([0.05] * round(seconds / 0.05))

    def release(self) -> None:
        self.ledgerThread.release()
        self.wait(1.2)

    def state(self, key: str) -> str:
        """What C{GetRequest} says, from a session that came for that."""
        session = self.daemon.staff()
        session.send("GetRequest", "q", {"idempotency_key": key})
        self.daemon.settle()
        [answer] = session.answers()
        return str(answer["data"].get("state", answer["status"]))


@pytest.fixture
def house() -> House:
    return House()


class Told(NamedTuple):
    """An answer in short."""

    extID: str
    status: int
    replayed: bool
    outcome: str | None


def told(session: Session) -> list[Told]:
    return [
        Told(a["extID"], a["status"], a.get("replayed", False), a["data"].get("outcome")) for a in session.answers()
    ]


def ok(extID: str, replayed: bool = False) -> list[Told]:
    return [Told(extID, 200, replayed, None)]


def late(extID: str, outcome: str) -> list[Told]:
    return [Told(extID, 504, False, outcome)]


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
    assert [(e.key, e.order) for e in entries] == [("a", order)]
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


class SlowReader:
    """Stands in for the reader's thread: what it has found is on its way back until it is let go."""

    def __init__(self, house: House) -> None:
        self._back: list[Callable[[], None]] = []
        setattr(house.daemon.runtime._underWay._lookups, "_inReader", self)

    def __call__(self, f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        found = f(*args)
        done: Deferred[Any] = Deferred()
        self._back.append(lambda: done.callback(found))
        return done

    def letGo(self) -> None:
        while self._back:
            self._back.pop(0)()


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
    """If keys cannot be looked up, what is under way is pending, as it may be a repeat; of the rest nothing is said."""
    house.block()
    house.one.deposit("a")
    house.ledger.blind = True
    assert [house.state(key) for key in "ab"] == ["pending", "500"]


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
    """What it asked for is booked, also long after its time was up, and a later repeat is a replay."""
    house.block()
    house.one.deposit("a", command=command, timeout_ms=500)
    house.one.lose()
    house.wait(1.0)
    assert house.state("a") == "queued"
    house.release()
    assert (house.daemon.balance(), house.state("a")) == (1000, "done")
    house.two.deposit("a", command=command)
    house.daemon.settle()
    assert told(house.two) == ok("a", True)


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


def keepAndFail(ledger: Ledger) -> None:
    """Let the next commit be kept, and fail in a way that does not tell; the one after finds it."""
    append = ledger._append

    def keep(entries: list[Entry]) -> None:
        setattr(ledger, "_append", append)
        append(entries)
        setattr(ledger, "_refresh", lambda: _fold(ledger, entries))
        raise PENDING

    setattr(ledger, "_append", keep)


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


def _fold(ledger: Ledger, entries: list[Entry]) -> list[Entry]:
    """What a ledger on a disk does at its next commit."""
    delattr(ledger, "_refresh")
    for entry in entries:
        ledger.book.apply(entry)
    ledger._appended(entries)
    return entries
