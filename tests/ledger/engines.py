"""The engines that the contract is for. Another one is one more line in C{ENGINES}."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from scalemgr.finance.records import Entry
from scalemgr.interfaces import ILedger
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.ledger.postgres.following import Servers
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.ledger.projector import ThreadProjector
from scalemgr.ledger.settings import LedgerSettings
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed

from ..postgres import ledgerUrl, shared
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


class OnServer:
    """For each folder a ledger on a server, until L{close}."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._server = ""
        self._urls: dict[Path, str] = {}

    def url(self, folder: Path) -> str:
        """Where it is."""
        if not self._server:
            self._server = self._open.enter_context(shared())
        if folder not in self._urls:
            self._urls[folder] = self._open.enter_context(ledgerUrl(self._server))
        return self._urls[folder]

    def make(self, folder: Path) -> PostgresLedger:
        """A ledger, not yet open."""
        settings = LedgerSettings(url=self.url(folder))
        return PostgresLedger(settings, follow=lambda settings: ThreadProjector(Servers(settings)))

    def run(self, folder: Path, sql: str) -> None:
        """Do something to its tables, behind its back."""
        with psycopg.connect(self.url(folder)) as connection:
            connection.execute(sql.encode())

    def close(self) -> None:
        """Drop them."""
        self._open.close()
        self._urls.clear()
        self._server = ""


ON_SERVER = OnServer()


def failOnServer(ledger: ILedger) -> None:
    """The server refuses what is written."""
    assert isinstance(ledger, PostgresLedger)
    file: Any = ledger._file

    def fail(*_: object) -> None:
        del file.write
        file.connection.execute("SELECT 1 / 0")

    file.write = fail


ENGINES = [
    Engine("memory", lambda folder: MemoryLedger(), failInMemory, False),
    Engine("sqlite", lambda folder: SqliteLedger(folder / "ledger"), failOnDisk, True),
    Engine("postgresql", ON_SERVER.make, failOnServer, True),
]
every = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
lasting = pytest.mark.parametrize("engine", [e for e in ENGINES if e.lasts], ids=lambda engine: engine.name)
