"""A ledger in a folder: its disk can be full, and somebody else can have its file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

from .daemon import Daemon
from .disk import Disk, disk
from .grounds import Ground
from .havoc import Havoc, Plan
from .history import Entry, entries
from .verdict import OF_A_DISK

__all__ = ["embedded"]


@contextmanager
def embedded(folder: Path, *, mount: bool) -> Iterator[Ground]:
    """
    One on a small disk, that is in the folder C{ledger} of this folder afterwards.

    @param mount: try to mount a disk?
    """
    with disk(folder / "disk", folder / "ledger", mount=mount) as where:
        yield _Embedded(where)


class _Embedded(Ground):
    """One folder, for one daemon."""

    foreseen = OF_A_DISK
    mayBeAway = False

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._folder = disk.folder / "ledger"
        self.url = f"sqlite:{self._folder}"

    def havoc(self, daemons: Sequence[Daemon], random: Random) -> Havoc:
        return _Havoc(daemons, random, self._disk, self._folder / "log.db")

    def log(self) -> list[Entry]:
        return entries(self._folder / "log.db")


class _Havoc(Havoc):
    """To one daemon, its disk and its log."""

    def __init__(self, daemons: Sequence[Daemon], random: Random, disk: Disk, log: Path) -> None:
        super().__init__(daemons, random)
        (self._daemon,) = daemons
        self._disk = disk
        self._log = log

    def _strikes(self, plan: Plan) -> list[Callable[[], None]]:
        return [*[self._fillDisk] * plan.fullDisks, *[self._hold] * plan.holds]

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
