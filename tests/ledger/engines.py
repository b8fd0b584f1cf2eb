"""The engines that the contract is for. Another one is one more line in C{ENGINES}."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from scalemgr.finance.records import Entry
from scalemgr.interfaces import ILedger
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed

from .helpers import BadDisk


class Engine(NamedTuple):
    """
    @ivar make: a ledger, not yet open, that may keep its things below a folder.
    @ivar failNext: let the next commit fail.
    @ivar lasts: is what was committed there after it is closed?
    """

    name: str
    make: Callable[[Path], ILedger]
    failNext: Callable[[ILedger], None]
    lasts: bool


def failInMemory(ledger: ILedger) -> None:
    """There is no disk to fail, so its place in the commit does."""

    def fail(entries: list[Entry]) -> None:
        delattr(ledger, "_append")
        raise LedgerFailed("told to fail", outcome="void")

    setattr(ledger, "_append", fail)


def failOnDisk(ledger: ILedger) -> None:
    """COMMIT fails and has rolled back."""
    assert isinstance(ledger, SqliteLedger)
    BadDisk(ledger).failAt("COMMIT", happens="ROLLBACK")


ENGINES = [
    Engine("memory", lambda folder: MemoryLedger(), failInMemory, False),
    Engine("sqlite", lambda folder: SqliteLedger(folder / "ledger"), failOnDisk, True),
]
every = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
lasting = pytest.mark.parametrize("engine", [e for e in ENGINES if e.lasts], ids=lambda engine: engine.name)
