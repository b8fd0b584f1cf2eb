"""A daemon of a campaign: started again and again on one port and one ledger, ended in every way there is."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ..e2e.daemons import ROOT, TWIST

__all__ = ["Daemon", "DaemonFailed", "environment", "freePort", "leashed", "python"]

_START_S = 60.0
_STOP_S = 60.0
# What a process does first, where that can be done: it asks to be killed when its parent dies.
_LEASH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class DaemonFailed(Exception):
    """It does not do what every daemon does; the message says what."""


def python(*arguments: str) -> list[str]:
    """A command line: this interpreter with these arguments."""
    return [sys.executable, *arguments]


def leashed(*arguments: str) -> list[str]:
    """The same, for a process that is not to outlive this one, whatever becomes of this one."""
    return python("-c", _LEASH, *arguments)


def environment() -> dict[str, str]:
    """Where this checkout is what is imported."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def freePort() -> int:
    """
    A port that nobody has.

    Not one of those that the system hands to whoever connects: while the daemon is down, a client that
    tries to reach it could be given its port, and keep the daemon out or talk to itself.
    """
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Daemon:
    """
    One daemon at a time.

    @param folder: where its configuration is, and what it says is kept.
    @param ledger: the URL of its ledger.
    @param name: what the files are called in which is what it says.
    @ivar starts: how often it was started.
    """

    def __init__(self, folder: Path, ledger: str, port: int, name: str = "daemon") -> None:
        self.port = port
        self.name = name
        self.starts = 0
        self._folder = folder
        self._ledger = ledger
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and come back when it answers."""
        self.spawn()
        self.started()

    def started(self) -> None:
        """Come back when it answers, which was spawned."""
        if self.answers():
            return
        self._process = None
        said = self._saidIn(self.starts).read_text("utf-8", "replace").strip()
        raise DaemonFailed(f"the {self.name} does not start: {said.rpartition(chr(10))[2]}")

    def spawn(self) -> None:
        """Start it, and do not wait."""
        self._checkEnded()
        self.starts += 1
        # A file of its own for each start, so that none is so large that a limit for the ledger's files hits it.
        with self._saidIn(self.starts).open("wb") as said:
            self._process = subprocess.Popen(
                leashed(
                    *TWIST,
                    f"--config={self._folder / 'scalemgr.toml'}",
                    f"--listen=tcp:{self.port}:interface=127.0.0.1",
                    f"--ledger={self._ledger}",
                ),
                cwd=self._folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def answers(self) -> bool:
        """Wait until it answers; C{False} if it ends instead."""
        until = time.monotonic() + _START_S
        while self.alive():
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as peer:
                    peer.settimeout(max(0.1, until - time.monotonic()))
                    peer.sendall(b'{"command":"Ping","extID":1}\r\n')
                    if peer.recv(1):
                        return True
            except OSError:
                pass
            if time.monotonic() > until:
                raise DaemonFailed(f"the {self.name} runs and does not answer")
            time.sleep(0.01)
        return False

    def alive(self) -> bool:
        """Does it run, or is it at least stopped?"""
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """A signal."""
        self._checkEnded()
        os.kill(self.pid, number)

    def end(self, number: signal.Signals) -> None:
        """A signal that ends it, and wait until it has."""
        self.send(number)
        assert self._process is not None
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            raise DaemonFailed(f"the {self.name} did not end after {number.name}") from None
        self._process = None

    def close(self) -> None:
        """If it runs, it does no more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _checkEnded(self) -> None:
        """If it is not there any more, it was ended."""
        if self._process is not None and self._process.poll() is not None:
            code, self._process = self._process.returncode, None
            raise DaemonFailed(f"the {self.name} ended by itself with {code}; see {self._saidIn(self.starts)}")

    def limitFiles(self, size: int | None) -> None:
        """No file of it may grow beyond this from now on; C{None}: any file may."""
        if self.alive():
            hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    def said(self) -> list[Path]:
        """What it said, a file for each start."""
        return [self._saidIn(n) for n in range(1, self.starts + 1)]

    def _saidIn(self, n: int) -> Path:
        return self._folder / f"{self.name}-{n:04}.log"
