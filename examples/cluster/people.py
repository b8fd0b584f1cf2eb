"""Those who pay, and those who listen, with the client library of scalemgr."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import Any

from msgspec import Struct

from scalemgr.client import AsyncClient, ClientError, Event

from .errors import Failed

__all__ = ["Follower", "Payer", "Payment", "more"]

_PATIENCE_S = 40.0
_LOOK_S = 0.02
# A payer makes so many payments at a time, and pauses for so long after each: the machine has other things to do.
_WIDTH = 6
_PAUSE_S = 0.08


class Payment(Struct):
    """
    A deposit.

    @ivar order: which it has become, as its payer was told; 0: he was not told yet.
    @ivar replayed: was it booked by an attempt whose answer was lost?
    """

    key: str
    login: int
    amount: Decimal
    order: int = 0
    replayed: bool = False

    @property
    def data(self) -> dict[str, Any]:
        """What is asked for."""
        return {"login": self.login, "amount": str(self.amount), "comment": self.key}


class Payer:
    """
    A client that makes payments, several at a time, each under a key of its own, until it is told to stop.

    What is repeated, when, and through which gateway, is the library's business, and HAProxy's.

    @param address: where it connects, again and again.
    @ivar payments: all that it has begun, by key.
    @ivar told: of how many it knows that they are booked.
    """

    def __init__(self, name: str, address: str, token: str | None, login: int) -> None:
        self.name = name
        self.payments: dict[str, Payment] = {}
        self.told = 0
        self._client = AsyncClient(address, token=token)
        self._login = login
        self._numbers = count(1)
        self._enough = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._pay()) for _ in range(_WIDTH)]

    async def _pay(self) -> None:
        while not self._enough:
            number = next(self._numbers)
            payment = Payment(f"{self.name}-{number}", self._login, Decimal(100 + number % 9900) / 100)
            self.payments[payment.key] = payment
            reply = await self._client.call("BalanceInSync", payment.data, idempotency_key=payment.key)
            payment.order, payment.replayed = reply.data["order"], reply.replayed
            self.told += 1
            await asyncio.sleep(_PAUSE_S)

    def check(self) -> None:
        """
        See that it gets on.

        @raise Failed: if it was told of a payment that it is not booked, or might not be.
        """
        for task in self._tasks:
            if task.done() and isinstance(error := task.exception(), ClientError):
                raise Failed(f"{self.name} was told: {error}")

    async def finish(self) -> None:
        """Begin no more, and wait for the answers to those that are under way."""
        self._enough = True
        _, late = await asyncio.wait(self._tasks, timeout=_PATIENCE_S)
        self.check()
        if late:
            raise Failed(f"{self.name} is not told what became of its last payments")

    async def close(self) -> None:
        """Hang up."""
        await _cancel(self._tasks)
        await self._client.close()


class Follower:
    """
    Hears every event of one gateway, from the first on; after a break it goes on from the last that it has.

    @ivar lines: each event as it came.
    @ivar seq: the last entry of the log that it has heard of.
    """

    def __init__(self, gateway: str, address: str, token: str | None) -> None:
        self.gateway = gateway
        self.lines: list[str] = []
        self.seq = 0
        self._client = AsyncClient(address, token=token)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self._client.events(from_seq=0):
            self._heard(event)

    def _heard(self, event: Event) -> None:
        assert event.seq is not None
        self.lines.append(event.line)
        self.seq = event.seq

    async def reach(self, seq: int) -> None:
        """
        Come back when it has heard of everything up to an entry.

        @raise Failed: if that takes too long, or it is told that it cannot.
        """
        until = time.monotonic() + _PATIENCE_S
        while self.seq < seq:
            if self._task is not None and self._task.done():
                raise Failed(f"the follower at {self.gateway} was told: {self._task.exception()}")
            if time.monotonic() > until:
                raise Failed(f"the follower at {self.gateway} has heard up to entry {self.seq}, and not up to {seq}")
            await asyncio.sleep(_LOOK_S)

    async def close(self) -> None:
        """Hang up."""
        await _cancel([] if self._task is None else [self._task])
        await self._client.close()


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def more(payers: Sequence[Payer], number: int) -> int:
    """
    Come back when so many more payments are told to be booked.

    @return: how many they are by then, with all before.
    @raise Failed: if that takes too long, or a payer is told otherwise.
    """
    before = sum(payer.told for payer in payers)
    until = time.monotonic() + _PATIENCE_S
    while (told := sum(payer.told for payer in payers)) < before + number:
        for payer in payers:
            payer.check()
        if time.monotonic() > until:
            raise Failed(f"in {_PATIENCE_S:g} s {told - before} more payments are booked, and not {number}")
        await asyncio.sleep(_LOOK_S)
    return told
