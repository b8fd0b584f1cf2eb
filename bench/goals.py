"""The goals: ratios of what one run has measured. They are what is aimed at, and no test holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .stage import Figure

__all__ = ["GOALS", "Goal", "Verdict", "judge"]

_Formula = Callable[[Mapping[str, float]], float]


@dataclass(frozen=True)
class Goal:
    """
    @ivar formula: what of the medians it is; C{KeyError} if one of them was not measured.
    @ivar atLeast: is more better?
    @ivar long: does it take a full run to say?
    @ivar also: what must hold besides.
    """

    name: str
    formula: _Formula
    atLeast: bool
    bound: float
    unit: str = ""
    long: bool = False
    also: Callable[[Mapping[str, float]], bool] = lambda medians: True


@dataclass(frozen=True)
class Verdict:
    """
    @ivar value: C{None} if it was not measured.
    """

    goal: Goal
    value: float | None
    reached: bool

    @property
    def words(self) -> str:
        """Reached, missed or not measured."""
        return "not measured" if self.value is None else "reached" if self.reached else "missed"


def _ratio(above: str, below: str) -> _Formula:
    return lambda medians: medians[above] / medians[below]


def _figure(name: str, divisor: float = 1) -> _Formula:
    return lambda medians: medians[name] / divisor


def _lone(medians: Mapping[str, float]) -> float:
    return medians["scalemgr 1x1, p50"] / (medians["noop 1x1, p50"] + medians["raw fdatasync of 4 KiB"])


_HALF = "scalemgr at half of the top rate"
_TOP = "scalemgr 50x16"
_ONE, _TWO = "cluster: one gateway", "cluster: two gateways"
_SERVER = "cluster: PostgreSQL"
_BEHIND = "sustained: views behind at most"

#: In the order in which they were set. On those of a cluster:
#:
#:   - A batch costs the server what a few transactions do, so one gateway should be bound by its own work. Half of what
#:     is asked of the ledger in a folder, for server and projectors take their part of the same cores.
#:   - Gateways take turns at the log, and each folds what the others have booked. So where one has a core already, two
#:     are for who wants one to be left if the other goes; what they may not do is make it slower.
#:   - A lone deposit has three round trips and a flush, where pgbench has five and a flush; the rest is Python's.
GOALS = (
    Goal("scalemgr ÷ no-op, 50x1", _ratio("scalemgr 50x1", "noop 50x1"), True, 0.45),
    Goal("scalemgr ÷ no-op, 1000x1", _ratio("scalemgr 1000x1", "noop 1000x1"), True, 0.6),
    Goal("scalemgr ÷ no-op, 50x16", _ratio(_TOP, "noop 50x16"), True, 0.3),
    Goal("lone deposit, p50 ÷ (no-op round trip + fdatasync)", _lone, False, 1.6),
    Goal("scalemgr ÷ PostgreSQL, three statements, 50x16", _ratio(_TOP, "PostgreSQL, three statements"), True, 8),
    Goal("scalemgr ÷ PostgreSQL, one CTE, 50x16", _ratio(_TOP, "PostgreSQL, one CTE"), True, 5),
    Goal("one gateway ÷ its PostgreSQL, 50x16", _ratio(f"{_ONE}, 50x16", f"{_SERVER}, three statements"), True, 4),
    Goal("two gateways ÷ one, 50x16 each", _ratio(f"{_TWO}, 50x16 each", f"{_ONE}, 50x16"), True, 0.9),
    Goal("lone deposit ÷ a transaction of one client", _ratio(f"{_ONE}, 1x1, p50", f"{_SERVER}, one client"), False, 2),
    Goal("requests a round trip, one gateway, 50x16", _figure(f"{_ONE}, requests a round trip"), True, 100),
    Goal("scalemgr ÷ Redis, 50x16", _ratio(_TOP, "Redis 50x16"), True, 0.6),
    Goal("big ledger ÷ empty ledger, 50x16", _ratio("big: scalemgr 50x16", _TOP), True, 0.9, long=True),
    Goal("p99 ÷ p50 at half of the top rate", _ratio(f"{_HALF}, p99", f"{_HALF}, p50"), False, 5),
    Goal(
        "sustained ÷ burst, 50x16, views at most 2 s behind",
        _ratio("sustained: for long", "sustained: the burst"),
        True,
        0.7,
        long=True,
        also=lambda medians: medians[_BEHIND] <= 2,
    ),
    Goal("start on a big ledger to the first deposit", _figure("big: start to the first deposit"), False, 3, "s", True),
    Goal("replayed events ÷ deposits, 50x16", _ratio("big: replayed events", _TOP), True, 3),
    Goal("memory of an idle connection", _figure("memory of an idle connection", 1024), False, 12, "KiB"),
    Goal("memory of a waiter", _figure("memory of a waiter", 1024), False, 2, "KiB"),
    Goal("memory of an account in the book", _figure("memory of an account"), False, 700, "bytes"),
)


def judge(figures: Mapping[str, Figure]) -> list[Verdict]:
    """Every goal, held against the medians of what was measured."""
    medians = {name: figure.median for name, figure in figures.items()}
    return [_judge(goal, medians) for goal in GOALS]


def _judge(goal: Goal, medians: Mapping[str, float]) -> Verdict:
    try:
        value = goal.formula(medians)
        also = goal.also(medians)
    except (KeyError, ZeroDivisionError):
        return Verdict(goal, None, False)
    return Verdict(goal, value, also and (value >= goal.bound if goal.atLeast else value <= goal.bound))
