"""Whatever is asked in whatever order: what holds of every book and every log."""

from __future__ import annotations

import ujson
from hypothesis import given, settings
from hypothesis import strategies as st

from scalemgr.finance.book import Book
from scalemgr.finance.money import Amount
from scalemgr.finance.records import BALANCE_EVENT, BROADCAST, TRADE_EVENT, USER_EVENT, Entry, FinanceTrade
from scalemgr.finance.requests import (
    BALANCE,
    CREDIT,
    AskForMoney,
    Decide,
    DeleteAccount,
    DeleteAccounts,
    DeleteGroup,
    MoveMoney,
    Request,
    TakeBack,
    UpdateAccount,
    UpdateGroup,
)
from scalemgr.finance.settle import refusalOf, settleBatch
from scalemgr.wire.codes import TradeCommand, TradeState
from scalemgr.wire.errors import ManagerError

from .books import CRM, EU, NOW_MS, contents, folded, newAccount, newGroup

CAUSE = st.sampled_from([CRM, CRM, CRM, EU])
LOGIN = st.sampled_from([1001, 1002, 1003, 4711])
GROUP = st.sampled_from(["demo", "real-eu", "yen", "new"])
CMD = st.sampled_from([TradeCommand(n) for n in (6, 7, 8, 9, 6, 8)])
AMOUNT = st.sampled_from([Amount(n, 2) for n in (1, 500, 700, -1, -500, -700, -1300)] + [Amount(5, 0)])
ORDER = st.integers(1, 8)
FLOOR = st.sampled_from([None, Amount(0, 0), Amount(-3, 0), Amount(2, 0)])

REQUEST: st.SearchStrategy[Request] = st.one_of(
    st.builds(lambda c, cmd, login, a: MoveMoney(c, cmd, login, a, 0), CAUSE, CMD, LOGIN, AMOUNT),
    st.builds(lambda c, cmd, login, a, o: MoveMoney(c, cmd, login, a, o, o), CAUSE, CMD, LOGIN, AMOUNT, ORDER),
    st.builds(TakeBack, CAUSE, ORDER, st.sampled_from([BALANCE, CREDIT])),
    st.builds(lambda c, cmd, login, a: AskForMoney(c, cmd, login, a, 0), CAUSE, CMD, LOGIN, AMOUNT),
    st.builds(Decide, CAUSE, ORDER, st.booleans()),
    st.builds(lambda c, login, g: newAccount(login, g, cause=c), CAUSE, st.sampled_from([0, 1002, 1003]), GROUP),
    st.builds(lambda c, login, g, e: UpdateAccount(c, login, g, e, {}), CAUSE, LOGIN, GROUP, st.integers(0, 1)),
    st.builds(DeleteAccount, CAUSE, LOGIN),
    st.builds(DeleteAccounts, CAUSE, st.tuples(LOGIN, LOGIN)),
    st.builds(lambda c, g: newGroup(g, cause=c), CAUSE, GROUP),
    st.builds(lambda c, g, cur, f: UpdateGroup(c, g, cur, 2, {}, f), CAUSE, GROUP, st.sampled_from("AB"), FLOOR),
    st.builds(DeleteGroup, CAUSE, GROUP),
)


class Keeper:
    """A ledger of the plainest kind: the log, the book, and what is looked up in the log."""

    def __init__(self) -> None:
        self.book = Book()
        self.log: list[Entry] = []
        self.orders = 0
        self.commit([newGroup("demo"), newGroup("real-eu"), newAccount(1001), newAccount(1002)])

    def commit(self, requests: list[Request]) -> None:
        """Settle a batch, and check all that holds of it."""
        numbered: list[Request] = []
        for request in requests:
            if isinstance(request, (MoveMoney, AskForMoney)) and not request.order:
                self.orders += 1
                request = type(request)(
                    **{f: getattr(request, f) for f in request.__struct_fields__ if f != "order"}, order=self.orders
                )
            numbered.append(request)
        trades: dict[int, FinanceTrade] = {e.order: e.trade() for e in self.log if e.event == TRADE_EVENT}
        profiles = {e.login: ujson.loads(e.record) for e in self.log if e.event == USER_EVENT and e.record is not None}
        before = contents(self.book)
        outcomes, draft = settleBatch(self.book, trades, {}, numbered, NOW_MS, profiles)
        assert contents(self.book) == before
        for outcome in outcomes:
            assert isinstance(outcome, (Entry, ManagerError)), repr(outcome)
        kept = [outcome for outcome in outcomes if isinstance(outcome, Entry)]
        assert [e for e in draft.entries if e.fingerprint is not None] == kept
        self.log += draft.entries
        self.book.absorb(draft)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(REQUEST, max_size=8), max_size=6))
def test_everything(batches: list[list[Request]]) -> None:
    """No balance falls below its floor, no credit below zero, other than by a floor that was raised; the sums of what
    counts are what accounts have; each movement is followed by its balance; and the log folds to the same book."""
    keeper = Keeper()
    for batch in batches:
        keeper.commit(batch)
    book, log = keeper.book, keeper.log
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    assert contents(folded(Book(), log)) == contents(book)
    latest = {entry.order: entry.trade() for entry in log if entry.event == TRADE_EVENT}
    counting = [t for t in latest.values() if t.state == TradeState.TS_CLOSED_NORMAL]
    for login, account in book.accounts.items():
        mine = [t for t in counting if t.login == login]
        assert account.balance == sum(t.profit for t in mine if t.cmd in BALANCE)
        assert account.credit == sum(t.profit for t in mine if t.cmd in CREDIT) >= 0
        waiting = [t for t in latest.values() if t.login == login and t.state == TradeState.TS_FINANCE_OPEN_PENDING]
        assert account.pending == len(waiting)
        assert not account.deleted or (account.balance, account.credit, account.pending) == (0, 0, 0)
    for name, group in book.groups.items():
        assert group.accounts == sum(a.group == name and not a.deleted for a in book.accounts.values())
    checkBalances(log)


def checkBalances(log: list[Entry]) -> None:
    """Each entry that moves money, and no other, is followed by what the account has then, which is allowed."""
    book = Book()
    for n, entry in enumerate(log):
        before = book.account(entry.login)
        book.apply(entry)
        moved = entry.balance or entry.credit
        follows = n + 1 < len(log) and log[n + 1].event == BALANCE_EVENT
        assert bool(moved) == follows
        assert refusalOf(entry) is None or entry.event not in BROADCAST
        if not moved:
            continue
        account = book.account(entry.login)
        assert account is not None
        assert before is not None
        group = book.groups[account.group]
        assert entry.balance >= 0 or account.balance >= group.floor
        said = ujson.loads(log[n + 1].data)
        assert said["login"] == entry.login
        assert round(said["balance"] * 10**group.digits) == account.balance
        assert round(said["credit"] * 10**group.digits) == account.credit
        assert said["balance_version"] == account.balance_version == before.balance_version + 1
