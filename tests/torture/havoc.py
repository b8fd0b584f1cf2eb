"""What is done to the daemon while the clients move money."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

from msgspec import Struct

from .daemon import Daemon
from .disk import Disk

__all__ = ["Havoc", "Plan"]


class Plan(Struct, frozen=True):
    """
    How much of it.

    @ivar stopS: how long it is stopped each time, in seconds.
    @ivar seconds: after so many, nothing more is begun.
    """

    kills: int
    terms: int
    stops: int
    fullDisks: int
    holds: int
    stopS: float = 7.0
    seconds: float = 3600.0

    @classmethod
    def around(cls, kills: int, seconds: float) -> Plan:
        """So many kills, and of the rest what goes with that."""
        return cls(kills, 1 + kills // 20, min(2, 1 + kills // 100), 1 + kills // 25, 1 + kills // 20, seconds=seconds)


class Havoc:
    """
    Does it, to a daemon that runs; and when it is done the daemon runs.

    @ivar done: how often each thing was done, by its name.
    @raise DaemonFailed: from L{wreak}, if it ends otherwise than by what was done.
    """

    def __init__(self, daemon: Daemon, disk: Disk, ledger: Path, random: Random) -> None:
        self.done: Counter[str] = Counter()
        self._daemon = daemon
        self._disk = disk
        self._log = ledger / "log.db"
        self._random = random

    def wreak(self, plan: Plan) -> None:
        """All of it, in a random order."""
        what: list[Callable[[], None]] = [self._kill] * plan.kills
        what += [self._terminate] * plan.terms
        what += [lambda: self._stop(plan.stopS)] * plan.stops
        what += [self._fillDisk] * plan.fullDisks
        what += [self._hold] * plan.holds
        self._random.shuffle(what)
        until = time.monotonic() + plan.seconds
        for one in what:
            if time.monotonic() > until:
                break
            self._wait(0.05, 1)
            one()
            if not self._daemon.alive():
                self._daemon.start()
        self._wait(0.5, 0.5)

    def _wait(self, least: float, most: float) -> None:
        time.sleep(self._random.uniform(least, most))

    def _kill(self) -> None:
        self._killNow()
        if self._random.random() < 0.1:
            # Again, in the middle of its start.
            self._daemon.spawn()
            self._wait(0.2, 0.8)
            self._killNow()

    def _killNow(self) -> None:
        self.done["kills"] += 1
        self._daemon.end(signal.SIGKILL)

    def _terminate(self) -> None:
        self.done["sigterms"] += 1
        self._daemon.end(signal.SIGTERM)

    def _stop(self, seconds: float) -> None:
        self.done["stops"] += 1
        self._daemon.send(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            self._daemon.send(signal.SIGCONT)

    def _fillDisk(self) -> None:
        self.done["full disks"] += 1
        self._disk.fill(self._daemon)
        try:
            self._wait(0.3, 2)
            if self._random.random() < 0.4:
                self._killNow()
        finally:
            self._disk.empty(self._daemon)

    def _hold(self) -> None:
        """Somebody else has the log, so that nothing can be committed: what is queued runs out of time."""
        self.done["holds"] += 1
        with self._held():
            self._wait(0.5, 2.5)
            if self._random.random() < 0.3:
                self._killNow()

    @contextmanager
    def _held(self) -> Iterator[None]:
        with closing(sqlite3.connect(self._log, isolation_level=None, timeout=5)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")
