"""The last minute and the last hour."""

from __future__ import annotations

from typing import Any

from scalemgr.web.history import COLUMNS, Row

from ..helpers import fresh
from .house import Windowed


def named(row: Row | None) -> dict[str, Any]:
    assert row is not None
    return dict(zip(COLUMNS, row, strict=True))


def deposits(house: Windowed, session: Any, count: int) -> None:
    """So many, each answered."""
    for _ in range(count):
        session.deposit(fresh())
    house.daemon.settle()


def test_ratesAreOfTheirTime() -> None:
    """A second with twenty deposits says so, the next one without says none, and the minute has them spread over it."""
    house = Windowed()
    session = house.daemon.staff()
    house.clock.advance(1)
    deposits(house, session, 20)
    house.clock.advance(1)
    house.clock.advance(1)
    first, busy, idle = (named(row) for row in house.eyes.history.minute)
    assert (first["answers"], first["booked"]) == (1.0, 0.0)
    assert (busy["answers"], busy["booked"], busy["seq"]) == (20.0, 40.0, 45)
    assert 0 < busy["p50_ms"] <= busy["p99_ms"] <= 0.25
    assert (idle["answers"], idle["booked"], idle["p50_ms"]) == (0.0, 0.0, None)
    minute = named(house.eyes.history.lastMinute())
    assert minute["answers"] == 7.0
    assert minute == named(house.eyes.history.lastHour())
    assert idle["time"] == house.clock.seconds()
    house.close()


def test_depositsApartFromOthers() -> None:
    """How long deposits take is told apart from how long others take, and all of it together, too."""
    house = Windowed()
    session = house.daemon.staff()
    house.clock.advance(1)
    house.daemon.ledgerThread.held = True
    session.send("BalanceIn", "b", {"login": 1001, "amount": 1})
    house.clock.pump([0.0, 0.4])
    house.daemon.ledgerThread.release()
    deposits(house, session, 2)
    house.clock.advance(0.6)
    row = named(house.eyes.history.minute[-1])
    assert 0 < row["waits_p50_ms"] <= row["waits_p99_ms"] <= 0.25
    assert 250 <= row["p99_ms"] <= row["others_p99_ms"] <= 500
    house.clock.advance(1)
    row = named(house.eyes.history.minute[-1])
    assert row["waits_p50_ms"] is row["waits_p99_ms"] is row["others_p99_ms"] is None
    house.close()


def test_timeoutsAndWaiters() -> None:
    """Whoever waits is in the sample with his age, and once his time is up as a time-out and a failure."""
    house = Windowed()
    session = house.daemon.staff()
    house.daemon.ledgerThread.held = True
    session.deposit(fresh(), timeout_ms=1500)
    house.clock.pump([0.0, 1.0])
    row = named(house.eyes.history.minute[-1])
    assert (row["waiters"], row["oldest_s"], row["timeouts"]) == (1, 1.0, 0.0)
    house.clock.pump([0.1] * 11)
    row = named(house.eyes.history.minute[-1])
    assert row["waiters"] == 0
    assert row["timeouts"] == row["failed"] > 0
    house.daemon.ledgerThread.release()
    house.close()


def test_itIsBounded() -> None:
    """After two hours there are a minute of seconds and an hour of ten seconds, and both end now."""
    house = Windowed()
    for _ in range(7200):
        house.clock.advance(1)
    history = house.eyes.history
    assert (len(history.minute), len(history.hour)) == (60, 360)
    assert history.hour[-1][0] == history.minute[-1][0] == house.clock.seconds()
    assert history.hour[0][0] == house.clock.seconds() - 3590
    told = house.ask("/status").json["history"]
    assert (len(told["minute"]["rows"]), len(told["hour"]["rows"]), told["hour"]["every_s"]) == (60, 360, 10)
    house.close()


def test_whatIsLongAgoIsForgotten() -> None:
    """After more than an hour what happened before is in the rates of the hour no more."""
    house = Windowed()
    deposits(house, house.daemon.staff(), 360)
    for _ in range(3600):
        house.clock.advance(1)
    assert named(house.eyes.history.lastMinute())["answers"] == 0.0
    assert named(house.eyes.history.lastHour())["answers"] == 0.1
    for _ in range(10):
        house.clock.advance(1)
    assert named(house.eyes.history.lastHour())["answers"] == 0.0
    house.close()


def test_aStandstillIsNoFlood() -> None:
    """After the reactor stood still for long, the one sample that follows is about all of that time."""
    house = Windowed()
    session = house.daemon.staff()
    house.clock.advance(1)
    deposits(house, session, 50)
    house.clock.advance(100)
    assert [named(row)["answers"] for row in house.eyes.history.minute] == [1.0, 0.5]
    house.close()
