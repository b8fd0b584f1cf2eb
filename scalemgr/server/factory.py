"""All sessions of a daemon: who is admitted, and how they all end."""

from __future__ import annotations

from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory

from ..runtime.eventlog import EventLog
from ..runtime.waiters import Waiters
from .auth import Authenticator
from .dispatch import Dispatcher
from .limits import SessionLimits, Unread
from .outbox import Outbox
from .protocol import ManagerProtocol, SessionSeen

__all__ = ["ManagerFactory"]


class ManagerFactory(ServerFactory):
    """
    Makes sessions, and knows those that there are.

    @ivar refused: how many connections were not taken, by why: C{"sessions"}, there are too many.
    @ivar slowReaders: how many sessions were cut off because they did not read.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        dispatcher: Dispatcher,
        auth: Authenticator,
        events: EventLog,
        waiters: Waiters,
        limits: SessionLimits,
        outbox: Outbox | None = None,
    ) -> None:
        """
        @param outbox: where what is said in one go gathers; C{None}: its own.
        """
        self.clock = clock
        self.dispatcher = dispatcher
        self.auth = auth
        self.events = events
        self.limits = limits
        self.outbox = Outbox() if outbox is None else outbox
        self.unread = Unread(limits.unreadBytesMax)
        self._waiters = waiters
        # A dict for its order: who came first is listed first.
        self._sessions: dict[ManagerProtocol, None] = {}
        self.refused = {"sessions": 0}
        self.slowReaders = 0
        self._numbered = 0
        self._finished: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> ManagerProtocol:  # type: ignore[override]
        self._numbered += 1
        protocol = ManagerProtocol(self._numbered)
        protocol.factory = self
        return protocol

    def admit(self, session: ManagerProtocol) -> bool:
        """Is there room for one more?"""
        if len(self._sessions) >= self.limits.sessionsMax:
            self.refused["sessions"] += 1
            return False
        self._sessions[session] = None
        return True

    def dismiss(self, session: ManagerProtocol) -> None:
        """A session is gone: so are those who wait on its behalf, and nothing else."""
        self._sessions.pop(session, None)
        self.unread.forget(session)
        self._waiters.forget(session)
        self._allGone()

    def finish(self) -> Deferred[None]:
        """Take nothing more from anybody; close each session when it has its answers. Fires when all are gone."""
        finished = self._finished = Deferred()
        for session in tuple(self._sessions):
            session.finish()
        self._allGone()
        return finished

    def cutOff(self) -> None:
        """End what sessions are left."""
        for session in tuple(self._sessions):
            session.cutOff()

    def _allGone(self) -> None:
        if self._finished is not None and not self._sessions:
            finished, self._finished = self._finished, None
            finished.callback(None)

    def sessions(self) -> int:
        """How many there are."""
        return len(self._sessions)

    def seen(self, count: int) -> list[SessionSeen]:
        """Those that are there, at most so many, to look at."""
        return [session.seen() for session in islice(self._sessions, count)]
