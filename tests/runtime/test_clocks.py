"""What waits goes by a clock that only goes forward; what is written down by the one on the wall."""

from __future__ import annotations

import time

import pytest
from twisted.internet.interfaces import IReactorTime
from twisted.internet.selectreactor import SelectReactor
from zope.interface.verify import verifyObject

from scalemgr.runtime.clocks import WallClock, makeSteady


class Time:
    """The clocks of a machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.steady = 1000.0, 5.0
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic", lambda: self.steady)

    def passes(self, seconds: float, leap: float = 0.0) -> None:
        self.steady += seconds
        self.wall += seconds + leap


@pytest.mark.parametrize("leap", [-3600, 3600])
def test_leap(monkeypatch: pytest.MonkeyPatch, leap: float) -> None:
    """When the wall clock is set, nothing that waits waits longer or shorter for it, and stamps follow the clock."""
    now = Time(monkeypatch)
    reactor = SelectReactor()
    reactor.seconds = lambda: now.wall  # type: ignore[method-assign]
    struck: list[str] = []
    reactor.callLater(10, struck.append, "before")
    makeSteady(reactor)
    clock = WallClock(reactor)
    clock.callLater(10, struck.append, "after")
    now.passes(9, leap)
    reactor.runUntilCurrent()
    assert struck == []
    now.passes(1)
    reactor.runUntilCurrent()
    assert sorted(struck) == ["after", "before"]
    assert clock.seconds() == 1010 + leap
    assert clock.getDelayedCalls() == reactor.getDelayedCalls() == []
    assert verifyObject(IReactorTime, clock)
    reactor.removeAll()
