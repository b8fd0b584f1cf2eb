"""The name of a log: it stays, until the log is not what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalemgr.ledger.audit import verify

from .conftest import Logged
from .helpers import commit, deposit, made, opened


def lose(folder: Path, *kept: str) -> None:
    """Put back a log that lacks the last deposits, beside what was made of the whole; of that, keep only some."""
    older = (folder / "log.db").read_bytes()
    with opened(folder) as ledger:
        first = ledger.reserveOrders(2)
        commit(ledger, deposit(first, 7), deposit(first + 1, 8))
    (folder / "log.db").write_bytes(older)
    for name in {"book.snapshot", "views.db"} - set(kept):
        (folder / name).unlink()


@pytest.mark.parametrize("kept", [["book.snapshot"], ["views.db"], ["book.snapshot", "views.db"]])
def test_lostEntries(tmp_path: Path, logged: Logged, kept: list[str]) -> None:
    """A log that has lost entries gets a new name, once: whoever goes on from a number that is used again is told."""
    folder = tmp_path / "ledger"
    made(folder, 100)
    before = verify(folder).epoch
    lose(folder, *kept)
    with opened(folder) as ledger:
        after = ledger.epoch
        assert after != before
        assert ledger.book.accounts[1001].balance == 100
    assert logged.has("some were lost", "new epoch")
    audit = verify(folder)
    assert (audit.epoch, audit.differences) == (after, [])
    with opened(folder) as ledger:
        assert ledger.epoch == after


def test_nothingLost(tmp_path: Path) -> None:
    """Whatever else is lost, a log keeps its name."""
    folder = tmp_path / "ledger"
    made(folder, 100)
    before = verify(folder).epoch
    for name in ("book.snapshot", "views.db"):
        (folder / name).unlink()
        with opened(folder) as ledger:
            commit(ledger, deposit(ledger.reserveOrders(1), 7))
            assert ledger.epoch == before
