"""A campaign of the outbox, from the first payment to the verdict."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from itertools import chain
from pathlib import Path
from random import Random
from signal import SIGKILL, SIGTERM
from typing import Any

from msgspec import Struct

from scalemgr.server.keys import makeSecret, sign

from ...lines import LineClient
from ..daemon import Daemon, DaemonFailed, environment, freePort, python
from ..history import SETTER, Entry, entries
from ..verdict import Verdict, traces
from .check import Evidence, Leaving, check, depositsOf
from .kept import Kept, kept
from .notes import Doubt, Told
from .payer import PayerSettings
from .payments import DIGITS, drawn, write
from .process import PayerProcess
from .strikes import FREE, Plan, Strike
from .strikes import drawn as drawnStrikes

__all__ = ["Campaign", "command", "run"]

_PRINCIPAL = "psp"
_ACCOUNTS = 2
_LOOK_S = 0.002
_COMMAND_S = 60.0
# How often it is tried to hold the client at a moment when something is booked that it was not told.
_HOLDS = 20
_SETTLE_S = 0.05


class Campaign(Struct, frozen=True):
    """
    What is to be done.

    @ivar folder: an empty one, for everything; at the end the list is in C{payments.csv}, the ledger in C{ledger}.
    @ivar kind: the client, one of L{KINDS<payer.KINDS>}.
    @ivar isCareful: has the client an outbox and keys? One that has not is expected to fail.
    """

    folder: Path
    plan: Plan
    kind: str = "blocking"
    seed: int = 0
    isCareful: bool = True


class _CampaignFailed(Exception):
    """It cannot go on."""


def run(campaign: Campaign) -> Verdict:
    """Do it, and say what came of it. Whatever happens, no process is left."""
    return _Scene(campaign).play()


def command(*words: str) -> tuple[int, str]:
    """The exit status of C{scalemgr} with these words, and all that it said."""
    said = subprocess.run(
        python("-m", "scalemgr", *words),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_COMMAND_S,
        check=False,
    )
    return said.returncode, said.stdout


class _Scene:
    """Everybody who takes part."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._plan = campaign.plan
        self._folder = campaign.folder
        self._random = Random(campaign.seed)
        self._list = self._folder / "payments.csv"
        self._ledger = self._folder / "ledger"
        self._outbox = self._folder / "outbox"
        self._gate = self._folder / "gate"
        self._daemon = Daemon(self._folder, f"sqlite:{self._ledger}", freePort())
        self._payers: list[PayerProcess] = []
        self._told: set[str] = set()
        self._done: Counter[str] = Counter()
        self._evidence = Evidence([], [], isWhole=False)
        self._until = 0.0

    def play(self) -> Verdict:
        """All of it. If it cannot go on, what there is by then is judged."""
        began = time.monotonic()
        self._until = began + self._plan.seconds
        (self._folder / "scalemgr.toml").write_text("")
        makeSecret(self._folder / "scalemgr.key")
        wrong: list[str] = []
        try:
            self._daemon.start()
            logins = self._provide()
            self._evidence.payments = drawn(self._random, logins, self._plan.payments)
            write(self._list, self._evidence.payments)
            self._pay()
            self._evidence.balances = self._balances(list(chain.from_iterable(logins.values())))
            self._daemon.end(SIGTERM)
            self._evidence.isWhole = True
            wrong += self._audit()
        except (_CampaignFailed, DaemonFailed, OSError, sqlite3.Error, subprocess.TimeoutExpired) as e:
            wrong.append(f"the campaign could not go on: {e}")
        finally:
            for payer in self._payers:
                payer.kill()
            self._daemon.close()
        wrong += self._judge()
        return Verdict({**self._counts(), "seconds": round(time.monotonic() - began)}, wrong)

    # -- the payments -----------------------------------------------------------------------------------

    def _pay(self) -> None:
        strikes = drawnStrikes(self._plan, self._random)
        self._startPayer()
        for strike in strikes:
            self._await(lambda strike=strike: len(self._told) >= strike.at, "the client to go on")
            time.sleep(strike.afterS)
            self._strike(strike)
        self._gate.touch()
        self._await(lambda: self._payer.ended() is not None, "the client to be done")
        self._look()
        if status := self._payer.ended():
            raise _CampaignFailed(f"the client ended with {status}: {self._payer.lastWords}")
        self._evidence.unfinished = self._kept().unfinished

    @property
    def _payer(self) -> PayerProcess:
        return self._payers[-1]

    def _startPayer(self) -> None:
        notes = [str(self._folder / f"client-{n + 1}.notes") for n in range(len(self._payers) + 1)]
        settings = PayerSettings(
            payments=str(self._list),
            notes=notes[-1],
            outbox=str(self._outbox) if self._campaign.isCareful else None,
            before=notes[:-1],
            kind=self._campaign.kind,
            port=self._daemon.port,
            token=self._token(_PRINCIPAL),
            # Some are more patient than a start of the daemon takes, some are not.
            deadlineS=self._random.uniform(0.2, 4),
            window=self._plan.window,
            pauseS=self._plan.pauseS,
            free=int(FREE * self._plan.payments),
            gate=str(self._gate),
        )
        self._payers.append(PayerProcess(settings))

    def _strike(self, strike: Strike) -> None:
        if strike.isHeld:
            self._hold()
        if strike.payer:
            self._payer.kill()
            self._done["client kills"] += 1
        if strike.daemon:
            self._daemon.end(SIGKILL)
            self._done["kills"] += 1
        if strike.payer:
            self._look()
            if self._campaign.isCareful:
                self._evidence.leavings[len(self._payers)] = self._leaving()
            self._startPayer()
        time.sleep(strike.pauseS)
        if strike.daemon:
            self._daemon.start()

    def _hold(self) -> None:
        """Stop the client at a moment when something is booked that it was not told, if there is one."""
        for _ in range(_HOLDS):
            self._payer.hold()
            # What it has sent is booked meanwhile.
            time.sleep(_SETTLE_S)
            self._look()
            if self._booked() - self._told:
                self._done["holds"] += 1
                return
            self._payer.go()
            time.sleep(self._random.uniform(0, _LOOK_S))

    def _look(self) -> None:
        """What has the client been told?"""
        self._told |= {note.reference for note in self._payer.heard.look() if isinstance(note, Told)}

    def _await(self, isSo: Callable[[], bool], what: str) -> None:
        while not isSo():
            if time.monotonic() > self._until:
                raise _CampaignFailed(f"waited in vain for {what}: {len(self._told)} payments are told")
            ended = self._payer.ended()
            self._look()
            if ended is not None and not isSo():
                raise _CampaignFailed(f"the client ended early, with {ended}: {self._payer.lastWords}")
            time.sleep(_LOOK_S)

    def _log(self) -> list[Entry]:
        path = self._ledger / "log.db"
        return entries(path) if path.exists() else []

    def _booked(self) -> set[str]:
        return {deposit.reference for deposit in depositsOf(self._log())}

    def _kept(self) -> Kept:
        return kept(self._outbox) if self._outbox.exists() else Kept(frozenset(), [])

    def _leaving(self) -> Leaving:
        left = self._kept()
        return Leaving(frozenset(self._booked() - self._told), left.all, left.unfinished)

    # -- what is asked beside ---------------------------------------------------------------------------

    def _token(self, principal: str) -> str:
        return sign("HS256", self._folder / "scalemgr.key", {"id": principal, "role": "manager"})

    def _asker(self) -> LineClient:
        return LineClient("127.0.0.1", self._daemon.port, token=self._token(SETTER))

    def _provide(self) -> dict[str, list[int]]:
        """A group of each currency, and accounts in it; their logins, by currency."""
        logins: dict[str, list[int]] = {}
        with self._asker() as asker:
            for currency in DIGITS:
                group = f"real-{currency.lower()}"
                _ask(asker, "AddGroup", {"group": group, "currency": currency})
                profile = {"group": group, "name": "Ann", "password": "change-me-1", "leverage": 100, "enable": 1}
                logins[currency] = [
                    int(_ask(asker, "AddUser", {**profile, "email": f"{currency}{n}@example.com"})["login"])
                    for n in range(_ACCOUNTS)
                ]
        return logins

    def _balances(self, logins: list[int]) -> dict[int, tuple[Decimal, int]]:
        with self._asker() as asker:
            told = {login: _ask(asker, "GetAccountByLogin", {"login": login}) for login in logins}
        return {login: (Decimal(data["balance"]), int(data["balance_version"])) for login, data in told.items()}

    def _audit(self) -> list[str]:
        """What C{scalemgr verify} and C{scalemgr reconcile} have to say, if they find anything."""
        wrong = []
        ledger = f"sqlite:{self._ledger}"
        status, said = command("verify", "--ledger", ledger)
        if status:
            wrong.append(f"verify: status {status}: {said}")
        status, said = command("reconcile", str(self._list), "--ledger", ledger, "--from", "2000-01-01")
        matched = json.loads(said.splitlines()[-1]).get("matched") if status == 0 else None
        if matched != self._plan.payments:
            wrong.append(f"reconcile: status {status}: {said}")
        return wrong

    # -- the end ----------------------------------------------------------------------------------------

    def _judge(self) -> list[str]:
        evidence = self._evidence
        evidence.notes = [payer.heard.notes for payer in self._payers]
        evidence.deposits = depositsOf(self._log())
        return [*check(evidence), *traces(self._daemon.said())]

    def _counts(self) -> dict[str, int]:
        notes = list(chain.from_iterable(payer.heard.notes for payer in self._payers))
        told = [note for note in notes if isinstance(note, Told)]
        return {
            "deposits": len(self._evidence.deposits),
            **{name: self._done[name] for name in ("kills", "client kills", "holds")},
            "answers": len(told),
            "from the outbox": sum(note.isLate for note in told),
            "doubts": sum(isinstance(note, Doubt) for note in notes),
            "unheard": sum(len(leaving.unheard) for leaving in self._evidence.leavings.values()),
            "left in the outbox": sum(len(leaving.unfinished) for leaving in self._evidence.leavings.values()),
        }


def _ask(asker: LineClient, command: str, data: dict[str, Any]) -> dict[str, Any]:
    """What has to be answered; its numbers are exact."""
    reply = asker.call(command, data)
    if reply.status != 200:
        raise DaemonFailed(f"{command} was answered with {reply.line}")
    answered: dict[str, Any] = json.loads(reply.line, parse_float=Decimal)["data"]
    return answered
