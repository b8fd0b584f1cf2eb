"""What one gateway has told that it was not booked, and never will be, no other gateway books afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

import psycopg
import pytest

from scalemgr.finance.records import Entry
from scalemgr.finance.settle import Outcome, settleBatch
from scalemgr.ledger.pages import pack
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.wire.errors import LedgerFailed

from ..helpers import NOW_MS, populate
from ..keys import A, B, isVoid, keyed
from .gateways import gateway

HELD = b"SELECT pg_advisory_xact_lock(1935892844, 'ledger'::regclass::oid::integer)"


class Two(NamedTuple):
    """
    Two gateways.

    @ivar one: is asked first, and slow.
    @ivar other: tells that there is nothing.
    """

    url: str
    one: PostgresLedger
    other: PostgresLedger

    def commit(self, name: tuple[str, str], order: int = 1, *, isOver: bool = False) -> Outcome:
        """What the slow one was asked for comes to its commit."""
        [outcome] = self.one.commit([keyed(order, name)], NOW_MS, lambda _: isOver)
        return outcome


@pytest.fixture
def two(postgresUrl: str) -> Iterator[Two]:
    """Two gateways on one populated log, which do not look by themselves."""
    with gateway(postgresUrl) as one, gateway(postgresUrl) as other:
        populate(one)
        other.commit([], NOW_MS)
        yield Two(postgresUrl, one, other)


def test_notBookedAfterwards(two: Two) -> None:
    """What was under way elsewhere when a gateway renounced its key comes to nothing, for certain."""
    assert two.other.renounce([A]) == {}
    assert isVoidOf(two.commit(A))
    assert two.one.keyed([A]) == {}
    assert two.one.takeRenounced() == {A}
    assert two.one.takeRenounced() == set()


def test_bookedAnew(two: Two) -> None:
    """What is asked for after that was seen is booked; and other keys were never concerned."""
    two.other.renounce([A])
    assert isinstance(two.commit(B, 2), Entry)
    assert two.one.takeRenounced() == {A}
    assert isinstance(two.commit(A), Entry)


def test_seenWithoutACommit(two: Two) -> None:
    """A gateway that only looks has seen it, too: what it is asked for then is booked, be it with the next commit."""
    two.other.renounce([A])
    two.one.commit([], NOW_MS)
    assert two.one.takeRenounced() == {A}
    assert isinstance(two.commit(A), Entry)
    assert two.one.takeRenounced() == set()


def test_ownIsNoMatter(two: Two) -> None:
    """Who renounces a key books it all the same when it is asked again."""
    two.one.renounce([A])
    two.one.commit([], NOW_MS)
    assert two.one.takeRenounced() == set()
    assert isinstance(two.commit(A), Entry)


def test_notSeenOutOfTurn(two: Two) -> None:
    """Of two that renounce at once the one with the lower number may be the later one; it is seen all the same."""
    with psycopg.connect(two.url) as slow:
        slow.execute(HELD.replace(b"xact_lock", b"xact_lock_shared"))
        slow.execute("INSERT INTO renounced (gateway, principal, key) VALUES ('third', %s, %s)", A)
        two.other.renounce([B])
        two.one.commit([], NOW_MS)
        assert two.one.takeRenounced() == {B}
    assert isVoidOf(two.commit(A))
    assert two.one.takeRenounced() == {A}


def test_whatIsFoundIsSaid(two: Two) -> None:
    """A key that has an entry keeps it, and who repeats it elsewhere is told that."""
    booked = two.commit(A)
    assert two.other.renounce([A, B]) == {A: booked}


def test_waitsForACommit(two: Two) -> None:
    """A commit under way is waited for: what it books is found, and not told to be nothing."""
    with psycopg.connect(two.url) as holder:
        holder.execute(HELD)
        found: list[dict[tuple[str, str], Entry]] = []
        asking = threading.Thread(target=lambda: found.append(two.other.renounce([A])))
        asking.start()
        asking.join(0.3)
        assert asking.is_alive()
        # What is committed last is what it has to see.
        last, first, entries = pack(settled(two.one, A))[0]
        holder.execute("INSERT INTO page VALUES (%s, %s, 'another', %s)", [last, first, entries])
        holder.commit()
        asking.join(30)
    [keys] = found
    assert keys.keys() == {A}


def test_overIsDropped(two: Two) -> None:
    """What nobody waits for any more by the time that the lock is had is dropped; the rest of its batch is booked."""
    outcomes = two.one.commit([keyed(1, A), keyed(2, B)], NOW_MS, lambda number: number == 0)
    assert [type(outcome) for outcome in outcomes] == [LedgerFailed, Entry]
    assert isVoidOf(outcomes[0])
    assert two.other.keyed([A, B]) == {B: outcomes[1]}


def test_overWhileItWaited(two: Two) -> None:
    """Whether somebody waits is asked when the lock is had, not before."""
    waits = threading.Event()
    outcomes: list[Outcome] = []

    def commit() -> None:
        outcomes.extend(two.one.commit([keyed(1, A)], NOW_MS, lambda _: not waits.is_set()))

    waits.set()
    with psycopg.connect(two.url) as holder:
        holder.execute(HELD)
        committing = threading.Thread(target=commit)
        committing.start()
        committing.join(0.3)
        assert committing.is_alive()
        waits.clear()
    committing.join(30)
    assert isVoidOf(outcomes[0])
    assert two.other.renounce([A]) == {}


def test_cannotBeMadeSureOf(two: Two) -> None:
    """If it cannot be written down that a key is renounced, nothing is said of it."""
    with psycopg.connect(two.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE renounced ADD CHECK (false) NOT VALID")
        with pytest.raises(LedgerFailed) as failed:
            two.other.renounce([A])
        assert "outcome" not in failed.value.details
        assert two.other.keyed([A]) == {}
    assert isinstance(two.commit(A), Entry)


def test_oldOnesGo(two: Two) -> None:
    """What was renounced so long ago that nothing can be under way any more does not stay for ever."""
    two.other.renounce([A])
    with psycopg.connect(two.url, autocommit=True) as connection:
        connection.execute("UPDATE renounced SET at = at - interval '11 minutes'")
        two.other.renounce([B])
        assert connection.execute("SELECT key FROM renounced").fetchall() == [(B[1],)]


def settled(ledger: PostgresLedger, name: tuple[str, str]) -> list[Entry]:
    """The entries that a commit would make."""
    return settleBatch(ledger.book, {}, {}, [keyed(1, name)], NOW_MS)[1].entries


def isVoidOf(outcome: Outcome) -> bool:
    assert isinstance(outcome, LedgerFailed)
    assert outcome.code.name == "RET_ERR_CANCEL"
    return isVoid(outcome)
