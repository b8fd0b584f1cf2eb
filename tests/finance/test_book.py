"""The log folded: the same entries give the same book, and a draft leaves no trace until it is absorbed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from scalemgr.finance.book import FIRST_LOGIN, Book, Draft
from scalemgr.finance.money import DIGITS_MAX, MINOR_UNITS_MAX
from scalemgr.finance.records import Account, FinanceTrade, Group
from scalemgr.finance.settle import settleBatch
from scalemgr.wire.codes import EventRecordType
from scalemgr.wire.messages import encode

from .books import NOW_MS, booked, contents, folded, makeBook, moneyEntry, newAccount, newGroup, settleOne


@pytest.mark.parametrize("seq", [-1, 0, 1, 3, 4])
def test_entriesAreFoldedInOrder(seq: int) -> None:
    """Only the next entry can be folded in; any other is refused and changes nothing."""
    book = folded(makeBook(), [moneyEntry(1, balance=100)])
    before = contents(book)
    with pytest.raises(ValueError, match=f"entry {seq} does not follow entry 1"):
        book.apply(moneyEntry(seq, balance=100))
    assert contents(book) == before
    book.apply(moneyEntry(2, balance=100))
    assert book.seq == 2


@pytest.mark.parametrize(
    ("event", "type"),
    [("trade:event", EventRecordType.EV_RECORD_RESTORE), ("user:event", EventRecordType.EV_RECORD_ARCHIVE), ("x", 0)],
)
def test_unknownEntriesAreNotSkipped(event: str, type: int) -> None:
    """An entry that this version cannot fold stops it; to pass it over would give a wrong book."""
    book = makeBook()
    before = contents(book)
    with pytest.raises(KeyError):
        book.apply(replace(moneyEntry(1, balance=100), event=event, type=type))
    assert contents(book) == before


def test_moneyOfAnUnknownAccountStopsTheFold() -> None:
    """Money is never moved on an account that the log did not open."""
    book = makeBook()
    with pytest.raises(AssertionError):
        book.apply(moneyEntry(1, login=4711, balance=100))
    assert (book.seq, book.account(4711)) == (0, None)


def test_balanceAndCreditAreSeparate() -> None:
    """Balance and credit move each by its own delta, and the version by one with each change of either."""
    book = folded(makeBook(), [moneyEntry(1, balance=500)])
    assert book.account(1001) == Account(1001, "demo", 1, 500, 0, 1)
    book.apply(moneyEntry(2, credit=70))
    assert book.account(1001) == Account(1001, "demo", 1, 500, 70, 2)
    book.apply(moneyEntry(3, balance=-200, credit=-30))
    assert book.account(1001) == Account(1001, "demo", 1, 300, 40, 3)
    assert book.account(1002) == Account(1002, "demo")


def test_entryWithoutMoneyKeepsTheVersion() -> None:
    """An entry that changes neither balance nor credit moves the book on and leaves the account as it was."""
    book = folded(makeBook(), [moneyEntry(1, balance=500), moneyEntry(2)])
    assert book.seq == 2
    assert book.account(1001) == Account(1001, "demo", 1, 500, 0, 1)


def test_moneyKeepsTheRestOfTheAccount() -> None:
    """To move money leaves group and switch of the account as they are."""
    account = Account(1001, "real-eu", 0, 5, 6, 7)
    assert folded(makeBook(account), [moneyEntry(1, balance=1)]).account(1001) == Account(1001, "real-eu", 0, 6, 6, 8)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([1001, 1002]), st.integers(), st.integers()), max_size=30))
def test_balancesAreTheSumOfTheEntries(moves: list[tuple[int, int, int]]) -> None:
    """Balance and credit are the sums of what the entries say, to the minor unit and however large."""
    entries = [moneyEntry(i, login, balance=b, credit=c) for i, (login, b, c) in enumerate(moves, 1)]
    book = folded(makeBook(), entries)
    assert book.seq == len(moves)
    for login in (1001, 1002):
        account = book.account(login)
        assert account is not None
        assert account.balance == sum(b for who, b, _ in moves if who == login)
        assert account.credit == sum(c for who, _, c in moves if who == login)
        assert account.balance_version == sum(who == login and bool(b or c) for who, b, c in moves)


def test_groupIsFolded() -> None:
    """A group has the currency, the decimals and all else of what was kept beside its entry, and no accounts yet."""
    entry = booked(settleOne(Book(), newGroup("coins", currency="BTC", digits=8)))
    assert entry.record is not None
    assert folded(Book(), [entry]).group("coins") == Group("coins", "BTC", 8, 0, 0, entry.record)


def test_accountIsFolded() -> None:
    """An account has the group and the switch of its entry, and begins with nothing on it."""
    entry = booked(settleOne(makeBook(), newAccount(5000, "real-eu", enable=0)))
    book = folded(makeBook(), [entry])
    assert book.account(5000) == Account(5000, "real-eu", 0, 0, 0, 0)


def test_accountsShareTheNameOfTheirGroup() -> None:
    """A million accounts hold one string for the group, the group's own."""
    book = makeBook()
    entry = booked(settleOne(book, newAccount(5000)))
    book.apply(replace(entry, group="".join(["de", "mo"])))
    account, group = book.account(5000), book.group("demo")
    assert account is not None
    assert group is not None
    assert account.group is group.group


def test_accountOfAnUnknownGroupStopsTheFold() -> None:
    """An account is never opened in a group that the log did not make."""
    entry = booked(settleOne(makeBook(), newAccount(5000)))
    book = Book()
    with pytest.raises(AssertionError):
        book.apply(entry)
    assert contents(book) == contents(Book())


def test_nextLoginIsTheLowestFreeOne() -> None:
    """The login to be assigned next passes over the taken ones, whenever they were taken."""
    book = folded(Book(), [booked(settleOne(Book(), newGroup("demo")))])
    assert book.nextLogin == FIRST_LOGIN == 1001
    for login, following in ((1002, 1001), (1003, 1001), (7, 1001), (1001, 1004), (1005, 1004), (1004, 1006)):
        book.apply(booked(settleOne(book, newAccount(login))))
        assert book.nextLogin == following


def test_draftReadsItsBook() -> None:
    """A draft starts as what its book is, seq and next login included."""
    book = folded(makeBook(), [moneyEntry(1, balance=500)])
    draft = Draft(book)
    assert (draft.seq, draft.nextLogin) == (1, 1003)
    assert draft.account(1001) == book.account(1001)
    assert draft.group("demo") == book.group("demo")
    assert draft.account(4711) is None
    assert draft.group("vip") is None


def test_draftLeavesItsBookAlone() -> None:
    """What is tried out in a draft is seen in the draft and not in the book."""
    book = makeBook()
    before = contents(book)
    draft = Draft(book)
    draft.apply(moneyEntry(1, balance=500))
    draft.apply(replace(booked(settleOne(book, newGroup("vip"))), seq=2))
    draft.apply(replace(booked(settleOne(book, newAccount())), seq=3))
    assert contents(book) == before
    assert draft.account(1001) == Account(1001, "demo", 1, 500, 0, 1)
    assert draft.group("vip") is not None
    assert (draft.seq, draft.nextLogin) == (3, 1004)


def test_draftCanBeDropped() -> None:
    """After a draft that was not absorbed the book goes on where it was."""
    book = makeBook()
    Draft(book).apply(moneyEntry(1, balance=500))
    book.apply(moneyEntry(1, balance=30))
    assert book.account(1001) == Account(1001, "demo", 1, 30, 0, 1)


def test_draftOnADraft() -> None:
    """A draft of a draft reads through to the book below both."""
    book = makeBook()
    below = Draft(book)
    below.apply(moneyEntry(1, balance=500))
    above = Draft(below)
    above.apply(moneyEntry(2, balance=1))
    above.apply(moneyEntry(3, login=1002, balance=2))
    below.absorb(above)
    book.absorb(below)
    assert book.seq == 3
    assert book.account(1001) == Account(1001, "demo", 1, 501, 0, 2)
    assert book.account(1002) == Account(1002, "demo", 1, 2, 0, 1)


def test_absorbedDraftIsLetGo() -> None:
    """What is done to a draft after it was absorbed is no part of the book."""
    book = makeBook()
    draft = Draft(book)
    book.absorb(draft)
    before = contents(book)
    draft.apply(replace(booked(settleOne(book, newGroup("vip"))), seq=1))
    draft.apply(replace(booked(settleOne(book, newAccount())), seq=2))
    draft.drop("yen")
    assert contents(book) == before


def test_absorbedDraftIsTheFold() -> None:
    """To absorb a draft gives the book that folding the same entries gives."""
    base = Book()
    requests = [newGroup("demo"), newAccount(1002), newAccount(), newAccount(), newGroup("vip")]
    outcomes, draft = settleBatch(base, {}, {}, requests, NOW_MS)
    base.absorb(draft)
    assert contents(base) == contents(folded(Book(), map(booked, outcomes)))
    assert (base.seq, base.nextLogin, len(base.accounts), len(base.groups)) == (5, 1004, 3, 2)


trades = st.builds(
    FinanceTrade,
    order=st.integers(1, 2**53),
    login=st.integers(1, 2**53),
    cmd=st.integers(6, 9),
    profit=st.integers(-MINOR_UNITS_MAX + 1, MINOR_UNITS_MAX - 1),
    digits=st.integers(0, DIGITS_MAX),
    comment=st.text(max_size=20),
    open_time=st.integers(0, 2**40),
    close_time=st.integers(0, 2**40),
    update_time=st.integers(0, 2**40),
    balance_version=st.integers(0, 2**40),
    state=st.integers(0, 19),
    reason=st.integers(0, 7),
)


@settings(deadline=None, max_examples=60)
@given(trades)
def test_tradeReadsBackFromItsEvent(trade: FinanceTrade) -> None:
    """A trade is kept as its event only, so it must read back from it exactly."""
    entry = replace(moneyEntry(1), data=encode(trade.data()))
    assert entry.trade() == trade


def test_tradeIsAsPublished() -> None:
    """A trade on the wire has the published members; the money is in C{profit}, as a number in whole units."""
    trade = FinanceTrade(1242279, 1001, 6, 25000, 2, "Payment gateway deposit", 5, 6, 7, 8)
    assert json.loads(encode(trade.data())) == {
        "order": 1242279,
        "login": 1001,
        "cmd": 6,
        "state": 3,
        "symbol": "",
        "digits": 2,
        "reason": 7,
        "open_time": 5,
        "close_time": 6,
        "profit": 250.0,
        "comment": "Payment gateway deposit",
        "update_time": 7,
        "balance_version": 8,
    }
