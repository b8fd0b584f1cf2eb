"""How the rooms are joined: what each is given, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from ..config import Settings, capsOf
from ..demo import ANONYMOUS
from ..finance.money import Currencies
from ..finance.questions import Bounds
from ..interfaces import ICommand, ILedger, IWatcher, Told
from ..runtime.eventlog import EventLog
from ..runtime.forgetting import Forgetting
from ..runtime.mainloop import TradingRuntime
from ..runtime.orders import InThread
from ..runtime.ownthread import OwnThread
from ..runtime.waiters import TimeoutBounds, Waiters
from ..runtime.waking import Waker
from ..server.auth import Authenticator, Keys
from ..server.bearers import Bearers
from ..server.context import House
from ..server.dispatch import Dispatcher
from ..server.factory import ManagerFactory
from ..server.gate import Gate, GateRules, networks
from ..server.limits import Bounded, Lanes, SessionLimits
from ..server.outbox import Outbox
from ..server.rates import Rate, Rates
from ..server.sparing import Sparing
from ..web.counting import Counting
from ..web.disk import Disk
from ..web.eyes import Eyes
from ..web.seen import Seen, noCertificate
from .reloading import Apply

__all__ = ["Rooms", "Watchers"]


@implementer(IWatcher)
class Watchers:
    """
    Several, in turn.

    @param seconds: the time, of a clock that is never set.
    """

    def __init__(self, seconds: Callable[[], float], watchers: Iterable[IWatcher]) -> None:
        # An attribute, not a method: one call less for each request.
        self.seconds = seconds
        self._watchers = tuple(watchers)

    def told(self, told: Told) -> None:
        for watcher in self._watchers:
            watcher.told(told)


class Rooms:
    """
    All that a daemon is made of, between the ledger and the doors.

    @param watchers: are told of each request that was answered.
    @param certificateExpires: when the certificate of the doors ends, in unix seconds; C{None}: there is none.
    @ivar threads: those to start and, in this order, to stop; the last is the ledger's.
    @ivar inLedger: runs the ledger's methods in its thread.
    @ivar inHelpers: runs anything else that blocks, as much of it as there is.
    @ivar gate: lets connections in.
    @ivar rates: how often a caller may ask.
    @ivar forgetting: C{None} if keys are kept for ever.
    @ivar eyes: what an operator looks with; C{None} if nobody is to look.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        clock: IReactorTime,
        settings: Settings,
        commands: Iterable[ICommand],
        ledger: ILedger,
        keys: Keys | None,
        *,
        demo: bool,
        watchers: Iterable[IWatcher] = (),
        certificateExpires: Callable[[], float | None] = noCertificate,
    ) -> None:
        self._reactor = reactor
        self._ledger = ledger
        self._isEnding = False
        limits = settings.limits
        # The ledger's own thread; one for short questions; one for replays; two for the rest that blocks; and two for
        # tables and statements, which may take long: nothing that a commit or a time-out waits for is behind them.
        self.inLedger, reader, inReplay = (OwnThread(reactor, name) for name in ("ledger", "reader", "replay"))
        helpers, queriers = ThreadPool(0, 2, "helper"), ThreadPool(0, 2, "query")
        # The ledger's is the last to be stopped.
        self.threads: list[OwnThread | ThreadPool] = [reader, inReplay, helpers, queriers, self.inLedger]
        self._queries = queries = Lanes(self._inPool(queriers), settings.queries.waiting)
        self.inHelpers = self._inPool(helpers)
        self._inReader, self._inHelper = Bounded(reader, limits.questions), Bounded(self.inHelpers, limits.jobs)
        inReader = self._inReader
        events = EventLog(ledger, inReplay)
        self.waiters = waiters = Waiters(reactor, _timeouts(settings), limits.waiters)
        outbox = Outbox()
        self.runtime = TradingRuntime(
            clock,
            ledger,
            self.inLedger,
            inReader,
            waiters,
            events,
            queueMax=limits.queue,
            batchMax=limits.batch,
            orderBlock=settings.orders.block,
            gathering=outbox,
            steady=reactor.seconds,
        )
        keepDays = settings.idempotency.keep_days
        self.forgetting = Forgetting(clock, reactor, ledger, self.runtime, inReader, keepDays) if keepDays else None
        house = House(
            clock,
            ledger,
            self.runtime,
            waiters,
            events,
            inReader,
            queries,
            self._inHelper,
            Currencies(settings.currencies),
            settings.orders.strict,
            settings.idempotency.key == "explicit",
            _questions(settings),
            capsOf(settings),
        )
        self.auth = Authenticator(clock, keys, ANONYMOUS if demo else None)
        self.rates = Rates(reactor, *_rates(settings))
        self.gate = Gate(_gateRules(settings))
        # What nobody looks at is not counted.
        counting = Counting(reactor.seconds) if settings.web.listen else None
        watching = [*watchers, counting] if counting is not None else [*watchers]
        self.dispatcher = Dispatcher(commands, house, self.auth, Watchers(reactor.seconds, watching), self.rates)
        self.factory = ManagerFactory(
            clock,
            self.dispatcher,
            self.auth,
            events,
            waiters,
            _sessionLimits(settings),
            outbox,
            self.gate,
            Sparing(reactor),
            Bearers(settings.tls.clients),
        )
        self.eyes: Eyes | None = None
        if counting is not None:
            disk = Disk(clock, reactor, ledger, self._inHelper)
            self.eyes = Eyes(
                Seen(reactor, self.dispatcher, self.auth, self.factory, counting, disk, certificateExpires)
            )

    def start(self, firstOrder: int) -> None:
        """
        Begin; the ledger is open.

        @param firstOrder: the first of a block of orders that was reserved in it.
        """
        for thread in self.threads:
            thread.start()
        self.runtime.start(firstOrder)
        self._ledger.follow(Waker(self._reactor, self._called))
        if self.forgetting is not None:
            self.forgetting.start()
        if self.eyes is not None:
            self.eyes.start()

    def _called(self) -> None:
        """The ledger calls."""
        self.runtime.wake()
        if self._ledger.lost and not self._isEnding:
            self._isEnding = True
            self._log.critical("the daemon ends, for it must be started again: {why}", why=self._ledger.lost)
            try:
                self._reactor.stop()
            except ReactorNotRunning:
                # It ends already.
                pass

    def prepare(self, settings: Settings) -> Apply:
        """Let everything that has a bound have another one: C{IReloadable}."""
        limits, gateRules, rates = settings.limits, _gateRules(settings), _rates(settings)
        bearers = Bearers(settings.tls.clients)
        questions, caps = _questions(settings), capsOf(settings)

        def apply() -> str:
            self.gate.rules = gateRules
            self.rates.change(*rates)
            self.factory.limits = _sessionLimits(settings)
            self.factory.unread.bytesMax = limits.unread_bytes
            self.waiters.change(_timeouts(settings), limits.waiters)
            self.runtime.queueMax, self.runtime.batchMax = limits.queue, limits.batch
            self._inReader.callsMax, self._inHelper.callsMax = limits.questions, limits.jobs
            self._queries.callsMax = settings.queries.waiting
            self.dispatcher.house = replace(self.dispatcher.house, bounds=questions, caps=caps)
            doubted = self.factory.setBearers(bearers)
            return f"sessions whose certificates are nobody's now: {doubted}" if doubted else ""

        return apply

    def _inPool(self, pool: ThreadPool) -> InThread:
        def call(f: Callable[..., Any], *args: Any) -> Deferred[Any]:
            return deferToThreadPool(self._reactor, pool, f, *args)

        return call


def _sessionLimits(settings: Settings) -> SessionLimits:
    limits = settings.limits
    return SessionLimits(
        limits.line_bytes,
        limits.requests_in_flight,
        limits.sessions,
        limits.auth_seconds,
        settings.events.buffer_bytes,
        limits.unread_bytes,
        settings.access.bad_tokens,
    )


def _timeouts(settings: Settings) -> TimeoutBounds:
    sync = settings.sync
    return TimeoutBounds(sync.timeout_ms, sync.timeout_ms_min, sync.timeout_ms_max)


def _questions(settings: Settings) -> Bounds:
    queries = settings.queries
    # What no session could be sent need not be made.
    return Bounds(queries.rows, queries.seconds, min(queries.bytes, settings.events.buffer_bytes))


def _gateRules(settings: Settings) -> GateRules:
    access = settings.access
    return GateRules(networks(access.allow), access.connections_per_address, networks(access.proxies))


def _rates(settings: Settings) -> tuple[Rate, dict[str, Rate]]:
    """The rate of everybody, and by id those that are special."""
    access = settings.access
    special = {
        id: Rate(
            access.requests_per_second if of.requests_per_second is None else of.requests_per_second,
            access.burst if of.burst is None else of.burst,
        )
        for id, of in settings.principals.items()
    }
    return Rate(access.requests_per_second, access.burst), special
