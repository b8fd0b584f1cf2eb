"""What one would use instead, doing the same."""

from __future__ import annotations

from ..redis import serving
from ..stage import Stage

__all__ = ["postgres", "redis"]

# Calls to Redis in a second, about, so that a load takes about as long as the others.
_CALLS = ((64, 1, 20_000), (50, 16, 60_000))


def postgres(stage: Stage) -> None:
    """One transaction a deposit, in three statements and in one."""
    seconds = max(1, round(stage.plan.seconds))
    for script, name in (("statements", "three statements"), ("cte", "one CTE")):
        rate = stage.postgres.measure(script, stage.plan.clients, seconds)
        stage.keep(f"PostgreSQL, {name}", "/s", rate)
        stage.notes[f"PostgreSQL, {name}"] = (
            f"pgbench was best with {stage.postgres.best[script]} clients; the server, there before, is not pinned"
        )


def redis(stage: Stage) -> None:
    """C{appendfsync always}, one Lua call a deposit."""
    with serving(stage.scratch, stage.cores.server, stage.cores.generator) as server:
        for clients, inFlight, calls in _CALLS:
            rate = server.measure(clients, inFlight, int(calls * stage.plan.seconds))
            stage.keep(f"Redis {clients}x{inFlight}", "/s", rate)
