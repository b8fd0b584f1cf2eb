"""What the projector does while the ledger runs: it falls behind, fails, and catches up; deposits go on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from twisted.logger import LogEvent

from scalemgr.ledger import projector
from scalemgr.ledger.audit import verify
from scalemgr.wire.codes import RetCode
from scalemgr.wire.errors import LedgerFailed

from .conftest import Logged
from .gate import Gate
from .helpers import commit, depositEach, eventually, opened, populate, profits, rightViews, sql, update


def test_too_far_behind(folder: Path, gate: Gate) -> None:
    """What the views cannot answer in time fails, saying so, and is never answered from old ones; a trade can be."""
    with opened(folder, queryS=0.0) as ledger:
        populate(ledger)
        with gate.shut():
            (order,) = depositEach(ledger, 10)
            with pytest.raises(LedgerFailed, match="behind") as failed:
                ledger.account(1001)
            assert failed.value.code == RetCode.RET_ERR_TIMEOUT
            assert failed.value.details == {}
            found = ledger.trade(order)
            assert found is not None
            assert found[0].profit == 10


def test_update_while_behind(folder: Path, gate: Gate) -> None:
    """A trade that the views do not have yet can be changed."""
    with opened(folder) as ledger:
        populate(ledger)
        with gate.shut():
            first, second = depositEach(ledger, 10, 20)
            commit(ledger, update(first, 15))
            assert commit(ledger, update(first, 16))[0].balance == 1
            assert commit(ledger, update(second, 5))[0].balance == -15
        assert [(found := ledger.trade(order)) and found[0].profit for order in (first, second)] == [16, 5]


def test_update_when_forgotten(folder: Path) -> None:
    """A trade that is in the views need not be in memory, and can be changed all the same."""
    with opened(folder) as ledger:
        (order,) = depositEach(populate(ledger), 10)
        assert ledger._projector.waitFor(ledger.book.seq, 30)
        depositEach(ledger, 1)
        assert ledger._recent.trades([order]) == {}
        assert commit(ledger, update(order, 30))[0].balance == 20
        assert order in ledger._recent.trades([order])


@pytest.mark.parametrize("times", [1, 5])
def test_error_of_projector(folder: Path, gate: Gate, failures: list[LogEvent], times: int) -> None:
    """A projector that meets an error says so once and tries again; deposits go on, and questions are answered then."""
    with opened(folder) as ledger:
        populate(ledger)
        assert ledger.account(1001) is not None
        gate.fail = times
        orders = [depositEach(ledger, cents)[0] for cents in range(1, 20)]
        assert ledger.book.accounts[1001].balance == sum(range(1, 20))
        for _ in range(times):
            assert gate.failed.acquire(timeout=30)
        assert profits(ledger, *orders) == list(range(1, 20))
    assert [str(event["log_failure"].value) for event in failures] == ["[Errno 28] No space left on device"]
    failures.clear()
    assert verify(folder).differences == []


def test_closed_with_error(folder: Path, gate: Gate, failures: list[LogEvent]) -> None:
    """A ledger whose projector cannot go on can be closed, and its views catch up when it is opened again."""
    with opened(folder) as ledger:
        populate(ledger)
        assert ledger.account(1001) is not None
        gate.fail = 1_000_000
        (order,) = depositEach(ledger, 10)
        assert gate.failed.acquire(timeout=30)
    gate.fail = 0
    failures.clear()
    rightViews(folder, [order], [10])


def test_damaged_while_running(
    folder: Path, logged: Logged, failures: list[LogEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views that are damaged while the ledger runs are made again, and then all questions are answered."""
    monkeypatch.setattr(projector, "RETRY_SECONDS", 0.001)
    with opened(folder) as ledger:
        (old,) = depositEach(populate(ledger), 10)
        assert ledger.trade(old) is not None
        sql(folder / "views.db", "DROP TABLE trade")
        (new,) = depositEach(ledger, 20)
        assert profits(ledger, old, new) == [10, 20]
        assert eventually(lambda: ledger.account(1001)) is not None
        assert commit(ledger, update(old, 15))[0].balance == 5
    assert logged.has("views.db", "making it again from the log")
    # If a question finds it before the projector does, nothing fails.
    assert {type(event["log_failure"].value) for event in failures} <= {sqlite3.OperationalError}
    failures.clear()
    rightViews(folder, [old, new], [15, 20])


class _Short:
    """Follows a log that has five entries."""

    kind = "short"
    idleSeconds = 1.0
    reached = made = turns = 0
    failing = ""
    isStandingBy = False

    def follower(self, made: int) -> _Short:
        return self

    def step(self, suspected: bool = False, anew: bool = False) -> bool:
        self.reached = 5
        self.turns += 1
        return True

    def close(self) -> None:
        pass


def test_endsWhereTheLogDoes() -> None:
    """Told to finish up to an entry that the log has lost, it ends where the log does, and does not try for ever."""
    log = _Short()
    made = projector.ThreadProjector(log)
    made.wake(9)
    made.begin()
    assert made.waitFor(5, 30)
    made.stop(seconds=30)
    assert not made._thread.is_alive()
    assert made.reached == 5


def test_gathers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed gathers for a while, to be worth a turn; a question, and the end, do not wait for that."""
    monkeypatch.setattr(projector, "PAUSE_SECONDS", 600.0)
    with opened(folder) as ledger:
        populate(ledger)
        for cents in range(1, 10):
            depositEach(ledger, cents)
            stored = ledger.account(1001)
            assert stored is not None
            assert stored.account == ledger.book.account(1001)
        depositEach(ledger, 10, 11)
        depositEach(ledger, 12)
    assert verify(folder).differences == []
    assert sql(folder / "views.db", "SELECT seq FROM view") == [(28,)]
