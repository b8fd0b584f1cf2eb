"""The connection is cut at every point of a commit: what is said of a batch is what the log has of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, nullcontext
from typing import Literal

import pytest

from scalemgr.finance.records import Entry
from scalemgr.ledger.postgres import server
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.wire.errors import LedgerFailed

from ..helpers import NOW_MS, populate
from ..keys import keyed
from .gateways import Truth, gateway, outcomeOf, quick
from .proxy import Proxy, Where, none

_What = Literal["pass", "drop", "cut", "stall"]


@pytest.fixture
def proxy(postgresUrl: str) -> Iterator[Proxy]:
    """Before the server."""
    with closing(Proxy(postgresUrl)) as proxy:
        yield proxy


@pytest.fixture
def truth(postgresUrl: str) -> Iterator[Truth]:
    """The log."""
    with closing(Truth(postgresUrl)) as truth:
        yield truth


class Trap:
    """
    Does this to the n-th piece from now on, and to none before or after it.

    @ivar sprung: it has.
    """

    def __init__(self, proxy: Proxy, n: int, what: _What, *, refuses: bool = False) -> None:
        self.sprung = False
        self._proxy, self._left, self._what, self._refuses = proxy, n, what, refuses

    def __call__(self, where: Where, piece: bytes) -> _What:
        self._left -= 1
        if self._left != -1:
            return "pass"
        self.sprung = True
        self._proxy.refuses = self._refuses
        return self._what


class Campaign:
    """
    Batches of one gateway through bad times, and what was said of each of them.

    @ivar void: keys of which it was said that there is nothing, and never will be.
    @ivar pending: keys of which nobody knew.
    """

    def __init__(self, ledger: PostgresLedger, truth: Truth) -> None:
        self.ledger, self.truth = ledger, truth
        self.done: dict[str, int] = {}
        self.void: set[str] = set()
        self.pending: set[str] = set()
        self._order = ledger.reserveOrders(100_000)
        self._count = 0
        truth.told["one"] = []
        truth.tell("one", ledger)
        truth.told["one"].clear()
        self._from = ledger.book.seq

    def batch(self, size: int = 2) -> str:
        """Commit some, and see that what is said is true by now; what was said."""
        keys = [f"key-{self._count + n}" for n in range(size)]
        self._count += size
        orders = range(self._order, self._order + size)
        self._order += size
        try:
            outcomes = self.ledger.commit([keyed(o, k) for o, k in zip(orders, keys, strict=True)], NOW_MS)
        except LedgerFailed as e:
            said = outcomeOf(e)
            assert said in ("void", "pending")
            (self.void if said == "void" else self.pending).update(keys)
        else:
            said = "done"
            assert all(isinstance(outcome, Entry) for outcome in outcomes)
            self.done.update({k: o.seq for k, o in zip(keys, outcomes, strict=True)})  # type: ignore[union-attr]
        self.truth.tell("one", self.ledger)
        self.check()
        return said

    def check(self) -> None:
        """What was said is so."""
        there = self.truth.keys()
        assert there.keys() <= self.done.keys() | self.pending
        assert {k: there.get(k) for k in self.done} == self.done
        assert not self.void & there.keys()

    def end(self) -> None:
        """All is well again: now it is known what became of each, and it was told."""
        assert self.ledger.commit([], NOW_MS) == []
        assert self.ledger.away == ""
        self.check()
        self.truth.agrees("one", self.ledger)
        assert self.ledger.book.seq == len(self.truth.entries())


@pytest.mark.parametrize("what", ["drop", "cut"])
@pytest.mark.parametrize("isDoubtful", [False, True])
def test_cutAnywhere(
    postgresUrl: str, proxy: Proxy, truth: Truth, what: _What, isDoubtful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Wherever in a batch the connection is cut, it is booked once or not at all, and what is said is so. If nobody can
    connect for long after that it may be said that nobody knows, and only where that is so; later it is told.
    """
    quick(monkeypatch, 0.1)
    said: list[str] = []
    with gateway(proxy.url(), postgresUrl) as ledger:
        populate(ledger)
        campaign = Campaign(ledger, truth)
        for n in range(40):
            proxy.harm = trap = Trap(proxy, n, what, refuses=isDoubtful)
            said.append(campaign.batch())
            proxy.harm, proxy.refuses = none, False
            campaign.end()
            if not trap.sprung:
                break
        else:
            pytest.fail("there is no end to a batch")
    # There and back, twice at least.
    assert len(said) > 4
    # What was passed on before it was cut may have been answered, and then the COMMIT is on its way.
    surely = {"pending", "done"} if what == "cut" else {"pending", "void", "done"}
    assert (surely <= set(said)) if isDoubtful else (set(said) == {"done"}), said


def test_noAnswer(postgresUrl: str, proxy: Proxy, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes what is sent and does not answer, wherever that begins, is left after a while."""
    quick(monkeypatch)
    monkeypatch.setattr(server, "LOST_S", 0.1)
    with gateway(proxy.url(), postgresUrl, statement_seconds=0.3) as ledger:
        populate(ledger)
        campaign = Campaign(ledger, truth)
        for n in range(40):
            proxy.harm = trap = Trap(proxy, n, "stall")
            # The server gives up as soon, and the lock with it.
            assert campaign.batch() == "done"
            proxy.harm = none
            campaign.end()
            if not trap.sprung:
                break
        assert n > 3


@pytest.mark.parametrize("seed", range(3))
def test_bumpy(postgresUrl: str, proxy: Proxy, truth: Truth, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through any number of cuts in a row each batch is booked once or not at all, and what is said is so."""
    quick(monkeypatch, 0.05)
    chance = random.Random(seed)

    def harm(where: Where, piece: bytes) -> _What:
        return chance.choice(["drop", "cut"]) if chance.random() < 0.12 else "pass"

    said: list[str] = []
    with gateway(proxy.url(), postgresUrl) as ledger:
        populate(ledger)
        campaign = Campaign(ledger, truth)
        for _ in range(40):
            proxy.harm = harm
            with proxy.away() if chance.random() < 0.1 else nullcontext():
                said.append(campaign.batch(chance.choice([1, 3, 40])))
            proxy.harm = none
            if chance.random() < 0.3:
                campaign.end()
        campaign.end()
    assert "done" in said
    assert len(set(said)) > 1
