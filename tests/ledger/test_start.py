"""A start is quick: it serves before the views have all, and looks through them only if they may be torn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from twisted.logger import LogEvent

from scalemgr.finance.settle import Replay
from scalemgr.ledger import following
from scalemgr.ledger import viewed as viewedModule
from scalemgr.ledger import views as viewsModule
from scalemgr.ledger.audit import verify
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.ledger.sqlite import SqliteLedger

from .conftest import Logged
from .gate import Gate
from .helpers import NOW_MS, commit, diskError, made, opened, populate, profits, rightViews, spoilPages, sql, update
from .keys import A, again, loseViews, use


@pytest.fixture
def behind(folder: Path) -> Path:
    """A ledger that was closed, whose views lack the last entries: 5 used the key a for order 1."""
    with opened(folder) as ledger:
        populate(ledger)
    old = (folder / "views.db").read_bytes()
    with opened(folder) as ledger:
        use(ledger, 1, A)
    loseViews(folder)
    (folder / "views.db").write_bytes(old)
    return folder


def opening(folder: Path) -> SqliteLedger:
    ledger = SqliteLedger(folder, queryS=0.01)
    ledger.open(NOW_MS)
    return ledger


def test_serves_while_behind(behind: Path, gate: Gate) -> None:
    """What the views lack at a start is in memory: a repeat is a replay and a change is made before they have it."""
    with gate.shut():
        ledger = opening(behind)
        assert sql(behind / "views.db", "SELECT seq FROM view") == [(4,)]
        assert isinstance(again(ledger, 2, A), Replay)
        assert commit(ledger, update(1, 250))[0].balance == 150
        assert commit(ledger, update(1, 260))[0].balance == 10
        found = ledger.trade(1)
        assert found is not None
        assert found[0].profit == 260
    ledger.close(None)
    rightViews(behind, [1], [260])


def test_far_behind(behind: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start waits for views that lack more than memory should hold, however long they take."""
    monkeypatch.setattr(viewedModule, "UNPROJECTED_MAX", 2)
    with ThreadPoolExecutor(1) as other:
        with gate.shut():
            start = other.submit(opening, behind)
            assert gate.waiting.wait(30)
            with pytest.raises(TimeoutError):
                start.result(0.1)
        ledger = start.result(30)
    assert isinstance(again(ledger, 2, A), Replay)
    ledger.close(None)


def test_far_behind_and_failing(
    behind: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, failures: list[LogEvent]
) -> None:
    """If views that lack much cannot be made, the start is refused, and says why."""
    monkeypatch.setattr(viewedModule, "UNPROJECTED_MAX", 2)
    gate.error, gate.fail = diskError("SQLITE_FULL"), 1_000_000
    with pytest.raises(LedgerRefused, match="disk I/O error"):
        opening(behind)
    gate.fail = 0
    failures.clear()
    # Nothing is left that holds the folder.
    rightViews(behind, [1], [100])


def test_seen_at_once(folder: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a turn folds in, page by page, is seen by others at its end and not before."""
    orders = made(folder, *range(1, 30))
    loseViews(folder)
    monkeypatch.setattr(following, "PAGE", 30)
    with gate.shut():
        ledger = opening(folder)
        for _ in range(2):
            assert gate.waiting.wait(30)
            gate.letOne()
        assert gate.waiting.wait(30)
        assert sql(folder / "views.db", "SELECT seq FROM view") == [(0,)]
    assert profits(ledger, *orders) == list(range(1, 30))
    ledger.close(None)
    assert verify(folder).differences == []


# -- damage -------------------------------------------------------------------------------------------


def test_torn_with_the_machine(folder: Path, logged: Logged) -> None:
    """If the machine failed while the views were written, all of them is looked through before anybody is served."""
    cents = list(range(1, 200))
    orders = made(folder, *cents)
    sql(folder / "views.db", "UPDATE view SET boot = 'before'")
    spoilPages(folder / "views.db")
    rightViews(folder, orders, cents)
    assert logged.has("cannot be used", "making it again from the log")


@pytest.mark.parametrize("boot", ["", f"{viewsModule._BOOT} me"])
def test_not_looked_through(folder: Path, monkeypatch: pytest.MonkeyPatch, boot: str) -> None:
    """Views that were closed, or whose daemon was killed on a machine that went on, are not read through at a start."""
    made(folder, 10)
    sql(folder / "views.db", f"UPDATE view SET boot = '{boot}'")
    checked = threading.Event()
    check = viewsModule.Views.check

    def checking(views: viewsModule.Views, *, thorough: bool = True) -> None:
        if thorough:
            checked.set()
        check(views, thorough=thorough)

    monkeypatch.setattr(viewsModule.Views, "check", checking)
    with opened(folder) as ledger:
        assert not checked.is_set()
        # Whoever meets damage has them looked through.
        ledger._projector.suspect(ledger._projector.made)
        assert checked.wait(30)


def test_at_rest(folder: Path) -> None:
    """While a ledger is open its views say in which run of the machine; once it is closed, that they are at rest."""
    with opened(folder) as ledger:
        populate(ledger)
        assert ledger.account(1001) is not None
        ((boot,),) = sql(folder / "views.db", "SELECT boot FROM view")
        assert boot.split()[0] == viewsModule._BOOT
    assert sql(folder / "views.db", "SELECT boot FROM view") == [("",)]


def test_late_in_ending(folder: Path) -> None:
    """Who ends while others write the views already does not lay them to rest."""
    made(folder, 10)
    with (
        closing(viewsModule.Views(folder / "views.db")) as late,
        closing(viewsModule.Views(folder / "views.db")) as next,
    ):
        late.begin()
        next.begin()
        late.rest()
        assert sql(folder / "views.db", "SELECT boot FROM view") != [("",)]
        next.rest()
        assert sql(folder / "views.db", "SELECT boot FROM view") == [("",)]


def test_damage_that_is_met_later(folder: Path, logged: Logged) -> None:
    """Damage that no start looks for is found by who reads it, gives no wrong answer, and is mended."""
    cents = list(range(1, 400))
    orders = made(folder, *cents)
    spoilPages(folder / "views.db")
    with opened(folder) as ledger:
        assert profits(ledger, *orders) == cents
    assert logged.has("making it again from the log")
    rightViews(folder, orders, cents)
