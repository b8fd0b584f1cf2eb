"""What is done to the daemons while the clients move money."""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from msgspec import Struct

from .daemon import Daemon

__all__ = ["Havoc", "Plan"]


class Plan(Struct, frozen=True):
    """
    How much of it. What a ledger does not have is not done to it.

    @ivar kills: of a daemon. C{terms} and C{stops} likewise.
    @ivar stopS: how long it is stopped each time, in seconds.
    @ivar holds: of what a commit needs, by somebody else.
    @ivar crashes: of the ledger's own server, in an orderly way; C{serverKills}: in no order.
    @ivar stalls: all of the server stands still.
    @ivar cuts: everybody's connection to the server is cut.
    @ivar crowds: the server takes no more connections.
    @ivar cancels: what the server is at is cancelled, again and again.
    @ivar failOvers: the server is gone for good, and its standby takes its place.
    @ivar seconds: after so many, nothing more is begun.
    """

    kills: int
    terms: int = 0
    stops: int = 0
    fullDisks: int = 0
    holds: int = 0
    crashes: int = 0
    serverKills: int = 0
    stalls: int = 0
    cuts: int = 0
    crowds: int = 0
    cancels: int = 0
    failOvers: int = 0
    stopS: float = 7.0
    seconds: float = 3600.0

    @classmethod
    def around(cls, kills: int, seconds: float) -> Plan:
        """So many kills, and of the rest what goes with that."""
        some, few = 1 + kills // 20, 1 + kills // 25
        return cls(
            kills,
            terms=some,
            stops=min(2, 1 + kills // 100),
            fullDisks=few,
            holds=some,
            crashes=some,
            serverKills=some,
            stalls=few,
            cuts=some,
            crowds=few,
            cancels=some,
            failOvers=some,
            seconds=seconds,
        )


class Havoc(ABC):
    """
    Does it, to daemons that run; and when it is done they run.

    @ivar done: how often each thing was done, by its name.
    @raise DaemonFailed: from L{wreak}, if one ends otherwise than by what was done.
    """

    def __init__(self, daemons: Sequence[Daemon], random: Random) -> None:
        self.done: Counter[str] = Counter()
        self._daemons = daemons
        self._random = random

    def wreak(self, plan: Plan) -> None:
        """All of it, in a random order."""
        what: list[Callable[[], None]] = [self._kill] * plan.kills
        what += [self._terminate] * plan.terms
        what += [lambda: self._stop(plan.stopS)] * plan.stops
        what += self._strikes(plan)
        self._random.shuffle(what)
        until = time.monotonic() + plan.seconds
        for one in what:
            if time.monotonic() > until:
                break
            self._wait(0.05, 1)
            one()
            self._startAll()
        self._wait(0.5, 0.5)

    @abstractmethod
    def _strikes(self, plan: Plan) -> list[Callable[[], None]]:
        """What is done to the ledger. Each leaves it well again, and may leave daemons ended."""

    def _startAll(self) -> None:
        ended = [daemon for daemon in self._daemons if not daemon.alive()]
        for daemon in ended:
            daemon.spawn()
        for daemon in ended:
            daemon.started()

    def _wait(self, least: float, most: float) -> None:
        time.sleep(self._random.uniform(least, most))

    def _one(self) -> Daemon:
        return self._random.choice(self._daemons)

    def _kill(self) -> None:
        daemon = self._killNow()
        if self._random.random() < 0.1:
            # Again, in the middle of its start.
            daemon.spawn()
            self._wait(0.2, 0.8)
            self._killNow(daemon)
        for other in self._daemons:
            if other is not daemon and self._random.random() < 0.15:
                self._killNow(other)

    def _killNow(self, daemon: Daemon | None = None) -> Daemon:
        daemon = daemon or self._one()
        self.done["kills"] += 1
        daemon.end(signal.SIGKILL)
        return daemon

    def _terminate(self) -> None:
        self.done["sigterms"] += 1
        self._one().end(signal.SIGTERM)

    def _stop(self, seconds: float) -> None:
        self.done["stops"] += 1
        daemon = self._one()
        daemon.send(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            daemon.send(signal.SIGCONT)
