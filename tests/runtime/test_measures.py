"""Histograms, and what is known of the commits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from scalemgr.runtime.measures import SECONDS, Commits, Histogram, quantile


@given(st.lists(st.floats(0, 100), max_size=100))
def test_everyValueIsCountedOnce(values: list[float]) -> None:
    """A value is counted at the first bound that it does not exceed, and nowhere else."""
    histogram = Histogram(SECONDS)
    for value in values:
        histogram.add(value)
    assert sum(histogram.counts) == len(values)
    for n, bound in enumerate(SECONDS):
        assert sum(histogram.counts[: n + 1]) == sum(value <= bound for value in values)
    assert abs(histogram.total - sum(values)) < 1e-6


@given(st.lists(st.floats(0, 25), min_size=1, max_size=100), st.floats(0.01, 1))
def test_quantileIsBetweenItsBounds(values: list[float], part: float) -> None:
    """The value that is told for a part of all lies between the same two bounds as the true one."""
    histogram = Histogram(SECONDS)
    for value in values:
        histogram.add(value)
    found = quantile(SECONDS, histogram.counts, part)
    assert found is not None
    needed = part * len(values)
    true = next(value for n, value in enumerate(sorted(values), 1) if n >= needed)
    above = next(bound for bound in SECONDS if true <= bound)
    below = max([0.0, *(bound for bound in SECONDS if bound < true)])
    assert below <= found <= above


def test_quantileOfNothing() -> None:
    """Of no values there is none; of those beyond all bounds the last bound is told."""
    assert quantile(SECONDS, [0] * (len(SECONDS) + 1), 0.5) is None
    assert quantile(SECONDS, [0] * len(SECONDS) + [3], 0.5) == SECONDS[-1]


def test_commits() -> None:
    """A commit that succeeds is counted with its requests and its time; one that fails says why, until one succeeds;
    one of nothing is no batch."""
    clock = Clock()
    clock.advance(1000)
    commits = Commits(clock, clock.seconds)
    assert (commits.last, commits.underWay, commits.failing) == (None, 0.0, "")
    commits.begin(7)
    clock.advance(0.25)
    assert commits.underWay == 0.25
    commits.succeeded(7)
    assert (commits.last, commits.lastSeconds, commits.underWay) == (1000.25, 0.25, 0.0)
    commits.begin(3)
    commits.failed("the disk is full")
    commits.begin(0)
    commits.failed("the disk is full")
    assert (commits.failing, commits.failures, commits.underWay) == ("the disk is full", 2, 0.0)
    commits.begin(0)
    commits.succeeded(0)
    assert (commits.failing, commits.last) == ("", 1000.25)
    assert (sum(commits.batches.counts), commits.batches.total) == (2, 10)
    assert (sum(commits.seconds.counts), commits.seconds.total) == (1, 0.25)
