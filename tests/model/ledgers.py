"""The ledgers of the model test: how they fail, how they end, and how they begin again."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from scalemgr.interfaces import ILedger
from scalemgr.ledger.audit import verify
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed

from ..helpers import WatchedLedger
from ..ledger.helpers import BadDisk


class Kept(Protocol):
    """
    A ledger that lasts longer than the daemons on it.

    @ivar faults: the ways in which its next commit can fail.
    """

    faults: list[str]

    @property
    def ledger(self) -> ILedger:
        """What the next daemon is to be joined to."""

    def opened(self) -> None:
        """A daemon has opened it."""

    def fail(self, fault: str) -> None:
        """Let a commit fail."""

    def heal(self) -> None:
        """From now on, no more failures."""

    def crash(self, views: str) -> None:
        """
        What is durable now is what the next daemon finds.

        @param views: what is found of the views, which may be behind or missing: C{all}, C{old} or C{none}.
        """

    def stop(self, nextOrder: int | None) -> None:
        """Close it as it should be."""

    def end(self) -> None:
        """It is needed no more."""


class KeptMemory:
    """A memory ledger, which daemons come and go on; what is in it counts as durable."""

    faults = ["void", "pending"]

    def __init__(self) -> None:
        self.ledger = WatchedLedger()

    def opened(self) -> None:
        pass

    def fail(self, fault: str) -> None:
        self.ledger.failures = [LedgerFailed("told to fail", outcome=fault)]

    def heal(self) -> None:
        self.ledger.failures = []

    def crash(self, views: str) -> None:
        self.heal()

    def stop(self, nextOrder: int | None) -> None:
        self.heal()

    def end(self) -> None:
        MemoryLedger.close(self.ledger, None)


class KeptSqlite:
    """
    A ledger in a folder. It crashes by having its log copied as it is; the next daemon gets the copy.
    """

    # Most of them leave a doubt, the hardest of all.
    faults = ["doubt, kept", "doubt, lost", "lost", "kept", "BEGIN", "doubt, kept", "doubt, lost", "INSERT"]

    def __init__(self) -> None:
        self._temporary = TemporaryDirectory(prefix="scalemgr-model-")
        self._number = 0
        self._folder = self._before = Path(self._temporary.name) / "0"
        self.ledger = SqliteLedger(self._folder)
        self._disk: BadDisk | None = None

    def opened(self) -> None:
        self._disk = BadDisk(self.ledger)

    def fail(self, fault: str) -> None:
        assert self._disk is not None
        if fault in ("BEGIN", "INSERT"):
            self._disk.failAt(fault)
        else:
            happens = "COMMIT" if fault.endswith("kept") else "ROLLBACK"
            self._disk.failAt("COMMIT", happens=happens, dies=fault.startswith("doubt"))

    def heal(self) -> None:
        if self._disk is not None:
            self._disk.heal()

    def crash(self, views: str) -> None:
        # It works in a thread of its own, and files must not change while they are copied.
        self.ledger._projector.stop()
        self._number += 1
        folder = Path(self._temporary.name) / str(self._number)
        folder.mkdir()
        found = {"all": self._folder, "old": self._before, "none": None}[views]
        for source, pattern in ((self._folder, "log.db*"), (found, "views.db*")):
            for file in source.glob(pattern) if source is not None else ():
                if not file.name.endswith("-shm"):
                    shutil.copyfile(file, folder / file.name)
        self.stop(None)
        self._before, self._folder = self._folder, folder
        self.ledger = SqliteLedger(folder)

    def stop(self, nextOrder: int | None) -> None:
        self.heal()
        self.ledger.close(nextOrder)
        self._disk = None
        self.ledger = SqliteLedger(self._folder)

    def end(self) -> None:
        try:
            if self._disk is not None:
                self.stop(None)
                audit = verify(self._folder)
                assert audit.differences == []
        finally:
            self._temporary.cleanup()
