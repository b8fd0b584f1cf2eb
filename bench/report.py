"""What a run found: for people, and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .goals import Verdict, judge
from .stage import Figure, Plan

__all__ = ["Report"]


@dataclass
class Report:
    """
    @ivar skipped: why a part was not measured, by its name.
    @ivar failed: why a part has no figures, or not all.
    @ivar notes: what else has to be known.
    """

    plan: Plan
    machine: Mapping[str, str]
    figures: Mapping[str, Figure]
    skipped: Mapping[str, str]
    failed: Mapping[str, str]
    notes: list[str]

    @property
    def verdicts(self) -> list[Verdict]:
        """Of every goal."""
        return judge(self.figures)

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
        plan = self.plan
        yield f"{plan.name} run, {plan.rounds} rounds, loads of {plan.seconds:g} s; big: {plan.bigTrades:,} trades, "
        yield f"{plan.bigAccounts:,} accounts; sustained: {plan.sustained:g} s against {plan.burst:g} s"
        yield from (f"note: {note}" for note in self.notes)
        yield ""
        yield f"{'figure':<50}{'median':>14}{'low':>14}{'high':>14}"
        for name, figure in self.figures.items():
            yield (
                f"{name:<50}{_number(figure.median):>14}{_number(min(figure.values)):>14}"
                f"{_number(max(figure.values)):>14} {figure.unit}"
            ).rstrip()
        yield from (f"{name:<50}skipped: {why}" for name, why in self.skipped.items())
        yield from (f"{name:<50}FAILED: {why}" for name, why in self.failed.items())
        yield ""
        yield f"{'goal':<54}{'measured':>10}{'goal':>14}"
        for verdict in self.verdicts:
            goal = verdict.goal
            value = "-" if verdict.value is None else f"{verdict.value:.3g}" if verdict.value < 100 else f"{verdict.value:.0f}"
            bound = f"{'≥' if goal.atLeast else '≤'} {goal.bound:g} {goal.unit}".rstrip()
            short = " (short form)" if goal.long and plan.name == "short" and verdict.value is not None else ""
            yield f"{goal.name:<54}{value:>10}{bound:>14}  {verdict.words}{short}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
