"""Gateways that share a ledger on PostgreSQL, held against pgbench, which does a deposit a transaction there."""

from __future__ import annotations

from ..cluster import Gateways
from ..processes import BenchFailed
from ..stage import Stage

__all__ = ["cluster"]

_TOP = (50, 16)
# Of a commit: the keys; the lock and the tail of the log; the pages and the end. A test of the ledger holds it to that.
_ROUND_TRIPS = 3
_GIVEN = "statements"


def cluster(stage: Stage) -> None:
    """Deposits through one gateway and through two, on one server."""
    pgbench, seconds = stage.cluster.pgbench, max(1, round(stage.plan.seconds))
    stage.keep("cluster: PostgreSQL, three statements", "/s", pgbench.measure(_GIVEN, stage.plan.clients, seconds))
    stage.keep("cluster: PostgreSQL, one client", "µs", 1e6 / pgbench.rate(_GIVEN, 1, seconds))
    stage.notes["cluster: PostgreSQL, three statements"] = (
        f"pgbench was best with {pgbench.best[_GIVEN]} clients; nothing but the load generator is pinned"
    )
    with stage.cluster.gateways(1) as one:
        lone = stage.deposits(one.daemons[0], 1, 1)
        stage.keepLoad("cluster: one gateway, 1x1", lone)
        made = lone["total"] + _top(stage, one, "one gateway")
    _checkTold(one, made)
    with stage.cluster.gateways(2) as two:
        made = _top(stage, two, "two gateways")
    _checkTold(two, made)


def _top(stage: Stage, gateways: Gateways, name: str) -> int:
    """
    As much as they can, together.

    @return: the deposits that were made.
    """
    before = gateways.commits()
    connections, inFlight = _TOP
    loads = stage.generator.together(
        [daemon.port for daemon in gateways.daemons],
        "deposit",
        # A batch may have all that is under way: of so few there should be some.
        seconds=stage.plan.seconds * 3,
        warmup=stage.plan.warmup,
        connections=connections,
        in_flight=inFlight,
        # They take each other's: one key has signed them.
        token=gateways.daemons[0].token,
    )
    for daemon in gateways.daemons:
        daemon.settle()
    made: int = sum(load["total"] for load in loads)
    figure = f"cluster: {name}, {connections}x{inFlight}" + " each" * (len(loads) > 1)
    stage.keep(figure, "/s", sum(load["rate"] for load in loads))
    for time in ("p50", "p99"):
        stage.keep(f"{figure}, {time}", "µs", max(load[time] for load in loads))
    commits = gateways.commits() - before
    stage.keep(f"cluster: {name}, requests a round trip", "", made / commits / _ROUND_TRIPS)
    return made


def _checkTold(gateways: Gateways, made: int) -> None:
    """Each gateway tells everybody of everything, whoever has booked it."""
    for number, daemon in enumerate(gateways.daemons, 1):
        # The trade, and what is then on the account.
        if daemon.told["events"] < 2 * made:
            raise BenchFailed(f"{made} deposits came to {daemon.told['events']} events only at gateway {number}")
