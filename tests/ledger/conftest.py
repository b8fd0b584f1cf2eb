"""Fixtures of the ledgers' tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from scalemgr.interfaces import ILedger

from .engines import ON_SERVER, Engine
from .gate import Gate
from .helpers import NOW_MS, populate


class Logged:
    """What was logged since the test began."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def lines(self) -> list[str]:
        """As an operator reads it."""
        return [formatEvent(event) for event in self.events]

    def has(self, *words: str) -> bool:
        """Is there a line with all of these in it?"""
        return any(all(word in line for word in words) for line in self.lines())


@pytest.fixture(scope="session", autouse=True)
def droppedInTheEnd() -> Iterator[None]:
    """What the tests made on a server is dropped."""
    yield
    ON_SERVER.close()


@pytest.fixture
def logged() -> Iterator[Logged]:
    """What is logged during the test."""
    kept = Logged()
    globalLogPublisher.addObserver(kept.events.append)
    yield kept
    globalLogPublisher.removeObserver(kept.events.append)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a ledger may be made."""
    return tmp_path / "ledger"


@pytest.fixture
def ownedFolder() -> Iterator[Path]:
    """A folder of somebody for whom, unlike for root, things can be read-only; the test runs as that one."""
    path = Path(tempfile.mkdtemp(prefix="scalemgr-"))
    root = os.geteuid() == 0
    if root:
        os.chown(path, 65534, 65534)
        os.seteuid(65534)
    yield path
    if root:
        os.seteuid(0)
    shutil.rmtree(path)


@pytest.fixture
def ledger(engine: Engine, tmp_path: Path) -> Iterator[ILedger]:
    """A populated ledger of each engine."""
    ledger = engine.make(tmp_path)
    ledger.open(NOW_MS)
    yield populate(ledger)
    ledger.close(None)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Before the views; a projector that fails tries again soon."""
    return Gate(monkeypatch)
