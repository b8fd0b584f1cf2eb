"""Books to try things on, and requests to try."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from scalemgr.finance.book import Book
from scalemgr.finance.masks import EVERYTHING, Mask
from scalemgr.finance.money import readAmount
from scalemgr.finance.records import BROADCAST, TRADE_EVENT, Account, Entry, FinanceTrade, Group
from scalemgr.finance.requests import AddAccount, AddGroup, Cause, MoveMoney, Request
from scalemgr.finance.settle import Outcome, refusalOf, settleBatch
from scalemgr.wire.codes import EventRecordType, TradeCommand
from scalemgr.wire.errors import ManagerError
from scalemgr.wire.messages import Json

#: The time of every batch: milliseconds that are no whole second.
NOW_MS = 1_763_836_800_250
NOW = NOW_MS // 1000

CRM = Cause("crm", EVERYTHING)
#: The same, with an idempotency key.
KEYED = Cause("crm", EVERYTHING, "key-1")
#: May touch the group C{real-eu} only.
EU = Cause("eu", Mask("real-eu"))

DEPOSIT = TradeCommand.OP_BALANCE_IN


def makeBook(*accounts: Account, floor: int = 0) -> Book:
    """
    Groups C{demo} (USD), C{real-eu} (EUR), C{yen} and C{coins} (8 digits), and accounts; without any named,
    1001 and 1002 in C{demo}, 2001 in C{real-eu}, with nothing on them.
    """
    book = Book()
    for group in (
        Group("demo", "USD", 2, floor),
        Group("real-eu", "EUR", 2),
        Group("yen", "JPY", 0),
        Group("coins", "BTC", 8),
    ):
        book.groups[group.group] = group
    for account in accounts or (Account(1001, "demo"), Account(1002, "demo"), Account(2001, "real-eu")):
        book.accounts[account.login] = account
    while book.account(book.nextLogin) is not None:
        book.nextLogin += 1
    return book


#: A deposit of 100.00 on 1001 that exists already, made some time ago.
BEFORE = FinanceTrade(7, 1001, DEPOSIT, 10000, 2, "first", 1000, 2000, 1500, 1)


def richBook(balance: int = 10000, *, floor: int = 0, enable: int = 1) -> Book:
    """A book in which 1001 has money: by default just that of L{BEFORE}."""
    return makeBook(Account(1001, "demo", enable, balance, 0, 1), Account(1002, "demo"), floor=floor)


def deposit(amount: float, login: int = 1001, *, order: int = 7, cause: Cause = CRM, **more: Any) -> MoveMoney:
    """A new deposit."""
    return MoveMoney(cause, more.pop("cmd", DEPOSIT), login, readAmount(amount), order, **more)


def change(amount: float, login: int = 1001, *, order: int = 7, cause: Cause = CRM, **more: Any) -> MoveMoney:
    """The change of a deposit that exists."""
    return deposit(amount, login, order=order, cause=cause, named=order, **more)


def settleOne(book: Book, request: Request, *trades: FinanceTrade, nowMs: int = NOW_MS) -> Outcome:
    """What becomes of one request; the book is as before."""
    outcomes, _ = settleBatch(book, {trade.order: trade for trade in trades}, {}, [request], nowMs)
    return outcomes[0]


def booked(outcome: Outcome) -> Entry:
    """An outcome that must be a booking."""
    assert isinstance(outcome, Entry), outcome
    assert outcome.event in BROADCAST
    return outcome


def refused(outcome: Outcome) -> ManagerError:
    """An outcome that must be a refusal, kept in the log or not: an answer for the client, not a bug."""
    if isinstance(outcome, Entry):
        refusal = refusalOf(outcome)
        assert refusal is not None, outcome
        return refusal
    assert isinstance(outcome, ManagerError), repr(outcome)
    return outcome


def told(outcome: Outcome) -> object:
    """An outcome as something that can be compared; of a refusal, what was refused."""
    if isinstance(outcome, Entry) and (refusal := refusalOf(outcome)) is not None:
        outcome = refusal
    if isinstance(outcome, ManagerError):
        return type(outcome), outcome.status, outcome.data()
    return outcome if isinstance(outcome, Entry) else (type(outcome), str(outcome))


def contents(book: Book) -> object:
    """All that a book says."""
    turnover = book.turnover
    return book.seq, book.nextLogin, dict(book.groups), dict(book.accounts), turnover.days, dict(turnover.sums)


def folded(book: Book, entries: Iterable[Entry]) -> Book:
    """A book with entries folded in."""
    for entry in entries:
        book.apply(entry)
    return book


def tradesOf(outcomes: Sequence[Outcome]) -> dict[int, FinanceTrade]:
    """The trades as the entries among these leave them."""
    found = [o for o in outcomes if isinstance(o, Entry)]
    return {entry.order: entry.trade() for entry in found if entry.event == TRADE_EVENT}


def moneyEntry(seq: int, login: int = 1001, *, balance: int = 0, credit: int = 0) -> Entry:
    """An entry of the log that moves money, as little of it as the fold looks at."""
    return Entry(
        seq=seq,
        time_ms=NOW_MS,
        event=TRADE_EVENT,
        type=EventRecordType.EV_RECORD_ADD,
        group="demo",
        login=login,
        order=seq,
        balance=balance,
        credit=credit,
        principal="crm",
        key=None,
        fingerprint=None,
        data=Json("{}"),
    )


def newGroup(
    name: str = "vip", *, cause: Cause = CRM, currency: str = "USD", digits: int = 2, **fields: Any
) -> AddGroup:
    """A group to be made."""
    return AddGroup(cause, name, currency, digits, fields)


def newAccount(
    login: int = 0,
    group: str = "demo",
    *,
    cause: Cause = CRM,
    enable: int = 1,
    hash: str = "$argon2id$x",
    **fields: Any,
) -> AddAccount:
    """An account to be opened; login 0: the server assigns one."""
    return AddAccount(cause, login, group, enable, fields, hash)
