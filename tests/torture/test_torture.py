"""A short campaign against a real daemon; C{make torture} runs a long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..cluster import ClusterFailed, binaries
from ..postgres import absent
from .asked import NAMES, OFFICE
from .campaign import Campaign, run
from .havoc import Plan


@pytest.mark.parametrize("mount", [True, False], ids=["small disk", "file limit"])
def test_promisesAreKept(tmp_path: Path, mount: bool) -> None:
    """Every wish is applied once, no answer is ambiguous and no event is missed, whatever is done to the daemon."""
    if mount:
        plan = Plan(kills=5, terms=1, stops=1, fullDisks=1, holds=1, stopS=7)
    else:
        plan = Plan(kills=1, terms=0, stops=0, fullDisks=1, holds=0)
    verdict = run(Campaign(tmp_path, plan, clients=3, seed=1, mount=mount))
    assert verdict.wrong == [], f"{verdict}\nwhat everybody noted is in {tmp_path}"
    assert verdict.counts["kills"] >= plan.kills
    # Accounts and groups come and go too seldom to be sure of them in so short a time.
    kinds = [name for kind, name in NAMES.items() if kind not in OFFICE]
    for name in (*kinds, "requests", "retries", "replays", "refusals", "duplicates", "events"):
        assert verdict.counts[name], verdict


def test_promisesAreKeptByTwoGateways(tmp_path: Path) -> None:
    """The same, of two gateways that share a ledger, whatever is done to them and to the server that has it."""
    try:
        binaries()
    except ClusterFailed as e:
        absent(str(e))
    plan = Plan(kills=2, terms=1, holds=1, crashes=1, serverKills=1, cuts=1, crowds=1, cancels=1, stopS=7)
    verdict = run(Campaign(tmp_path, plan, clients=3, seed=1, ledger="postgresql", gateways=2))
    assert verdict.wrong == [], f"{verdict}\nwhat everybody noted is in {tmp_path}"
    assert verdict.counts["kills"] >= plan.kills
    for name in ("requests", "retries", "replays", "events", "cuts", "crashes", "server kills", "crowds", "cancels"):
        assert verdict.counts[name], verdict
