"""How often a caller may ask: so many requests a second over all its sessions, and so many at once.

The rule is a token bucket, kept as one number a caller: the time at which it would have asked for all that it did ask
for, had it kept exactly to its rate. It may be ahead of that by its burst. What was refused is not counted, so whoever
waits as long as it was told gets through.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime

__all__ = ["Rate", "Rates"]

_CALLERS_MAX = 10_000
# What the arithmetic may be off by. Nothing that is told is finer than a thousandth of a second.
_TOLERANCE_S = 1e-6


class Rate(Struct, frozen=True):
    """
    How often somebody may ask.

    @ivar perSecond: requests a second; 0: as many as it likes.
    @ivar burst: how many may come at once; 0: as many as in one second.
    """

    perSecond: float = 0.0
    burst: int = 0


class Rates:
    """
    The rates of all callers, and how far each has come.

    @param clock: one that is never set.
    @ivar isOn: is there any bound? While there is none, nothing is asked and nothing kept.
    """

    def __init__(
        self, clock: IReactorTime, default: Rate | None = None, special: Mapping[str, Rate] | None = None
    ) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}
        self.change(default or Rate(), special or {})

    def change(self, default: Rate, special: Mapping[str, Rate]) -> None:
        """
        From now on, these.

        @param special: by the id of the caller.
        """
        self._default = _spaced(default)
        self._special = {caller: _spaced(rate) for caller, rate in special.items()}
        self.isOn = any(interval for interval, _ in (self._default, *self._special.values()))
        if not self.isOn:
            self._due.clear()

    def take(self, caller: str) -> int:
        """
        Somebody asks.

        @return: 0: it may; else in how many milliseconds it may.
        """
        interval, ahead = self._special.get(caller, self._default)
        if not interval:
            return 0
        now = self._clock.seconds()
        due = self._due.get(caller)
        if due is None:
            if len(self._due) >= _CALLERS_MAX:
                self._forget(now)
            due = now
        elif due < now:
            due = now
        early = due - now - ahead
        if early > _TOLERANCE_S:
            return ceil((early - _TOLERANCE_S) * 1000)
        self._due[caller] = due + interval
        return 0

    def _forget(self, now: float) -> None:
        """Make room: of whoever has not asked lately there is nothing to be known."""
        busy = [(caller, due) for caller, due in self._due.items() if due > now]
        # Half of it, so that this is not done again at once.
        self._due = dict(busy[-_CALLERS_MAX // 2 :])

    def __len__(self) -> int:
        return len(self._due)


def _spaced(rate: Rate) -> tuple[float, float]:
    """The seconds between two requests, and by how many seconds one may be early; nothing: there is no bound."""
    if not rate.perSecond:
        return 0.0, 0.0
    burst = rate.burst or max(1, int(rate.perSecond))
    return 1 / rate.perSecond, (burst - 1) / rate.perSecond
