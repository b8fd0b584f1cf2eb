"""scalemgr itself, on a ledger that has accounts and no past."""

from __future__ import annotations

from ..processes import BenchFailed
from ..stage import SHAPES, Stage

__all__ = ["broadcast", "commands", "deposits"]

_SUBSCRIBERS = 1000


def deposits(stage: Stage) -> None:
    """C{BalanceInSync} in every shape, and then at half of what it can."""
    made = 0
    with stage.daemon() as daemon:
        for connections, inFlight in SHAPES:
            load = stage.deposits(daemon, connections, inFlight)
            made += load["total"]
            stage.keepLoad(f"scalemgr {connections}x{inFlight}", load)
        # The last one was at the top. The generator in Python has no fixed rate.
        if stage.generator.isC:
            half = stage.deposits(daemon, 50, 1, rate=load["rate"] / 2, seconds=stage.plan.seconds * 2)
            made += half["total"]
            if half["rate"] < half["rate_asked"] * 0.95:
                # It is in the latencies, which count from when each request was to be sent.
                stage.notes["at half of the top rate"] = (
                    f"of {half['rate_asked']:.0f}/s it kept up {half['rate']:.0f}/s in one round; the machine is busy?"
                )
            stage.keepLoad("scalemgr at half of the top rate", half)
    # The trade, and what is then on the account.
    if daemon.told["events"] < 2 * made:
        raise BenchFailed(f"{made} deposits came to {daemon.told['events']} events only")


def commands(stage: Stage) -> None:
    """What else is asked of it, all at 50x16."""
    with stage.daemon() as daemon:
        for name, kind, options in (
            ("BalanceIn", "deposit-plain", {}),
            ("a replayed key", "replay", {"keys": 1600}),
            ("a refusal", "refusal", {}),
            ("GetAccountByLogin", "account", {}),
        ):
            stage.keepLoad(f"scalemgr {name}", stage.deposits(daemon, 50, 16, kind=kind, **options))


def broadcast(stage: Stage) -> None:
    """Every event to a thousand sessions, while deposits are made."""
    with stage.daemon(subscriber=False) as daemon:
        with stage.generator.beside(
            daemon.port, "subscribe", connections=_SUBSCRIBERS, token=daemon.token
        ) as subscribers:
            load = stage.deposits(daemon, 4, 16)
        if subscribers["events"] < _SUBSCRIBERS * load["answers"]:
            raise BenchFailed(f"{load['answers']} deposits came to {subscribers['events']} events only")
    stage.keep(f"scalemgr events to {_SUBSCRIBERS} sessions", "/s", subscribers["rate"])
    stage.keep("scalemgr deposits meanwhile", "/s", load["rate"])
