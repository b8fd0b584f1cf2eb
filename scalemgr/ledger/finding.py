"""What a commit asks of what was done before: keys, trades and profiles as of the last commit.

Of the latest entries memory has the numbers, and they are read from the log. The rest the views have. Most that a
commit asks for is new, and then nothing is read from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import ujson
from twisted.logger import Logger

from ..finance.masks import Sight
from ..finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from ..finance.records import DELETED, TRADE_EVENT, USER_EVENT, Entry, FinanceTrade, StoredAccount
from ..finance.requests import KeyName
from ..interfaces import ITicket
from ..wire.errors import LedgerFailed
from .recent import Recent

__all__ = ["UNREADABLE", "Finder", "Log", "Partly", "Views"]

#: What one is told who asks what the views would know.
UNREADABLE = "the views cannot be read now; ask again later"
_DAMAGED = "the log cannot be read where this is; it must be looked after"

_Name = TypeVar("_Name")
_Thing = TypeVar("_Thing")


class Log(Protocol):
    """A log to read, whatever it is kept in: see L{SqliteLog <scalemgr.ledger.log.SqliteLog>}."""

    epoch: str

    def head(self) -> int: ...
    def read(self, after: int, limit: int, bytesMax: int | None = None) -> list[Entry]: ...
    def at(self, seqs: Collection[int]) -> list[Entry]: ...
    def olderThan(self, beforeMs: int, after: int, limit: int) -> int: ...
    def pages(self, after: int) -> Iterator[list[Entry]]: ...
    def close(self) -> None: ...


class Views(Protocol):
    """Views to ask, whatever they are kept in: see L{scalemgr.ledger.views.Views}."""

    def seq(self) -> int: ...
    def trade(self, order: int) -> tuple[FinanceTrade, str] | None: ...
    def trades(self, orders: Collection[int]) -> dict[int, FinanceTrade]: ...
    def keyed(self, names: Collection[KeyName]) -> dict[KeyName, int]: ...
    def account(self, login: int) -> StoredAccount | None: ...
    def profiles(self, logins: Collection[int]) -> dict[int, dict[str, Any]]: ...
    def table(self, query: TableQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None) -> Table: ...
    def statement(
        self, query: StatementQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None
    ) -> Statement | None: ...


# Given the views as far as an entry, or L{LedgerFailed}: what they say.
_Ask = Callable[[int, Callable[[Views], Any]], Any]


class Partly(dict[_Name, _Thing], Generic[_Name, _Thing]):
    """
    What was found of what was looked for. Whoever wants what could not be looked up is told so; the others go on.

    @param lost: what could not, and why.
    """

    def __init__(self, found: Mapping[_Name, _Thing], lost: Mapping[_Name, str]) -> None:
        super().__init__(found)
        self.lost = lost

    def get(self, name: _Name, default: Any = None) -> Any:
        if name in self.lost:
            raise LedgerFailed(f"nothing was done: {self.lost[name]}", outcome="void")
        return super().get(name, default)


class Finder:
    """
    Any thread may ask.

    @param recent: the entries that the views may not have.
    @param log: gives the thread that asks a log to read.
    @param ask: puts a question to the views, which should have come as far as an entry; it raises L{LedgerFailed} if
        they have not, or cannot be read.
    @param unreadable: what is raised where the log cannot be read.
    """

    _log = Logger()

    def __init__(
        self, recent: Recent, log: Callable[[], Log], ask: _Ask, unreadable: tuple[type[Exception], ...]
    ) -> None:
        self._recent = recent
        self._unreadable = unreadable
        self._reader = log
        self._ask = ask
        # Why the log could not be read, as it was last said.
        self._said = ""

    def keyed(self, names: Collection[KeyName]) -> Mapping[KeyName, Entry]:
        """The entries of these idempotency keys, forgotten or not."""

        def older(views: Views, names: Collection[KeyName]) -> dict[KeyName, Entry]:
            seqs = views.keyed(names)
            return self._read(seqs, _keyed) if seqs else {}

        return self._find(self._recent.keys(names), _keyed, names, older)

    def trades(self, orders: Collection[int]) -> Mapping[int, FinanceTrade]:
        """Those of the trades that exist."""
        return self._find(self._recent.trades(orders), _trade, orders, lambda views, orders: views.trades(orders))

    def trade(self, order: int) -> tuple[FinanceTrade, str] | None:
        """
        A trade, and the group that its account had then or has now.

        @raise LedgerFailed: if it cannot be looked up.
        """
        if recent := self._recent.trades([order]):
            found, lost = self._readSound(recent, lambda order, entry: (_trade(order, entry), entry.group))
            if lost:
                raise LedgerFailed(_DAMAGED)
            return found[order]
        # Where memory begins is read only now, as in _find.
        trade: tuple[FinanceTrade, str] | None = self._ask(self._recent.released, lambda views: views.trade(order))
        return trade

    def profiles(self, logins: Collection[int]) -> Mapping[int, dict[str, Any]]:
        """The profiles of those of the accounts that exist, with their passwords' hashes."""
        return self._find(self._recent.users(logins), _profile, logins, lambda views, logins: views.profiles(logins))

    def _find(
        self,
        recent: dict[_Name, int],
        take: Callable[[_Name, Entry], _Thing | None],
        names: Collection[_Name],
        ask: Callable[[Views, list[_Name]], dict[_Name, _Thing]],
    ) -> Mapping[_Name, _Thing]:
        """
        What is in memory, and, of what is not, what the views have.

        @param recent: where in the log it is, of what is in memory, which is asked first: what was released since then
            the views have.
        @param take: makes of an entry what is looked for; C{None}: there is no such thing any more.
        """
        found, lost = self._readSound(recent, take) if recent else ({}, {})
        if older := [name for name in names if name not in recent]:
            try:
                # Where memory begins is read before the views are asked how far they are: it moves.
                found.update(self._ask(self._recent.released, lambda views: ask(views, older)))
            except LedgerFailed as e:
                lost.update(dict.fromkeys(older, e.message))
        return Partly(found, lost) if lost else found

    def _readSound(
        self, seqs: dict[_Name, int], take: Callable[[_Name, Entry], _Thing | None]
    ) -> tuple[dict[_Name, _Thing], dict[_Name, str]]:
        """As L{_read}; and, of what cannot be read, why."""
        try:
            return self._read(seqs, take), {}
        except self._unreadable as e:
            if len(seqs) == 1:
                self._say(f"{next(iter(seqs.values()))}: {e}")
                return {}, dict.fromkeys(seqs, _DAMAGED)
        # Each alone, so that damage harms only those who need what it is in.
        found: dict[_Name, _Thing] = {}
        lost: dict[_Name, str] = {}
        for name, seq in seqs.items():
            one, none = self._readSound({name: seq}, take)
            found.update(one)
            lost.update(none)
        return found, lost

    def _read(self, seqs: dict[_Name, int], take: Callable[[_Name, Entry], _Thing | None]) -> dict[_Name, _Thing]:
        """
        What these entries say.

        @raise Exception: one of those that say that the log cannot be read, if it cannot, or is about something else.
        """
        try:
            entries = {entry.seq: entry for entry in self._reader().at(seqs.values())}
            things = {name: take(name, entries[seq]) for name, seq in seqs.items()}
        except (LookupError, TypeError, msgspec.MsgspecError) as e:
            raise ValueError(f"an entry is missing, or something in it: {e!r}") from e
        return {name: thing for name, thing in things.items() if thing is not None}

    def _say(self, what: str) -> None:
        """Once, however often it is met."""
        if what != self._said:
            self._said = what
            self._log.critical(
                "the log cannot be read at entry {what}; what needs it is refused. Look after the disk", what=what
            )


def _check(right: bool) -> None:
    if not right:
        raise ValueError("an entry is about something else")


def _keyed(name: KeyName, entry: Entry) -> Entry:
    _check((entry.principal, entry.key) == name)
    return entry


def _trade(order: int, entry: Entry) -> FinanceTrade:
    _check(entry.event == TRADE_EVENT and entry.order == order)
    trade = entry.trade()
    _check(trade.order == order)
    return trade


def _profile(login: int, entry: Entry) -> dict[str, Any] | None:
    _check(entry.event == USER_EVENT and entry.login == login)
    profile = ujson.loads(entry.record or entry.data)
    _check(isinstance(profile, dict) and profile["login"] == login)
    return None if entry.type == DELETED else profile
