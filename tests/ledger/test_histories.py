"""Whatever happens to a ledger, its log, its book, its views and plain arithmetic agree, and so do the engines.

Not parametrised: pytest-twisted wraps a property anew for each parameter, and the second wrap fails.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from scalemgr.finance.book import Book
from scalemgr.finance.records import BALANCE_EVENT, REFUSAL, TRADE_EVENT, Entry
from scalemgr.interfaces import ILedger

from ..helpers import wholeLog
from .engines import ENGINES
from .helpers import NOW_MS, deposit, folded, poison, populate, state, update


@given(counts=st.lists(st.integers(1, 5000), min_size=2, max_size=8))
@settings(max_examples=10, deadline=None)
def test_orders(counts: list[int]) -> None:
    """Reserved orders are consecutive, above zero, and never given twice."""
    for engine in ENGINES:
        with TemporaryDirectory() as folder:
            ledger = engine.make(Path(folder))
            ledger.open(NOW_MS)
            blocks = [(ledger.reserveOrders(count), count) for count in counts]
            ledger.close(None)
        orders = [order for first, count in blocks for order in range(first, first + count)]
        assert len(set(orders)) == sum(counts)
        assert min(orders) > 0


WHAT = st.sampled_from(["add", "add", "update", "mismatch", "poison"])
STEP = st.tuples(WHAT, st.integers(0, 9), st.integers(1, 999))


@given(batches=st.lists(st.lists(STEP, max_size=6), max_size=6))
@settings(max_examples=30, deadline=None)
def test_any_history(batches: list[list[tuple[str, int, int]]]) -> None:
    """After any history, book, log, views and plain arithmetic say the same, and every engine wrote the same log."""
    logs = []
    for engine in ENGINES:
        with TemporaryDirectory() as folder:
            ledger = engine.make(Path(folder))
            ledger.open(NOW_MS)
            trades = play(populate(ledger), batches)
            entries = ledger.entries(0, 1000)
            found = {order: ledger.trade(order) for order in trades}
            stored = {login: ledger.account(login) for login in (1001, 1002)}
            ledger.close(None)
        assert [e.seq for e in entries] == list(range(1, len(entries) + 1))
        assert folded(entries) == state(ledger.book)
        assert entries == wholeLog(Book(), [e for e in entries if e.event != BALANCE_EVENT])
        assert {e.order for e in entries if e.event == TRADE_EVENT} == set(trades)
        assert {o: (f[0].login, f[0].profit) for o, f in found.items() if f is not None} == trades
        for login, kept in stored.items():
            assert kept is not None
            assert kept.account == ledger.book.account(login)
            assert kept.account.balance == sum(cents for owner, cents in trades.values() if owner == login)
        logs.append(entries)
    assert all(log == logs[0] for log in logs)


def play(ledger: ILedger, batches: list[list[tuple[str, int, int]]]) -> dict[int, tuple[int, int]]:
    """Commit a history, and say which trades there should be: login and cents by order."""
    trades: dict[int, tuple[int, int]] = {}
    for batch in batches:
        requests, booked = [], []
        first = ledger.reserveOrders(6)
        for n, (what, which, cents) in enumerate(batch):
            order, login = first + n, 1001 + which % 2
            good = what != "poison"
            if what in ("update", "mismatch") and trades:
                order = sorted(trades)[which % len(trades)]
                good = what == "update"
                login = trades[order][0] if good else 2003 - trades[order][0]
                requests.append(update(order, cents, login))
            else:
                requests.append(deposit(order, cents, login) if good else poison(order))
            if good:
                trades[order] = login, cents
            booked.append(good)
        outcomes = ledger.commit(requests, NOW_MS)
        assert [isinstance(o, Entry) and o.event != REFUSAL for o in outcomes] == booked
    return trades
