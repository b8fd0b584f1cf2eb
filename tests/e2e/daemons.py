"""Real daemons in processes of their own, for tests that need one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..lines import LineClient

ROOT = Path(__file__).parent.parent.parent
LOOPBACK = "tcp:0:interface=127.0.0.1"
_LISTENING = re.compile(r"listening on tcp 127\.0\.0\.1:(\d+)")

# Many run at once on one machine, so none has a site unless a test says where.
TWIST = ("-m", "twisted", "--log-format=text", "scalemgr", "--web=")
TWISTD = ("-c", "from twisted.scripts.twistd import run; run()", "--pidfile=", "-n", "scalemgr", "--web=")


class DaemonProcess:
    """
    One daemon.

    @param program: the arguments of the interpreter, up to the daemon's own.
    @param path: what goes on PYTHONPATH, beside this checkout.
    """

    def __init__(self, program: tuple[str, ...], *arguments: str, cwd: Path, path: tuple[Path, ...] = ()) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))}
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def listening(self) -> int:
        """Wait until it serves; its port."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if found := _LISTENING.search(line):
                return int(found.group(1))
        raise AssertionError(f"it did not start:\n{self.said}")

    def end(self, number: int = signal.SIGTERM) -> str:
        """Send it a signal, and wait; all that it said."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=30)
        self.said += rest
        return self.said


def hangUp(running: DaemonProcess, until: str) -> str:
    """Send it SIGHUP, and wait until it has said that it is done."""
    assert running.process.stdout is not None
    patience = threading.Timer(30, running.process.kill)
    patience.start()
    try:
        running.process.send_signal(signal.SIGHUP)
        for line in running.process.stdout:
            running.said += line
            if until in line:
                return line
    finally:
        patience.cancel()
        patience.join()
    raise AssertionError(f"it did not say so:\n{running.said}")


@contextmanager
def daemon(
    cwd: Path, *arguments: str, program: tuple[str, ...] = TWIST, path: tuple[Path, ...] = ()
) -> Iterator[tuple[DaemonProcess, int]]:
    """A daemon that serves, and its port. It is gone afterwards."""
    running = DaemonProcess(program, *arguments, cwd=cwd, path=path)
    try:
        yield running, running.listening()
    finally:
        running.end()


def deposit(port: int, extID: str, amount: float = 250.0, login: int = 1001) -> dict[str, Any]:
    """A BalanceInSync on a connection of its own; the answer."""
    with LineClient("127.0.0.1", port) as client:
        reply = client.call("BalanceInSync", {"login": login, "amount": amount}, extID)
    answer: dict[str, Any] = json.loads(reply.line)
    return answer
