"""When whom is killed: drawn beforehand, so that a seed says it."""

from __future__ import annotations

from random import Random

from msgspec import Struct

__all__ = ["FREE", "Plan", "Strike", "drawn"]

# Up to which share of the list somebody is killed.
_STRUCK = 0.85

#: The share of the list that the client may pay before everybody was killed.
FREE = 0.9


class Plan(Struct, frozen=True):
    """
    How much there is to do.

    @ivar kills: how often the daemon is killed.
    @ivar payerKills: how often the client is killed; every other time together with the daemon.
    @ivar window: how many payments are under way at a time.
    @ivar pauseS: how long the client rests between two payments, each of so many times, in seconds.
    @ivar seconds: after so many in all it has failed; on a machine that is not busy it takes a tenth of that.
    """

    payments: int = 1000
    kills: int = 10
    payerKills: int = 5
    window: int = 8
    pauseS: float = 0.005
    seconds: float = 300.0


class Strike(Struct, frozen=True):
    """
    One blow.

    @ivar at: as soon as the client was told of so many payments.
    @ivar afterS: and so many seconds have passed.
    @ivar daemon: is the daemon killed?
    @ivar payer: is the client killed?
    @ivar isHeld: is the client held first, if that can be, when something is booked that it was not told?
    @ivar pauseS: how long those who were killed are not there, in seconds.
    """

    at: int
    afterS: float
    daemon: bool
    payer: bool
    isHeld: bool
    pauseS: float


def drawn(plan: Plan, random: Random) -> list[Strike]:
    """All of them, in their order, spread over the list. The first, when much is to come, is on the client, which is
    held; later it is perhaps."""
    both = min(plan.kills, plan.payerKills // 2)
    whom = [(True, True)] * both + [(True, False)] * (plan.kills - both) + [(False, True)] * (plan.payerKills - both)
    random.shuffle(whom)
    if plan.payerKills:
        first = random.choice([one for one in whom if one[1]])
        whom.remove(first)
        whom.insert(0, first)
    return [
        Strike(
            at=int(plan.payments * _STRUCK * (n + random.random() / 2) / len(whom)),
            afterS=random.uniform(0, 0.01),
            daemon=daemon,
            payer=payer,
            isHeld=payer and (n == 0 or random.random() < 0.5),
            pauseS=random.choice((0.0, random.uniform(0, 0.5))),
        )
        for n, (daemon, payer) in enumerate(whom)
    ]
