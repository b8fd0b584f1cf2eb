"""A campaign from its first movement of money to its verdict."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path
from random import Random
from signal import SIGTERM
from typing import Any

from msgspec import Struct

from scalemgr.server.keys import makeSecret, sign

from ..lines import LineClient
from .actor import Actor, acting
from .books import Account, booksOf, cents
from .client import ClientSettings
from .daemon import Daemon, DaemonFailed, environment, freePort, python
from .disk import Disk, disk
from .havoc import Havoc, Plan
from .history import SETTER, entries
from .subscriber import SubscriberSettings
from .verdict import READERS, Evidence, Verdict, judge

__all__ = ["Campaign", "run"]

_PRINCIPALS = ("crm", "gateway")
_ACCOUNTS = 5


class Campaign(Struct, frozen=True):
    """
    What is to be done.

    @ivar folder: an empty one, for journals, what the daemon said, and at the end the ledger.
    @ivar mount: may it mount a small disk for the ledger, where it can?
    """

    folder: Path
    plan: Plan
    clients: int = 4
    seed: int = 0
    mount: bool = True


def run(campaign: Campaign) -> Verdict:
    """Do it, and compare what everybody noted. Whatever happens, no process is left."""
    with disk(campaign.folder / "disk", campaign.folder / "ledger", mount=campaign.mount) as where:
        evidence = _Scene(campaign, where).play()
    return judge(campaign.folder, evidence)


class _Scene:
    """Everybody who takes part."""

    def __init__(self, campaign: Campaign, where: Disk) -> None:
        self._campaign = campaign
        self._folder = campaign.folder
        self._random = Random(campaign.seed)
        self._disk = where
        self._ledger = where.folder / "ledger"
        self._daemon = Daemon(self._folder, self._ledger, freePort())
        self._wrong: list[str] = []

    def play(self) -> Evidence:
        """All of it, up to the daemon's orderly end. If it cannot go on, what there is by then is the evidence."""
        (self._folder / "scalemgr.toml").write_text("")
        makeSecret(self._folder / "scalemgr.key")
        havoc = Havoc(self._daemon, self._disk, self._ledger, self._random)
        evidence = Evidence(done=havoc.done, wrong=self._wrong)
        try:
            self._daemon.start()
            evidence.epoch, logins = self._provide()
            self._moving(havoc, evidence.epoch, logins)
            evidence.balances = self._balances()
            self._daemon.end(SIGTERM)
            self._wrong += self._audit()
        except (DaemonFailed, OSError, sqlite3.Error) as e:
            self._wrong.append(f"the campaign could not go on: {e}")
        finally:
            self._daemon.close()
        evidence.said = self._daemon.said()
        return evidence

    def _moving(self, havoc: Havoc, epoch: str, logins: list[int]) -> None:
        readers = [self._reader("reader", epoch), self._reader("balances", epoch)]
        with acting(readers, self._wrong), acting(self._clients(logins), self._wrong):
            havoc.wreak(self._campaign.plan)
        # One more, who was not there before: it gets everything by replay.
        with acting([self._reader("newcomer", epoch, hangUp=False)], self._wrong):
            pass

    def _audit(self) -> list[str]:
        audit = subprocess.run(
            python("-m", "scalemgr", "verify", "--ledger", f"sqlite:{self._ledger}"),
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
                    port=self._daemon.port,
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

    def _reader(self, name: str, epoch: str, *, hangUp: bool = True) -> Actor:
        settings = SubscriberSettings(
            str(self._folder / f"{name}.journal"),
            self._daemon.port,
            self._token("reader"),
            epoch,
            self._random.getrandbits(32),
            hangUp,
            READERS[name],
        )
        return self._actor("subscriber", settings)

    def _actor(self, module: str, settings: ClientSettings | SubscriberSettings) -> Actor:
        return Actor(f"{__package__}.{module}", settings, Path(settings.journal).with_suffix(".json"))

    def _token(self, principal: str) -> str:
        return sign("HS256", self._folder / "scalemgr.key", {"id": principal, "role": "manager"})

    # -- what it asks itself ----------------------------------------------------------------------------

    def _asker(self) -> LineClient:
        return LineClient("127.0.0.1", self._daemon.port, token=self._token(SETTER))

    def _provide(self) -> tuple[str, list[int]]:
        """A group and accounts in it; the name of the log, and the logins."""
        with self._asker() as asker:
            _ask(asker, "AddGroup", {"group": "real-usd", "currency": "USD"})
            profile = {"group": "real-usd", "name": "Ann", "password": "change-me-1", "leverage": 100, "enable": 1}
            logins = [
                int(_ask(asker, "AddUser", {**profile, "email": f"{n}@example.com"})["login"]) for n in range(_ACCOUNTS)
            ]
            return str(_ask(asker, "Ping", {})["epoch"]), logins

    def _balances(self) -> dict[int, Account]:
        """What is on each account that is open, as the daemon says at the end."""
        logins = booksOf(entries(self._ledger / "log.db")).groupOf
        with self._asker() as asker:
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
