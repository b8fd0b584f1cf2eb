"""What a commit needs to know of accounts that it changes: all of it, as of the last commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scalemgr.interfaces import ILedger
from scalemgr.wire.errors import LedgerFailed

from .engines import every
from .gate import Gate
from .helpers import opened
from .scribe import DELETE, UPDATE, Scribe, keep


def told(ledger: ILedger, *logins: int) -> dict[int, Any]:
    inner: Any = ledger
    return {login: record.get("email") for login, record in inner._profiles(logins).items()}


@pytest.fixture
def ledger(engine: Any, tmp_path: Path) -> Any:
    made = engine.make(tmp_path)
    made.open(0)
    yield made
    made.close(None)


@every
def test_last_word(ledger: ILedger) -> None:
    """The last entry about an account counts, wherever it is by now; a deleted account has no profile."""
    scribe = Scribe()
    scribe.group()
    for login in (1001, 1002, 1003):
        scribe.user(login, email="old")
    keep(ledger, scribe.entries)
    assert told(ledger, 1001, 1002, 1003, 7) == {1001: "old", 1002: "old", 1003: "old"}
    assert ledger.account(1001) is not None
    at = len(scribe.entries)
    scribe.user(1002, type=UPDATE, email="new")
    scribe.user(1003, type=DELETE)
    keep(ledger, scribe.entries[at:])
    assert told(ledger, 1001, 1002, 1003) == {1001: "old", 1002: "new"}
    inner: Any = ledger
    assert inner._profiles([1002])[1002]["password_hash"] == "secret"


def test_views_that_lag(folder: Path, gate: Gate) -> None:
    """What the views do not have yet is found in memory, also that an account is deleted."""
    scribe = Scribe()
    scribe.group()
    for login in (1001, 1002, 1003):
        scribe.user(login, email="old")
    with opened(folder) as ledger:
        keep(ledger, scribe.entries)
        assert ledger.account(1001) is not None
        at = len(scribe.entries)
        with gate.shut():
            scribe.user(1002, type=UPDATE, email="new")
            scribe.user(1003, type=DELETE)
            keep(ledger, scribe.entries[at:])
            assert told(ledger, 1001, 1002, 1003) == {1001: "old", 1002: "new"}


def test_unreadable(folder: Path, gate: Gate) -> None:
    """Where the views cannot be read, what memory has is known, and of others one is told that it is not."""
    scribe = Scribe()
    scribe.group()
    scribe.user(1001)
    with opened(folder) as ledger:
        keep(ledger, scribe.entries)
        assert ledger.account(1001) is not None
        with gate.shut():
            scribe.user(1002, email="new")
            keep(ledger, scribe.entries[2:])
            # Memory is let go only with the next commit.
            ledger._recent.release(2)
            (folder / "views.db").rename(folder / "elsewhere.db")
            found = ledger._profiles([1001, 1002])
            (folder / "elsewhere.db").rename(folder / "views.db")
            known = found.get(1002)
            assert known is not None
            assert known["email"] == "new"
            with pytest.raises(LedgerFailed):
                found.get(1001)
