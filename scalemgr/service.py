"""The daemon as one service: what starts in which order, and what stops in which.

Starting: the doors, then the ledger, then the runtime. All of it happens before the reactor serves anybody, so
what fails stops the start with one sentence and a status that is not 0.

Stopping: the doors are shut; new work is refused with 503; what was taken is finished and answered; the
sessions are closed; the ledger is let go.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
from tempfile import TemporaryDirectory
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from . import __version__
from .config import Settings
from .demo import ANONYMOUS, EXAMPLE, provide
from .finance.money import Currencies
from .finance.questions import Bounds
from .interfaces import ICommand, ILedger
from .ledger.errors import LedgerRefused
from .ledger.url import folderOf, ledgerAt
from .runtime.clocks import WallClock
from .runtime.eventlog import EventLog
from .runtime.forgetting import Forgetting
from .runtime.mainloop import TradingRuntime
from .runtime.orders import InThread
from .runtime.ownthread import OwnThread
from .runtime.waiters import TimeoutBounds, Waiters
from .server.auth import Authenticator, Keys
from .server.context import House
from .server.discovery import Broken
from .server.dispatch import Dispatcher
from .server.factory import ManagerFactory
from .server.limits import Bounded, Lanes, SessionLimits
from .server.outbox import Outbox
from .server.protocol import LINGER_S
from .wire.errors import LedgerFailed

__all__ = ["ManagerService", "StartFailed"]

_FILES_BESIDE_SESSIONS = 100


class StartFailed(Exception, SystemExit):
    """
    The daemon cannot start; the message says why, for the operator.

    A C{SystemExit}, so that it is printed without a traceback and the process ends with status 1; an
    C{Exception}, so that a C{twistd} that has put itself into the background still hears of it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(f"scalemgr: {message}")
        self.code = f"scalemgr: {message}"


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
        self._ports: list[IListeningPort] = []

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
            self._build(self._ledger)
            # Nobody is served before the reactor runs, but a port that is taken is found before the ledger is touched.
            self._listen()
            self._ledger.open(nowMs)
            if self._demo:
                provide(self._ledger, nowMs)
            firstOrder = self._ledger.reserveOrders(settings.orders.block)
        except BaseException as e:
            for port in self._ports:
                port.stopListening()
            if isinstance(e, (LedgerRefused, LedgerFailed)):
                raise StartFailed(str(e)) from e
            raise
        self._raiseFileLimit()
        super().startService()
        for thread in self._threads:
            thread.start()
        self._runtime.start(firstOrder)
        if self._forgetting is not None:
            self._forgetting.start()
        self._announce(url)

    def _build(self, ledger: ILedger) -> None:
        """Join the rooms."""
        settings, clock = self._settings, self._clock
        limits = settings.limits
        # The ledger's own thread; one for short questions; one for replays; two for the rest that blocks; and two for
        # tables and statements, which may take long: nothing that a commit or a time-out waits for is behind them.
        self._inLedger, reader, inReplay = (OwnThread(self._reactor, name) for name in ("ledger", "reader", "replay"))
        helpers, queriers = ThreadPool(0, 2, "helper"), ThreadPool(0, 2, "query")
        # The ledger's is the last to be stopped.
        self._threads: list[OwnThread | ThreadPool] = [reader, inReplay, helpers, queriers, self._inLedger]
        queries = Lanes(self._inPool(queriers), settings.queries.waiting)
        inReader, inHelper = Bounded(reader, limits.questions), Bounded(self._inPool(helpers), limits.jobs)
        events = EventLog(ledger, inReplay)
        sync = settings.sync
        bounds = TimeoutBounds(sync.timeout_ms, sync.timeout_ms_min, sync.timeout_ms_max)
        self._waiters = waiters = Waiters(self._reactor, bounds, limits.waiters)
        outbox = Outbox()
        self._runtime = TradingRuntime(
            clock,
            ledger,
            self._inLedger,
            inReader,
            waiters,
            events,
            queueMax=limits.queue,
            batchMax=limits.batch,
            orderBlock=settings.orders.block,
            gathering=outbox,
        )
        keepDays = settings.idempotency.keep_days
        self._forgetting = (
            Forgetting(clock, self._reactor, ledger, self._runtime, inReader, keepDays) if keepDays else None
        )
        house = House(
            clock,
            ledger,
            self._runtime,
            waiters,
            events,
            inReader,
            queries,
            inHelper,
            Currencies(settings.currencies),
            settings.orders.strict,
            settings.idempotency.key == "explicit",
            # What no session could be sent need not be made.
            Bounds(
                settings.queries.rows,
                settings.queries.seconds,
                min(settings.queries.bytes, settings.events.buffer_bytes),
            ),
        )
        auth = Authenticator(clock, self._keys, ANONYMOUS if self._demo else None)
        self._dispatcher = Dispatcher(self._commands, house, auth)
        self._factory = ManagerFactory(
            clock,
            self._dispatcher,
            auth,
            events,
            waiters,
            SessionLimits(
                limits.line_bytes,
                limits.requests_in_flight,
                limits.sessions,
                limits.auth_seconds,
                settings.events.buffer_bytes,
                limits.unread_bytes,
            ),
            outbox,
        )

    def _inPool(self, pool: ThreadPool) -> InThread:
        def call(f: Callable[..., Any], *args: Any) -> Deferred[Any]:
            return deferToThreadPool(self._reactor, pool, f, *args)

        return call

    def _listen(self) -> None:
        for description in self._settings.listen:
            try:
                listening = serverFromString(self._reactor, description).listen(self._factory)
            except Exception as e:
                raise StartFailed(f"cannot listen on {description!r}: {e}") from e
            outcome: list[Any] = []
            listening.addBoth(outcome.append)
            # Every endpoint that listens on this machine is ready at once, or never.
            (port,) = outcome
            if isinstance(port, Failure):
                raise StartFailed(f"cannot listen on {description!r}: {port.getErrorMessage()}")
            self._ports.append(port)
            if self._demo and not _isLocal(port.getHost()):
                raise StartFailed(f"a demo lets anybody in, so it cannot listen on {description!r}; use 127.0.0.1")

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
        for port in self._ports:
            address = port.getHost()
            self._log.info("listening on {address}", address=_shown(address))
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
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        self._dispatcher.stopping = True
        if self._forgetting is not None:
            self._forgetting.stop()
        patience = self._settings.drain_seconds
        nextOrder = None
        try:
            nextOrder = await self._runtime.stop().addTimeout(patience, self._reactor)
        except DeferredTimeout:
            self._log.critical(
                "what was taken is not finished after {seconds:g} s; going on without it",
                seconds=patience,
            )
        if self._factory.sessions():
            self._log.info(
                "closing {count} sessions, which have {seconds:g} s to read their last lines",
                count=self._factory.sessions(),
                seconds=LINGER_S,
            )
        finished = self._factory.finish()
        hurry = self._reactor.callLater(patience, self._factory.cutOff)
        await finished
        if hurry.active():
            hurry.cancel()
        self._waiters.stop()
        for thread in self._threads[:-1]:
            # A session that went away may have left a question behind; it ends before the ledger does.
            thread.stop()
        await self._inLedger(self._ledger.close, nextOrder)
        self._inLedger.stop()
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
        return [port.getHost() for port in self._ports]

    def sessions(self) -> int:
        """How many there are."""
        return self._factory.sessions()


def _isLocal(address: IAddress) -> bool:
    if isinstance(address, (IPv4Address, IPv6Address)):
        return ip_address(address.host).is_loopback
    return isinstance(address, UNIXAddress)


def _shown(address: IAddress) -> str:
    if isinstance(address, IPv6Address):
        return f"tcp [{address.host}]:{address.port}"
    if isinstance(address, IPv4Address):
        return f"tcp {address.host}:{address.port}"
    return str(address)
