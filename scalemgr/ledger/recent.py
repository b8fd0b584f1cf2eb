"""The latest entries, in memory until the views have them, and found by what a commit asks for."""

from __future__ import annotations

from collections import deque

from ..finance.records import TRADE_EVENT, USER_EVENT, Entry
from ..finance.requests import KeyName

__all__ = ["Recent"]


class Recent:
    """
    Entries that were committed, oldest first. One thread adds and releases; others may look meanwhile.

    @ivar released: the last entry that was let go: the views have it, and all before it.
    @ivar trades: the last entry of each order.
    @ivar users: the last entry about each account itself, by login.
    @ivar keys: the entry of each idempotency key.
    """

    def __init__(self, released: int) -> None:
        self.released = released
        self.trades: dict[int, Entry] = {}
        self.users: dict[int, Entry] = {}
        self.keys: dict[KeyName, Entry] = {}
        self._entries: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entries: list[Entry]) -> None:
        """These were committed."""
        for entry in entries:
            if entry.event == TRADE_EVENT:
                self.trades[entry.order] = entry
            elif entry.event == USER_EVENT:
                self.users[entry.login] = entry
            if entry.key is not None:
                self.keys[entry.principal, entry.key] = entry
        self._entries.extend(entries)

    def release(self, reached: int) -> None:
        """The views have everything up to an entry."""
        while self._entries and self._entries[0].seq <= reached:
            entry = self._entries.popleft()
            self.released = entry.seq
            if self.trades.get(entry.order) is entry:
                del self.trades[entry.order]
            if self.users.get(entry.login) is entry:
                del self.users[entry.login]
            name = entry.principal, entry.key or ""
            if self.keys.get(name) is entry:
                del self.keys[name]
