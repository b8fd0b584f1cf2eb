"""The whole of it, as small as it gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import measure
from bench.machine import findCompiler
from bench.parts import PARTS, Part
from bench.processes import CHECKOUT, BenchFailed
from bench.stage import Plan, Stage

needsCompiler = pytest.mark.skipif(findCompiler() is None, reason="no C compiler ($CC, cc or gcc) on this machine")

TINY = Plan("tiny", 1, 1.0, 0.0, 1000, 11_000, 1600, 0.3, 0.6, 500, (2,))


def part(name: str) -> Part:
    (found,) = [p for p in PARTS if p.name == name]
    return found


@needsCompiler
def testTheDaemonIsMeasured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads of a second against the real daemon give figures, every answer right, and nothing stays behind."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report = measure(TINY, [part("ledger"), part("raw"), part("commands"), part("big")])
    assert report.failed == {}
    for name in ("ledger alone", "raw append", "scalemgr a replayed key", "scalemgr a refusal", "big: replayed events"):
        assert report.figures[name].median > 0
    assert list(tmp_path.iterdir()) == []


@needsCompiler
def testAFailureIsTold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that fails is reported as failed, and what it had found and the other parts are reported all the same."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def half(stage: Stage) -> None:
        stage.keep("half", "", 1.0)
        raise BenchFailed("the other half")

    def whole(stage: Stage) -> None:
        stage.keep("whole", "", 2.0)

    skipped = Part("absent", whole, unavailable=lambda: "not here")
    report = measure(TINY, [Part("half", half), Part("whole", whole), skipped])
    assert report.failed == {"half": "the other half"}
    assert report.skipped == {"absent": "not here"}
    assert list(report.figures) == ["half", "whole"]


@needsCompiler
def testNothingIsLeftByOneThatIsEnded(tmp_path: Path) -> None:
    """Whoever ends the bench ends its servers and loads, and finds no folder of it."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "bench", "--only", "noop", "--rounds", "20"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as bench:
        assert bench.stderr is not None
        bench.stderr.readline()
        children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
        started = []
        while not started:
            started = [pid for pid in children.read_text("ascii").split() if _name(pid) != "gcc"]
        bench.terminate()
        bench.communicate(timeout=60)
    assert bench.returncode == 128 + 15
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
    assert list(tmp_path.iterdir()) == []


def _name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("ascii").strip()
    except OSError:
        return ""


@needsCompiler
def testMachinesAreTold() -> None:
    """With --json nothing but one JSON document is on stdout."""
    command = [sys.executable, "-m", "bench", "--json", "--only", "raw", "--rounds", "1"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["figures"]["raw append"]["unit"] == "/s"
