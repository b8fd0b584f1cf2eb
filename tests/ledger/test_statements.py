"""Statements: what moved on an account, between what was there before and after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalemgr.finance.masks import Mask, Sight
from scalemgr.finance.questions import Bounds, Statement, StatementQuery
from scalemgr.interfaces import ILedger
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.wire.errors import InvalidData

from .engines import Engine, every
from .scribe import T0, Scribe, keep, told


@pytest.fixture
def ledger(engine: Engine, tmp_path: Path) -> Iterator[ILedger]:
    """A ledger of each engine, with something of everything."""
    made = engine.make(tmp_path)
    made.open(0)
    keep(made, Scribe().story().entries)
    yield made
    made.close(None)


def statement(
    ledger: ILedger, login: int = 1001, sight: Sight | None = None, rows: int = 50_000, **more: Any
) -> Statement:
    found = ledger.statement(StatementQuery(login=login, **more), sight or Sight(), Bounds(rows))
    assert found is not None
    return found


@every
def test_whole(ledger: ILedger) -> None:
    """A statement has every movement in the order of the log, each with what was there after it."""
    found = statement(ledger)
    assert found.structure == [
        *("seq", "time", "type", "order", "cmd", "amount", "credit_amount", "balance", "credit", "comment")
    ]
    assert [row[1:] for row in told(found.rows)] == [
        [T0 + 0.25, 0, 1, 6, 10.0, 0.0, 10.0, 0.0, "Finance"],
        [T0 + 100.25, 0, 5, 7, 0.0, 2.5, 10.0, 2.5, "Finance"],
        [T0 + 100.25, 1, 6, 6, 9.0, 0.0, 19.0, 2.5, "Finance"],
        [T0 + 200.25, 1, 1, 6, 5.0, 0.0, 24.0, 2.5, "Finance"],
        [T0 + 200.25, 2, 5, 7, 0.0, -2.5, 24.0, 0.0, "Finance"],
    ]
    assert (found.login, found.group, found.currency, found.count) == (1001, "demo", "USD", 5)
    assert (found.opening, found.closing, found.seq) == ((0.0, 0.0), (24.0, 0.0), ledger.book.seq)
    assert told(statement(ledger, 1002).rows)[0][9] == "O'Brien, }"


@every
@pytest.mark.parametrize(
    ("fromS", "toS", "opening", "closing", "orders"),
    [
        (T0, T0, (0, 0), (10, 0), [1]),
        (T0 + 1, T0 + 99, (10, 0), (10, 0), []),
        (T0 + 100, T0 + 100, (10, 0), (19, 2.5), [5, 6]),
        (T0 + 100, None, (10, 0), (24, 0), [5, 6, 1, 5]),
        (0, T0 + 100, (0, 0), (19, 2.5), [1, 5, 6]),
        (T0 + 201, None, (24, 0), (24, 0), []),
        (0, T0 - 1, (0, 0), (0, 0), []),
        (T0 + 100, T0, (10, 0), (10, 0), []),
    ],
)
def test_range(ledger: ILedger, fromS: int, toS: int | None, opening: Any, closing: Any, orders: list[int]) -> None:
    """From a second on, up to the end of another one; what opens and what closes is that of the range."""
    found = statement(ledger, fromS=fromS, toS=toS)
    assert (found.opening, found.closing, found.count) == (opening, closing, len(orders))
    assert [row[3] for row in told(found.rows)] == orders


@every
def test_newestFirst(ledger: ILedger) -> None:
    """From the last movement to the first, page by page: the same rows, and the same opening, closing and count."""
    whole = statement(ledger)
    pages: list[Any] = []
    for limit in (2, 1, 2, 2):
        page = statement(ledger, limit=limit, afterSeq=pages[-1][0] if pages else 0, asOf=whole.seq, newestFirst=True)
        assert (page.opening, page.closing, page.count) == (whole.opening, whole.closing, whole.count)
        pages += told(page.rows)
    assert pages == told(whole.rows)[::-1] == told(statement(ledger, newestFirst=True).rows)
    with pytest.raises(InvalidData, match="limit: 5 rows match, one answer has at most 4"):
        statement(ledger, rows=4, newestFirst=True)
    assert len(told(statement(ledger, rows=4, afterSeq=pages[0][0], newestFirst=True).rows)) == 4
    assert told(statement(ledger, afterSeq=pages[-1][0], newestFirst=True).rows) == []


@every
def test_pages(ledger: ILedger) -> None:
    """Pages of one statement fit together, whatever is booked between them."""
    first = statement(ledger, limit=2)
    pages = told(first.rows)
    scribe = Scribe().story()
    at = len(scribe.entries)
    scribe.trade(10, 12345)
    keep(ledger, scribe.entries[at:])
    while page := told(statement(ledger, limit=2, afterSeq=pages[-1][0], asOf=first.seq).rows):
        pages += page
    assert pages == told(statement(ledger, asOf=first.seq).rows)
    again = statement(ledger, limit=2, afterSeq=pages[-1][0], asOf=first.seq)
    assert (
        (again.opening, again.closing, again.count)
        == (first.opening, first.closing, first.count)
        == (
            (0.0, 0.0),
            (24.0, 0.0),
            5,
        )
    )
    assert statement(ledger).closing == (147.45, 0.0)


@every
def test_as_of(ledger: ILedger) -> None:
    """As of an earlier entry, what came later is not there; as of one that is not there yet, it is refused."""
    seqs = [row[0] for row in told(statement(ledger).rows)]
    assert statement(ledger, asOf=seqs[1]).closing == (10.0, 2.5)
    assert statement(ledger, asOf=seqs[0] - 1).closing == (0.0, 0.0)
    assert statement(ledger, asOf=ledger.book.seq).count == 5
    with pytest.raises(InvalidData, match="as_of: the log has"):
        statement(ledger, asOf=ledger.book.seq + 1)


@every
def test_more_than_fit(ledger: ILedger) -> None:
    """More movements than one answer may have are refused, unless a limit says which part is wanted."""
    with pytest.raises(InvalidData, match="limit: 5 rows match, one answer has at most 4"):
        statement(ledger, rows=4)
    first = told(statement(ledger, rows=4, limit=4).rows)
    assert len(first) == 4
    assert len(told(statement(ledger, rows=4, afterSeq=first[0][0]).rows)) == 4
    for limit in (0, 5):
        with pytest.raises(InvalidData, match="limit: expected 1 to 4"):
            statement(ledger, rows=4, limit=limit)


@every
@pytest.mark.parametrize(
    ("login", "sight"),
    [
        (7, Sight()),
        (1001, Sight(Mask("vip"))),
        (1001, Sight(login=1002)),
        (1001, Sight(balances=False)),
        (1004, Sight(Mask("demo"))),
    ],
)
def test_not_to_be_seen(ledger: ILedger, login: int, sight: Sight) -> None:
    """Of an account that the caller may not see there is no more of a statement than of one that never was."""
    assert ledger.statement(StatementQuery(login=login), sight, Bounds()) is None


@every
def test_deleted(ledger: ILedger) -> None:
    """The statement of an account that is deleted can still be read, and that of one without movements is empty."""
    assert statement(ledger, 1004).closing == (0.5, 0.0)
    scribe = Scribe().story()
    at = len(scribe.entries)
    scribe.user(1009)
    keep(ledger, scribe.entries[at:])
    empty = statement(ledger, 1009)
    assert (empty.opening, empty.closing, empty.count, empty.rows) == ((0, 0), (0, 0), 0, "[]")


@settings(max_examples=100, deadline=None)
@given(
    moves=st.lists(st.tuples(st.integers(0, 20), st.integers(-50, 50)), max_size=25),
    fromS=st.integers(0, 21),
    toS=st.none() | st.integers(0, 21),
    limit=st.integers(1, 5),
)
def test_any_clock(moves: list[tuple[int, int]], fromS: int, toS: int | None, limit: int) -> None:
    """Whatever the clock did, pages are contiguous, and what opens and what moved makes what closes."""
    scribe = Scribe()
    scribe.group()
    scribe.user()
    for order, (now, minor) in enumerate(moves, 1):
        scribe.now = now
        scribe.trade(order, minor)
    ledger = MemoryLedger()
    ledger.open(0)
    keep(ledger, scribe.entries)
    found = statement(ledger, fromS=fromS, toS=toS)
    rows: list[Any] = []
    while page := told(statement(ledger, fromS=fromS, toS=toS, limit=limit, afterSeq=rows[-1][0] if rows else 0).rows):
        rows += page
    ledger.close(None)
    assert rows == told(found.rows)
    assert len(rows) == found.count
    assert round((found.opening[0] + sum(row[5] for row in rows)) * 100) == round(found.closing[0] * 100)
    moved = {entry.seq: entry.time_ms // 1000 for entry in scribe.entries if entry.balance}
    begun = [seq for seq, time in moved.items() if time >= fromS]
    ended = [seq for seq, time in moved.items() if toS is None or time <= toS]
    expected = [seq for seq in moved if begun and ended and begun[0] <= seq <= ended[-1]]
    assert [row[0] for row in rows] == expected
