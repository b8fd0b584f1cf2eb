"""The log folded: what is on each account and what has become of each trade, as of one entry."""

from __future__ import annotations

import ujson
from msgspec import Struct

from .asked import CREDIT
from .effects import cents
from .history import Entry

__all__ = ["Account", "Books", "Trade", "tradeOf"]


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
    def isCredit(self) -> bool:
        """Is it the credit that it moves?"""
        return self.cmd in CREDIT


class Books:
    """
    All of it.

    @ivar accounts: by login.
    @ivar trades: by order, each as its last entry says.
    """

    def __init__(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.trades: dict[int, Trade] = {}

    def apply(self, entry: Entry) -> None:
        """Fold the next entry in. What it moves is believed, and counted as a change."""
        if entry.event == "user:event":
            self.accounts.setdefault(entry.login, Account())
        if entry.isTrade:
            self.trades[entry.order] = tradeOf(entry)
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
