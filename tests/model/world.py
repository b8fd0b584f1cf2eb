"""A daemon, those who talk to it, and all that can happen to them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from scalemgr.finance.money import readAmount
from scalemgr.finance.records import Entry
from scalemgr.finance.requests import AddAccount, AskForMoney, MoveMoney
from scalemgr.wire.errors import Overloaded

from ..helpers import LIMITS, NOW_MS, SYSTEM, Daemon, Threads
from .caps import CAPS
from .client import Client
from .contents import Content
from .drawn import AWAITED, AWAITING, BEFORE, DISABLED
from .ledgers import Kept
from .model import Model
from .requests import Asked

#: Longer than any request waits, with a lookup after it.
LONG_S = 10.0

# Everything is small, so that its bounds are met.
_LIMITS = replace(LIMITS, bufferBytesMax=1500)


class World:
    """
    One daemon at a time on a ledger that lasts, its clients, and the model of it all.

    @ivar troubled: may a commit fail, or have failed since all was well?
    """

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.model = Model()
        self.clients: list[Client] = []
        self.troubled = False
        self._opened = 0
        self._start()
        self._furnish()
        self.observe()

    def _start(self, seconds: float = NOW_MS / 1000) -> None:
        self.daemon = Daemon(
            ledger=self.kept.ledger, limits=_LIMITS, waitersMax=8, queueMax=5, batchMax=2, orderBlock=6, caps=CAPS
        )
        self.kept.opened()
        # Time does not go back when a daemon begins again.
        self.daemon.clock.advance(seconds - self.daemon.clock.seconds())

    def _furnish(self) -> None:
        """See that there is something to do."""
        runtime = self.daemon.runtime
        for login, enable in (DISABLED, 0), (AWAITED, 1):
            submitted = runtime.submit(AddAccount(SYSTEM, login, "demo", enable, {"name": "Another"}, ""))
        for make, those in (MoveMoney, BEFORE), (AskForMoney, AWAITING):
            for cmd, login, amount in those:
                self.daemon.settle()
                assert isinstance(submitted.outcome, Entry)
                submitted = runtime.submit(make(SYSTEM, cmd, login, readAmount(amount), runtime.reserveOrder()))
        self.daemon.settle()

    @property
    def threads(self) -> dict[str, Threads]:
        """Those that can be held."""
        daemon = self.daemon
        return {"ledger": daemon.ledgerThread, "reader": daemon.readerThread, "replay": daemon.replayThread}

    # -- clients ----------------------------------------------------------------------------------------

    def connect(self, principal: str) -> Client:
        """Somebody comes."""
        client = Client(self.daemon, self.model, principal)
        self.clients.append(client)
        return client

    def disconnect(self, client: Client) -> None:
        """Somebody goes."""
        self.clients.remove(client)
        client.lose()

    def ask(
        self,
        client: Client,
        key: str | None,
        content: Content,
        sync: bool,
        *,
        byExtID: bool = True,
        timeoutMs: int | None = None,
    ) -> Asked | None:
        """Somebody asks for something, if it can be in its Sync form; C{None} if it cannot be sent."""
        scope = client.principal, key
        if client.stalled or (key is None and client.waits(scope)):
            return None
        if not content.ofMoney:
            sync, timeoutMs = False, None
        self.observe()
        until = self.daemon.clock.seconds() + (timeoutMs or 5000) / 1000
        asked = Asked(scope, content, sync, until, self.troubled)
        client.ask(asked, byExtID, timeoutMs)
        return asked

    def openAccounts(self, count: int) -> None:
        """The daemon itself opens accounts that nobody uses, if it can."""
        for _ in range(count):
            self._opened += 1
            opening = AddAccount(SYSTEM, 5000 + self._opened, "real-eu", 0, {"name": "Another"}, "")
            try:
                self.daemon.runtime.submit(opening)
            except Overloaded:
                return

    # -- time and trouble -------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Time passes, in steps that are no longer than a time-out's precision, and then what needs no time."""
        for _ in range(round(seconds / 0.05)):
            self.daemon.clock.advance(0.05)
            self.observe()
        self.settle()

    def settle(self) -> None:
        """Everything happens that needs no time."""
        self.daemon.settle()
        self.observe()

    def fail(self, fault: str) -> None:
        """Let the next commit fail. Who is answered from now on may hear of it."""
        self.troubled = True
        for attempts in self.model.attempts.values():
            for asked in attempts:
                asked.troubled = True
        self.kept.fail(fault)

    def letOne(self, thread: str) -> None:
        """One call that is held returns; the others stay held."""
        waiting = self.threads[thread]._waiting
        if waiting:
            waiting.popleft()()
            self.observe()

    def release(self, thread: str) -> None:
        """All calls return, and none is held from now on."""
        self.threads[thread].held = False
        while self.threads[thread].waiting():
            self.letOne(thread)

    def crash(self, views: str, last: str) -> None:
        """
        The daemon is killed, and another one begins on what is durable.

        @param last: what becomes of calls in the ledger's thread: they end C{before} it, or not at all.
        """
        self._loseAll()
        if last == "before":
            self.daemon.ledgerThread.release()
        self.kept.crash(views)
        self._start(self.daemon.clock.seconds())

    def restart(self) -> None:
        """The daemon is stopped, and another one begins."""
        self._loseAll()
        self._letGo()
        stopped: list[Any] = []
        self.daemon.runtime.stop().addBoth(stopped.append)
        self.wait(2.0)
        self.daemon.waiters.stop()
        assert len(stopped) == 1, "the runtime does not stop"
        self.kept.stop(stopped[0])
        self._start(self.daemon.clock.seconds())

    def _loseAll(self) -> None:
        while self.clients:
            self.disconnect(self.clients[-1])

    def _letGo(self) -> None:
        """Nothing is in anybody's way any more."""
        self.kept.heal()
        for client in self.clients:
            client.stall(False)
        for thread in self.threads:
            self.release(thread)

    def close(self) -> None:
        """Leave nothing behind."""
        self._loseAll()
        self.daemon.waiters.stop()
        self.kept.end()

    # -- what must be -----------------------------------------------------------------------------------

    def observe(self) -> None:
        """Hold the log, the book and every line that has come against the model."""
        self.model.learn(self.daemon.ledger.entries(len(self.model.entries), 1000))
        self.model.checkBook(self.daemon.ledger.book)
        for client in tuple(self.clients):
            client.read()
            client.checkLive()
            if client.cutOff:
                self.disconnect(client)

    def rest(self) -> None:
        """Let everything come to its end: everyone has an answer, and nothing is left over."""
        self._letGo()
        self.settle()
        until = self.daemon.clock.seconds() + LONG_S
        while self.daemon.clock.getDelayedCalls() and self.daemon.clock.seconds() < until:
            self.wait(0.05)
        self.troubled = False
        daemon = self.daemon
        for client in self.clients:
            client.checkRest()
        assert len(daemon.waiters) == 0, "somebody still waits"
        assert not daemon.runtime._queue, "something is still queued"
        assert not daemon.runtime._batch, "something is still being committed"
        assert not daemon.clock.getDelayedCalls(), "something is still to come"
        for name, thread in self.threads.items():
            assert not thread.waiting(), f"the {name} thread is still busy"
