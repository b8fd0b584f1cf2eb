"""A process that deposits a list of payments, and can be killed at any moment and started again.

A careful one needs no memory but the list and its outbox: it sees to what is in the outbox, then goes through the list
from its beginning, each payment under its reference as the key, and ends when all are booked and the outbox has nothing
that is not certain. A careless one, for comparison, has neither outbox nor keys of its own, and remembers what it was
told: it goes on after that.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scalemgr.client import AsyncClient, Client, ClientError, Intent, NotApplied, Outcome, OutcomeUnknown, Refused
from scalemgr.commands.answers import Trade

from .notes import Began, Doubt, Notes, Told, noted
from .payments import Payment, read

__all__ = ["KINDS", "PayerSettings", "main"]

# How often it tries again what was not booked in time, and how often it looks whether it may go on.
_TRIES = 100
_LOOKS = 6000
_LOOK_S = 0.05


class GivenUp(Exception):
    """It could not do what it is for; the message says what."""


class PayerSettings(Struct, frozen=True):
    """
    Who it is.

    @ivar payments: the list.
    @ivar notes: a file, which is not there yet, for what it hears.
    @ivar outbox: a file; C{None}: it is careless.
    @ivar before: the notes of those before it, for a careless one.
    @ivar kind: its client, one of L{KINDS}.
    @ivar deadlineS: how long it waits for a payment until it asks again itself, in seconds.
    @ivar window: how many payments are under way at a time.
    @ivar pauseS: how long it rests between two payments, each of so many times, in seconds.
    @ivar free: how many payments it may make at once.
    @ivar gate: a file; when it is there, it may make the others. So it is not done before it was killed.
    """

    payments: str
    notes: str
    outbox: str | None
    before: list[str]
    kind: str
    port: int
    token: str
    deadlineS: float
    window: int
    pauseS: float
    free: int
    gate: str


class Payer:
    """What is the same whichever client it has."""

    def __init__(self, settings: PayerSettings, notes: Notes) -> None:
        self.settings = settings
        self.isCareful = settings.outbox is not None
        self._notes = notes

    @property
    def words(self) -> dict[str, Any]:
        """What a client is made with."""
        settings = self.settings
        return {
            "address": f"tcp:127.0.0.1:{settings.port}",
            "token": settings.token,
            "deadline": settings.deadlineS,
            "outbox": settings.outbox,
            "onOutcome": self._late,
        }

    def payments(self) -> tuple[list[Payment], list[Payment]]:
        """What is to be paid: at once, and when the gate is open."""
        payments, told = read(Path(self.settings.payments)), set()
        if not self.isCareful:
            before = chain.from_iterable(noted(Path(path)) for path in self.settings.before)
            told = {note.reference for note in before if isinstance(note, Told)}
        free, rest = payments[: self.settings.free], payments[self.settings.free :]
        return [one for one in free if one.reference not in told], [one for one in rest if one.reference not in told]

    def isOpen(self) -> bool:
        """Is the gate open?"""
        return Path(self.settings.gate).exists()

    def asked(self, payment: Payment) -> dict[str, Any]:
        """A payment as a deposit."""
        asked = {"login": payment.login, "amount": payment.amount, "comment": payment.reference}
        return {**asked, "idempotency_key": payment.reference} if self.isCareful else asked

    def began(self, left: Iterable[Intent]) -> None:
        """It has its client."""
        self._notes.note(Began([intent.key for intent in left]))

    def told(self, payment: Payment, trade: Trade) -> None:
        """A payment was answered."""
        self._notes.note(Told(payment.reference, trade.order, trade.login, trade.profit))

    def doubts(self, payment: Payment, error: ClientError) -> None:
        """
        A payment was not booked, or not in time: it is to be tried again.

        @raise Refused: if that is of no use.
        """
        self._notes.note(Doubt(payment.reference, str(error), isinstance(error, Refused)))
        if isinstance(error, Refused):
            raise error

    def _late(self, outcome: Outcome) -> None:
        if isinstance(outcome.result, ClientError):
            isRefused = isinstance(outcome.result, Refused)
            self._notes.note(Doubt(outcome.key, str(outcome.result), isRefused, isLate=True))
        else:
            data = outcome.result.data
            self._notes.note(Told(outcome.key, data["order"], data["login"], data["profit"], isLate=True))


# -- with the blocking client -----------------------------------------------------------------------------


def _blocking(payer: Payer) -> None:
    with Client(**payer.words) as client, ThreadPoolExecutor(payer.settings.window) as pool:
        payer.began(client.unfinished() if payer.isCareful else ())
        free, rest = payer.payments()
        list(pool.map(lambda payment: _payBlocking(payer, client, payment), free))
        _wait(payer.isOpen)
        list(pool.map(lambda payment: _payBlocking(payer, client, payment), rest))
        _wait(lambda: not payer.isCareful or not client.unfinished())


def _wait(isSo: Callable[[], bool]) -> None:
    for _ in range(_LOOKS):
        if isSo():
            return
        time.sleep(_LOOK_S)
    raise GivenUp("the gate does not open, or the outbox has what is not certain still")


def _payBlocking(payer: Payer, client: Client, payment: Payment) -> None:
    for _ in range(_TRIES):
        try:
            trade = client.BalanceInSync(**payer.asked(payment))
        except (NotApplied, OutcomeUnknown) as e:
            payer.doubts(payment, e)
        else:
            payer.told(payment, trade)
            time.sleep(payer.settings.pauseS)
            return
    raise GivenUp(f"{payment.reference} is not booked, however often it is tried")


# -- with the two that are awaited ------------------------------------------------------------------------


_Gather = Callable[[list[Coroutine[Any, Any, None]]], Awaitable[Any]]
_Sleep = Callable[[float], Awaitable[Any]]


async def _awaiting(payer: Payer, client: Any, gather: _Gather, sleep: _Sleep) -> None:
    async def isOpen() -> bool:
        return payer.isOpen()

    async def isClean() -> bool:
        return not payer.isCareful or not await client.unfinished()

    payer.began(await client.unfinished() if payer.isCareful else ())
    for payments, isSo in zip(payer.payments(), (isOpen, isClean), strict=True):
        rest = iter(payments)
        await gather([_payAwaiting(payer, client, rest, sleep) for _ in range(payer.settings.window)])
        for _ in range(_LOOKS):
            if await isSo():
                break
            await sleep(_LOOK_S)
        else:
            raise GivenUp("the gate does not open, or the outbox has what is not certain still")


async def _payAwaiting(payer: Payer, client: Any, rest: Iterator[Payment], sleep: _Sleep) -> None:
    for payment in rest:
        for _ in range(_TRIES):
            try:
                trade = await client.BalanceInSync(**payer.asked(payment))
            except (NotApplied, OutcomeUnknown) as e:
                payer.doubts(payment, e)
            else:
                payer.told(payment, trade)
                break
        else:
            raise GivenUp(f"{payment.reference} is not booked, however often it is tried")
        await sleep(payer.settings.pauseS)


def _asyncio(payer: Payer) -> None:
    async def run() -> None:
        async with AsyncClient(**payer.words) as client:
            await _awaiting(payer, client, lambda payers: asyncio.gather(*payers), asyncio.sleep)

    asyncio.run(run())


def _twisted(payer: Payer) -> None:
    # Nobody else has a reactor.
    from twisted.internet.defer import Deferred, gatherResults
    from twisted.internet.task import deferLater, react

    from scalemgr.client import ManagerClient

    async def run(reactor: Any) -> None:
        client = ManagerClient(reactor, **payer.words)
        client.startService()
        try:
            await _awaiting(
                payer,
                client,
                lambda payers: gatherResults([Deferred.fromCoroutine(payer) for payer in payers], consumeErrors=True),
                lambda seconds: deferLater(reactor, seconds),
            )
        finally:
            await client.stopService()

    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))


#: By the name of the client that it has.
KINDS: dict[str, Callable[[Payer], None]] = {"blocking": _blocking, "asyncio": _asyncio, "twisted": _twisted}


def main(path: str) -> None:
    """Be the one that this file describes."""
    settings = msgspec.json.decode(Path(path).read_bytes(), type=PayerSettings)
    with Notes(Path(settings.notes)) as notes:
        KINDS[settings.kind](Payer(settings, notes))


if __name__ == "__main__":
    main(sys.argv[1])
