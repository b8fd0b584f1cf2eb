"""The load generators: what they count is what was answered, and what is wrong is no speed."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from bench.loads import Generator
from bench.processes import BenchFailed, python, running

BOTH = pytest.mark.parametrize("which", ["generator", "pythonGenerator"])


@pytest.fixture
def either(which: str, request: pytest.FixtureRequest) -> Generator:
    return request.getfixturevalue(which)


@BOTH
@pytest.mark.parametrize(("connections", "inFlight"), [(1, 1), (20, 8)])
def testAnswersAreCounted(either: Generator, noop: Any, connections: int, inFlight: int) -> None:
    """Every request is answered, every answer counted, and those of the time that counts among them."""
    with noop() as port:
        load = either.run(port, connections=connections, in_flight=inFlight, seconds=0.2, warmup=0.05)
    assert load["ok"]
    assert load["statuses"] == {"200": load["total"]}
    assert 0 < load["answers"] <= load["total"]
    assert load["rate"] == pytest.approx(load["answers"] / 0.2)
    assert 0 < load["p50"] <= load["p90"] <= load["p99"] <= load["max"]


def testAFixedRateIsKept(generator: Generator, noop: Any) -> None:
    """With a rate, so many requests are made as that takes, however fast they are answered."""
    with noop() as port:
        load = generator.run(port, connections=3, rate=200, seconds=0.5, warmup=0)
    assert load["total"] == pytest.approx(100, abs=2)


def testAStallIsSeen(generator: Generator, tmp_path: Path) -> None:
    """At a fixed rate a server that stands still shows in the latencies, even past the end of the time that counts."""
    command = generator.echo
    assert command is not None
    with running(command, None, tmp_path / "log") as (server, port):
        server.send_signal(signal.SIGSTOP)
        goesOn = Timer(1.4, server.send_signal, [signal.SIGCONT])
        goesOn.start()
        try:
            load = generator.run(port, "echo", connections=3, rate=200, seconds=1, warmup=0)
        finally:
            goesOn.join()
    # A server that is stopped has answered nothing: whatever else the machine does, only the waiting gets longer.
    assert load["timed"] == load["total"] == pytest.approx(200, abs=2)
    assert load["max"] >= load["p99"] > 400_000


@BOTH
def testAnswersInAnyOrder(either: Generator, tmp_path: Path) -> None:
    """Answers are found by their extID, whatever the order; events between them are not answers."""
    with running(python("-m", "tests.bench.scripted", "right"), None, tmp_path / "log") as (_, port):
        load = either.run(port, connections=1, in_flight=8, seconds=0.2, warmup=0)
    # One more came with the answer to the greeting.
    assert load["ok"]
    assert load["total"] <= load["events"] <= load["total"] + 1


@BOTH
@pytest.mark.parametrize("mode", ["status", "extID", "replayed", "close"])
def testWhatIsWrongIsNoSpeed(either: Generator, tmp_path: Path, mode: str) -> None:
    """One wrong status, extID, replay or end of a connection among the right answers fails the load."""
    server = running(python("-m", "tests.bench.scripted", mode), None, tmp_path / "log")
    with server as (_, port), pytest.raises(BenchFailed, match=r"wrong answers|connections were closed"):
        either.run(port, connections=1, in_flight=8, seconds=0.2, warmup=0)


@BOTH
def testAStatusHasToBeTheExpectedOne(either: Generator, noop: Any) -> None:
    """A refusal that is granted is as wrong as a deposit that is refused."""
    with noop(200) as port, pytest.raises(BenchFailed, match="of status 200"):
        either.run(port, "refusal", seconds=0.1, warmup=0)
    with noop(409) as port, pytest.raises(BenchFailed, match=r"refused|of status 409"):
        either.run(port, "deposit", seconds=0.1, warmup=0)


def testACompilerThatFailsIsNotNeeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noop: Any) -> None:
    """If the compiler fails, the generator in Python makes the loads, and a sentence says why."""
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'load.c:1: error: it is Monday' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    generator = Generator(tmp_path, core=None)
    assert not generator.isC
    assert generator.whyNotC == f"the C compiler failed: {compiler}: load.c:1: error: it is Monday"
    with noop() as port:
        assert generator.run(port, seconds=0.1, warmup=0)["ok"]
