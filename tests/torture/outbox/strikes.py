"""When whom is killed: drawn beforehand, so that a seed says it."""

from __future__ import annotations

from random import Random

from msgspec import Struct

__all__ = ["Plan", "Strike", "drawn"]

# Up to which share of the list somebody is killed; the rest is for whoever is started last.
_STRUCK = 0.85


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
    @ivar isHeld: is the client held first until something is booked that it was not told?
    @ivar pauseS: how long those who were killed are not there, in seconds.
    """

    at: int
    afterS: float
    daemon: bool
    payer: bool
    isHeld: bool
    pauseS: float


def drawn(plan: Plan, random: Random) -> list[Strike]:
    """All of them, in their order, spread over the list. The first one on the client is held; later ones perhaps."""
    both = min(plan.kills, plan.payerKills // 2)
    whom = [(True, True)] * both + [(True, False)] * (plan.kills - both) + [(False, True)] * (plan.payerKills - both)
    random.shuffle(whom)
    strikes: list[Strike] = []
    for n, (daemon, payer) in enumerate(whom):
        isFirst = not any(strike.payer for strike in strikes)
        strikes.append(
            Strike(
                at=int(plan.payments * _STRUCK * (n + random.random()) / len(whom)),
                afterS=random.uniform(0, 0.01),
                daemon=daemon,
                payer=payer,
                isHeld=payer and (isFirst or random.random() < 0.5),
                pauseS=random.choice((0.0, random.uniform(0, 0.5))),
            )
        )
    return strikes
