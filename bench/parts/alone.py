"""What scalemgr stands on, each alone: the network, Twisted with JSON, the ledger, the disk."""

from __future__ import annotations

import json
import shutil
import subprocess

from ..processes import BenchFailed, NotHere, python, running, start, stop
from ..stage import SHAPES, Stage

__all__ = ["echo", "ledger", "noop", "raw"]

_BATCH = 800
# What a deposit takes in the log, if it was not measured just before.
_BYTES = 512


def echo(stage: Stage) -> None:
    """The floor: the same lines, back again."""
    command = stage.generator.echo
    if command is None:
        raise NotHere(f"it is in C: {stage.generator.whyNotC}")
    with running(command, stage.cores.server, stage.scratch / "echo.log") as (_, port):
        for connections, inFlight in ((1, 1), (50, 16)):
            load = stage.load(port, "echo", connections=connections, in_flight=inFlight, token="t" * 200)
            stage.keepLoad(f"echo {connections}x{inFlight}", load)


def noop(stage: Stage) -> None:
    """A bare LineReceiver with ujson."""
    with running(python("-m", "bench.noop"), stage.cores.server, stage.scratch / "noop.log") as (_, port):
        for connections, inFlight in SHAPES:
            load = stage.load(port, connections=connections, in_flight=inFlight, token="t" * 200)
            stage.keepLoad(f"noop {connections}x{inFlight}", load)


def ledger(stage: Stage) -> None:
    """The same batches straight into the ledger."""
    folder = stage.scratch / "alone"
    words = [str(folder), "--count", str(stage.plan.alone), "--batch", str(_BATCH)]
    try:
        found = _tell(stage, python("-m", "bench.ledgers", *words))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    stage.keep("ledger alone", "/s", found["rate"])
    stage.keep("ledger, of one deposit", "bytes", found["bytes"])


def raw(stage: Stage) -> None:
    """The same bytes, appended and synced."""
    size = int(stage.latest("ledger, of one deposit", _BYTES) * _BATCH)
    found = _tell(stage, python("-m", "bench.raw", str(stage.scratch), str(size), "100"))
    stage.keep("raw append", "/s", found["rate"] * _BATCH)
    stage.keep("raw fdatasync of 4 KiB", "µs", found["sync"])
    stage.keep("raw fdatasync of 4 KiB at the end", "µs", found["append"])


def _tell(stage: Stage, command: list[str]) -> dict[str, float]:
    """What a program of ours prints, run where the daemon would be."""
    process = start(command, stage.cores.server, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        said, _ = process.communicate(timeout=600)
    finally:
        stop(process)
    if process.returncode:
        raise BenchFailed(f"{command} failed")
    found: dict[str, float] = json.loads(said)
    return found
