"""How often a caller may ask."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from scalemgr.server import rates as ratesModule
from scalemgr.server.rates import Rate, Rates

from ..helpers import Daemon, token

_WAITS = st.one_of(st.just(0.0), st.floats(0, 3))
_STEPS = st.lists(st.tuples(_WAITS, st.sampled_from("ab")), max_size=200)
_RATES = st.builds(Rate, st.floats(0.1, 50), st.integers(0, 20))


def burstOf(rate: Rate) -> int:
    return rate.burst or max(1, int(rate.perSecond))


@given(_RATES, _STEPS)
def test_neverMoreThanTheRate(rate: Rate, steps: list[tuple[float, str]]) -> None:
    """In no stretch of time does a caller get more than its burst and what its rate is in that time."""
    clock = Clock()
    rates = Rates(clock, rate)
    let: dict[str, list[float]] = {"a": [], "b": []}
    for wait, caller in steps:
        clock.advance(wait)
        if rates.take(caller) == 0:
            let[caller].append(clock.seconds())
    for times in let.values():
        for first in range(len(times)):
            for last in range(first, len(times)):
                most = burstOf(rate) + (times[last] - times[first]) * rate.perSecond
                assert last - first + 1 <= most + 0.01


@given(_RATES, _STEPS)
def test_whoWaitsAsToldGetsThrough(rate: Rate, steps: list[tuple[float, str]]) -> None:
    """Who is refused is told a time, after which it may, and not a millisecond before."""
    clock = Clock()
    rates = Rates(clock, rate)
    for wait, caller in steps:
        clock.advance(wait)
        retryAfterMs = rates.take(caller)
        if retryAfterMs:
            assert retryAfterMs >= 1
            clock.advance((retryAfterMs - 1) / 1000)
            assert rates.take(caller) <= 1
            clock.advance(0.001)
            assert rates.take(caller) == 0


@given(_RATES, st.floats(0, 100))
def test_whoKeepsToItsRateIsNeverRefused(rate: Rate, start: float) -> None:
    """Who asks no oftener than its rate is never refused, after a burst of as many as may come at once."""
    clock = Clock()
    clock.advance(start)
    rates = Rates(clock, rate)
    assert [rates.take("a") for _ in range(burstOf(rate))] == [0] * burstOf(rate)
    assert rates.take("a") > 0
    for _ in range(100):
        clock.advance(1 / rate.perSecond)
        assert rates.take("a") == 0


def test_idlenessIsNotSavedUp() -> None:
    """However long a caller has not asked, it gets its burst at once and no more."""
    clock = Clock()
    rates = Rates(clock, Rate(10, 3))
    for idle in (0, 1, 3600):
        clock.advance(idle)
        assert [rates.take("a") for _ in range(5)] == [0, 0, 0, 100, 100]


def test_eachCallerForItself() -> None:
    """What one caller asks takes nothing from another; and those that are special have rates of their own."""
    rates = Rates(Clock(), Rate(1), {"fast": Rate(3), "free": Rate(0), "slow": Rate(0.5, 1)})
    took = {caller: [rates.take(caller) for _ in range(4)] for caller in ("a", "b", "fast", "free", "slow")}
    assert took == {
        "a": [0, 1000, 1000, 1000],
        "b": [0, 1000, 1000, 1000],
        "fast": [0, 0, 0, 334],
        "free": [0, 0, 0, 0],
        "slow": [0, 2000, 2000, 2000],
    }


def test_whoIsFreeTakesNoRoom() -> None:
    """Where there is no bound nothing is kept of anybody."""
    rates = Rates(Clock())
    assert not rates.isOn
    assert rates.take("a") == 0
    assert len(rates) == 0
    assert Rates(Clock(), Rate(), {"a": Rate(1)}).isOn


def test_boundedHoweverManyCallers(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many callers there are, only so many are kept; those that asked long ago go first."""
    monkeypatch.setattr(ratesModule, "_CALLERS_MAX", 10)
    clock = Clock()
    rates = Rates(clock, Rate(1))
    for n in range(8):
        rates.take(f"idle-{n}")
    clock.advance(2)
    rates.take("busy")
    for n in range(100):
        rates.take(f"new-{n}")
        assert len(rates) <= 10
        if n < 6:
            assert rates.take("busy") > 0


def test_changed() -> None:
    """Other rates hold from the next request on; what was asked before still counts; and they can be taken away."""
    clock = Clock()
    rates = Rates(clock, Rate(1))
    assert (rates.take("a"), rates.take("a")) == (0, 1000)
    rates.change(Rate(10, 1), {})
    assert rates.take("a") == 1000
    clock.advance(1)
    assert (rates.take("a"), rates.take("a")) == (0, 100)
    rates.change(Rate(), {})
    assert rates.take("a") == 0
    assert len(rates) == 0


# -- on the wire --------------------------------------------------------------------------------------


def test_refusalOnTheWire() -> None:
    """One request too many is answered with 429, which tells when to ask again; nothing is done, the session lives."""
    daemon = Daemon(rate=Rate(2))
    session = daemon.connect(token())
    for n in range(3):
        session.deposit(f"d{n}")
    daemon.settle()
    answers = {answer["extID"]: answer for answer in session.answers()}
    assert [answers[f"d{n}"]["status"] for n in range(3)] == [200, 200, 429]
    data = answers["d2"]["data"]
    assert (data["error"], data["reason"], data["retry_after_ms"]) == ("RET_TOO_FREQUENT", "RET_TOO_FREQUENT", 500)
    assert "outcome" not in data
    assert daemon.balance() == 2000
    daemon.clock.advance(data["retry_after_ms"] / 1000)
    session.deposit("d2")
    daemon.settle()
    [answer] = session.answers()
    assert (answer["status"], "replayed" in answer) == (200, False)
    assert daemon.balance() == 3000


def test_everyRequestCounts() -> None:
    """Repeats, unknown commands and what is malformed count as well, over all sessions of a caller; others do not."""
    daemon = Daemon(rate=Rate(1, 5))
    one, two, other = daemon.connect(token()), daemon.connect(token()), daemon.connect(token("psp"))
    one.deposit("same")
    daemon.settle()
    one.deposit("same")
    two.send("NoSuchCommand", "x")
    two.send("BalanceIn", "y", {"login": "no"})
    two.send("Ping", "z")
    daemon.settle()
    assert [answer["status"] for answer in one.answers() + two.answers()] == [200, 200, 404, 400, 200]
    for session in (one, two):
        session.send("Ping", "late")
        assert [answer["status"] for answer in session.answers()] == [429]
    other.send("Ping", "p")
    assert [answer["status"] for answer in other.answers()] == [200]


def test_fiftySessionsOfOneCaller() -> None:
    """Fifty sessions of one caller together get what its rate is; what is refused can be repeated, and none is lost."""
    daemon = Daemon(rate=Rate(100, 20))
    sessions = [daemon.connect(token()) for _ in range(50)]
    waiting = deque((f"d{n}", sessions[n % 50]) for n in range(500))
    begun = daemon.clock.seconds()
    while waiting:
        extID, session = waiting.popleft()
        session.deposit(extID)
        daemon.settle()
        [answer] = session.answers()
        if answer["status"] == 429:
            daemon.clock.advance(answer["data"]["retry_after_ms"] / 1000)
            waiting.append((extID, session))
        for each in sessions:
            each.raw()
    assert daemon.balance() == 500 * 1000
    assert daemon.clock.seconds() - begun >= (500 - 20) / 100 - 0.01
