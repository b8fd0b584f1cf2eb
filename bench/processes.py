"""Starting what is measured, pinned, and ending it for certain: by its pid, whatever happens here."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .ending import held

__all__ = [
    "CHECKOUT",
    "BenchFailed",
    "ConnectionsClosed",
    "NotHere",
    "listening",
    "python",
    "run",
    "running",
    "start",
    "stop",
    "stopAll",
    "unpinChildren",
]

#: Where the package is.
CHECKOUT = Path(__file__).resolve().parent.parent

_LISTENING = re.compile(r"listening on tcp 127\.0\.0\.1:(\d+)")
_STOP_S = 30.0
_RUN_S = 120.0

# What was started and not stopped yet: between the start and whoever stops it, the bench may be ended.
_started: list[subprocess.Popen[str]] = []


class BenchFailed(Exception):
    """Something that is measured did not do what it has to do: it has no figure."""


class ConnectionsClosed(BenchFailed):
    """A load lost its connections: it is not known why, and who serves it may know."""


class NotHere(Exception):
    """Something cannot be measured on this machine, as was found only now."""


def python(*arguments: str) -> list[str]:
    """A command of this Python that finds this checkout."""
    return [sys.executable, *arguments]


def start(command: Sequence[str], core: int | None, **how: Any) -> subprocess.Popen[str]:
    """
    Start a process.

    @param core: the only one that it may use, with all its threads and children.
    """
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    # A child inherits where its parent may run: set it here, for that one moment, and nothing runs before it.
    with held():
        allowed = os.sched_getaffinity(0)
        if core is not None:
            os.sched_setaffinity(0, {core})
        try:
            process = subprocess.Popen(command, env=environment, encoding="utf-8", errors="replace", **how)
        finally:
            os.sched_setaffinity(0, allowed)
        _started.append(process)
    return process


def run(command: Sequence[str], **how: Any) -> subprocess.CompletedProcess[str]:
    """
    Run something short to its end, even if the bench is ended meanwhile: so that nothing of it is left, not even what
    it has started itself, as compilers do.

    @raise subprocess.SubprocessError: if it fails, or takes longer than two minutes.
    """
    with held():
        return subprocess.run(
            command, check=True, capture_output=True, encoding="utf-8", errors="replace", timeout=_RUN_S, **how
        )


def unpinChildren(pid: int) -> None:
    """Let the processes that this one has started run wherever this one, the bench, may."""
    allowed = os.sched_getaffinity(0)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
        for thread in Path(f"/proc/{child}/task").iterdir():
            os.sched_setaffinity(int(thread.name), allowed)


def stop(process: subprocess.Popen[str]) -> None:
    """
    Ask it to end, and end it if it does not.

    @raise BenchFailed: if it did not.
    """
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"{process.args!r} did not end within {_STOP_S:g} s") from None
    finally:
        # Whatever came of the waiting: nothing that was started here stays.
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        if process in _started:
            _started.remove(process)


def stopAll() -> None:
    """End whatever was started here and not stopped."""
    for process in list(_started):
        stop(process)


@contextmanager
def running(command: Sequence[str], core: int | None, logTo: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """
    A server, for as long as it is needed, and the port that it says it listens on.

    @param logTo: what it says goes there.
    """
    with open(logTo, "w+", encoding="utf-8") as log:
        process = start(command, core, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield process, listening(process, log)
        finally:
            stop(process)


def listening(process: subprocess.Popen[str], log: IO[str], timeoutS: float = 120.0) -> int:
    """The port that a server says it listens on, once it does."""
    path = Path(log.name)
    for _ in range(int(timeoutS / 0.005)):
        if found := _LISTENING.search(path.read_text("utf-8", "replace")):
            return int(found.group(1))
        try:
            process.wait(0.005)
        except subprocess.TimeoutExpired:
            continue
        break
    raise BenchFailed(f"{process.args!r} did not start:\n{path.read_text('utf-8', 'replace')[-2000:]}")
