"""A server that is stopped, killed, or replaced by its standby: nothing that was told is lost where it need not be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from scalemgr.finance.records import Entry
from scalemgr.finance.settle import Outcome
from scalemgr.ledger.postgres import server
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.wire.errors import LedgerFailed
from tests.postgres import Cluster, ClusterFailed, absent

from ..helpers import NOW_MS, eventually, populate
from ..keys import keyed
from .gateways import Truth, gateway, outcomeOf, quick


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A server of one's own."""
    try:
        cluster = Cluster()
    except ClusterFailed as e:
        absent(str(e))
    with cluster:
        yield cluster


def either(one: Cluster, other: Cluster) -> str:
    """The URL of whichever of two can be written to."""
    return f"postgresql://postgres@127.0.0.1:{one.port},127.0.0.1:{other.port}/postgres"


def book(ledger: PostgresLedger, order: int, key: str) -> int:
    """Book one; where it is."""

    def commit() -> Outcome:
        (outcome,) = ledger.commit([keyed(order, key)], NOW_MS)
        if isinstance(outcome, LedgerFailed):
            raise outcome
        return outcome

    assert isinstance(eventually(commit), Entry)
    return ledger.book.seq


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restarted(cluster: Cluster, mode: str) -> None:
    """A server that was started again while nothing was asked costs nothing: the next batch works."""
    with gateway(cluster.url()) as ledger, closing(Truth(cluster.url())) as truth:
        populate(ledger)
        order = ledger.reserveOrders(10)
        book(ledger, order, "a")
        ledger.keyed([("crm", "a"), ("crm", "none")])
        cluster.restart(mode)
        book(ledger, order + 1, "b")
        assert ledger.away == ""
        cluster.restart(mode)
        # What a crash takes of the views is made again first.
        assert eventually(lambda: ledger.keyed([("crm", "b"), ("crm", "none")])).keys() == {("crm", "b")}
        cluster.restart(mode)
        assert ledger.reserveOrders(10) > order
        assert truth.keys().keys() == {"a", "b"}
        ledger.commit([], NOW_MS)
        truth.agrees("one", ledger)


def test_stopped(cluster: Cluster) -> None:
    """While it is stopped nothing is done, for sure, and what is asked is answered; then all goes on."""
    with gateway(cluster.url()) as ledger, closing(Truth(cluster.url())) as truth:
        populate(ledger)
        order = ledger.reserveOrders(10)
        cluster.stop("immediate")
        for requests in ([keyed(order, "a")], [keyed(order, "a")], []):
            with pytest.raises(LedgerFailed) as failed:
                ledger.commit(requests, NOW_MS)
            assert outcomeOf(failed.value) == "void"
            assert ledger.away
        with pytest.raises(LedgerFailed):
            ledger.keyed([("crm", "a")])
        with pytest.raises(LedgerFailed):
            ledger.entries(0, 10)
        with pytest.raises(LedgerFailed):
            ledger.reserveOrders(1)
        cluster.start()
        assert ledger.commit([], NOW_MS) == []
        assert ledger.away == ""
        book(ledger, order, "a")
        truth.agrees("one", ledger)


def test_synchronous(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With a synchronous standby nothing is told that it does not have: not while it is away, though all can see it then
    if somebody ends the waiting; and when it takes over, all that was told is there, and the gateway goes on.
    """
    quick(monkeypatch)
    # A COMMIT that waits for a standby has no end of its own.
    monkeypatch.setattr(server, "LOST_S", 0.2)
    standby = Cluster(of=cluster)
    with standby, gateway(either(cluster, standby), statement_seconds=1, lock_seconds=1, connect_seconds=2) as ledger:
        populate(ledger)
        order = ledger.reserveOrders(10)
        cluster.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        cluster.psql("SELECT pg_reload_conf()")
        told = book(ledger, order, "a")
        standby.stop()
        with pytest.raises(LedgerFailed) as failed:
            ledger.commit([keyed(order + 1, "b")], NOW_MS)
        assert outcomeOf(failed.value) == "pending"
        assert ledger.book.seq == told
        assert ledger.away
        with pytest.raises(LedgerFailed):
            ledger.commit([], NOW_MS)
        assert ledger.away
        # Somebody ends the waiting: then it is there for all to see, and not for sure.
        cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        with closing(Truth(cluster.url())) as truth:
            while truth.keys().keys() != {"a", "b"}:
                cluster.psql(cancel)
        with pytest.raises(LedgerFailed):
            ledger.commit([], NOW_MS)
        assert ledger.book.seq == told
        standby.start()
        while ledger.away:
            try:
                ledger.commit([], NOW_MS)
            except LedgerFailed:
                assert ledger.away
        assert [entry.key for entry in ledger.takeCommitted() if entry.key] == ["a", "b"]
        book(ledger, order + 2, "c")
        cluster.stop("immediate")
        standby.promote()
        standby.psql("ALTER SYSTEM SET synchronous_standby_names = ''")
        standby.psql("SELECT pg_reload_conf()")
        assert book(ledger, order + 3, "d") == ledger.book.seq
        assert ledger.lost == ""
        with closing(Truth(standby.url())) as truth:
            assert truth.keys().keys() == {"a", "b", "c", "d"}
        # Orders that it may not know to have been given are not given again.
        assert ledger.reserveOrders(10) > order + 100_000


def test_asynchronous(cluster: Cluster) -> None:
    """One that takes over without the latest is not gone on with by whoever knows more."""
    standby = Cluster(of=cluster)
    with standby, gateway(either(cluster, standby), connect_seconds=2) as ledger:
        populate(ledger)
        order = ledger.reserveOrders(10)
        kept = book(ledger, order, "a")
        while standby.psql("SELECT max(last) FROM page") != [(kept,)]:
            pass
        standby.stop()
        book(ledger, order + 1, "b")
        cluster.stop("immediate")
        standby.start()
        standby.promote()
        before = standby.psql("SELECT epoch FROM ledger")
        with pytest.raises(LedgerFailed) as failed:
            ledger.commit([keyed(order + 2, "c")], NOW_MS)
        assert outcomeOf(failed.value) == "void"
        assert ledger.lost
        assert standby.psql("SELECT epoch FROM ledger") != before
        with closing(Truth(standby.url())) as truth:
            assert truth.keys().keys() == {"a"}
        with gateway(either(cluster, standby), connect_seconds=2) as again:
            assert again.reserveOrders(10) > order + 100_000
            again.commit([keyed(order + 200_000, "b")], NOW_MS)
