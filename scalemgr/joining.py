"""How the rooms are joined: what each is given, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from .config import Settings
from .demo import ANONYMOUS
from .finance.money import Currencies
from .finance.questions import Bounds
from .interfaces import ICommand, ILedger
from .runtime.eventlog import EventLog
from .runtime.forgetting import Forgetting
from .runtime.mainloop import TradingRuntime
from .runtime.orders import InThread
from .runtime.ownthread import OwnThread
from .runtime.waiters import TimeoutBounds, Waiters
from .server.auth import Authenticator, Keys
from .server.context import House
from .server.dispatch import Dispatcher
from .server.factory import ManagerFactory
from .server.limits import Bounded, Lanes, SessionLimits
from .server.outbox import Outbox
from .web.counting import Counting
from .web.disk import Disk
from .web.eyes import Eyes
from .web.seen import Seen

__all__ = ["Rooms"]


class Rooms:
    """
    All that a daemon is made of, between the ledger and the doors.

    @ivar threads: those to start and, in this order, to stop; the last is the ledger's.
    @ivar inLedger: runs the ledger's methods in its thread.
    @ivar forgetting: C{None} if keys are kept for ever.
    @ivar eyes: what an operator looks with; C{None} if nobody is to look.
    """

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
    ) -> None:
        self._reactor = reactor
        limits = settings.limits
        # The ledger's own thread; one for short questions; one for replays; two for the rest that blocks; and two for
        # tables and statements, which may take long: nothing that a commit or a time-out waits for is behind them.
        self.inLedger, reader, inReplay = (OwnThread(reactor, name) for name in ("ledger", "reader", "replay"))
        helpers, queriers = ThreadPool(0, 2, "helper"), ThreadPool(0, 2, "query")
        # The ledger's is the last to be stopped.
        self.threads: list[OwnThread | ThreadPool] = [reader, inReplay, helpers, queriers, self.inLedger]
        queries = Lanes(self._inPool(queriers), settings.queries.waiting)
        inReader, inHelper = Bounded(reader, limits.questions), Bounded(self._inPool(helpers), limits.jobs)
        events = EventLog(ledger, inReplay)
        sync = settings.sync
        bounds = TimeoutBounds(sync.timeout_ms, sync.timeout_ms_min, sync.timeout_ms_max)
        self.waiters = waiters = Waiters(reactor, bounds, limits.waiters)
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
        auth = Authenticator(clock, keys, ANONYMOUS if demo else None)
        # What nobody looks at is not counted.
        counting = Counting(reactor.seconds) if settings.web.listen else None
        self.dispatcher = Dispatcher(commands, house, auth, counting)
        self.factory = ManagerFactory(
            clock,
            self.dispatcher,
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
        self.eyes: Eyes | None = None
        if counting is not None:
            disk = Disk(clock, reactor, ledger, inHelper)
            seen = Seen(reactor, house, self.dispatcher, auth, self.factory, counting, disk)
            self.eyes = Eyes(seen, settings.access.bad_tokens)

    def _inPool(self, pool: ThreadPool) -> InThread:
        def call(f: Callable[..., Any], *args: Any) -> Deferred[Any]:
            return deferToThreadPool(self._reactor, pool, f, *args)

        return call
