"""What systemd is told, and when; and the units that go with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from scalemgr.daemon.systemd import Systemd, Watchdog
from scalemgr.wire.errors import LedgerFailed

from ..helpers import Daemon, WatchedLedger

UNITS = Path(__file__).parent.parent.parent / "etc"


class Manager:
    """systemd's end."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[list[str]]:
        """What it was told since it was last asked, each time in lines."""
        said = []
        try:
            while True:
                said.append(self.socket.recv(65536).decode().split("\n"))
        except BlockingIOError:
            return said


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


@pytest.fixture
def systemd(manager: Manager) -> Systemd:
    """As a process with the number 7 has it that is watched for 10 seconds."""
    environ = {"NOTIFY_SOCKET": manager.socket.getsockname(), "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "7"}
    return Systemd(environ, 7, lambda: 3.25)


def test_what(systemd: Systemd, manager: Manager) -> None:
    """Each is one datagram, in systemd's words; what is for people goes with it, on one line."""
    systemd.status("opening\nREADY=1")
    systemd.ready("serving")
    systemd.reloading()
    systemd.lives("still")
    systemd.stopping("finishing")
    assert manager.heard() == [
        ["STATUS=opening READY=1"],
        ["READY=1", "STATUS=serving"],
        ["RELOADING=1", "MONOTONIC_USEC=3250000"],
        ["WATCHDOG=1", "STATUS=still"],
        ["STOPPING=1", "STATUS=finishing"],
    ]


def test_abstractSocket() -> None:
    """A socket that is in no file system is written with an @."""
    manager = Manager("\0scalemgr-test-" + str(id(object())))
    try:
        name = manager.socket.getsockname().decode()
        Systemd({"NOTIFY_SOCKET": "@" + name[1:]}, 7, lambda: 0.0).ready("serving")
        assert manager.heard() == [["READY=1", "STATUS=serving"]]
    finally:
        manager.socket.close()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "10000000"}, 0.0),
        ({"NOTIFY_SOCKET": "/x"}, 0.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "10000000"}, 10.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "7"}, 10.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "8"}, 0.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_whetherItIsWatched(environ: dict[str, str], seconds: float) -> None:
    """Signs of life are given if systemd waits for those of this process."""
    assert Systemd(environ, 7, lambda: 0.0).watchdogSeconds == seconds


def test_nobodyThere(tmp_path: Path) -> None:
    """Without systemd nothing is said. One that cannot be told is no reason to end, and is logged once until it can."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        Systemd({}, 7, lambda: 0.0).ready("serving")
        assert not events
        path = str(tmp_path / "notify")
        systemd = Systemd({"NOTIFY_SOCKET": path}, 7, lambda: 0.0)
        systemd.ready("serving")
        systemd.lives("serving")
        assert [event["what"] for event in events] == ["READY=1"]
        manager = Manager(path)
        systemd.lives("serving")
        manager.socket.close()
        systemd.lives("serving")
        assert [event["what"] for event in events] == ["READY=1", "WATCHDOG=1"]
    finally:
        globalLogPublisher.removeObserver(events.append)


def test_whoDoesNotListenIsWaitedForOnce(systemd: Systemd, manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemd that hangs, so that nothing more has room before it, is not waited for each time: everything else
    would stand still meanwhile. When it listens again it is told again, and waited for as before."""
    waits: list[float | None] = []

    class Timed(socket.socket):
        def settimeout(self, seconds: float | None) -> None:
            waits.append(seconds)
            super().settimeout(seconds)

    monkeypatch.setattr("scalemgr.daemon.systemd.socket.socket", Timed)
    while not systemd._failing:
        systemd.lives("still")
    systemd.reloading()
    systemd.ready("serving")
    assert set(waits) == {0}
    manager.heard()
    systemd.reloading()
    systemd.ready("serving")
    assert [said[0] for said in manager.heard()] == ["RELOADING=1", "READY=1"]
    assert waits[-2:] == [0, 1]


class Watched:
    """A daemon that is watched for 10 seconds."""

    def __init__(self, systemd: Systemd, manager: Manager) -> None:
        self.ledger = WatchedLedger()
        self.daemon = Daemon(ledger=self.ledger)
        self.manager = manager
        self.clock: Clock = self.daemon.clock
        self.watchdog = Watchdog(self.clock, systemd, self.daemon.runtime, lambda: "serving")
        self.watchdog.start()

    def signs(self, seconds: float) -> int:
        """How many signs of life there were in so many seconds, beside those before."""
        self.manager.heard()
        signs = 0
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)
            signs += [said[0] for said in self.manager.heard()].count("WATCHDOG=1")
        return signs


@pytest.fixture
def watched(systemd: Systemd, manager: Manager) -> Watched:
    return Watched(systemd, manager)


def test_lives(watched: Watched) -> None:
    """An idle daemon gives two signs of life in the time, and one that books gives no more."""
    assert watched.signs(100) == 20
    session = watched.daemon.staff()
    for n in range(100):
        session.deposit(f"d-{n}")
    assert watched.signs(100) == 20
    watched.watchdog.stop()
    assert watched.signs(100) == 0
    watched.watchdog.stop()


def test_failingLedger(watched: Watched) -> None:
    """A daemon whose ledger fails again and again lives: to start it again would mend nothing."""
    watched.ledger.failures = [LedgerFailed("disk", outcome="pending") for _ in range(1000)]
    session = watched.daemon.staff()
    session.deposit("d")
    assert watched.signs(100) == 20


def test_stuckLedger(watched: Watched) -> None:
    """A commit that does not end is a disk that is stuck, and no reason to be ended."""
    watched.daemon.ledgerThread.held = True
    watched.daemon.staff().deposit("d")
    assert watched.signs(100) == 20
    watched.daemon.ledgerThread.release()
    assert watched.signs(100) == 20


def test_deadLoop(watched: Watched) -> None:
    """If mainLoop turns no more, there is no sign of life, and a line says why the daemon will be ended."""
    assert watched.signs(10) == 2
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        watched.daemon.runtime._loop.stop()
        # The last that was seen of it, then nothing more.
        assert watched.signs(5) <= 1
        assert watched.signs(100) == 0
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert "mainLoop has not turned for {seconds:g} s" in events[0]["log_format"]


def test_lostWakeUp(watched: Watched) -> None:
    """Nor is there one if the loop waits for something that will not come."""
    assert watched.signs(1) == 0
    watched.daemon.runtime._idle = None
    assert watched.signs(5) <= 1
    assert watched.signs(100) == 0


@pytest.fixture
def analyze() -> Callable[..., subprocess.CompletedProcess[str]]:
    """systemd's own look at things, where there is one."""
    program = shutil.which("systemd-analyze")
    if program is None:
        assert "CI" not in os.environ, "CI is to have it"
        pytest.skip("there is no systemd-analyze here (Debian has it in systemd)")

    def look(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)

    return look


def test_unitsAreSound(tmp_path: Path, analyze: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """systemd finds nothing wrong with the units: no unknown setting, no program that is not there."""
    for name in ("scalemgr.service", "scalemgr.socket", "scalemgr@.service", "scalemgr@.socket"):
        text = (UNITS / name).read_text("utf-8")
        (tmp_path / name).write_text(text.replace("/opt/scalemgr/bin", str(Path(sys.executable).parent)))
    for name in ("scalemgr", "scalemgr@8081"):
        checked = analyze("verify", "--man=no", tmp_path / f"{name}.service", tmp_path / f"{name}.socket")
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.parametrize("unit", ["scalemgr.service", "scalemgr@.service"])
def test_daemonIsLockedUp(unit: str, analyze: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """By systemd's own count, which ends at 10.0, the daemon is exposed to no more than 1.5."""
    looked = analyze("security", "--offline=true", "--threshold=15", UNITS / unit)
    assert looked.returncode == 0, looked.stdout


#: What the units of one of several daemons say differently: what a daemon has for itself.
_OF_ITS_OWN = {
    "service": {
        *("Description", "Requires", "After", "ExecStart", "WorkingDirectory", "StateDirectory", "SyslogIdentifier"),
        "Also",
    },
    "socket": {"Description", "ReusePort"},
}


@pytest.mark.parametrize("kind", ["service", "socket"])
def test_oneOfSeveralIsLikeTheOnlyOne(kind: str) -> None:
    """The units of one of several daemons say what those of a single one do, but for what it has for itself."""
    lines = []
    for name in (f"scalemgr.{kind}", f"scalemgr@.{kind}"):
        text = (UNITS / name).read_text("utf-8").replace("\\\n", "")
        said = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
        assert any("%i" in line for line in said) == ("@" in name)
        lines.append([line for line in said if line.partition("=")[0] not in _OF_ITS_OWN[kind]])
    assert lines[0] == lines[1]
