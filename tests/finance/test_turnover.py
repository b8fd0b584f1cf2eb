"""How much a caller has moved in a day: by whom, of what, and whatever the clock does."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from scalemgr.finance.book import Book, Draft
from scalemgr.finance.records import Account
from scalemgr.finance.turnover import DAY_MS, DAYS_MAX, Turnover, trillionths

from .books import NOW_MS, folded, makeBook, moneyEntry

CENT = 10**10
MIDNIGHT_MS = NOW_MS // DAY_MS * DAY_MS


def on(*days: int) -> Turnover:
    """What crm moved: a cent on each of these days, in this order."""
    turnover = Turnover()
    for day in days:
        turnover.add("crm", day * DAY_MS, "USD", CENT)
    return turnover


def cents(turnover: Turnover, day: int) -> float:
    return turnover.of("crm", day * DAY_MS, "USD") / CENT


def test_whateverWayItGoes() -> None:
    """What goes in and what goes out, balance and credit, all count, and by their absolute amounts."""
    moves = [(100, 0), (-30, 0), (0, 5), (0, -2), (-7, 7), (0, 0)]
    entries = [moneyEntry(seq, balance=b, credit=c) for seq, (b, c) in enumerate(moves, 1)]
    assert folded(makeBook(), entries).turnover.of("crm", NOW_MS, "USD") == (100 + 30 + 5 + 2 + 14) * CENT


def test_whoseAndOfWhat() -> None:
    """Each caller has a sum of its own in each currency; groups of one currency are added up."""
    book = makeBook(Account(1001, "demo"), Account(2001, "real-eu"), Account(3001, "usd-2"))
    book.groups["usd-2"] = replace(book.groups["demo"], group="usd-2")
    logins = [1001, 2001, 3001, 1001]
    entries = [moneyEntry(seq, login, balance=seq) for seq, login in enumerate(logins, 1)]
    entries[3] = replace(entries[3], principal="psp")
    turnover = folded(book, entries).turnover
    sums = [turnover.of(who, NOW_MS, currency) for who in ("crm", "psp", "x") for currency in ("USD", "EUR", "JPY")]
    assert sums == [4 * CENT, 2 * CENT, 0, 4 * CENT, 0, 0, 0, 0, 0]


def test_decimals() -> None:
    """Groups of one currency that count it in other decimals are added up exactly."""
    book = makeBook(Account(1001, "demo"), Account(3001, "mills"))
    book.groups["mills"] = replace(book.groups["demo"], group="mills", digits=3)
    turnover = folded(book, [moneyEntry(1, balance=1), moneyEntry(2, 3001, balance=1)]).turnover
    assert turnover.of("crm", NOW_MS, "USD") == trillionths(11, 3)


@pytest.mark.parametrize(("offset", "same"), [(0, True), (DAY_MS - 1, True), (DAY_MS, False), (-1, False)])
def test_midnight(offset: int, same: bool) -> None:
    """A day begins at midnight UTC, and ends before the next one."""
    turnover = folded(makeBook(), [replace(moneyEntry(1, balance=1), time_ms=MIDNIGHT_MS)]).turnover
    assert bool(turnover.of("crm", MIDNIGHT_MS + offset, "USD")) is same


def test_bounded() -> None:
    """Of many days only the latest are kept."""
    turnover = on(*range(100, 200))
    assert len(turnover.sums) == len(turnover.days) == DAYS_MAX
    assert [cents(turnover, day) for day in (199, 200 - DAYS_MAX, 200)] == [1, 1, 0]


def test_clockGoesBack() -> None:
    """A clock that goes back comes to the sums that were, and goes on with them."""
    turnover = on(10, 11, 10, 11, 11)
    assert (cents(turnover, 10), cents(turnover, 11)) == (2, 3)


def test_clockGoesFarBack() -> None:
    """A clock that goes back to before all that is kept frees nothing: it finds what was used up, and adds to that."""
    turnover = on(*range(20, 20 + DAYS_MAX), 20, 20)
    assert cents(turnover, 3) == 3
    turnover.add("crm", 3 * DAY_MS, "USD", CENT)
    assert cents(turnover, 3) == cents(turnover, 20) == 4
    assert len(turnover.days) == DAYS_MAX
    assert cents(turnover, 21) == 1


def test_clockWasAhead() -> None:
    """After a clock that was years ahead, today goes on as it was, and each day that comes has a sum of its own."""
    turnover = on(10, 10, 9999, 10, *range(11, 40))
    assert cents(turnover, 9999) == 1
    assert [cents(turnover, day) for day in (39, 38, 40)] == [1, 1, 0]
    assert cents(on(10, 10, 9999, 10), 10) == 3


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["crm", "psp"]),
            st.sampled_from([1001, 2001]),
            st.integers(-3, 3),
            st.integers(0, DAYS_MAX * 24 - 1),
        ),
        max_size=40,
    ),
    st.integers(1, 5),
)
def test_sameWhereverItIsFolded(moves: list[tuple[str, int, int, int]], size: int) -> None:
    """Entry by entry, or in drafts on drafts of any size: each sum is that of the day's entries, told by a calendar."""
    entries, expected = [], Counter[tuple[str, str, str]]()
    for seq, (who, login, moved, hours) in enumerate(moves, 1):
        timeMs = MIDNIGHT_MS + hours * DAY_MS // 24
        entries.append(replace(moneyEntry(seq, login, balance=moved), principal=who, time_ms=timeMs))
        date = datetime.fromtimestamp(timeMs / 1000, UTC).date().isoformat()
        expected[who, "USD" if login == 1001 else "EUR", date] += abs(moved)
    book, straight = makeBook(), folded(makeBook(), entries)
    for at in range(0, len(entries), size):
        lower = Draft(book)
        upper = Draft(lower)
        for entry in entries[at : at + size]:
            upper.apply(entry)
        lower.absorb(upper)
        book.absorb(lower)
    assert (book.turnover.sums, book.turnover.days) == (straight.turnover.sums, straight.turnover.days)
    for day in range(DAYS_MAX):
        timeMs = MIDNIGHT_MS + day * DAY_MS
        date = datetime.fromtimestamp(timeMs / 1000, UTC).date().isoformat()
        for who, currency in (("crm", "USD"), ("crm", "EUR"), ("psp", "USD"), ("psp", "EUR")):
            assert book.turnover.of(who, timeMs, currency) == expected[who, currency, date] * CENT


def test_draftLeavesItsBookAlone() -> None:
    """What a draft adds, and the days that it begins, are not in the book until it is absorbed."""
    book = folded(makeBook(), [moneyEntry(1, balance=5)])
    draft = Draft(book)
    draft.apply(moneyEntry(2, balance=7))
    draft.apply(replace(moneyEntry(3, balance=1), time_ms=NOW_MS + DAY_MS))
    times = NOW_MS, NOW_MS + DAY_MS
    assert [draft.turnover.of("crm", time, "USD") // CENT for time in times] == [12, 1]
    assert [book.turnover.of("crm", time, "USD") // CENT for time in times] == [5, 0]
    assert len(book.turnover.days) == 1
    book.absorb(draft)
    assert [book.turnover.of("crm", time, "USD") // CENT for time in times] == [12, 1]


def test_nothingMoved() -> None:
    """Who moves nothing takes no place."""
    book = folded(makeBook(), [moneyEntry(1)])
    assert (book.turnover.sums, book.turnover.days) == (Book().turnover.sums, ())
