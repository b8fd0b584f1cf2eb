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
        self.released = self._last = released
        self.trades: dict[int, Entry] = {}
        self.users: dict[int, Entry] = {}
        self.keys: dict[KeyName, Entry] = {}
        # Those that something is found by; of a deposit that is one of two.
        self._found: deque[Entry] = deque()

    def __len__(self) -> int:
        """How many entries there are that the views may not have."""
        return self._last - self.released

    def add(self, entries: list[Entry]) -> None:
        """These were committed."""
        for entry in entries:
            event, key = entry.event, entry.key
            if key is not None:
                self.keys[entry.principal, key] = entry
            if event == TRADE_EVENT:
                self.trades[entry.order] = entry
            elif event == USER_EVENT:
                self.users[entry.login] = entry
            elif key is None:
                continue
            self._found.append(entry)
        if entries:
            self._last = entries[-1].seq

    def release(self, reached: int) -> None:
        """The views have everything up to an entry."""
        found, keys, trades, users = self._found, self.keys, self.trades, self.users
        # First: whoever finds it here no more must know that the views have it.
        self.released = max(self.released, min(reached, self._last))
        while found and found[0].seq <= reached:
            entry = found.popleft()
            event, key = entry.event, entry.key
            if key is not None and keys.get(name := (entry.principal, key)) is entry:
                del keys[name]
            if event == TRADE_EVENT:
                if trades.get(entry.order) is entry:
                    del trades[entry.order]
            elif event == USER_EVENT and users.get(entry.login) is entry:
                del users[entry.login]
