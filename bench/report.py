"""What a run found: for people, and for machines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .goals import Verdict, judge
from .stage import Figure, Plan

__all__ = ["Report"]

_TIMES = (", p50", ", p99")


@dataclass
class Report:
    """
    @ivar skipped: why a part was not measured, by its name.
    @ivar failed: why a part has no figures, or not all.
    @ivar notes: what else has to be known.
    @ivar parts: the names of those that were to be measured.
    @ivar isWhole: are those all there are? Else a goal that was not measured was not asked for.
    """

    plan: Plan
    machine: Mapping[str, str]
    figures: Mapping[str, Figure]
    skipped: Mapping[str, str]
    failed: Mapping[str, str]
    notes: list[str]
    parts: Collection[str]
    isWhole: bool = True

    @property
    def verdicts(self) -> list[Verdict]:
        """Of every goal that was asked for."""
        return [verdict for verdict in judge(self.figures) if self.isWhole or verdict.value is not None]

    def forMachines(self) -> dict[str, Any]:
        """All of it, to be written as JSON."""
        return {
            "plan": {**self.plan.__dict__},
            "machine": dict(self.machine),
            "notes": self.notes,
            "figures": {
                name: {
                    "unit": figure.unit,
                    "median": figure.median,
                    "low": min(figure.values),
                    "high": max(figure.values),
                    "values": figure.values,
                }
                for name, figure in self.figures.items()
            },
            "goals": [
                {
                    "name": verdict.goal.name,
                    "value": verdict.value,
                    "unit": verdict.goal.unit,
                    "bound": verdict.goal.bound,
                    "at_least": verdict.goal.atLeast,
                    "verdict": verdict.words,
                    "takes_full": verdict.goal.long,
                }
                for verdict in self.verdicts
            ],
            "skipped": dict(self.skipped),
            "failed": dict(self.failed),
        }

    def lines(self) -> Iterator[str]:
        """All of it, to be read."""
        yield ", ".join(f"{name}: {value}" for name, value in self.machine.items())
        yield from self._plan()
        yield from (f"note: {note}" for note in self.notes)
        yield ""
        yield from self._figures()
        yield from (f"{name:<46}skipped: {why}" for name, why in self.skipped.items())
        yield from (f"{name:<46}FAILED: {why}" for name, why in self.failed.items())
        if verdicts := self.verdicts:
            yield ""
            yield f"{'goal':<54}{'measured':>10}{'goal':>14}"
            yield from map(self._goal, verdicts)

    def _plan(self) -> Iterator[str]:
        plan = self.plan
        yield f"{plan.name} run: {plan.rounds} round{'s' * (plan.rounds != 1)} of loads of {plan.seconds:g} s"
        sizes = {
            "big": f"{plan.bigTrades:,} trades and {plan.bigAccounts:,} accounts",
            "sustained": f"{plan.sustained:g} s against {plan.burst:g} s",
        }
        if told := "; ".join(f"{name}: {size}" for name, size in sizes.items() if name in self.parts):
            yield told

    def _figures(self) -> Iterator[str]:
        yield f"{'figure':<46}{'median':>12}   {'low - high':<25}{'unit':<7}{'p50, µs':>10}{'p99, µs':>10}"
        for name, figure in self.figures.items():
            if name.endswith(_TIMES):
                # In the line of its load.
                continue
            spread = f"{_number(min(figure.values))} - {_number(max(figure.values))}"
            times = "".join(
                f"{_number(self.figures[name + time].median):>10}" for time in _TIMES if name + time in self.figures
            )
            yield f"{name:<46}{_number(figure.median):>12}   {spread:<25}{figure.unit:<7}{times}".rstrip()

    def _goal(self, verdict: Verdict) -> str:
        goal = verdict.goal
        value = "-" if verdict.value is None else _number(verdict.value)
        bound = f"{'≥' if goal.atLeast else '≤'} {goal.bound:g} {goal.unit}".rstrip()
        isShort = goal.long and self.plan.name == "short" and verdict.value is not None
        return f"{goal.name:<54}{value:>10}{bound:>14}  {verdict.words}{' (short form)' if isShort else ''}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
