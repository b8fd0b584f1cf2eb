"""The write-ahead log is moved into the log beside the commits, and stays short whatever becomes of that."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scalemgr.ledger import checkpoint, sqlite
from scalemgr.ledger.audit import verify
from scalemgr.ledger.sqlite import SqliteLedger

from .conftest import Logged
from .helpers import depositEach, opened, populate


def until(done: Callable[[], bool], go: Callable[[], object] = lambda: time.sleep(0.001)) -> None:
    """Go on until something is so; it is only a matter of time."""
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        go()


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def beginsAgain(ledger: SqliteLedger, folder: Path) -> None:
    """Go on with deposits until the write-ahead log has begun again at its start, twice; its header tells."""
    for _ in range(2):
        header = (folder / "log.db-wal").read_bytes()[:32]
        until(
            lambda header=header: (folder / "log.db-wal").read_bytes()[:32] != header,  # type: ignore[misc]
            lambda: depositEach(ledger, *range(1, 50)),
        )


def test_beside_the_commits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed comes into the file itself while the ledger is open, though no commit does it."""
    monkeypatch.setattr(checkpoint, "_PAGES", 10)
    monkeypatch.setattr(sqlite, "WAL_PAGES_MAX", 1_000_000)
    with opened(folder) as ledger:
        populate(ledger)
        before = (folder / "log.db").stat().st_size
        until(lambda: (folder / "log.db").stat().st_size > before + 100_000, lambda: depositEach(ledger, *range(1, 50)))
    assert verify(folder).differences == []


def test_stays_short(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long deposits go on, the write-ahead log begins again when it is as long as it may be."""
    monkeypatch.setattr(checkpoint, "_PAGES", 10)
    monkeypatch.setattr(sqlite, "WAL_PAGES_MAX", 60)
    with opened(folder) as ledger:
        beginsAgain(populate(ledger), folder)
    assert verify(folder).differences == []


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("disk I/O error"), sqlite3.OperationalError("full")], ids=str
)
def test_cannot(folder: Path, monkeypatch: pytest.MonkeyPatch, logged: Logged, error: Exception) -> None:
    """If it cannot be done beside the commits that is said once, the commits do it, and nothing else is different."""
    tried = threading.Semaphore(0)

    def fail(*args: object) -> None:
        tried.release()
        raise error

    monkeypatch.setattr(checkpoint, "_PAGES", 10)
    monkeypatch.setattr(checkpoint, "connect", fail)
    monkeypatch.setattr(sqlite, "WAL_PAGES_MAX", 60)
    with opened(folder) as ledger:
        beginsAgain(populate(ledger), folder)
        for _ in range(2):
            assert tried.acquire(timeout=30)
            depositEach(ledger, *range(1, 200))
    assert [line for line in logged.lines() if "write-ahead log" in line] == [
        f"log: its write-ahead log cannot be moved into it now ({error}); the commits do it"
    ]
    assert verify(folder).differences == []


def test_ends(folder: Path) -> None:
    """When the ledger is closed its thread has ended, and nothing is left of the write-ahead log."""
    with opened(folder) as ledger:
        populate(ledger)
        assert "scalemgr checkpointer" in names()
    assert "scalemgr checkpointer" not in names()
    assert not (folder / "log.db-wal").exists()
