"""The daemon as one service: what starts in which order, and what stops in which.

Starting: the doors, that of the site too, then the ledger, then the runtime. All of it happens before the reactor
serves anybody, so what fails stops the start with one sentence and a status that is not 0.

Running: on SIGHUP it reads its configuration again (L{scalemgr.daemon.reloading}).

Stopping: the doors are shut; new work is refused with 503; what was taken is finished and answered; the
sessions are closed; the site, which could be asked until now, is closed; the ledger is let go.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec.structs import replace
from twisted.application.service import IServiceCollection, Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IAddress
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from .. import __version__
from ..config import Settings
from ..demo import provide
from ..ledger.errors import LedgerRefused
from ..ledger.settings import LedgerSettings
from ..ledger.url import ledgerAt, shown
from ..runtime.clocks import WallClock
from ..server.auth import Keys
from ..server.discovery import Found
from ..server.leaving import LINGER_S
from ..wire.errors import LedgerFailed
from .activation import HandedOver
from .believing import Believing
from .doors import Doors, StartFailed
from .joining import Rooms
from .openfiles import raiseLimit
from .process import Process
from .reloading import Apply, IReloadable, Reloading
from .speakers import Speakers
from .systemd import Systemd, Watchdog
from .windows import Windows

__all__ = ["ManagerService", "StartFailed"]


class ManagerService(Service):
    """
    scalemgr.

    @param reactor: given by C{tap.py}, and taken from nowhere else.
    @param found: the commands, and the drop-ins that could not be imported.
    @param keys: which tokens are believed; C{None} in a demo without a key.
    @param base: the folder that relative paths in the settings start from.
    """

    name = "scalemgr"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        found: Found,
        keys: Keys | None,
        base: Path,
        *,
        demo: bool = False,
        process: Process = Process(),  # noqa: B008 - it is frozen
    ) -> None:
        self._reactor = reactor
        self._clock = WallClock(reactor)
        self._settings = settings
        self._found = found
        self._keys = keys
        self._base = base
        self._demo = demo
        self._process = process
        self._reloading: Reloading | None = None
        self.speakers = Speakers(self._clock, settings.tls, base)
        self._listening = HandedOver(reactor, process.handedOver)
        together = self._listening.sharing() if settings.access.reuse_port else self._listening
        self._doors = Doors(together, self.speakers, demo=demo)
        self._windows = Windows(self._listening, self.speakers, demo=demo)
        self._systemd = process.systemd or Systemd({}, 0, reactor.seconds)

    def setServiceParent(self, parent: IServiceCollection) -> None:
        if self._process.observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._process.observer)
        super().setServiceParent(parent)

    # -- start ------------------------------------------------------------------------------------------

    def startService(self) -> None:
        settings = self._settings
        self._tellBroken()
        kept = settings.ledger
        self._temporary = TemporaryDirectory(prefix="scalemgr-demo-") if kept.url == "demo:" else None
        if self._temporary is not None:
            kept = LedgerSettings(url=f"sqlite:{self._temporary.name}")
        where = shown(kept.url, self._base)
        self._systemd.status(f"opening the ledger {where}")
        try:
            firstOrder = self._open(kept)
        except BaseException as e:
            self._doors.abandon()
            self._windows.abandon()
            if isinstance(e, (LedgerRefused, LedgerFailed)):
                raise StartFailed(str(e)) from e
            raise
        raiseLimit(settings.limits.sessions)
        super().startService()
        rooms = self._rooms
        rooms.start(firstOrder)
        read, onHangUp = self._process.read, self._process.onHangUp
        if read is not None:
            self._reloading = Reloading(settings, read, self._changeable(), rooms.inHelpers)
            if onHangUp is not None:
                onHangUp(self.reload)
        self._announce(where)
        self._watchdog = Watchdog(self._reactor, self._systemd, rooms.runtime, self._status)
        # Before the reactor runs, nobody is answered.
        self._reactor.callWhenRunning(self._serving)

    def _serving(self) -> None:
        self._systemd.ready(self._status())
        self._watchdog.start()

    def _status(self) -> str:
        """What the daemon is at, for who looks at the service."""
        return f"serving {self._rooms.factory.sessions()} sessions, the log has {self._ledger.book.seq} entries"

    def _open(self, kept: LedgerSettings) -> int:
        """Join the rooms, open the doors and the ledger; the first of the orders that were reserved in it."""
        settings, nowMs = self._settings, int(self._clock.seconds() * 1000)
        self._ledger = ledgerAt(kept, self._base)
        self._rooms = rooms = Rooms(
            self._reactor,
            self._clock,
            settings,
            self._found.commands,
            self._ledger,
            self._keys,
            demo=self._demo,
            certificateExpires=self.speakers.certificateExpires,
            watchers=self._process.watchers,
        )
        # Nobody is served before the reactor runs, but a port that is taken is found before the ledger is touched.
        allowPlain, proxies = settings.access.allow_plain, rooms.factory.proxies
        self._doors.open(settings.listen, rooms.factory, allowPlain=allowPlain, proxies=proxies)
        if rooms.eyes is not None:
            self._windows.open(settings, rooms.eyes)
        self._listening.checkClaimed()
        self.speakers.announce()
        self._ledger.open(nowMs)
        if self._demo:
            provide(self._ledger, nowMs)
        return self._ledger.reserveOrders(settings.orders.block)

    def _changeable(self) -> list[IReloadable]:
        """All that can have other settings from now on, in the order in which it gets them."""
        rooms = self._rooms
        believing = [] if self._keys is None else [Believing(self._keys, rooms.auth, rooms.factory, self._base)]
        return [*believing, rooms, self._doors, self._windows, self.speakers, self, *self._process.parts]

    def _tellBroken(self) -> None:
        for broken in self._found.broken:
            self._log.failure(
                "the plugin module {module} cannot be imported, its commands are missing: {why}",
                broken.failure,
                module=broken.module,
                why=broken.failure.getErrorMessage(),
            )

    def _announce(self, where: str) -> None:
        count = len(self._found.commands)
        self._log.info(
            "scalemgr {version}: ledger {where}, {count} commands", version=__version__, where=where, count=count
        )
        self._log.info("the log is {epoch} and has {seq} entries", epoch=self._ledger.epoch, seq=self._ledger.book.seq)
        if self._demo:
            self._log.warn("DEMO: anybody on this machine is a manager of this ledger")
        self._windows.announce(self._log)
        self._doors.announce(self._log)

    # -- other settings ---------------------------------------------------------------------------------

    def reload(self) -> Deferred[None]:
        """Read the configuration again; fires when that is over, however it ended. The log tells."""
        if self._reloading is None:
            return succeed(None)
        self._systemd.reloading()
        return self._reloading.reload().addCallback(self._reloaded)

    def _reloaded(self, _: None) -> None:
        if self.running:
            self._systemd.ready(self._status())

    def prepare(self, settings: Settings) -> Apply:
        """What the service itself goes by: C{IReloadable}."""

        def apply() -> None:
            self._settings = replace(self._settings, drain_seconds=settings.drain_seconds, limits=settings.limits)
            raiseLimit(settings.limits.sessions)

        return apply

    # -- stop -------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        self._log.info("stopping: no new work is taken")
        self._watchdog.stop()
        self._systemd.stopping("finishing what was taken")
        if self._reloading is not None:
            self._reloading.stop()
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
