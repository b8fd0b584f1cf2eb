"""Batches of requests, of any kind and in any order: what holds whatever is asked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from scalemgr.finance.book import Book
from scalemgr.finance.masks import EVERYTHING, Mask
from scalemgr.finance.money import MINOR_UNITS_MAX, Amount
from scalemgr.finance.records import BALANCE_EVENT, TRADE_EVENT, Account, Entry, FinanceTrade
from scalemgr.finance.requests import AddAccount, AddGroup, Cause, MoveMoney, Request
from scalemgr.finance.settle import Outcome, settleBatch
from scalemgr.wire.errors import ManagerError

from ..helpers import wholeLog
from .books import (
    CRM,
    DEPOSIT,
    EU,
    NOW_MS,
    booked,
    change,
    contents,
    deposit,
    folded,
    makeBook,
    newAccount,
    newGroup,
    settleOne,
    told,
    tradesOf,
)

causes = st.sampled_from([CRM, EU, Cause("other", Mask("*,!yen"))])
logins = st.sampled_from([1001, 1002, 1003, 2001, 4711])
times = st.sampled_from([0, 0, 0, 1000, 2000])
amounts = st.builds(
    Amount,
    st.integers(1, 10**6) | st.sampled_from([MINOR_UNITS_MAX - 1, MINOR_UNITS_MAX, 10**20]),
    st.sampled_from([2, 2, 2, 0, 3]),
)
groups = st.sampled_from(["demo", "real-eu", "vip"])


@st.composite
def batches(draw: st.DrawFn) -> list[Request]:
    """Requests as the commands make them: each new trade has an order of its own; changes name earlier ones."""
    requests: list[Request] = []
    for order in range(1, draw(st.integers(1, 12)) + 1):
        kind = draw(st.sampled_from(["new", "new", "change", "change", "group", "account"]))
        if kind == "group":
            requests.append(AddGroup(draw(causes), draw(groups), "USD", 2, {}))
        elif kind == "account":
            login = draw(st.sampled_from([0, 0, 1001, 1003]))
            requests.append(AddAccount(draw(causes), login, draw(groups), draw(st.sampled_from([1, 1, 0])), {}, ""))
        else:
            named = draw(st.integers(1, order)) if kind == "change" else 0
            comment = draw(st.sampled_from([None, "x"]))
            requests.append(
                MoveMoney(
                    draw(causes),
                    DEPOSIT,
                    draw(logins),
                    draw(amounts),
                    named or order,
                    named,
                    comment,
                    draw(times),
                    draw(times),
                )
            )
    return requests


def oneByOne(book: Book, requests: list[Request]) -> list[Outcome]:
    """What becomes of requests that come in a batch each."""
    outcomes: list[Outcome] = []
    for request in requests:
        one, draft = settleBatch(book, tradesOf(outcomes), {}, [request], NOW_MS)
        book.absorb(draft)
        outcomes += one
    return outcomes


def entriesOf(outcomes: list[Outcome]) -> list[Entry]:
    """Those of the outcomes that go into the log; what follows from them is not among them."""
    return [outcome for outcome in outcomes if isinstance(outcome, Entry)]


thorough = settings(deadline=None, max_examples=60)


@thorough
@given(batches())
def test_batchIsNoDifferentFromOneByOne(requests: list[Request]) -> None:
    """How requests fall into batches makes no difference to any of them, nor to the book."""
    together, apart = makeBook(), makeBook()
    outcomes, draft = settleBatch(together, {}, {}, requests, NOW_MS)
    together.absorb(draft)
    assert [told(o) for o in outcomes] == [told(o) for o in oneByOne(apart, requests)]
    assert contents(together) == contents(apart)


@thorough
@given(batches())
def test_foldOfTheEntriesIsTheDraft(requests: list[Request]) -> None:
    """The book that a batch leads to is the one that its entries alone lead to, after any restart."""
    book = makeBook()
    _, draft = settleBatch(book, {}, {}, requests, NOW_MS)
    book.absorb(draft)
    assert contents(book) == contents(folded(makeBook(), draft.entries))


@thorough
@given(batches())
def test_moneyIsFollowedByItsBalance(requests: list[Request]) -> None:
    """The log gets each outcome that is an entry, right after each that moves money its balance:event, nothing else."""
    outcomes, draft = settleBatch(makeBook(), {}, {}, requests, NOW_MS)
    assert draft.entries == wholeLog(makeBook(), entriesOf(outcomes))


@thorough
@given(batches())
def test_moneyIsConserved(requests: list[Request]) -> None:
    """A balance is the sum of its entries' deltas, and of the amounts of its trades, and is within its bounds."""
    outcomes, draft = settleBatch(makeBook(), {}, {}, requests, NOW_MS)
    entries = [entry for entry in draft.entries if entry.balance or entry.credit]
    assert all(entry.event == TRADE_EVENT and entry.balance for entry in entries)
    trades = tradesOf(outcomes).values()
    for login in (1001, 1002, 1003, 2001):
        account = draft.account(login) or Account(login, "")
        assert account.balance == sum(entry.balance for entry in entries if entry.login == login)
        assert account.balance == sum(trade.profit for trade in trades if trade.login == login)
        assert account.balance_version == sum(bool(entry.balance) for entry in entries if entry.login == login)
        assert 0 <= account.balance < MINOR_UNITS_MAX
        assert account.credit == 0


@thorough
@given(batches())
def test_entriesAreNumberedWithoutAGap(requests: list[Request]) -> None:
    """What is no entry takes no number: entries follow the book's last one, in the order of the requests."""
    book = makeBook()
    book.seq = 41
    outcomes, draft = settleBatch(book, {}, {}, requests, NOW_MS)
    assert len(outcomes) == len(requests)
    assert [entry.seq for entry in draft.entries] == list(range(42, 42 + len(draft.entries)))
    assert draft.seq == 41 + len(draft.entries)
    assert [entry for entry in draft.entries if entry.event != BALANCE_EVENT] == entriesOf(outcomes)


@thorough
@given(batches())
def test_settlingChangesNothingThatIsGiven(requests: list[Request]) -> None:
    """Book and trades are after a batch what they were before it, whatever was asked."""
    book = makeBook()
    trades = {1: FinanceTrade(1, 1001, DEPOSIT, 5, 2, "", 1, 1, 1, 1)}
    before = contents(book), dict(trades)
    settleBatch(book, trades, {}, requests, NOW_MS)
    assert (contents(book), trades) == before


@thorough
@given(batches())
def test_refusalsAreAnswers(requests: list[Request]) -> None:
    """Whatever a command can ask for is booked or refused with an answer; none of it is a bug."""
    outcomes, _ = settleBatch(makeBook(), {}, {}, requests, NOW_MS)
    assert [o for o in outcomes if not isinstance(o, Entry | ManagerError)] == []


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "deposit",
        replace(deposit(1), amount=None),
        replace(deposit(1), login=[]),
        replace(deposit(1), cause=None),
        replace(deposit(1), comment=b"\xff"),
        replace(deposit(1), comment=b"x"),
        replace(deposit(1), login=Decimal(1001)),
        replace(deposit(1), order=Decimal(7)),
        replace(deposit(1), order=7.0),
        replace(deposit(1), order=2**63),
        replace(deposit(1), order=-1),
        replace(deposit(1), open_time=Decimal(5)),
        replace(deposit(1), amount=Amount(Decimal(1), 0)),  # type: ignore[arg-type]
        replace(newAccount(), fields={"x": float("nan")}),
        replace(newGroup(), fields=None),
    ],
)
def test_bugHurtsItsOwnRequestOnly(broken: Any) -> None:
    """A request that makes settling fail is an outcome like another; those around it are settled, none is raised."""
    book = makeBook()
    before = contents(book)
    outcomes, draft = settleBatch(book, {}, {}, [deposit(5, order=1), broken, deposit(7, order=2)], NOW_MS)
    assert isinstance(outcomes[1], Exception)
    assert not isinstance(outcomes[1], ManagerError)
    assert [booked(outcomes[i]).seq for i in (0, 2)] == [1, 3]
    assert draft.entries == wholeLog(book, entriesOf(outcomes))
    assert draft.account(1001) == Account(1001, "demo", 1, 1200, 0, 2)
    assert contents(book) == before


def test_numbersOfOrdersHaveABound() -> None:
    """The largest number that the log can keep is booked, next to the largest login."""
    login = 2**63 - 1
    entry = booked(settleOne(makeBook(Account(login, "demo")), deposit(1, login, order=2**63 - 1)))
    assert (entry.login, entry.order) == (login, 2**63 - 1)


def test_emptyBatch() -> None:
    """A batch of nothing changes nothing."""
    book = makeBook()
    outcomes, draft = settleBatch(book, {}, {}, [], NOW_MS)
    assert outcomes == []
    book.absorb(draft)
    assert contents(book) == contents(makeBook())


# -- fingerprints -------------------------------------------------------------------------------------


def fingerprint(request: Request, *trades: FinanceTrade) -> bytes:
    """What is kept of a request, to know it again."""
    found = booked(settleOne(makeBook(Account(1001, "demo", 1, 10**9), Account(1002, "demo")), request, *trades))
    assert found.fingerprint is not None
    return found.fingerprint


OLD = FinanceTrade(7, 1001, DEPOSIT, 500, 2, "old", 1000, 2000, 1500, 1)


@pytest.mark.parametrize(
    "again",
    [
        deposit(250, order=8),
        deposit(250.0, order=4711),
        deposit(250.00000000000003),
        deposit(250, comment="Finance"),
        deposit(250, cause=Cause("someone else", EVERYTHING, "key-2")),
    ],
    ids=["order", "float", "noise", "comment", "cause"],
)
def test_equalRequestsHaveEqualFingerprints(again: Request) -> None:
    """A repeat is known again however it is spelled, and although each attempt reserves another order."""
    assert fingerprint(again) == fingerprint(deposit(250, order=7))


def test_fingerprintsOfDifferentRequestsDiffer() -> None:
    """Two requests that ask for different things are never taken for one."""
    different = [
        fingerprint(deposit(250)),
        fingerprint(deposit(250.01)),
        fingerprint(deposit(250, 1002)),
        fingerprint(deposit(250, comment="")),
        fingerprint(deposit(250, comment="x")),
        fingerprint(deposit(250, open_time=1000)),
        fingerprint(deposit(250, close_time=1000)),
        fingerprint(deposit(250, open_time=1000, close_time=1000)),
        fingerprint(deposit(250, order=8, named=4711)),
        fingerprint(deposit(250, order=8, named=4712)),
        fingerprint(change(250), OLD),
        fingerprint(change(250, comment="Finance"), OLD),
        fingerprint(change(250, order=8), replace(OLD, order=8)),
        fingerprint(newGroup("vip")),
        fingerprint(newGroup("vip2")),
        fingerprint(newGroup("vip", currency="EUR")),
        fingerprint(newGroup("vip", digits=3)),
        fingerprint(newGroup("vip", margin_call=1)),
        fingerprint(newAccount()),
        fingerprint(newAccount(1003)),
        fingerprint(newAccount(group="yen")),
        fingerprint(newAccount(enable=0)),
        fingerprint(newAccount(name="x")),
    ]
    assert len(set(different)) == len(different)
    assert {len(f) for f in different} == {16}


def test_fingerprintDoesNotDependOnTheBook() -> None:
    """What was there before a request, and when it came, does not change what was asked."""
    poor, rich = makeBook(), makeBook(Account(1001, "demo", 1, 10**6, 5, 9), Account(1002, "demo"))
    one, other = settleOne(poor, deposit(250)), settleOne(rich, deposit(250), nowMs=5)
    assert booked(one).fingerprint == booked(other).fingerprint
    assert fingerprint(change(250), OLD) == fingerprint(change(250), replace(OLD, comment="new", profit=1))


def test_assignedLoginIsNotPartOfTheFingerprint() -> None:
    """A repeat of a request for any login is known again although it would get another one."""
    outcomes, _ = settleBatch(makeBook(), {}, {}, [newAccount(), newAccount()], NOW_MS)
    one, other = map(booked, outcomes)
    assert one.login != other.login
    assert one.fingerprint == other.fingerprint


def test_refusalNamesNoOtherAccount() -> None:
    """A refusal in a batch says nothing of the requests around it."""
    alone = settleOne(makeBook(), deposit(5, 4711))
    outcomes, _ = settleBatch(makeBook(), {}, {}, [deposit(9), deposit(5, 4711), deposit(9, 1002, order=8)], NOW_MS)
    assert told(outcomes[1]) == told(alone)
