"""What a server says no to, or takes its time with, in the middle of a commit: nothing is half done, and it goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

from scalemgr.finance.records import Entry
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.wire.errors import LedgerFailed

from ..conftest import Logged
from ..helpers import NOW_MS, populate
from ..keys import keyed
from .gateways import Truth, gateway, outcomeOf, quick

_LOCK = "SELECT pg_advisory_lock(1935892844, 'ledger'::regclass::oid::integer)"


@pytest.fixture
def truth(postgresUrl: str) -> Iterator[Truth]:
    """The log."""
    with closing(Truth(postgresUrl)) as truth:
        yield truth


@pytest.fixture
def ledger(postgresUrl: str, truth: Truth) -> Iterator[PostgresLedger]:
    """A gateway's, with accounts, that is told little, and waits little."""
    with gateway(postgresUrl, statement_seconds=1, lock_seconds=0.3) as ledger:
        truth.told["one"] = []
        populate(ledger)
        yield ledger
        ledger.commit([], NOW_MS)
        truth.agrees("one", ledger)


def done(ledger: PostgresLedger, order: int, key: str) -> int:
    """Book one; where it is."""
    (entry,) = ledger.commit([keyed(order, key)], NOW_MS)
    assert isinstance(entry, Entry)
    return entry.seq


def void(ledger: PostgresLedger, order: int, key: str) -> str:
    """Book one, which comes to nothing for sure; why."""
    with pytest.raises(LedgerFailed) as failed:
        ledger.commit([keyed(order, key)], NOW_MS)
    assert outcomeOf(failed.value) == "void"
    return failed.value.message


@contextmanager
def trigger(truth: Truth, body: str, when: str = "BEFORE INSERT") -> Iterator[None]:
    """For a while, something happens at each insertion of a page; C{hit} counts them, rolled back or not."""
    truth.sql("CREATE SEQUENCE hit")
    truth.sql(
        "CREATE FUNCTION harm() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n bigint := nextval('hit');"
        f" BEGIN {body} RETURN NEW; END $$"
    )
    deferred = "CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED"
    kind, more = ("TRIGGER", "") if when.startswith("BEFORE") else deferred
    truth.sql(f"CREATE {kind} harm {when} ON page {more} FOR EACH ROW EXECUTE FUNCTION harm()")
    try:
        yield
    finally:
        truth.sql("DROP FUNCTION harm CASCADE")
        truth.sql("DROP SEQUENCE hit")


def raising(state: str, times: int | None) -> str:
    """Raise this, so many times, or always."""
    condition = "true" if times is None else f"n <= {times}"
    return f"IF {condition} THEN RAISE 'told to' USING ERRCODE = '{state}'; END IF;"


@pytest.mark.parametrize("state", ["40001", "40P01"])
@pytest.mark.parametrize("when", ["BEFORE INSERT", "AFTER INSERT"])
def test_inTheWay(ledger: PostgresLedger, truth: Truth, state: str, when: str) -> None:
    """Who was given up for others, in a statement or at the very COMMIT, tries again, and only so often."""
    order = ledger.reserveOrders(10)
    with trigger(truth, raising(state, 3), when):
        assert done(ledger, order, "a") == truth.keys()["a"]
    with trigger(truth, raising(state, None), when):
        assert "told to" in void(ledger, order + 1, "b")
        ((tries,),) = truth.sql("SELECT last_value FROM hit")
        assert 1 < tries < 10
    assert ledger.away == ""
    assert set(truth.keys()) == {"a"}
    done(ledger, order + 1, "b")


@pytest.mark.parametrize("state", ["53100", "53200", "58030", "57P03"])
@pytest.mark.parametrize("when", ["BEFORE INSERT", "AFTER INSERT"])
def test_inTrouble(ledger: PostgresLedger, truth: Truth, state: str, when: str) -> None:
    """A server without room, or in other trouble, is away: nothing is done, nor is it tried without end."""
    order = ledger.reserveOrders(10)
    with trigger(truth, raising(state, None), when):
        void(ledger, order, "a")
        assert "told to" in ledger.away
    assert truth.keys() == {}
    assert ledger.commit([], NOW_MS) == []
    assert ledger.away == ""
    done(ledger, order, "a")


def test_slowStatement(ledger: PostgresLedger, truth: Truth) -> None:
    """A statement that takes too long is ended; nobody else has to wait longer than that, and the next batch works."""
    order = ledger.reserveOrders(10)
    with trigger(truth, "PERFORM pg_sleep(30);"):
        began = time.monotonic()
        void(ledger, order, "a")
        assert time.monotonic() - began < 20
    assert done(ledger, order, "a") == truth.keys()["a"]


def test_lockHeld(ledger: PostgresLedger, truth: Truth, postgresUrl: str) -> None:
    """Somebody who has the ledger's lock and does not give it back costs a batch, not the gateway."""
    order = ledger.reserveOrders(10)
    with psycopg.connect(postgresUrl, autocommit=True) as somebody:
        somebody.execute(_LOCK)
        assert "lock timeout" in void(ledger, order, "a")
        assert ledger.away == ""
    done(ledger, order, "a")


@pytest.mark.parametrize("before", [1, 12])
def test_tableLocked(ledger: PostgresLedger, truth: Truth, postgresUrl: str, before: int) -> None:
    """
    Somebody who locks a table costs what is asked meanwhile, and nothing after it, however often the same was asked.
    """
    order = ledger.reserveOrders(100)
    for n in range(before):
        done(ledger, order + n, f"before-{n}")
        ledger.keyed([("crm", "none")])
    for n, mode in enumerate(["SHARE", "ACCESS EXCLUSIVE"]):
        with psycopg.connect(postgresUrl) as somebody:
            somebody.execute(f"LOCK TABLE page IN {mode} MODE".encode())
            for _ in range(2):
                assert "lock timeout" in void(ledger, order + 50, "a")
            if mode != "SHARE":
                with pytest.raises(LedgerFailed):
                    ledger.keyed([("crm", "none")])
        done(ledger, order + 20 + n, f"after-{n}")
        assert len(ledger.keyed([("crm", f"after-{n}"), ("crm", "none")])) == 1


def test_terminated(ledger: PostgresLedger, truth: Truth) -> None:
    """All its connections are cut while nothing is asked: the next batch, of whatever kind, does not know."""
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'scalemgr %%'"
        " AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'ledger'::regclass) OR pid = ANY(%s)"
    )
    order = ledger.reserveOrders(100)
    for n in range(3):
        done(ledger, order, f"key-{n}")
        # Known, and read from the log; and from the views.
        assert len(ledger.keyed([("crm", f"key-{n}"), ("crm", "none")])) == 1
        ledger._projector.waitFor(ledger.book.seq, 30)
        truth.sql(terminate, pids(ledger))
        if n == 0:
            order = ledger.reserveOrders(100)
        if n == 1:
            assert len(ledger.keyed([("crm", "key-0"), ("crm", "none")])) == 1
        order += 1
        replay, entry = ledger.commit([keyed(order - 1, "key-0"), keyed(order, f"more-{n}")], NOW_MS)
        assert not isinstance(replay, Exception), replay
        assert isinstance(entry, Entry)
        order += 1
    assert ledger.away == ""


def pids(ledger: PostgresLedger) -> list[int]:
    """The server's processes that serve this one."""
    views: Any = ledger._asked._opened
    connections = [log.connection for log in [ledger._file, *ledger._opened]] + [v._connection for v in views]
    return [connection.info.backend_pid for connection in connections]


def test_terminatedWithin(ledger: PostgresLedger, truth: Truth) -> None:
    """One whose server's process is ended in the middle of its commit tries it once more."""
    order = ledger.reserveOrders(10)
    body = "IF n = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); END IF;"
    for when in ("BEFORE INSERT", "AFTER INSERT"):
        with trigger(truth, body, when):
            assert done(ledger, order, when) == truth.keys()[when]
        order += 1


def test_readOnly(ledger: PostgresLedger, truth: Truth) -> None:
    """A server that takes no writing any more is left at once, for another one that does, or until it does again."""
    order = ledger.reserveOrders(10)
    ledger._file.connection.execute("SET default_transaction_read_only = on")
    done(ledger, order, "a")
    with trigger(truth, raising("25006", None)):
        void(ledger, order + 1, "b")
        assert ledger.away
        assert ledger._file.closed
    ledger.commit([], NOW_MS)
    assert ledger.away == ""


def test_crowded(ledger: PostgresLedger, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lets nobody in any more is away until it does, and that is said without a traceback."""
    order = ledger.reserveOrders(10)
    real = ledger._server.connect

    def full(purpose: str, **more: Any) -> Any:
        raise psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already")

    ledger._file.close()
    monkeypatch.setattr(ledger._server, "connect", full)
    assert "too many clients" in void(ledger, order, "a")
    assert "too many clients" in ledger.away
    with pytest.raises(LedgerFailed):
        ledger.commit([], NOW_MS)
    with pytest.raises(LedgerFailed):
        ledger.reserveOrders(1)
    monkeypatch.setattr(ledger._server, "connect", real)
    done(ledger, order, "a")
    assert ledger.away == ""


def test_notDurable(ledger: PostgresLedger, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A COMMIT that warns, as one does that was interrupted while it waited for a standby, is no success, as long as what
    follows it warns, too.
    """
    order = ledger.reserveOrders(10)
    quick(monkeypatch, 0.2)
    warning = "RAISE WARNING 'canceling the wait for synchronous replication';"
    truth.sql(f"CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {warning} RETURN NEW; END $$")
    for table, event in (("page", "INSERT"), ("ledger", "UPDATE")):
        truth.sql(f"CREATE TRIGGER warn BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION warn()")
    with pytest.raises(LedgerFailed) as failed:
        ledger.commit([keyed(order, "a")], NOW_MS)
    assert outcomeOf(failed.value) == "pending"
    assert ledger.away
    before = ledger.book.seq
    with pytest.raises(LedgerFailed):
        ledger.commit([], NOW_MS)
    with pytest.raises(LedgerFailed):
        ledger.reserveOrders(1)
    # It is seen by all, but nobody is told by us.
    assert set(truth.keys()) == {"a"}
    assert ledger.book.seq == before
    assert truth.tell("one", ledger)[-1].seq == before
    truth.sql("DROP FUNCTION warn CASCADE")
    assert ledger.commit([], NOW_MS) == []
    assert truth.tell("one", ledger)[0].key == "a"


def test_damagedTail(ledger: PostgresLedger, truth: Truth, logged: Logged) -> None:
    """A page of another that cannot be read is an error, not a part of the log."""
    seq = ledger.book.seq
    order = ledger.reserveOrders(1)
    truth.sql("INSERT INTO page VALUES (%s, %s, 'another', '[nonsense]')", seq + 1, seq + 1)
    with pytest.raises(Exception, match=r"entr|JSON|malformed"):
        ledger.commit([keyed(order, "a")], NOW_MS)
    assert ledger.book.seq == seq
    truth.sql("DELETE FROM page WHERE last = %s", seq + 1)
    done(ledger, order, "a")


def test_keyedWaits(ledger: PostgresLedger, truth: Truth, postgresUrl: str) -> None:
    """
    Who asks whether there is nothing under a name waits for what another gateway is just committing, and is told of it;
    not for ever.
    """
    patient = {"statement_seconds": 30, "lock_seconds": 30}
    found: dict[tuple[str, str], Entry] = {}
    with gateway(postgresUrl, **patient) as other, gateway(postgresUrl, **patient) as asker:
        order = other.reserveOrders(1)
        before = asker.book.seq
        asking = threading.Thread(target=lambda: found.update(asker.keyed([("crm", "a"), ("crm", "b")])))
        committing = threading.Thread(target=done, args=(other, order, "a"))
        with trigger(truth, "PERFORM pg_advisory_xact_lock_shared(hashtext(current_schema()));"):
            with psycopg.connect(postgresUrl) as somebody:
                somebody.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema()))")
                committing.start()
                waitFor(truth, 1)
                asking.start()
                waitFor(truth, 2)
                # Whoever is less patient is not told that there is nothing.
                with pytest.raises(LedgerFailed):
                    ledger.keyed([("crm", "a")])
            asking.join()
            committing.join()
        assert {key: entry.order for (_, key), entry in found.items()} == {"a": order}
        # It had not even read it.
        assert asker.book.seq == before < found["crm", "a"].seq


def waitFor(truth: Truth, count: int) -> None:
    """Until so many wait for a lock in this ledger's schema."""
    until = time.monotonic() + 60
    waiting = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND locktype = 'advisory'"
        " AND (objid = 'ledger'::regclass::oid OR objid::bigint = hashtext(current_schema())::bigint & 4294967295)"
    )
    while truth.sql(waiting) != [(count,)]:
        assert time.monotonic() < until
        time.sleep(0.01)
