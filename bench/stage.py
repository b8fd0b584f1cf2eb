"""What all parts of a run share: how long and how big, where, and what they found."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cluster import Cluster
from .daemon import Daemon, House
from .loads import Generator, Load
from .machine import Cores
from .postgres import Postgres
from .processes import BenchFailed, python, start, stop

__all__ = ["ACCOUNTS", "DEFAULT", "FULL", "SHAPES", "Figure", "Plan", "Stage"]

#: The accounts of a ledger that is not big.
ACCOUNTS = 10_000
#: How a deposit comes: connections, and requests that each has in flight.
SHAPES = ((1, 1), (50, 1), (1000, 1), (50, 16))

# How long it may take to make one.
_PREPARE_S = 1800.0


@dataclass(frozen=True)
class Plan:
    """
    How much is measured.

    @ivar seconds: of a load; before it counts, it runs for C{warmup}.
    @ivar bigTrades: the past of a ledger that is big, which has C{bigAccounts}.
    @ivar alone: the deposits straight into the ledger.
    @ivar burst: seconds of the load that C{sustained} ones are held against.
    @ivar slope: the deposits over which memory must not grow; 0: too few to tell, for caches are being filled.
    @ivar clients: the client counts that pgbench tries.
    """

    name: str
    rounds: int
    seconds: float
    warmup: float
    bigTrades: int
    bigAccounts: int
    alone: int
    burst: float
    sustained: float
    slope: int
    clients: tuple[int, ...]


#: About two minutes. What takes long is in a short form here.
DEFAULT = Plan("short", 3, 0.8, 0.2, 40_000, 20_000, 20_000, 1.5, 6.0, 0, (8, 16, 32, 64))
#: As the goals have it.
FULL = Plan("full", 5, 2.0, 0.5, 1_000_000, 100_000, 100_000, 5.0, 60.0, 1_000_000, (4, 8, 16, 32, 64, 96))


@dataclass
class Figure:
    """What was measured, once a round."""

    unit: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle of what was found."""
        return statistics.median(self.values)


class Stage:
    """
    One run.

    @param scratch: a folder that is removed afterwards.
    @ivar figures: what was found, by name, in the order in which it was found first.
    @ivar notes: what has to be known of a figure, by what it is about.
    """

    def __init__(self, plan: Plan, scratch: Path) -> None:
        self.plan = plan
        self.scratch = scratch
        self.cores = Cores()
        self.generator = Generator(scratch, self.cores.generator)
        self.figures: dict[str, Figure] = {}
        self.notes: dict[str, str] = {}
        self._house: House | None = None
        self._postgres: Postgres | None = None
        self._cluster: Cluster | None = None
        self._ledgers: dict[tuple[int, int], Path] = {}
        self._open = ExitStack()

    def close(self) -> None:
        """Let go of what was kept from round to round."""
        self._open.close()

    def keep(self, name: str, unit: str, value: float) -> None:
        """Something was measured."""
        self.figures.setdefault(name, Figure(unit)).values.append(value)

    def latest(self, name: str, otherwise: float) -> float:
        """What was last found, if it was looked for."""
        return self.figures[name].values[-1] if name in self.figures else otherwise

    def keepLoad(self, name: str, load: Load) -> None:
        """A load was measured: how many a second, and how long each took."""
        self.keep(name, "/s", load["rate"])
        self.keep(f"{name}, p50", "µs", load["p50"])
        self.keep(f"{name}, p99", "µs", load["p99"])

    def load(self, port: int, kind: str = "deposit", **options: Any) -> Load:
        """A load of the usual length."""
        return self.generator.run(port, kind, **{"seconds": self.plan.seconds, "warmup": self.plan.warmup, **options})

    def ledger(self, accounts: int = ACCOUNTS, trades: int = 0) -> Path:
        """A ledger to copy, made once a run."""
        wanted = (accounts, trades)
        if wanted not in self._ledgers:
            folder = self.scratch / f"ledger-{accounts}-{trades}"
            words = [str(folder), "--prepare", "--accounts", str(accounts), "--count", str(trades)]
            process = start(python("-m", "bench.ledgers", *words), None, stdin=subprocess.DEVNULL)
            try:
                process.wait(_PREPARE_S)
            finally:
                stop(process)
            if process.returncode:
                raise BenchFailed("a ledger could not be made")
            self._ledgers[wanted] = folder
        return self._ledgers[wanted]

    @contextmanager
    def daemon(self, ledger: Path | None = None, config: str = "", *, subscriber: bool = True) -> Iterator[Daemon]:
        """A daemon on a copy of a ledger, and somebody who gets every event and checks that none is out of order."""
        if self._house is None:
            self._house = House(self.scratch, self.cores.server)
        with self._house.daemon(ledger or self.ledger(), config) as daemon:
            if not subscriber:
                yield daemon
                return
            with self.generator.beside(daemon.port, "subscribe", token=daemon.token) as daemon.told:
                yield daemon

    def deposits(self, daemon: Daemon, connections: int, inFlight: int, **options: Any) -> Load:
        """Deposits, and then a wait until nothing of them is left to do."""
        kind = options.pop("kind", "deposit")
        load = self.load(daemon.port, kind, connections=connections, in_flight=inFlight, token=daemon.token, **options)
        daemon.settle()
        return load

    @property
    def cluster(self) -> Cluster:
        """A PostgreSQL server of our own, for the run."""
        if self._cluster is None:
            self._cluster = Cluster(self.scratch, self.generator, ACCOUNTS)
            self._open.enter_context(self._cluster.serving())
        return self._cluster

    @property
    def postgres(self) -> Postgres:
        """A database, for the run."""
        if self._postgres is None:
            self._postgres = Postgres(self.scratch, self.cores.generator)
            self._open.enter_context(self._postgres.database())
        return self._postgres
