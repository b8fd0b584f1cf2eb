"""What the rules have at hand while a batch is settled, and how they write entries.

A rule is a function of a L{Desk} and a request. It returns the entry that is the request's outcome, or several
of which that is the first, or raises: C{Refused} for a no that is kept in the log, any other C{ManagerError} for
one that is not. It changes nothing: the entries are folded in when it has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union

import ujson

from ..wire.codes import RetCode
from ..wire.errors import Refused
from ..wire.messages import Json
from .book import Book
from .records import TRADE_EVENT, USER_EVENT, Account, Entry, FinanceTrade, Group
from .requests import Request, fingerprint

__all__ = ["Desk", "Rule"]

Rule = Callable[["Desk", Any], Union[Entry, list[Entry]]]


class Desk:
    """
    A batch in the making.

    @ivar book: what is true before the next request.
    @ivar nowMs: the time of the batch, in milliseconds since 1970.
    @ivar now: the same in seconds.
    @param trades: the existing trades that the batch names, by order.
    @param profiles: the profiles that it changes, by login.
    """

    def __init__(
        self, book: Book, trades: Mapping[int, FinanceTrade], profiles: Mapping[int, dict[str, Any]], nowMs: int
    ) -> None:
        self.book = book
        self.nowMs = nowMs
        self.now = nowMs // 1000
        self._trades = trades
        self._profiles = profiles
        # What earlier requests of the batch made of them.
        self._booked: dict[int, Entry] = {}
        self._said: dict[int, Json] = {}

    def keep(self, entries: Iterable[Entry]) -> None:
        """These will be in the log."""
        for entry in entries:
            self.book.apply(entry)
            if entry.event == TRADE_EVENT:
                self._booked[entry.order] = entry
            elif entry.event == USER_EVENT and entry.record is not None:
                self._said[entry.login] = entry.record

    def trade(self, order: int) -> FinanceTrade | None:
        """The trade with this number, as it is now."""
        entry = self._booked.get(order)
        return self._trades.get(order) if entry is None else entry.trade()

    def profile(self, login: int) -> dict[str, Any]:
        """What the log says of an account, with the hash of its password."""
        said = self._said.get(login)
        profile = self._profiles.get(login) if said is None else ujson.loads(said)
        assert profile is not None, f"the profile of login {login} is not at hand"
        return profile

    def account(self, request: Request, login: int) -> tuple[Account, Group]:
        """
        An account that the caller may touch, and its group.

        @raise Refused: the same for one outside the caller's groups as for one that does not exist: to tell them
            apart would tell which logins exist.
        """
        account = self.book.account(login)
        if account is None or not request.cause.mask.covers(account.group):
            raise Refused(f"login {login} does not exist, or not for you", RetCode.RET_USER_NOT_FOUND)
        return account, self.groupOf(account)

    def groupOf(self, account: Account) -> Group:
        """The group of an account."""
        return self.book.groups[account.group]

    def entry(
        self,
        request: Request,
        event: str,
        type: int,
        group: str,
        data: Json,
        *,
        login: int = 0,
        order: int = 0,
        balance: int = 0,
        credit: int = 0,
        record: Json | None = None,
    ) -> Entry:
        """The entry that is the request's outcome: it carries its key."""
        cause = request.cause
        # What could not be kept would fail the whole batch. Two numbers are in range if, or-ed, they are, and only ints
        # can be.
        if not (
            0 <= login | order < 2**63
            and -(2**63) <= balance | credit < 2**63
            and (cause.key is None or isinstance(cause.key, str))
        ):
            raise ValueError(f"login {login!r}, order {order!r}, {balance!r} and {credit!r}, key {cause.key!r}")
        return Entry(
            seq=self.book.seq + 1,
            time_ms=self.nowMs,
            event=event,
            type=type,
            group=group,
            login=login,
            order=order,
            balance=balance,
            credit=credit,
            principal=cause.principal,
            key=cause.key,
            fingerprint=fingerprint(request),
            data=data,
            record=record,
        )

    def further(
        self, first: Entry, nth: int, event: str, type: int, group: str, data: Json, *, login: int = 0
    ) -> Entry:
        """The C{nth} entry after the one that is the outcome: of the same cause, without the key."""
        return Entry(
            seq=first.seq + nth,
            time_ms=first.time_ms,
            event=event,
            type=type,
            group=group,
            login=login,
            order=0,
            balance=0,
            credit=0,
            principal=first.principal,
            key=None,
            fingerprint=None,
            data=data,
        )
