"""Several gateways on one log: each key once, every book the same fold of it, each told all of it once and in order."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise

import pytest

from scalemgr.finance.records import Entry
from scalemgr.finance.settle import Replay
from scalemgr.ledger.postgres import commits
from scalemgr.ledger.postgres import committing as module
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.wire.errors import LedgerFailed

from ..conftest import Logged
from ..helpers import NOW_MS, deposit, depositEach, populate, state
from ..keys import keyed
from .gateways import Truth, gateway, outcomeOf, quick
from .proxy import Proxy

# What each of several threads of a test does at random lasts so long, in seconds.
_CAMPAIGN_S = 3.0


@pytest.fixture
def truth(postgresUrl: str) -> Iterator[Truth]:
    """The log."""
    with closing(Truth(postgresUrl)) as truth:
        yield truth


def test_bothAtOnce(postgresUrl: str, truth: Truth) -> None:
    """The same request through two gateways at the same time is booked once, and both say as what."""
    with gateway(postgresUrl) as one, gateway(postgresUrl) as other:
        populate(one)
        orders = one.reserveOrders(100), other.reserveOrders(100)
        assert not set(range(orders[0], orders[0] + 100)) & set(range(orders[1], orders[1] + 100))
        said: dict[int, list[int]] = {0: [], 1: []}
        together = threading.Barrier(2)

        def ask(at: int, ledger: PostgresLedger) -> None:
            for n in range(20):
                together.wait(60)
                (outcome,) = ledger.commit([keyed(orders[at] + n, f"key-{n}")], NOW_MS)
                entry = outcome.entry if isinstance(outcome, Replay) else outcome
                assert isinstance(entry, Entry)
                said[at].append(entry.seq)

        threads = [threading.Thread(target=ask, args=(at, ledger)) for at, ledger in enumerate((one, other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said[0] == said[1] == list(truth.keys().values())
        for name, ledger in (("one", one), ("other", other)):
            ledger.commit([], NOW_MS)
            truth.agrees(name, ledger)
        assert state(one.book) == state(other.book)


class Hammering:
    """
    Gateways that book the same keys on the same accounts, while their connections are cut at random.

    @ivar done: of which keys it was said where they are.
    @ivar failed: the orders of which it was said that they came to nothing, or that nobody knows.
    """

    def __init__(self, truth: Truth, ledgers: list[PostgresLedger], proxies: list[Proxy], seed: int) -> None:
        self.done: list[tuple[str, int]] = []
        self.failed: dict[str, list[int]] = {"void": [], "pending": []}
        self._bugs: list[BaseException] = []
        self._truth, self._seed = truth, seed
        self._until = time.monotonic() + _CAMPAIGN_S
        threads = [threading.Thread(target=self._cut, args=(proxies,))]
        for at, ledger in enumerate(ledgers):
            truth.tell(f"gateway {at}", ledger)
            threads.append(threading.Thread(target=self._work, args=(at, ledger, ledger.reserveOrders(100_000))))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self._bugs == []

    def _work(self, at: int, ledger: PostgresLedger, order: int) -> None:
        chance = random.Random(self._seed * 10 + at)
        try:
            while time.monotonic() < self._until:
                # Each attempt has an order of its own, by which it is found.
                keys = [f"key-{chance.randrange(400)}" for _ in range(chance.choice([1, 1, 5, 30]))]
                self._commit(ledger, order, keys)
                self._truth.tell(f"gateway {at}", ledger)
                order += len(keys)
        except BaseException as e:
            self._bugs.append(e)

    def _commit(self, ledger: PostgresLedger, order: int, keys: list[str]) -> None:
        try:
            outcomes = ledger.commit([keyed(order + n, key) for n, key in enumerate(keys)], NOW_MS)
        except LedgerFailed as e:
            self.failed[outcomeOf(e)] += range(order, order + len(keys))
            return
        for key, outcome in zip(keys, outcomes, strict=True):
            entry = outcome.entry if isinstance(outcome, Replay) else outcome
            if isinstance(entry, LedgerFailed):
                # It could not be looked up.
                self.failed[outcomeOf(entry)].append(order + keys.index(key))
                continue
            assert isinstance(entry, Entry), outcome
            self.done.append((key, entry.seq))

    def _cut(self, proxies: list[Proxy]) -> None:
        chance = random.Random(self._seed)
        while time.monotonic() < self._until:
            time.sleep(chance.random() * 0.2)
            chance.choice(proxies).cut()


@pytest.mark.parametrize("seed", range(2))
def test_hammered(postgresUrl: str, truth: Truth, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through any number of cuts each key is booked once at most, what was said is so, and in the end all agree."""
    quick(monkeypatch, 1)
    with ExitStack() as stack:
        proxies = [stack.enter_context(closing(Proxy(postgresUrl))) for _ in range(3)]
        ledgers = [stack.enter_context(gateway(proxy.url(), postgresUrl)) for proxy in proxies]
        populate(ledgers[0])
        said = Hammering(truth, ledgers, proxies, seed)
        keys = truth.keys()
        assert len(said.done) > 20
        assert {(key, keys[key]) for key, _ in said.done} == set(said.done)
        assert {entry.order for entry in truth.entries()}.isdisjoint(said.failed["void"])
        for at, ledger in enumerate(ledgers):
            ledger.commit([], NOW_MS)
            truth.agrees(f"gateway {at}", ledger)
            assert ledger.book.seq == len(truth.entries())


def test_farBehind(postgresUrl: str, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    One that is further behind than it may read in one turn takes nothing on, says so, and tells what it has by then;
    and does not keep the lock while it reads. Some turns later it works as before.
    """
    monkeypatch.setattr(module, "PAGES_MAX", 4)
    few = commits.CommitLog.prepared.replace(f"LIMIT {commits.PAGES_MAX}", "LIMIT 4")
    monkeypatch.setattr(commits.CommitLog, "prepared", few)
    monkeypatch.setattr(module, "_READS_MAX", 3)
    held = "SELECT count(*) FROM pg_locks WHERE objid = 'ledger'::regclass AND mode = 'ExclusiveLock'"
    with gateway(postgresUrl) as one, gateway(postgresUrl) as other:
        populate(one)
        other.commit([], NOW_MS)
        truth.tell("other", other)
        # A few pages each, over which a turn does not come.
        for _ in range(12):
            depositEach(one, *range(1, 70))
        order = other.reserveOrders(1)
        turns = [other.book.seq]
        for _ in range(3):
            with pytest.raises(LedgerFailed) as failed:
                other.commit([keyed(order, "a")], NOW_MS)
            assert outcomeOf(failed.value) == "void"
            assert "far behind" in other.away
            assert truth.sql(held) == [(0,)]
            truth.agrees("other", other)
            turns.append(other.book.seq)
        assert turns == sorted(set(turns))
        assert max(b - a for a, b in pairwise(turns)) <= 3 * 4 * 32
        while other.away:
            try:
                other.commit([], NOW_MS)
            except LedgerFailed:
                assert other.away
        other.commit([keyed(order, "a")], NOW_MS)
        assert other.away == ""
        truth.agrees("other", other)


def test_nothingUntold(postgresUrl: str, truth: Truth) -> None:
    """What others wrote is told, in the order of the log, though the batch with which it was read came to nothing."""
    with gateway(postgresUrl) as one, gateway(postgresUrl) as other:
        populate(one)
        depositEach(one, 1, 2, 3)
        order = other.reserveOrders(1)
        truth.sql("ALTER TABLE page ADD CONSTRAINT none CHECK (false) NOT VALID")
        with pytest.raises(LedgerFailed):
            other.commit([keyed(order, "a")], NOW_MS)
        truth.agrees("other", other)
        assert other.book.seq == one.book.seq
        truth.sql("ALTER TABLE page DROP CONSTRAINT none")


def test_orders(postgresUrl: str, truth: Truth) -> None:
    """Only the end of the last block is given back, and only if nobody has another after it."""
    with gateway(postgresUrl) as one:
        first = one.reserveOrders(10)
        one.close(first + 3)
        one.open(NOW_MS)
        assert one.reserveOrders(10) == first + 3
        with gateway(postgresUrl) as other:
            assert other.reserveOrders(10) == first + 13
            one.close(first + 4)
            one.open(NOW_MS)
            assert one.reserveOrders(10) == first + 23


def test_ordersAfterFailOver(postgresUrl: str, truth: Truth) -> None:
    """A server that has taken over may lack what was handed out last: orders that may have been are skipped."""
    with gateway(postgresUrl) as one, gateway(postgresUrl) as other:
        lost = one.reserveOrders(1000)
        truth.sql("UPDATE ledger SET next_order = %s, timeline = 'another'", lost)
        taken = other.reserveOrders(1000)
        assert taken >= lost + 1000
        assert other.reserveOrders(1000) == taken + 1000


class TestLost:
    """A server has taken over that lacks what was committed last."""

    @pytest.fixture
    def ledgers(
        self, postgresUrl: str, truth: Truth, logged: Logged
    ) -> Iterator[tuple[PostgresLedger, PostgresLedger]]:
        """One gateway that has read what is lost then, and one that has not."""
        with gateway(postgresUrl) as one, gateway(postgresUrl) as other:
            populate(one)
            other.commit([], NOW_MS)
            self.kept = one.book.seq
            depositEach(one, 1, 2)
            truth.sql("DELETE FROM page WHERE last > %s", self.kept)
            yield one, other

    @pytest.mark.parametrize("grown", [0, 1, 2, 3, 40])
    def test_noticed(
        self, ledgers: tuple[PostgresLedger, PostgresLedger], truth: Truth, logged: Logged, grown: int
    ) -> None:
        """Who has seen more books nothing on that, however far the log has come again; it says so, once."""
        one, other = ledgers
        called: list[str] = []
        one.follow(lambda: called.append(one.lost))
        order = other.reserveOrders(100)
        for n in range(grown):
            other.commit([deposit(order + n)], NOW_MS)
        head = len(truth.entries())
        ((epoch,),) = truth.sql("SELECT epoch FROM ledger")
        for requests in ([keyed(order + 90, "a")], [], [keyed(order + 90, "a")]):
            with pytest.raises(LedgerFailed) as failed:
                one.commit(requests, NOW_MS)
            assert outcomeOf(failed.value) == "void"
        # Whoever follows it is called once that can be seen.
        assert called == [one.lost]
        assert one.lost
        assert one.away
        assert len(truth.entries()) == head
        assert sum("is lost" in line for line in logged.lines()) == 1
        # The other one, which has lost nothing, is none of this log either: its clients may know what is lost.
        with pytest.raises(LedgerFailed):
            other.commit([keyed(order + 91, "b")], NOW_MS)
        assert other.lost
        assert len(truth.entries()) == head
        ((renewed,),) = truth.sql("SELECT epoch FROM ledger")
        assert renewed not in (epoch, "")

    def test_startedAgain(self, ledgers: tuple[PostgresLedger, PostgresLedger], truth: Truth, postgresUrl: str) -> None:
        """Those that are started again go on, all in the same epoch; and what is lost is written down nowhere."""
        for ledger in ledgers:
            with pytest.raises(LedgerFailed):
                ledger.commit([keyed(99, "a")], NOW_MS)
        truth.sql("UPDATE ledger SET next_order = 500")
        for ledger in ledgers:
            ledger.close(1)
        assert truth.sql("SELECT next_order FROM ledger") == [(500,)]
        assert truth.sql("SELECT count(*) FROM book") == [(0,)]
        with gateway(postgresUrl) as one, gateway(postgresUrl) as other:
            assert one.epoch == other.epoch
            assert one.book.seq == other.book.seq == self.kept
            order = one.reserveOrders(1)
            one.commit([keyed(order, "a")], NOW_MS)
            other.commit([], NOW_MS)
            assert state(one.book) == state(other.book)
