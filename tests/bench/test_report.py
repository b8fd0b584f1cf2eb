"""The arithmetic of the goals, and how it is told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.goals import GOALS, judge
from bench.report import Report
from bench.stage import DEFAULT, Figure


def figures(**more: float) -> dict[str, Figure]:
    found = {
        "noop 50x16": Figure("/s", [90.0, 100.0, 1000.0]),
        "scalemgr 50x16": Figure("/s", [30.0, 5.0, 31.0]),
        "scalemgr 50x16, p50": Figure("µs", [3.0, 1.0, 2.0]),
        "scalemgr 50x16, p99": Figure("µs", [30.0, 10.0, 20.0]),
        "sustained: for long": Figure("/s", [80.0]),
        "sustained: the burst": Figure("/s", [100.0]),
    }
    return {**found, **{name.replace("_", " "): Figure("", [value]) for name, value in more.items()}}


def verdict(name: str, found: dict[str, Figure]) -> tuple[float | None, str]:
    (found_,) = [v for v in judge(found) if v.goal.name.startswith(name)]
    return found_.value, found_.words


def testRatiosAreOfMedians() -> None:
    """A goal is held against the medians, so that one odd round decides nothing."""
    assert verdict("scalemgr ÷ no-op, 50x16", figures()) == (pytest.approx(0.3), "reached")


def testWhatWasNotMeasuredIsNotJudged() -> None:
    """A goal whose figures are missing is neither reached nor missed."""
    assert verdict("scalemgr ÷ Redis", figures()) == (None, "not measured")


@pytest.mark.parametrize(("behind", "words"), [(2.0, "reached"), (2.1, "missed")])
def testWhatIsSustainedKeepsItsViewsUp(behind: float, words: str) -> None:
    """A rate that leaves the views behind is not sustained, however high it is."""
    found = {
        **figures(),
        "sustained: views behind at most": Figure("s", [behind]),
        "sustained: views behind at the end": Figure("s", [0.0]),
    }
    assert verdict("sustained", found) == (0.8, words)


def testBoundsAreReached() -> None:
    """A goal is reached at its bound, and missed on the wrong side of it, upper and lower."""
    assert verdict("memory of a waiter", figures(memory_of_a_waiter=2048))[1] == "reached"
    assert verdict("memory of a waiter", figures(memory_of_a_waiter=2050))[1] == "missed"


def testTheTableTellsAll() -> None:
    """Figures with their spreads, goals, what was skipped and what failed: all are in the table and in the JSON."""
    report = Report(
        DEFAULT, {"cpu": "a fast one"}, figures(), {"redis": "not here"}, {"big": "it fell"}, ["a note"], ["big"]
    )
    table = "\n".join(report.lines())
    for text in ("a fast one", "5 - 31", "a note", "skipped: not here", "FAILED: it fell", "not measured", "reached"):
        assert text in table, text
    told = json.loads(json.dumps(report.forMachines()))
    assert told["figures"]["scalemgr 50x16"]["median"] == 30
    assert (told["figures"]["noop 50x16"]["low"], told["figures"]["noop 50x16"]["high"]) == (90, 1000)
    assert len(told["goals"]) == len(GOALS)
    assert told["failed"] == {"big": "it fell"}


def testOnlyWhatWasAskedForIsTold() -> None:
    """Of a run of some parts neither the goals of others are told nor the sizes of ledgers that it did not have."""
    plan = replace(DEFAULT, rounds=1)
    report = Report(plan, {}, figures(), {}, {}, [], ["noop", "sustained"], isWhole=False)
    table = "\n".join(report.lines())
    assert "1 round of" in table
    assert "sustained: 6 s" in table
    for text in ("not measured", "Redis", "big: 40,000"):
        assert text not in table, text
    assert all(goal["value"] is not None for goal in report.forMachines()["goals"])
