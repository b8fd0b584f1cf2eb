"""The views made by a process beside: whatever becomes of it, deposits and answers are as before."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from scalemgr.finance.settle import Replay
from scalemgr.interfaces import Progress
from scalemgr.ledger import process
from scalemgr.ledger.audit import verify
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.ledger.following import Files
from scalemgr.ledger.log import SqliteLog
from scalemgr.ledger.process import Line, ProcessProjector
from scalemgr.ledger.projecting import _Told
from scalemgr.ledger.settings import LedgerSettings
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.ledger.url import ledgerAt
from scalemgr.wire.errors import LedgerFailed

from .conftest import Logged
from .helpers import NOW_MS, commit, deposit, depositEach, eventually, made, opened, populate, profits, sql, update
from .keys import A, again, flush, use

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ledger(folder: Path) -> Iterator[SqliteLedger]:
    """A populated ledger whose views are made by a process; that they are right is seen in the end."""
    with opened(folder, follow=ProcessProjector) as ledger:
        populate(ledger)
        yield ledger
    audit = verify(folder)
    assert audit.differences == []
    assert sql(folder / "views.db", "SELECT seq FROM view") == [(audit.seq,)]


def beside(ledger: SqliteLedger) -> int:
    """The process that makes the views."""
    assert isinstance(ledger._projector, ProcessProjector)
    return ledger._projector.pid


def gone(pid: int) -> bool:
    """Has a process ended?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # One that has ended and whose parent has too may be kept by whoever is to collect it.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def until(pid: int) -> None:
    """Wait for the end of a process."""
    deadline = time.monotonic() + 30
    while not gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_daemons(folder: Path) -> None:
    """What a daemon opens has its views made by a process of their own."""
    ledger = ledgerAt(LedgerSettings(url=f"sqlite:{folder}"), folder)
    ledger.open(NOW_MS)
    assert isinstance(ledger, SqliteLedger)
    pid = beside(ledger)
    assert not gone(pid)
    ledger.close(None)
    until(pid)


def test_reads_what_was_written(ledger: SqliteLedger) -> None:
    """Who asks after a commit sees it, and a trade that the views have can be changed."""
    for cents in range(1, 30):
        (order,) = depositEach(ledger, cents)
        stored = ledger.account(1001)
        assert stored is not None
        assert stored.account == ledger.book.account(1001)
    flush(ledger)
    assert commit(ledger, update(order, 100))[0].balance == 71
    assert profits(ledger, order) == [100]


def test_repeats(ledger: SqliteLedger) -> None:
    """A key is found, in memory and in the views."""
    first = use(ledger, 1, A)
    assert again(ledger, 2, A) == Replay(first)
    flush(ledger)
    assert again(ledger, 3, A) == Replay(first)


def test_killed(ledger: SqliteLedger, logged: Logged) -> None:
    """If it is killed, deposits go on; what the views would say waits for another one, which does the rest."""
    (old,) = depositEach(ledger, 10)
    flush(ledger)
    assert (ledger.progress.reached, ledger.progress.restarts) == (ledger.book.seq, 0)
    killed = beside(ledger)
    os.kill(killed, signal.SIGKILL)
    until(killed)
    (new,) = depositEach(ledger, 20)
    assert ledger.book.accounts[1001].balance == 30
    account = ledger.account(1001)
    assert account is not None
    assert account.account.balance == 30
    assert profits(ledger, old, new) == [10, 20]
    assert beside(ledger) != killed
    assert ledger.progress == Progress(ledger.book.seq, "", 1)
    assert logged.has("the process that makes them has ended with status -9", "another is started")
    assert logged.has("is back")
    # It is not asked before it is there.
    assert not logged.has("cannot be read")


def test_killed_before_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger whose process is gone can be closed, and its views catch up when it is opened again."""
    monkeypatch.setattr(process, "_AGAIN_SECONDS", 600.0)
    with opened(folder, follow=ProcessProjector) as ledger:
        populate(ledger)
        os.kill(beside(ledger), signal.SIGKILL)
        (order,) = depositEach(ledger, 10)
    with opened(folder, follow=ProcessProjector) as ledger:
        assert profits(ledger, order) == [10]
    assert verify(folder).differences == []


def test_in_vain(folder: Path) -> None:
    """Who waits in vain for one that hangs does so for all who wait behind: they are told at once, until it goes on."""
    with opened(folder, follow=ProcessProjector, queryS=0.3) as ledger:
        populate(ledger)
        os.kill(beside(ledger), signal.SIGSTOP)
        try:
            depositEach(ledger, 10)
            waited: list[float] = []
            real = ledger._projector._state.wait_for

            def wait_for(predicate: Any, timeout: float) -> Any:
                waited.append(timeout)
                return real(predicate, timeout)

            ledger._projector._state.wait_for = wait_for  # type: ignore[method-assign]
            for _ in range(50):
                with pytest.raises(LedgerFailed, match="behind"):
                    ledger.account(1001)
            assert waited == [0.3] + [0] * 49
            del ledger._projector._state.wait_for
        finally:
            os.kill(beside(ledger), signal.SIGCONT)
        assert eventually(lambda: ledger.account(1001)) is not None


def test_begins_late(folder: Path, logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a start waits for one that hangs, it says so; and goes on when that does."""
    monkeypatch.setattr(process, "_LATE_SECONDS", 0.1)
    projector = ProcessProjector(Files(str(folder / "log.db"), str(folder / "views.db")))
    folder.mkdir()
    SqliteLog(folder / "log.db", nowMs=1).close()
    os.kill(projector.pid, signal.SIGSTOP)
    beginning = threading.Thread(target=projector.begin)
    beginning.start()
    late = time.monotonic() + 30
    while not logged.has("still waiting for the process that makes them"):
        assert time.monotonic() < late
        time.sleep(0.01)
    os.kill(projector.pid, signal.SIGCONT)
    beginning.join(30)
    assert not beginning.is_alive()
    projector.stop()


def test_held_up(ledger: SqliteLedger) -> None:
    """One that does not listen, however long, holds up nobody who commits, and misses nothing."""
    os.kill(beside(ledger), signal.SIGSTOP)
    orders = [depositEach(ledger, 1)[0] for _ in range(2000)]
    os.kill(beside(ledger), signal.SIGCONT)
    flush(ledger)
    assert profits(ledger, orders[-1]) == [1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals(ledger: SqliteLedger, number: signal.Signals) -> None:
    """What is sent to all processes of a service, or of a terminal, does not end it before the daemon has finished."""
    pid = beside(ledger)
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, number)
    depositEach(ledger, 10)
    flush(ledger)
    assert beside(ledger) == pid


def test_inherits_nothing(folder: Path, ledger: SqliteLedger) -> None:
    """It holds nothing of the daemon's open: no lock, no port, only its end of the line."""
    flush(ledger)
    open_ = {os.readlink(link) for link in Path(f"/proc/{beside(ledger)}/fd").iterdir()}
    assert str(folder / "lock") not in open_
    assert sum(target.startswith("socket:") for target in open_) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_daemon_killed(folder: Path, how: signal.Signals) -> None:
    """It ends when the daemon does, however that is; the next one has all that was committed."""
    command = [sys.executable, "-m", "tests.ledger.beside", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        pid = int(daemon.stdout.readline())
        daemon.send_signal(how)
        daemon.wait(30)
        # It may still be in its last turn.
        with opened(folder, follow=ProcessProjector) as ledger:
            assert profits(ledger, 1) == [10]
    until(pid)
    assert verify(folder).differences == []


def test_damaged_while_running(ledger: SqliteLedger, folder: Path, logged: Logged) -> None:
    """Views that are damaged are made again beside, the log of the daemon says so, and all questions are answered."""
    (old,) = depositEach(ledger, 10)
    flush(ledger)
    assert profits(ledger, old) == [10]
    sql(folder / "views.db", "DROP TABLE trade")
    (new,) = depositEach(ledger, 20)
    assert profits(ledger, old, new) == [10, 20]
    assert logged.has("views.db", "making it again from the log")


def test_replaced(ledger: SqliteLedger, folder: Path, logged: Logged) -> None:
    """Views that somebody has replaced are made again beside."""
    first = use(ledger, 1, A)
    flush(ledger)
    assert profits(ledger, 1) == [100]
    (folder / "other.db").write_bytes((folder / "views.db").read_bytes())
    (folder / "other.db").replace(folder / "views.db")
    assert eventually(lambda: ledger.keyed([A])) == {A: first}
    assert logged.has("cannot be read", "replaced")


def test_refused(folder: Path) -> None:
    """Where no views can be made, the ledger cannot be opened, and nothing is left of the attempt."""
    orders = made(folder, 10)
    (folder / "views.db").unlink()
    (folder / "views.db").mkdir()
    for _ in range(2):
        with (
            pytest.raises(LedgerRefused, match=r"views\.db cannot be used now"),
            opened(folder, follow=ProcessProjector),
        ):
            pass
    (folder / "views.db").rmdir()
    with opened(folder, follow=ProcessProjector) as ledger:
        assert profits(ledger, *orders) == [10]


def test_neverBegun(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where a start comes to nothing before the views are begun, their process ends as it should, and says nothing."""
    made(folder, 10)
    projector = ProcessProjector(Files(str(folder / "log.db"), str(folder / "views.db")))
    projector.stop()
    assert (projector._process.wait(), capfd.readouterr().err) == (0, "")


def test_no_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started the ledger is refused, and says why."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nonexistent")
        with (
            pytest.raises(LedgerRefused, match="process that makes the views"),
            opened(folder, follow=ProcessProjector),
        ):
            pass
    with opened(folder) as ledger:
        assert commit(populate(ledger), deposit(1))


def test_whatItLogs() -> None:
    """What the process says of a failure arrives whole enough: in one packet, the end of its traceback apart."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its:
        told = _Told(Line(its))
        told({"log_level": LogLevel.warn, "log_format": "a {what}", "what": "disk"})
        try:
            raise OSError("\u6f22" * 100_000 + " at last")
        except OSError:
            told({"log_level": LogLevel.critical, "log_format": "\u6f22" * 100_000, "log_failure": Failure()})
        line = Line(ours)
        assert line.hear() == ["log", "warn", "a disk", ""]
        kind, level, text, traceback = line.hear() or []
    assert (kind, level) == ("log", "critical")
    assert text.startswith("\u6f22" * 1000)
    assert traceback.endswith(" at last\n")
