"""Journals and logs made by hand, to see that the checks find what is wrong with them."""

from __future__ import annotations

from typing import Any

import ujson

from .check_keys import checkKey
from .check_log import checkVoids
from .check_reader import lineOf
from .history import Attempt, Entry, Key, attempts, keys
from .journal import Began, Heard, Line, Record, Sent, Subscribed
from .scripted_log import ScriptedLog, json

__all__ = ["EPOCH", "Script"]

EPOCH = "e1"


class Script(ScriptedLog):
    """
    One client, one reader and one log, step by step.

    @ivar records: the client's journal.
    @ivar reading: the reader's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = [Began("crm")]
        self.reading: list[Record] = []

    # -- the client -------------------------------------------------------------------------------------

    def ask(self, cents: int = 100, command: str = "BalanceInSync", key: str = "k", ms: int = 0, **more: Any) -> int:
        """An attempt; its number."""
        n = len(self.records)
        self.records.append(Sent(n, command, key, "extID", more.pop("login", 1001), cents, ms=ms, **more))
        return n

    def askOf(self, order: int, command: str, key: str = "k", **more: Any) -> int:
        """An attempt at something that names an order and no amount."""
        return self.ask(0, command, key, order=order, **more)

    def tell(self, n: int, status: int, data: dict[str, Any] | str, **more: Any) -> None:
        """An answer to it."""
        text = data if isinstance(data, str) else json(data)
        extra = "".join(f',"{name}":{json(value)}' for name, value in more.items())
        self.records.append(Heard(n, f'{{"extID":"x","status":{status}{extra},"data":{text}}}'))

    def done(self, n: int, entry: Entry, *, replayed: bool = False) -> None:
        """It was told that it is booked."""
        self.tell(n, 200, entry.data, replayed=replayed)

    def accepted(self, n: int, entry: Entry, state: int = 10, **more: Any) -> None:
        """The same in the plain form."""
        trade = ujson.loads(entry.data)
        told = {"order": entry.order, "state": state, "login": entry.login, "cmd": trade["cmd"]}
        told |= {"amount": trade["profit"], "balance_version": trade["balance_version"]}
        self.tell(n, 200, {"accepted": True, **told, **more})

    def refused(self, n: int, *, replayed: bool = False, message: str = "no") -> None:
        """It was told no, and not why."""
        said = {"error": "ADD_BALANCE_ERROR", "message": message, "outcome": "refused"}
        self.tell(n, 401, said, replayed=replayed)

    def duplicate(self, n: int, order: int) -> None:
        """It was told that the key is somebody else's."""
        self.tell(n, 409, {"error": "RET_ERR_DUPLICATE", "order": order})

    def unsure(self, n: int, outcome: str, order: int = 99, status: int = 504) -> None:
        """It was told that it took too long, or failed."""
        self.tell(n, status, {"error": "SYNC_TIMEOUT", "order": order, "outcome": outcome})

    # -- the reader -------------------------------------------------------------------------------------

    def subscribe(self, after: int, status: int = 200) -> None:
        """It asks for what it missed."""
        self.reading.append(Subscribed(after, EPOCH, f'{{"extID":"subscribe","status":{status},"data":{{}}}}'))

    def hear(self, *entries: Entry) -> None:
        """It gets events."""
        self.reading += [Line(lineOf(entry)) for entry in entries]

    def replayed(self, seq: int, epoch: str = EPOCH) -> None:
        """It is told that it has everything up to there."""
        self.reading.append(Line(json({"event": "replay:done", "data": {"seq": seq, "epoch": epoch}})))

    # -- what is found ----------------------------------------------------------------------------------

    def attempts(self) -> list[Attempt]:
        """What the client did."""
        return attempts("client-0", self.records)

    def keys(self) -> dict[tuple[str, str], Key]:
        """The same by key, with the log."""
        return keys(self.attempts(), self.log)

    def wrong(self) -> list[str]:
        """What the checks of keys, and of voids, find."""
        found = [wrong for key in self.keys().values() for wrong in checkKey(key)]
        return found + checkVoids(self.attempts(), self.log)
