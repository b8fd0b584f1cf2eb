"""What systemd is told of the daemon, where it is systemd that runs it (C{Type=notify}).

- C{READY=1} when the ledger and the doors are open, and the reactor runs. Before that, and all the time, a C{STATUS=}
  for people: C{systemctl status} shows it.
- C{RELOADING=1} while the configuration is read again, C{STOPPING=1} from the moment on that no new work is taken.
- C{WATCHDOG=1}, twice as often as it is wanted (C{WatchdogSec=}), if C{mainLoop} has turned since. It is woken for that
  where it has nothing to do. So a reactor that hangs is found, and a loop that is dead; systemd starts the daemon again
  then. A commit that does not end counts as life: its disk is stuck, which another process would not change, and who
  waits is told by the time-outs, the operator by the log.

Each is one datagram to the socket that C{NOTIFY_SOCKET} names. Where there is none, nothing is said to nobody.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from ..runtime.mainloop import TradingRuntime

__all__ = ["Systemd", "Watchdog"]


# How long to wait for room among what systemd has yet to read, in seconds.
_PATIENCE_S = 1.0


class Systemd:
    """
    Tells it.

    @param environ: what the process was started with.
    @param pid: its number.
    @param monotonic: the system's clock that is never set, in seconds.
    @ivar watchdogSeconds: how long systemd waits for a sign of life; 0: it does not.
    """

    _log = Logger()

    def __init__(self, environ: Mapping[str, str], pid: int, monotonic: Callable[[], float]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            # In the namespace that is no file system's.
            self._address = "\0" + self._address[1:]
        self._monotonic = monotonic
        self._failing = False
        self.watchdogSeconds = 0.0
        usec = environ.get("WATCHDOG_USEC", "")
        if self._address and usec.isdecimal() and environ.get("WATCHDOG_PID", str(pid)) == str(pid):
            self.watchdogSeconds = int(usec) / 1_000_000

    def ready(self, status: str) -> None:
        """It serves."""
        self._say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """It reads its configuration again. Over when it is C{ready}."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={int(self._monotonic() * 1_000_000)}")

    def stopping(self, status: str) -> None:
        """It takes no new work."""
        self._say("STOPPING=1", f"STATUS={status}")

    def lives(self, status: str) -> None:
        """A sign of life."""
        # The next one comes soon enough.
        self._say("WATCHDOG=1", f"STATUS={status}", patience=0)

    def status(self, status: str) -> None:
        """What it is at."""
        self._say(f"STATUS={status}")

    def _say(self, *lines: str, patience: float = _PATIENCE_S) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                # One that has not listened is not waited for again: the reactor stands still meanwhile.
                end.settimeout(0 if self._failing else patience)
                end.connect(self._address)
                end.send("\n".join(line.replace("\n", " ") for line in lines).encode())
        except OSError as e:
            # Said once: the next time is the next sign of life.
            if not self._failing:
                self._log.error("systemd cannot be told {what}: {why}", what=lines[0], why=str(e))
            self._failing = True
        else:
            self._failing = False


class Watchdog:
    """
    Gives signs of life for as long as C{mainLoop} turns.

    @param status: what there is to say to people.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, systemd: Systemd, runtime: TradingRuntime, status: Callable[[], str]
    ) -> None:
        self._systemd = systemd
        self._runtime = runtime
        self._status = status
        self._turns = -1
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin, if systemd waits for any."""
        if self._systemd.watchdogSeconds:
            self._loop.start(self._systemd.watchdogSeconds / 2)

    def stop(self) -> None:
        """Enough. (systemd does not wait for any of a service that is stopping.)"""
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        runtime = self._runtime
        if runtime.turns != self._turns or runtime.isCommitting:
            self._systemd.lives(self._status())
        else:
            self._log.critical(
                "mainLoop has not turned for {seconds:g} s; systemd gets no sign of life, and will end this process",
                seconds=self._systemd.watchdogSeconds / 2,
            )
        self._turns = runtime.turns
        runtime.nudge()
