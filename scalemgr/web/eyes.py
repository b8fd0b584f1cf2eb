"""How the web room is joined: what looks at the house, and the site that shows it."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from .guard import Guard
from .health import Health
from .history import History, Now
from .metrics import Metrics
from .resources import Front, Live, MetricsPage, Ready, StatusPage
from .seen import Seen
from .site import WebSite
from .status import Status

__all__ = ["Eyes"]


class Eyes:
    """
    All that looks.

    @ivar guard: tells who asks.
    @ivar site: what is served.
    """

    _log = Logger()

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self.guard = Guard(seen.auth, seen.factory.sparing)
        self.health = Health(seen)
        self.history = History(seen.house.clock, seen.timer, self._now)
        self.status = Status(seen, self.health, self.history)
        self.metrics = Metrics(seen)
        front = Front()
        front.putChild(b"livez", Live())
        front.putChild(b"readyz", Ready(self.health, self.guard))
        front.putChild(b"metrics", MetricsPage(self.metrics, self.guard))
        front.putChild(b"status", StatusPage(self.status, self.guard))
        self.site = WebSite(front, self.guard, seen.timer, seen.factory.gate)

    def start(self) -> None:
        """Look, from now on: the ledger is open."""
        self._seen.disk.start()
        self.history.start()

    def stop(self) -> Deferred[None]:
        """Look no more, and end all connections. Fires when they are gone."""
        self._seen.disk.stop()
        self.history.stop()
        return self.site.finish()

    def _now(self) -> Now:
        house, counting = self._seen.house, self._seen.counting
        seq = house.ledger.book.seq
        return Now(
            counting.answers,
            counting.failed,
            sum(counting.timeouts.values()),
            seq,
            counting.latencies(),
            len(house.waiters),
            house.waiters.oldestAge(),
            house.runtime.queued,
            self._seen.factory.sessions(),
            max(0, seq - house.ledger.progress.reached),
        )
