"""Where the latest entries are, until the views have them: found by what a commit asks for.

Only their numbers: of the entries, which are in the log, there may be hundreds of thousands here. And they are let go
of many at a time, for to forget each would cost as much as to remember it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from ..finance.records import TRADE_EVENT, USER_EVENT, Entry
from ..finance.requests import KeyName

__all__ = ["Recent"]

# So many entries are let go of together. With fewer there are more such parts, each of which is looked through; with
# more there is more in memory that the views have.
_TOGETHER = 65_536

_Name = TypeVar("_Name")


class _Part:
    """
    Consecutive entries, each by what it is found by.

    @ivar last: the last of them.
    @ivar full: at this one there are enough.
    """

    __slots__ = ("full", "keys", "last", "trades", "users")

    def __init__(self, after: int) -> None:
        self.last = after
        self.full = after + _TOGETHER
        self.keys: dict[KeyName, int] = {}
        self.trades: dict[int, int] = {}
        self.users: dict[int, int] = {}


class Recent:
    """
    The numbers of entries that were committed. One thread adds and releases; others may look meanwhile.

    All that is not released is found. What is released may be found for a while, if nothing later hides it: the views
    have it too, and say the same.

    @param released: the entry that they follow.
    @ivar released: the last entry that was let go: the views have it, and all before it.
    """

    def __init__(self, released: int) -> None:
        self.released = self._last = released
        # Oldest first, and never none. Not changed, but replaced: others may be looking through it.
        self._parts: tuple[_Part, ...] = (_Part(released),)

    @property
    def last(self) -> int:
        """The last entry that was committed."""
        return self._last

    def __len__(self) -> int:
        """How many entries there are that the views may not have."""
        return self._last - self.released

    def add(self, entries: list[Entry]) -> None:
        """These were committed."""
        if not entries:
            return
        part = self._parts[-1]
        if part.last >= part.full:
            part = _Part(part.last)
            self._parts = (*self._parts, part)
        keys, trades, users = part.keys, part.trades, part.users
        for entry in entries:
            event = entry.event
            if (key := entry.key) is not None:
                keys[entry.principal, key] = entry.seq
            if event == TRADE_EVENT:
                trades[entry.order] = entry.seq
            elif event == USER_EVENT:
                users[entry.login] = entry.seq
        self._last = part.last = entries[-1].seq

    def release(self, reached: int) -> None:
        """The views have everything up to an entry."""
        reached = min(reached, self._last)
        if reached <= self.released:
            return
        # First: whoever finds it here no more must know that the views have it.
        self.released = reached
        self._parts = tuple(part for part in self._parts if part.last > reached) or (_Part(reached),)

    def keys(self, names: Collection[KeyName]) -> dict[KeyName, int]:
        """The last entry of each of these idempotency keys, as far as it is here."""
        return _latest([part.keys for part in self._parts], names)

    def trades(self, orders: Collection[int]) -> dict[int, int]:
        """The last entry of each of these orders, as far as it is here."""
        return _latest([part.trades for part in self._parts], orders)

    def users(self, logins: Collection[int]) -> dict[int, int]:
        """The last entry about each of these accounts itself, as far as it is here."""
        return _latest([part.users for part in self._parts], logins)


def _latest(parts: list[dict[_Name, int]], names: Collection[_Name]) -> dict[_Name, int]:
    found: dict[_Name, int] = {}
    for part in parts:
        # Mostly there is nothing to find. Not by set operations, which may walk through what another thread adds to.
        for name in filter(part.__contains__, names):
            found[name] = part[name]
    return found
