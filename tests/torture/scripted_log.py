"""A log made by hand, entry by entry: right, unless what is said of an entry is not."""

from __future__ import annotations

from typing import Any

import msgspec
import ujson
from msgspec.structs import replace

from .books import BOOKED, DECLINED, DELETED, PENDING, Account, Books, booksOf
from .check_books import onAccount
from .history import Entry

__all__ = ["ScriptedLog", "json"]


def json(value: object) -> str:
    """As it is in the log."""
    return msgspec.json.encode(value).decode()


class ScriptedLog:
    """
    A log of one account.

    @ivar log: its entries.
    """

    def __init__(self) -> None:
        self.log: list[Entry] = []

    # -- single entries, whose fields may be given ------------------------------------------------------

    def open(self, login: int = 1001, key: str | None = None, mark: int = 0, group: str = "real-usd") -> Entry:
        """An account is opened."""
        said = {"login": login, "name": f"n{mark}", "group": group, "leverage": 100, "currency": "USD"}
        return self._add("user:event", 0, key, json({**said, "update_time": 1}), login=login)

    def close(self, login: int = 1001, key: str | None = "k") -> Entry:
        """It is closed."""
        return self._add("user:event", 2, key, json({"login": login}), login=login)

    def group(self, name: str, key: str | None = "k", type: int = 0, mark: int = 0) -> Entry:
        """A group, as it is now."""
        return self._add("group:event", type, key, json({"group": name, "margin_call": mark}), login=0)

    def closeList(self, rows: dict[int, str], key: str = "k") -> Entry:
        """What became of a list of accounts: why each could not be closed, if it could not; nothing follows."""
        failures = [{"login": login, "reason": reason} for login, reason in rows.items() if reason]
        said = {
            "rows": [{"login": login, "deleted": not reason} for login, reason in rows.items()],
            "deleted": len(rows) - len(failures),
            "failed": len(failures),
            "failures": failures,
        }
        return self._add("accounts:deleted", 2, key, json(said), login=0)

    def book(
        self,
        cents: int = 100,
        key: str | None = "k",
        *,
        cmd: int = 0,
        state: int = BOOKED,
        comment: str = "Finance",
        change: int | None = None,
        opened: int = 1,
        **more: Any,
    ) -> Entry:
        """A movement, as it is now, and nothing that follows it; C{change}: what it moves, if that is not all of it."""
        order = more.pop("order", len(self.log) + 11)
        cmd = cmd or (6 if cents >= 0 else 8)
        if change is None:
            change = cents if state == BOOKED else 0
        trade = {
            "order": order,
            "login": 1001,
            "cmd": cmd,
            "state": state,
            "profit": cents / 100,
            "comment": comment,
            "open_time": opened,
            "balance_version": self._account().version + (change != 0),
        }
        moves = {"credit": change} if cmd in (7, 9) else {"balance": change}
        return self._add("trade:event", more.pop("type", 0), key, json(trade), **{"order": order, **moves, **more})

    def refuse(self, key: str = "k", reason: str = "RET_USER_NOT_FOUND", order: int = 0, **details: object) -> Entry:
        """A refusal."""
        said = {"error": reason, "message": "no", "reason": reason, **details, "outcome": "refused"}
        return self._add("request:refused", 0, key, json(said), order=order)

    def balance(self, **more: Any) -> Entry:
        """The balance event that follows the last entry."""
        time_ms = self.log[-1].time_ms if self.log else 0
        entry = self._add("balance:event", 1, None, ujson.dumps(onAccount(1001, self._account())), time_ms=time_ms)
        self.log[-1] = replace(entry, **more)
        return self.log[-1]

    # -- what somebody wants done, with all its entries -------------------------------------------------

    def move(self, cents: int = 100, key: str = "k", cmd: int = 0) -> Entry:
        """A movement."""
        return self._followed(self.book(cents, key, cmd=cmd))

    def change(self, order: int, cents: int, key: str = "k", **more: Any) -> Entry:
        """Another amount for it."""
        return self._step(order, key, BOOKED, cents, type=1, **more)

    def takeBack(self, order: int, key: str = "k", **more: Any) -> Entry:
        """It is taken back."""
        return self._step(order, key, DELETED, type=2, **more)

    def request(self, cents: int = 100, key: str = "k", cmd: int = 0) -> Entry:
        """A request for approval."""
        return self.book(cents, key, cmd=cmd, state=PENDING)

    def approve(self, order: int, key: str = "k", **more: Any) -> Entry:
        """It is approved."""
        return self._step(order, key, BOOKED, type=1, **more)

    def decline(self, order: int, key: str = "k", **more: Any) -> Entry:
        """It is declined."""
        return self._step(order, key, DECLINED, type=1, **more)

    # ---------------------------------------------------------------------------------------------------

    def _step(self, order: int, key: str, state: int, cents: int | None = None, **more: Any) -> Entry:
        before = self._books().trades[order]
        after = before.cents if cents is None else cents
        change = (after if state == BOOKED else 0) - (before.cents if before.state == BOOKED else 0)
        more = {"cmd": before.cmd, "change": change, **more}
        return self._followed(self.book(after, key, order=order, state=state, **more))

    def _followed(self, entry: Entry) -> Entry:
        if entry.moves:
            self.balance()
        return entry

    def _add(self, event: str, type: int, key: str | None, data: str, **more: Any) -> Entry:
        seq = len(self.log) + 1
        group = "" if event in ("request:refused", "accounts:deleted") else "real-usd"
        entry = Entry(seq, seq * 1000 + 250, event, type, 1001, 0, 0, 0, "crm", key, data, group)
        self.log.append(replace(entry, **more))
        return self.log[-1]

    def _books(self) -> Books:
        return booksOf(self.log)

    def _account(self) -> Account:
        return self._books().accounts.get(1001, Account())
