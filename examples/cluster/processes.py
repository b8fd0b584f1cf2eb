"""Processes that are started here and end here, whatever happens."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .errors import Failed

__all__ = ["ROOT", "Child", "freePorts"]

#: The checkout.
ROOT = Path(__file__).parent.parent.parent
_END_S = 20.0
_LOOK_S = 0.02


class Child:
    """
    A program that can be started again and again, one at a time.

    What it says goes into a file by its name.

    @param folder: where it runs.
    @param passed: descriptors that it has, too.
    @ivar said: that file.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path, passed: Sequence[int] = ()) -> None:
        self.name = name
        self.said = folder / f"{name}.log"
        self._command = command
        self._folder = folder
        self._passed = passed
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and do not wait."""
        with self.said.open("ab") as said:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                pass_fds=self._passed,
                preexec_fn=_leash,
                # Not what a Control-C at the terminal is sent to: first it is told how things went.
                start_new_session=True,
            )

    def demandAlive(self) -> None:
        """
        See that it runs.

        @raise Failed: if it has ended, with the last that it said.
        """
        if self._process is None or self._process.poll() is not None:
            last = self.said.read_text("utf-8", "replace").strip().splitlines()[-3:]
            raise Failed(f"{self.name} has ended by itself: {' | '.join(last)}")

    async def end(self, number: signal.Signals) -> float:
        """
        Send it a signal that ends it, and wait until it has.

        @return: how long that took, in seconds.
        @raise Failed: if it takes too long, or has ended before.
        """
        self.demandAlive()
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(number)
        while self._process.poll() is None:
            if time.monotonic() - began > _END_S:
                raise Failed(f"{self.name} has not ended {_END_S:g} s after {number.name}")
            await asyncio.sleep(_LOOK_S)
        return time.monotonic() - began

    def close(self) -> None:
        """It does not run any more, nor does what it has started."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


def _leash() -> None:
    """Run in the new process: it is to end when this one does, whatever becomes of this one."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def freePorts(count: int) -> list[int]:
    """
    Ports of 127.0.0.1 that nobody has.

    Not those that the system hands to whoever connects: while a gateway is down, somebody could be given its port.
    """
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.add(port)
    return list(found)
