"""What a COMMIT that failed in its fsync leaves in the write-ahead log does not come back after a crash."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import pytest

from scalemgr.ledger.log import SqliteLog
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed

from .helpers import NOW_MS, BadDisk, commit, deposit, made, opened, populate, trades

FILES = ("log.db", "log.db-wal")


class Frames:
    """
    A ledger's folder at rest with two deposits to come, and the frames that the first of them adds to the log.

    @ivar orders: of those deposits.
    """

    def __init__(self, folder: Path, atRest: Path) -> None:
        with opened(folder) as ledger:
            populate(ledger)
            self.orders = [ledger.reserveOrders(1), ledger.reserveOrders(1)]
            crash(folder, atRest)
            commit(ledger, deposit(self.orders[0]))
            self._content = (folder / "log.db-wal").read_bytes()
        before = (atRest / "log.db-wal").read_bytes()
        assert self._content.startswith(before)
        assert len(self._content) > len(before)

    def leave(self, folder: Path) -> None:
        """Put them into the file, whole, though no connection knows of them."""
        (folder / "log.db-wal").write_bytes(self._content)


def crash(folder: Path, into: Path) -> None:
    """What of the log is there after a crash at this moment."""
    into.mkdir()
    for name in FILES:
        copyfile(folder / name, into / name)


def failedCommit(ledger: SqliteLedger, frames: Frames, folder: Path) -> None:
    """Commit the first deposit; the frames are written, and then the fsync fails."""
    disk = BadDisk(ledger)

    def happens() -> None:
        frames.leave(folder)
        disk.execute("ROLLBACK")

    disk.failAt("COMMIT", happens=happens)
    with pytest.raises(LedgerFailed) as failed:
        ledger.commit([deposit(frames.orders[0])], NOW_MS)
    assert failed.value.details["outcome"] == "void"


def ordersIn(folder: Path) -> list[int]:
    """Of the deposits in a ledger."""
    with opened(folder) as ledger:
        return [entry.order for entry in trades(ledger.entries(4, 10))]


def test_touch_writes(folder: Path) -> None:
    """What makes sure that a failed commit cannot come back writes to the file, each time."""
    made(folder, 100)
    log = SqliteLog(folder / "log.db")
    try:
        first = log.reserveOrders(1)
        seen = [(folder / "log.db-wal").read_bytes()]
        for _ in range(3):
            log.touch()
            seen.append((folder / "log.db-wal").read_bytes())
        assert len(set(seen)) == 4
        # It costs orders, and nothing else.
        assert log.reserveOrders(1) == first + 4
    finally:
        log.close()


@pytest.mark.parametrize("more", [False, True])
def test_void_stays_void(tmp_path: Path, more: bool) -> None:
    """A deposit that was said to be void is not there after a crash, though all of it had been written."""
    work, after = tmp_path / "work", tmp_path / "after"
    frames = Frames(tmp_path / "made", work)
    with opened(work) as ledger:
        failedCommit(ledger, frames, work)
        if more:
            commit(ledger, deposit(frames.orders[1]))
        crash(work, after)
    assert ordersIn(after) == ([frames.orders[1]] if more else [])
    assert ordersIn(work) == ordersIn(after)


def test_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the write that follows a failed commit it would come back: these tests would notice."""
    work, after = tmp_path / "work", tmp_path / "after"
    frames = Frames(tmp_path / "made", work)
    monkeypatch.setattr(SqliteLog, "touch", lambda log: None)
    with opened(work) as ledger:
        failedCommit(ledger, frames, work)
        crash(work, after)
    assert ordersIn(after) == [frames.orders[0]]
