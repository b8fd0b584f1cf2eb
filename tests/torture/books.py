"""The log folded: what is on each account and what has become of each trade, as of one entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import ujson
from msgspec import Struct

from .asked import CREDIT
from .history import Entry

__all__ = ["BOOKED", "DECLINED", "DELETED", "PENDING", "Account", "Books", "Trade", "booksOf", "cents", "tradeOf"]

#: The states of a trade here: booked, taken back, awaiting approval, declined.
BOOKED, DELETED, PENDING, DECLINED = 3, 6, 17, 18

_DELETE = 2


def cents(amount: float) -> int:
    """An amount as it is on the wire, in minor units."""
    return round(amount * 100)


class Account(Struct):
    """What is on an account, in minor units, and how often that has changed."""

    balance: int = 0
    credit: int = 0
    version: int = 0


class Trade(Struct, frozen=True):
    """
    A movement, or a request for one.

    @ivar opened: its C{open_time}.
    """

    login: int
    cmd: int
    cents: int
    state: int
    comment: str = ""
    opened: int = 0

    @property
    def isPending(self) -> bool:
        """Does it await approval?"""
        return self.state == PENDING

    @property
    def isCredit(self) -> bool:
        """Is it the credit that it moves?"""
        return self.cmd in CREDIT


class Books:
    """
    All of it.

    @ivar accounts: by login, also those that are closed.
    @ivar groupOf: the groups of those that are open.
    @ivar groups: those that there are.
    @ivar trades: by order, each as its last entry says.
    @ivar waiting: how many of them await approval, by login.
    """

    def __init__(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.trades: dict[int, Trade] = {}
        self.waiting: Counter[int] = Counter()
        self.groupOf: dict[int, str] = {}
        self.groups: set[str] = set()

    def apply(self, entry: Entry) -> None:
        """Fold the next entry in. What it moves is believed, and counted as a change."""
        if entry.event == "user:event" and entry.type == _DELETE:
            self.groupOf.pop(entry.login, None)
        elif entry.event == "user:event":
            self.accounts.setdefault(entry.login, Account())
            self.groupOf[entry.login] = ujson.loads(entry.data)["group"]
        elif entry.event == "group:event":
            name = ujson.loads(entry.data)["group"]
            (self.groups.discard if entry.type == _DELETE else self.groups.add)(name)
        if entry.isTrade:
            before, trade = self.trades.get(entry.order), tradeOf(entry)
            self.trades[entry.order] = trade
            self.waiting[trade.login] += trade.isPending - (before is not None and before.isPending)
        if entry.moves:
            account = self.accounts.setdefault(entry.login, Account())
            account.balance += entry.balance
            account.credit += entry.credit
            account.version += 1


def tradeOf(entry: Entry) -> Trade:
    """The trade that an entry tells of."""
    data = ujson.loads(entry.data)
    amount = cents(data["profit"])
    return Trade(data["login"], data["cmd"], amount, data["state"], data["comment"], data["open_time"])


def booksOf(log: Iterable[Entry]) -> Books:
    """All of a log folded."""
    books = Books()
    for entry in log:
        books.apply(entry)
    return books
