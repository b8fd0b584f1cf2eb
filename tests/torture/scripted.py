"""Journals and logs made by hand, to see that the checks find what is wrong with them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from .check_keys import checkKey
from .check_log import checkVoids, followUp
from .check_reader import lineOf
from .history import Attempt, Entry, attempts, keys
from .journal import Began, Heard, Line, Record, Sent, Subscribed

__all__ = ["EPOCH", "Script"]

EPOCH = "e1"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


class Script:
    """
    One client, one reader and one log, step by step.

    @ivar log: its entries.
    @ivar records: the client's journal.
    @ivar reading: the reader's.
    """

    def __init__(self) -> None:
        self.log: list[Entry] = []
        self.records: list[Record] = [Began("crm")]
        self.reading: list[Record] = []

    # -- the client -------------------------------------------------------------------------------------

    def ask(self, cents: int = 100, command: str = "BalanceInSync", key: str = "k", ms: int = 0) -> int:
        """An attempt; its number."""
        n = len(self.records)
        self.records.append(Sent(n, command, key, "extID", 1001, cents, ms=ms))
        return n

    def tell(self, n: int, status: int, data: dict[str, Any] | str, **more: Any) -> None:
        """An answer to it."""
        text = data if isinstance(data, str) else _json(data)
        extra = "".join(f',"{name}":{_json(value)}' for name, value in more.items())
        self.records.append(Heard(n, f'{{"extID":"x","status":{status}{extra},"data":{text}}}'))

    def done(self, n: int, entry: Entry, *, replayed: bool = False) -> None:
        """It was told that it is booked."""
        self.tell(n, 200, entry.data, replayed=replayed)

    def refused(self, n: int, *, replayed: bool = False, message: str = "no") -> None:
        """It was told no."""
        self.tell(n, 401, {"error": "ADD_BALANCE_ERROR", "message": message}, replayed=replayed)

    def duplicate(self, n: int, order: int) -> None:
        """It was told that the key is somebody else's."""
        self.tell(n, 409, {"error": "RET_ERR_DUPLICATE", "order": order})

    def unsure(self, n: int, outcome: str, order: int = 99, status: int = 504) -> None:
        """It was told that it took too long, or failed."""
        self.tell(n, status, {"error": "SYNC_TIMEOUT", "order": order, "outcome": outcome})

    # -- the log ----------------------------------------------------------------------------------------

    def book(self, cents: int = 100, key: str | None = "k", **more: Any) -> Entry:
        """A deposit in the log, and after it what the account has then."""
        trade = self._append(cents, key, **more)
        mine = [entry.balance for entry in self.log if entry.login == trade.login and entry.balance]
        self.log.append(followUp(trade, sum(mine), len(mine)))
        return trade

    def _append(self, cents: int, key: str | None, **more: Any) -> Entry:
        seq = len(self.log) + 1
        data = _json({"order": seq + 10, "login": 1001, "profit": cents / 100, "comment": "Finance"})
        entry = Entry(seq, seq * 1000 + 250, "trade:event", 0, 1001, seq + 10, cents, "crm", key, data)
        self.log.append(replace(entry, **more))
        return self.log[-1]

    def refuse(self, key: str = "k", **more: Any) -> Entry:
        """A refusal in the log."""
        return self._append(0, key, **{"event": "request:refused", "order": 0, "data": "{}", **more})

    # -- the reader -------------------------------------------------------------------------------------

    def subscribe(self, after: int, status: int = 200) -> None:
        """It asks for what it missed."""
        self.reading.append(Subscribed(after, EPOCH, f'{{"extID":"subscribe","status":{status},"data":{{}}}}'))

    def hear(self, *entries: Entry) -> None:
        """It gets events."""
        self.reading += [Line(lineOf(entry)) for entry in entries]

    def replayed(self, seq: int, epoch: str = EPOCH) -> None:
        """It is told that it has everything up to there."""
        self.reading.append(Line(_json({"event": "replay:done", "data": {"seq": seq, "epoch": epoch}})))

    # -- what is found ----------------------------------------------------------------------------------

    def attempts(self) -> list[Attempt]:
        """What the client did."""
        return attempts("client-0", self.records)

    def wrong(self) -> list[str]:
        """What the checks of keys, and of voids, find."""
        made = self.attempts()
        found = [wrong for key in keys(made, self.log).values() for wrong in checkKey(key)]
        return found + checkVoids(made, self.log)
