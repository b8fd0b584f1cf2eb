"""All sessions of a daemon: who is admitted, and how they all end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from math import inf

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.logger import Logger

from ..runtime.eventlog import EventLog
from ..runtime.waiters import Waiters
from ..wire.codes import RetCode
from ..wire.errors import ManagerError, Overloaded, Refused
from .auth import Authenticator, Principal
from .bearers import Bearers
from .dispatch import Dispatcher
from .gate import Gate, hostOf
from .limits import SessionLimits, Unread
from .outbox import Outbox
from .protocol import ManagerProtocol
from .proxied import Proxies
from .seen import SessionSeen
from .sparing import Sparing

__all__ = ["ManagerFactory", "TurnedAway"]


class ManagerFactory(ServerFactory):
    """
    Makes sessions, and knows those that there are.

    @ivar limits: may be replaced at any time.
    @ivar refused: how many connections were not taken, by why: C{"sessions"}, there are too many; C{"network"}, nobody
        may come from there; C{"address"}, there are too many from there; C{"handshake"}, TLS came to nothing;
        C{"proxy"}, a proxy has not said of whom it is (L{Proxies}).
    @ivar slowReaders: how many sessions were cut off because they did not read.
    @ivar bearers: who those are that show a certificate.
    @ivar proxies: what comes through a proxy.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        dispatcher: Dispatcher,
        auth: Authenticator,
        events: EventLog,
        waiters: Waiters,
        limits: SessionLimits,
        outbox: Outbox | None = None,
        gate: Gate | None = None,
        sparing: Sparing | None = None,
        bearers: Bearers | None = None,
    ) -> None:
        """
        @param outbox: where what is said in one go gathers; C{None}: its own.
        @param gate: lets connections in; C{None}: all of them.
        @param bearers: who those are that show a certificate; C{None}: nobody.
        @param sparing: for what strangers do; C{None}: one by this factory's clock.
        """
        self.clock = clock
        self.dispatcher = dispatcher
        self.auth = auth
        self.events = events
        self.limits = limits
        self.outbox = Outbox() if outbox is None else outbox
        self.unread = Unread(limits.unreadBytesMax)
        self.gate = Gate() if gate is None else gate
        self.sparing = Sparing(clock) if sparing is None else sparing
        self.refused = {"sessions": 0, "network": 0, "address": 0, "handshake": 0, "proxy": 0}
        self.bearers = Bearers() if bearers is None else bearers
        self.proxies = Proxies(clock, self.gate, self.sparing, self._proxyRefused)
        self._waiters = waiters
        # A dict for its order: who came first is listed first.
        self._sessions: dict[ManagerProtocol, None] = {}
        self.slowReaders = 0
        self._numbered = 0
        self._finished: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        if not self.gate.isAllowed(addr):
            self.refused["network"] += 1
            more = self.sparing.more()
            if more is not None:
                self._log.info(
                    "a connection from {peer} is closed: [access] allow does not name it{more}",
                    peer=hostOf(addr),
                    more=more,
                )
            return TurnedAway()
        self._numbered += 1
        protocol = ManagerProtocol(self._numbered)
        protocol.factory = self
        return protocol

    def _proxyRefused(self) -> None:
        self.refused["proxy"] += 1

    def admit(self, session: ManagerProtocol) -> ManagerError | None:
        """Is there room for one more? If not, what it is told."""
        if len(self._sessions) >= self.limits.sessionsMax:
            self.refused["sessions"] += 1
            return Refused("too many sessions; try again later", RetCode.RET_USR_LIMIT_REACHED)
        if not self.gate.enter(session.peer):
            self.refused["address"] += 1
            more = self.sparing.more()
            if more is not None:
                self._log.info(
                    "a connection from {peer} is closed: it has {count} already{more}",
                    peer=hostOf(session.peer),
                    count=self.gate.rules.perAddress,
                    more=more,
                )
            return Overloaded("too many connections from your address; close one first")
        self._sessions[session] = None
        return None

    def dismiss(self, session: ManagerProtocol) -> None:
        """A session is gone: so are those who wait on its behalf, and nothing else."""
        if session in self._sessions:
            del self._sessions[session]
            self.gate.leave(session.peer)
        self._waiters.forget(session)
        self._allGone()

    def setBearers(self, bearers: Bearers) -> int:
        """
        From now on, those that show a certificate are these: also in the sessions that there are.

        @return: how many of those lost by it what their certificates gave them.
        """
        self.bearers = bearers
        return sum(session.recognize() for session in tuple(self._sessions))

    def reconsider(self, isBelieved: Callable[[Principal], bool]) -> int:
        """
        What is believed has changed: take from each session what it was given for what is not.

        @return: of how many.
        """
        doubted = [s for s in self._sessions if s.principal is not None and not isBelieved(s.principal)]
        for session in doubted:
            session.disbelieve()
        return len(doubted)

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

    def expires(self) -> float | None:
        """When the first of what its sessions stand on ends, token or certificate, in unix seconds; C{None}: never."""
        first = min((s.principal.expires for s in self._sessions if s.principal is not None), default=inf)
        return None if first == inf else first

    def seen(self, count: int) -> list[SessionSeen]:
        """Those that are there, at most so many, to look at."""
        return [session.seen() for session in islice(self._sessions, count)]


class TurnedAway(Protocol):
    """
    Somebody who may not come in, and is told nothing. (To make no protocol at all would do for a plain socket, but not
    for one inside TLS.)
    """

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]
