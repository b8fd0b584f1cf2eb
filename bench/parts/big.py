"""scalemgr with a long past, and for a long time."""

from __future__ import annotations

import time
from threading import Event, Thread

from scalemgr.client import ClientError

from ..daemon import Daemon
from ..ledgers import FIRST_LOGIN, lag
from ..processes import BenchFailed
from ..stage import Stage

__all__ = ["big", "sustained"]


def big(stage: Stage) -> None:
    """A ledger with a past: to start on, to replay, to deposit into."""
    plan = stage.plan
    ledger = stage.ledger(plan.bigAccounts, plan.bigTrades)
    with stage.daemon(ledger, subscriber=False) as daemon:
        try:
            with daemon.client() as client:
                client.BalanceInSync(login=FIRST_LOGIN, amount=1.0, idempotency_key="first")
        except ClientError as e:
            raise BenchFailed(f"the first deposit was not booked: {e}") from e
        stage.keep("big: start to the first deposit", "s", time.monotonic() - daemon.started)
        replay = stage.generator.run(daemon.port, "catchup", seconds=120, token=daemon.token)
        if replay["events"] < plan.bigTrades:
            raise BenchFailed(f"of {plan.bigTrades} trades only {replay['events']} events were replayed")
        stage.keep("big: replayed events", "/s", replay["rate"])
        with stage.generator.beside(daemon.port, "subscribe", token=daemon.token):
            for shape in ((50, 1), (50, 16)):
                load = stage.deposits(daemon, *shape, logins=plan.bigAccounts)
                stage.keepLoad(f"big: scalemgr {shape[0]}x{shape[1]}", load)


def sustained(stage: Stage) -> None:
    """A minute, with the views kept up, held against a few seconds."""
    plan = stage.plan
    with stage.daemon() as daemon:
        burst = stage.load(daemon.port, connections=50, in_flight=16, seconds=plan.burst, token=daemon.token)
    stage.keepLoad("sustained: the burst", burst)
    with stage.daemon() as daemon:
        before, _ = lag(daemon.folder)
        with _Watch(daemon) as watch:
            began = time.monotonic()
            load = stage.load(daemon.port, connections=50, in_flight=16, seconds=plan.sustained, token=daemon.token)
            head, behind = lag(daemon.folder)
            entries = (head - before) / (time.monotonic() - began)
    stage.keepLoad("sustained: for long", load)
    # How long it took to write what the views lack.
    stage.keep("sustained: views behind at the end", "s", behind / entries)
    stage.keep("sustained: views behind at most", "s", max(behind, watch.most) / entries)


class _Watch(Thread):
    """
    Looks twice a second how far the views are behind.

    @ivar most: the most entries that they lacked.
    """

    def __init__(self, daemon: Daemon) -> None:
        super().__init__()
        self._folder = daemon.folder
        self._over = Event()
        self.most = 0

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.most = max(self.most, lag(self._folder)[1])

    def __enter__(self) -> _Watch:
        self.start()
        return self

    def __exit__(self, *how: object) -> None:
        self._over.set()
        self.join()
