"""How the web room is joined: what looks at the house, and the site that shows it."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from .console import furnish
from .entry import Badges, Entry
from .guard import Guard
from .health import Health
from .history import History, Now
from .metrics import Metrics
from .resources import Front, Live, MetricsPage, Ready, StatusPage
from .seen import Seen
from .site import WebSite
from .status import Status
from .stream import Listeners

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
        badges = Badges(seen.house.clock, seen.auth)
        self.guard = Guard(seen.auth, seen.factory.sparing, badges)
        self.health = Health(seen)
        self.history = History(seen.house.clock, seen.timer, self._now)
        self.status = Status(seen, self.health, self.history)
        self.metrics = Metrics(seen, self.health)
        front = Front()
        front.putChild(b"livez", Live())
        front.putChild(b"readyz", Ready(self.health, self.guard))
        front.putChild(b"metrics", MetricsPage(self.metrics, self.guard))
        front.putChild(b"status", StatusPage(self.status, self.guard))
        self._listeners = Listeners(seen.timer, seen.house.events, self.guard, self.status, self.history)
        entry = Entry(seen.timer, seen.auth, badges, seen.factory)
        furnish(front, self.guard, self._listeners, entry, badges, seen.timer, seen.dispatcher)
        self.site = WebSite(front, self.guard, seen.timer, seen.factory.gate)

    def start(self) -> None:
        """Look, from now on: the ledger is open."""
        self._seen.disk.start()
        self.history.start()

    def stop(self) -> Deferred[None]:
        """Look no more, and end all connections. Fires when they are gone."""
        self._seen.disk.stop()
        self.history.stop()
        self._listeners.close()
        return self.site.finish()

    def _now(self) -> Now:
        house, counting = self._seen.house, self._seen.counting
        seq = house.ledger.book.seq
        return Now(
            counting.answers,
            counting.failed,
            sum(counting.timeouts.values()),
            seq,
            counting.waits(),
            counting.others(),
            len(house.waiters),
            house.waiters.oldestAge(),
            house.runtime.queued,
            self._seen.factory.sessions(),
            max(0, seq - house.ledger.progress.reached),
        )
