"""A campaign from its first movement of money to its verdict."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from random import Random
from signal import SIGTERM
from typing import Any

import psycopg
from msgspec import Struct

from scalemgr.server.keys import makeSecret, sign

from ..cluster import ClusterFailed
from ..lines import LineClient
from .actor import Actor, acting
from .books import Account, booksOf, cents
from .client import ClientSettings
from .daemon import Daemon, DaemonFailed, environment, freePort, python
from .embedded import embedded
from .grounds import Ground
from .havoc import Havoc, Plan
from .history import SETTER
from .served import served
from .subscriber import CHANNELS, SubscriberSettings
from .verdict import READERS, Evidence, Verdict, judge

__all__ = ["LEDGERS", "Campaign", "run"]

_PRINCIPALS = ("crm", "gateway")
_ACCOUNTS = 5
_CATCH_UP_S = 30.0

#: Where a ledger can be, by name.
LEDGERS: dict[str, Callable[..., AbstractContextManager[Ground]]] = {
    "sqlite": embedded,
    "postgresql": served,
    "postgresql-standby": partial(served, standby=True),
}


class Campaign(Struct, frozen=True):
    """
    What is to be done.

    @ivar folder: an empty one, for journals, what the daemons said, and at the end the ledger.
    @ivar mount: may it mount a small disk for the ledger, where it can?
    @ivar ledger: one of L{LEDGERS}.
    @ivar gateways: the daemons on it.
    """

    folder: Path
    plan: Plan
    clients: int = 4
    seed: int = 0
    mount: bool = True
    ledger: str = "sqlite"
    gateways: int = 1


def run(campaign: Campaign) -> Verdict:
    """
    Do it, and compare what everybody noted. Whatever happens, no process is left.

    @raise ClusterFailed: if it is to be on PostgreSQL, and there is none here.
    """
    with LEDGERS[campaign.ledger](campaign.folder, mount=campaign.mount) as ground:
        evidence = _Scene(campaign, ground).play()
    return judge(campaign.folder, evidence)


class _Reader(Struct, frozen=True):
    """
    Who reads the log.

    @ivar at: the one daemon that it stays with; C{None}: any.
    @ivar isNew: was it not there before everything was over? Then it gets it all by replay.
    """

    name: str
    channels: tuple[str, ...] = CHANNELS
    at: int | None = None
    isNew: bool = False


def _readers(gateways: int) -> list[_Reader]:
    """One that stays with each daemon, some that do not, and some that are late."""
    if gateways == 1:
        return [_Reader(name, READERS[name], isNew=name == "newcomer") for name in READERS]
    readers = [_Reader("reader"), _Reader("balances", READERS["balances"])]
    for n in range(gateways):
        readers += [_Reader(f"reader-{n}", at=n), _Reader(f"newcomer-{n}", at=n, isNew=True)]
    return readers


class _Scene:
    """Everybody who takes part."""

    def __init__(self, campaign: Campaign, ground: Ground) -> None:
        self._campaign = campaign
        self._folder = campaign.folder
        self._random = Random(campaign.seed)
        self._ground = ground
        names = ["daemon"] if campaign.gateways == 1 else [f"gateway-{n}" for n in range(campaign.gateways)]
        self._daemons = [Daemon(self._folder, ground.url, freePort(), name) for name in names]
        self._readers = _readers(campaign.gateways)
        self._wrong: list[str] = []

    def play(self) -> Evidence:
        """All of it, up to the daemons' orderly end. If it cannot go on, what there is by then is the evidence."""
        (self._folder / "scalemgr.toml").write_text("")
        makeSecret(self._folder / "scalemgr.key")
        havoc = self._ground.havoc(self._daemons, self._random)
        evidence = Evidence(done=havoc.done, wrong=self._wrong, foreseen=self._ground.foreseen)
        evidence.mayBeAway = self._ground.mayBeAway
        evidence.readers = {reader.name: reader.channels for reader in self._readers}
        try:
            # All at once: on an empty ledger, too.
            for daemon in self._daemons:
                daemon.spawn()
            for daemon in self._daemons:
                daemon.started()
            evidence.epoch, logins = self._provide()
            self._moving(havoc, evidence.epoch, logins)
            evidence.balances = [self._balances(daemon) for daemon in self._daemons]
            for daemon in self._daemons:
                daemon.end(SIGTERM)
            self._wrong += self._audit()
        except (DaemonFailed, ClusterFailed, OSError, sqlite3.Error, psycopg.Error) as e:
            self._wrong.append(f"the campaign could not go on: {e}")
        finally:
            for daemon in self._daemons:
                daemon.close()
        evidence.said = [path for daemon in self._daemons for path in daemon.said()]
        return evidence

    def _moving(self, havoc: Havoc, epoch: str, logins: list[int]) -> None:
        with acting([self._reader(r, epoch) for r in self._readers if not r.isNew], self._wrong):
            with acting(self._clients(logins), self._wrong):
                havoc.wreak(self._campaign.plan)
            if len(self._daemons) > 1:
                self._catchUp()
        with acting([self._reader(r, epoch) for r in self._readers if r.isNew], self._wrong):
            pass

    def _catchUp(self) -> None:
        """Wait until every daemon has come to the end of the log, which nobody writes to any more."""
        until = time.monotonic() + _CATCH_UP_S
        for daemon in self._daemons:
            while True:
                last = max((entry.seq for entry in self._ground.log()), default=0)
                with self._asker(daemon) as asker:
                    at = _ask(asker, "Ping", {})["seq"]
                if at >= last:
                    break
                if time.monotonic() > until:
                    self._wrong.append(f"the {daemon.name} has not come further than {at} of {last}")
                    return
                time.sleep(0.05)

    def _audit(self) -> list[str]:
        audit = subprocess.run(
            python("-m", "scalemgr", "verify", "--ledger", self._ground.url),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return [f"verify: {line}" for line in (audit.stdout + audit.stderr).splitlines()] if audit.returncode else []

    # -- who takes part ---------------------------------------------------------------------------------

    def _clients(self, logins: list[int]) -> list[Actor]:
        count = self._campaign.clients
        return [
            self._actor(
                "client",
                ClientSettings(
                    journal=str(self._folder / f"client-{n}.journal"),
                    ports=[daemon.port for daemon in self._daemons],
                    token=self._token(_PRINCIPALS[n % 2]),
                    principal=_PRINCIPALS[n % 2],
                    # The same for two clients of two principals: their keys are not each other's.
                    prefix=f"k{n // 2}",
                    share=(n, count),
                    logins=logins,
                    seed=self._random.getrandbits(32),
                ),
            )
            for n in range(count)
        ]

    def _reader(self, reader: _Reader, epoch: str) -> Actor:
        settings = SubscriberSettings(
            str(self._folder / f"{reader.name}.journal"),
            [daemon.port for n, daemon in enumerate(self._daemons) if reader.at in (None, n)],
            self._token("reader"),
            epoch,
            self._random.getrandbits(32),
            not reader.isNew,
            reader.channels,
        )
        return self._actor("subscriber", settings)

    def _actor(self, module: str, settings: ClientSettings | SubscriberSettings) -> Actor:
        return Actor(f"{__package__}.{module}", settings, Path(settings.journal).with_suffix(".json"))

    def _token(self, principal: str) -> str:
        return sign("HS256", self._folder / "scalemgr.key", {"id": principal, "role": "manager"})

    # -- what it asks itself ----------------------------------------------------------------------------

    def _asker(self, daemon: Daemon) -> LineClient:
        return LineClient("127.0.0.1", daemon.port, token=self._token(SETTER))

    def _provide(self) -> tuple[str, list[int]]:
        """A group and accounts in it; the name of the log, and the logins."""
        with self._asker(self._daemons[0]) as asker:
            _ask(asker, "AddGroup", {"group": "real-usd", "currency": "USD"})
            profile = {"group": "real-usd", "name": "Ann", "password": "change-me-1", "leverage": 100, "enable": 1}
            logins = [
                int(_ask(asker, "AddUser", {**profile, "email": f"{n}@example.com"})["login"]) for n in range(_ACCOUNTS)
            ]
            return str(_ask(asker, "Ping", {})["epoch"]), logins

    def _balances(self, daemon: Daemon) -> dict[int, Account]:
        """What is on each account that is open, as a daemon says at the end."""
        logins = booksOf(self._ground.log()).groupOf
        with self._asker(daemon) as asker:
            told = {login: _ask(asker, "GetAccountByLogin", {"login": login}) for login in logins}
        return {
            login: Account(cents(data["balance"]), cents(data["credit"]), data["balance_version"])
            for login, data in told.items()
        }


def _ask(asker: LineClient, command: str, data: dict[str, Any]) -> dict[str, Any]:
    """What has to be answered, on a daemon that nothing is done to."""
    reply = asker.call(command, data)
    if reply.status != 200:
        raise DaemonFailed(f"{command} was answered with {reply.line}")
    return reply.data
