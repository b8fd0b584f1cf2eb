"""The whole of it, as small as it gets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import TypeVar

import pytest

from bench.__main__ import main, measure
from bench.machine import findCompiler
from bench.parts import PARTS, Part
from bench.processes import CHECKOUT, BenchFailed
from bench.stage import Plan, Stage

needsCompiler = pytest.mark.skipif(findCompiler() is None, reason="no C compiler ($CC, cc or gcc) on this machine")

T = TypeVar("T")

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
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def testNothingIsLeftByOneThatIsEnded(tmp_path: Path, number: int) -> None:
    """Whoever ends the bench ends its servers and loads, and finds no folder of it."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "bench", "--only", "noop", "--rounds", "20"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as bench:
        assert bench.stderr is not None
        server = _await(lambda: _child(bench.pid, b"bench.noop"))
        bench.send_signal(number)
        _, said = bench.communicate(timeout=60)
    assert bench.returncode == 128 + number
    assert said.splitlines()[-1] == "interrupted; everything is removed"
    assert "Traceback" not in said
    assert _await(lambda: not Path(f"/proc/{server}").exists())
    assert list(tmp_path.iterdir()) == []


def testNoProcessIsLostWhileItIsStarted() -> None:
    """A signal in the midst of a start is obeyed once the process is known, and so ended: none is left behind."""
    code = """if True:
        import os, signal, subprocess
        from bench import processes
        from bench.ending import Interrupted, beEndable
        class Popen(subprocess.Popen):
            def __init__(self, *arguments, **how):
                super().__init__(*arguments, **how)
                os.kill(os.getpid(), signal.SIGTERM)
                print(self.pid, flush=True)
        processes.subprocess.Popen = Popen
        beEndable()
        try:
            processes.start(["sleep", "60"], None)
        except Interrupted:
            processes.stopAll()
            print("interrupted", flush=True)
    """
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    pid, outcome = done.stdout.split()
    assert outcome == "interrupted"
    assert not Path(f"/proc/{pid}").exists()


def _await(found: Callable[[], T], timeoutS: float = 20.0) -> T:
    """What there is to find, once it is there."""
    end = time.monotonic() + timeoutS
    while not (value := found()) and time.monotonic() < end:
        time.sleep(0.01)
    assert value
    return value


def _child(parent: int, word: bytes) -> str | None:
    """The pid of a child with a word in its command."""
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii").split():
        # Gone meanwhile, it is not the one.
        with suppress(OSError):
            if word in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return None


@needsCompiler
def testADaemonThatDiesIsHeard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the daemon dies under a load, the failure says so, and has the last words of its log."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def deadly(stage: Stage) -> None:
        with stage.daemon(subscriber=False) as daemon:
            kill = Timer(0.3, os.kill, [daemon.pid, signal.SIGKILL])
            kill.start()
            try:
                stage.deposits(daemon, 2, 2, seconds=20)
            finally:
                kill.join()

    failed = measure(TINY, [Part("deadly", deadly)]).failed["deadly"]
    assert "its connections were closed" in failed
    assert "the daemon died (signal 9); its last words:\n" in failed
    assert "listening on tcp" in failed


@needsCompiler
def testAnOutputThatIsPlainGetsWhatItCanShow(tmp_path: Path) -> None:
    """Where stdout has no sign for what is told, another one is printed, and nothing is lost."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TMPDIR": str(tmp_path)}
    environment = {**os.environ, **plain, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "bench", "--only", "raw", "--rounds", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="ascii", check=True)
    assert "?s" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def testThereIsARoundAtLeast(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number of rounds that is none is refused before anything is started."""
    with pytest.raises(SystemExit) as refused:
        main(["--rounds", count])
    assert refused.value.code == 2
    assert "--rounds" in capsys.readouterr().err


@needsCompiler
def testMachinesAreTold() -> None:
    """With --json nothing but one JSON document is on stdout."""
    command = [sys.executable, "-m", "bench", "--json", "--only", "raw", "--rounds", "1"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["figures"]["raw append"]["unit"] == "/s"
