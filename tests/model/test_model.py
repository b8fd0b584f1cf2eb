"""Anything, in any order: what was promised holds.

C{SCALEMGR_MODEL_EXAMPLES} says how many histories are tried, and makes them others every time; without it
they are few, and the same each time.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from scalemgr.commands import accounts
from scalemgr.runtime import replay

from ..helpers import builtIn
from .contents import Content, Decide, TakeBack
from .drawn import ALL, DECISIONS, TAKINGS_BACK
from .ledgers import KeptMemory, KeptSqlite
from .machine import Machine

_EXAMPLES = os.environ.get("SCALEMGR_MODEL_EXAMPLES")


class OnMemory(Machine):
    """Daemons come and go on one memory ledger."""

    keep = KeptMemory


class OnSqlite(Machine):
    """Daemons come and go on a folder, of which a crash keeps what is durable."""

    keep = KeptSqlite


def _settings(usual: int) -> settings:
    return settings(
        max_examples=int(_EXAMPLES) if _EXAMPLES else usual,
        stateful_step_count=40,
        derandomize=not _EXAMPLES,
        deadline=None,
        report_multiple_bugs=False,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


class _Hasher:
    """Hashes passwords as fast as nobody should."""

    def hash(self, password: str) -> str:
        return f"not {password}"


@pytest.fixture(autouse=True)
def noHashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """To hash passwords takes most of the time, and is somebody else's promise."""
    monkeypatch.setattr(accounts, "_HASHER", _Hasher())


@pytest.fixture(autouse=True)
def smallPages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The logs here are short, and a replay is to have many pages."""
    monkeypatch.setattr(replay, "PAGE", 3)


def test_complete() -> None:
    """No command that changes something is left out here: all that take an idempotency key are asked for."""
    changing = {c.name for c in builtIn() if "idempotency_key" in c.params.__struct_fields__} - {"GetRequest"}
    drawn: list[tuple[type[Content], str]] = [(type(content), content.command) for content in ALL]
    drawn += [(Decide, command) for command in DECISIONS] + [(TakeBack, command) for command in TAKINGS_BACK]
    forms = {command + form for kind, command in drawn for form in (["", "Sync"] if kind.ofMoney else [""])}
    assert forms == changing


def test_memory() -> None:
    """Whatever happens to a daemon on the memory ledger, no answer and no event is ever contradicted."""
    run_state_machine_as_test(OnMemory, settings=_settings(300))


def test_sqlite() -> None:
    """Nor on SQLite, whose disk may fail in a way that nobody knows what was kept, and whose views may be behind."""
    run_state_machine_as_test(OnSqlite, settings=_settings(150))
