"""Gateways on a server of the bench's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import measure
from bench.cluster import unavailable

from .test_bench import TINY, needsCompiler, part


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder into which a server may look that runs as somebody else, unlike into those of tests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@needsCompiler
@pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))
def testGatewaysAreMeasured(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One and two gateways give figures, everybody is told of every deposit, and the server is gone afterwards."""
    monkeypatch.setattr("bench.cluster.scratchParent", lambda: shared)
    report = measure(TINY, [part("cluster")])
    assert report.failed == {}
    assert {verdict.words for verdict in report.verdicts} <= {"reached", "missed"}
    assert len(report.verdicts) == 4
    for name in ("cluster: one gateway, requests a round trip", "cluster: two gateways, 50x16 each"):
        assert report.figures[name].median > 0
    assert list(shared.iterdir()) == []
