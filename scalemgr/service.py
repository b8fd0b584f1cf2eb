"""The daemon as one service: what starts in which order, and what stops in which.

Starting: the doors, that of the site too, then the ledger, then the runtime. All of it happens before the reactor
serves anybody, so what fails stops the start with one sentence and a status that is not 0.

Stopping: the doors are shut; new work is refused with 503; what was taken is finished and answered; the
sessions are closed; the site, which could be asked until now, is closed; the ledger is let go.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
from tempfile import TemporaryDirectory
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from . import __version__
from .config import Settings
from .demo import EXAMPLE, provide
from .doors import Doors, StartFailed, shown
from .interfaces import ICommand
from .joining import Rooms
from .ledger.errors import LedgerRefused
from .ledger.url import folderOf, ledgerAt
from .runtime.clocks import WallClock
from .server.auth import Keys
from .server.discovery import Broken
from .server.protocol import LINGER_S
from .windows import Windows
from .wire.errors import LedgerFailed

__all__ = ["ManagerService", "StartFailed"]

_FILES_BESIDE_SESSIONS = 100


class ManagerService(Service):
    """
    scalemgr.

    @param reactor: given by C{tap.py}, and taken from nowhere else.
    @param keys: which tokens are believed; C{None} in a demo without a key.
    @param base: the folder that relative paths in the settings start from.
    """

    name = "scalemgr"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        commands: Iterable[ICommand],
        broken: Iterable[Broken],
        keys: Keys | None,
        base: Path,
        *,
        demo: bool = False,
    ) -> None:
        self._reactor = reactor
        self._clock = WallClock(reactor)
        self._settings = settings
        self._commands = list(commands)
        self._broken = list(broken)
        self._keys = keys
        self._base = base
        self._demo = demo
        self._doors = Doors(reactor, demo=demo)
        self._windows = Windows(reactor, demo=demo)

    # -- start ------------------------------------------------------------------------------------------

    def startService(self) -> None:
        settings = self._settings
        for broken in self._broken:
            self._log.failure(
                "the plugin module {module} cannot be imported, its commands are missing: {why}",
                broken.failure,
                module=broken.module,
                why=broken.failure.getErrorMessage(),
            )
        self._temporary = TemporaryDirectory(prefix="scalemgr-demo-") if settings.ledger == "demo:" else None
        url = settings.ledger if self._temporary is None else f"sqlite:{self._temporary.name}"
        nowMs = int(self._clock.seconds() * 1000)
        try:
            self._ledger = ledgerAt(url, self._base)
            self._rooms = Rooms(
                self._reactor, self._clock, settings, self._commands, self._ledger, self._keys, demo=self._demo
            )
            # Nobody is served before the reactor runs, but a port that is taken is found before the ledger is touched.
            self._doors.open(settings.listen, self._rooms.factory)
            if self._rooms.eyes is not None:
                self._windows.open(settings.web.listen, self._rooms.eyes)
            self._ledger.open(nowMs)
            if self._demo:
                provide(self._ledger, nowMs)
            firstOrder = self._ledger.reserveOrders(settings.orders.block)
        except BaseException as e:
            self._doors.abandon()
            self._windows.abandon()
            if isinstance(e, (LedgerRefused, LedgerFailed)):
                raise StartFailed(str(e)) from e
            raise
        self._raiseFileLimit()
        super().startService()
        rooms = self._rooms
        for thread in rooms.threads:
            thread.start()
        rooms.runtime.start(firstOrder)
        if rooms.forgetting is not None:
            rooms.forgetting.start()
        if rooms.eyes is not None:
            rooms.eyes.start()
        self._announce(url)

    def _raiseFileLimit(self) -> None:
        """Each session is an open file, and the system's usual limit is far below what is configured."""
        wanted = self._settings.limits.sessions + _FILES_BESIDE_SESSIONS
        soft, hard = getrlimit(RLIMIT_NOFILE)
        if soft != RLIM_INFINITY and soft < wanted:
            possible = wanted if hard == RLIM_INFINITY else min(wanted, hard)
            setrlimit(RLIMIT_NOFILE, (possible, hard))
            if possible < wanted:
                self._log.warn(
                    "the system allows {possible} open files, limits.sessions needs {wanted}: "
                    "raise the one (ulimit -n, LimitNOFILE=) or lower the other",
                    possible=possible,
                    wanted=wanted,
                )

    def _announce(self, url: str) -> None:
        if url.startswith("sqlite:"):
            url = f"in {folderOf(url, self._base).absolute()}"
        count = len(self._commands)
        self._log.info("scalemgr {version}: ledger {url}, {count} commands", version=__version__, url=url, count=count)
        self._log.info("the log is {epoch} and has {seq} entries", epoch=self._ledger.epoch, seq=self._ledger.book.seq)
        if self._demo:
            self._log.warn("DEMO: anybody on this machine is a manager of this ledger")
        for url in self._windows.urls():
            self._log.info("console at {url}", url=url)
        for address in self._doors.addresses():
            self._log.info("listening on {address}", address=shown(address))
            if self._demo and isinstance(address, (IPv4Address, IPv6Address)):
                line = shlex.quote(EXAMPLE)
                self._log.info(
                    "try it: printf '%s\\r\\n' {line} | nc {host} {port}",
                    line=line,
                    host=address.host,
                    port=address.port,
                )

    # -- stop -------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        self._log.info("stopping: no new work is taken")
        rooms = self._rooms
        await self._doors.close()
        rooms.dispatcher.stopping = True
        if rooms.forgetting is not None:
            rooms.forgetting.stop()
        patience = self._settings.drain_seconds
        nextOrder = None
        try:
            nextOrder = await rooms.runtime.stop().addTimeout(patience, self._reactor)
        except DeferredTimeout:
            self._log.critical(
                "what was taken is not finished after {seconds:g} s; going on without it",
                seconds=patience,
            )
        if rooms.factory.sessions():
            self._log.info(
                "closing {count} sessions, which have {seconds:g} s to read their last lines",
                count=rooms.factory.sessions(),
                seconds=LINGER_S,
            )
        finished = rooms.factory.finish()
        hurry = self._reactor.callLater(patience, rooms.factory.cutOff)
        await finished
        if hurry.active():
            hurry.cancel()
        await self._windows.close()
        if rooms.eyes is not None:
            await rooms.eyes.stop()
        rooms.waiters.stop()
        for thread in rooms.threads[:-1]:
            # A session that went away may have left a question behind; it ends before the ledger does.
            thread.stop()
        await rooms.inLedger(self._ledger.close, nextOrder)
        rooms.inLedger.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
        self._log.info("stopped at entry {seq}", seq=self._ledger.book.seq)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop()).addErrback(self._stopFailed)

    def _stopFailed(self, failure: Failure) -> None:
        self._log.failure("stopping failed", failure)

    # -- for tests --------------------------------------------------------------------------------------

    def addresses(self) -> list[IAddress]:
        """Where it listens."""
        return self._doors.addresses()

    def webAddresses(self) -> list[IAddress]:
        """Where its site listens."""
        return self._windows.addresses()

    def sessions(self) -> int:
        """How many there are."""
        return self._rooms.factory.sessions()
