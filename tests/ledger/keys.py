"""Requests with keys, and ways to lose what the ledger made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.records import Entry
from scalemgr.finance.requests import Cause, ForgetKeys, KeyName, MoveMoney
from scalemgr.finance.settle import Outcome
from scalemgr.interfaces import ILedger
from scalemgr.ledger.viewed import ViewedLedger
from scalemgr.wire.errors import LedgerFailed

from .engines import ON_SERVER
from .helpers import CAUSE, NOW_MS, commit, deposit

A, B, C = ("crm", "a"), ("crm", "b"), ("crm", "c")
NEVER = ("crm", "never")


def keyed(order: int, name: KeyName | str, cents: int = 100, login: int = 1001) -> MoveMoney:
    """A deposit with a key."""
    principal, key = ("crm", name) if isinstance(name, str) else name
    return replace(deposit(order, cents, login), cause=Cause(principal, EVERYTHING, key))


def use(ledger: ILedger, order: int, name: KeyName | str, cents: int = 100) -> Entry:
    """Book a deposit with a key that is free."""
    [entry] = commit(ledger, keyed(order, name, cents))
    return entry


def again(ledger: ILedger, order: int, name: KeyName | str, cents: int = 100) -> Outcome:
    [outcome] = ledger.commit([keyed(order, name, cents)], NOW_MS + 1)
    return outcome


def forget(ledger: ILedger, upTo: int) -> Entry:
    [entry] = commit(ledger, ForgetKeys(CAUSE, upTo))
    return entry


def flush(ledger: ILedger) -> None:
    """Let the views have everything, and the memory nothing of it."""
    if isinstance(ledger, ViewedLedger):
        assert ledger._projector.waitFor(ledger.book.seq, 30)
        ledger._recent.release(ledger._projector.reached)
        assert not any(part.keys for part in ledger._recent._parts)


def loseViews(folder: Path) -> None:
    if not folder.exists():
        ON_SERVER.run(folder.parent, 'TRUNCATE view, "group", account, profile, trade, digits, movement, key')
    for path in folder.glob("views.db*"):
        path.unlink()


def garbage(folder: Path) -> None:
    if not folder.exists():
        ON_SERVER.run(folder.parent, "UPDATE view SET epoch = 'of another log', seq = 1000")
        return
    (folder / "views.db").write_bytes(b"Dear diary,\n" * 1000)


def keepAll(folder: Path) -> None:
    """Leave everything as it is."""


def foldAgain(folder: Path) -> None:
    if folder.exists():
        (folder / "book.snapshot").unlink()
    else:
        ON_SERVER.run(folder.parent, "TRUNCATE book")
    loseViews(folder)


BETWEEN = pytest.mark.parametrize("between", [keepAll, loseViews, garbage, foldAgain])


def isVoid(outcome: Outcome) -> bool:
    return isinstance(outcome, LedgerFailed) and outcome.details == {"outcome": "void"}
