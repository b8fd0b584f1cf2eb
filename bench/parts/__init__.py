"""
What is measured, part by part. A part is a function that takes the stage and keeps figures there.

A part of a round is run in each; the others once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .. import cluster, postgres, redis
from ..stage import Stage
from . import alone, big, deposits, gateways, memory, others

__all__ = ["PARTS", "Part"]


def _always() -> None:
    return None


@dataclass(frozen=True)
class Part:
    """
    @ivar once: is it enough to look once?
    @ivar unavailable: why it cannot be measured on this machine, or C{None}.
    """

    name: str
    measure: Callable[[Stage], None]
    once: bool = False
    unavailable: Callable[[], str | None] = _always


#: In the order in which they are run.
PARTS = (
    Part("echo", alone.echo),
    Part("noop", alone.noop),
    Part("ledger", alone.ledger),
    Part("raw", alone.raw),
    Part("deposits", deposits.deposits),
    Part("commands", deposits.commands),
    Part("broadcast", deposits.broadcast),
    Part("big", big.big),
    Part("postgres", others.postgres, unavailable=postgres.unavailable),
    Part("cluster", gateways.cluster, unavailable=cluster.unavailable),
    Part("redis", others.redis, unavailable=redis.unavailable),
    Part("memory", memory.memory, once=True),
    Part("sustained", big.sustained, once=True),
)
