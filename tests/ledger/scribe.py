"""Entries of every kind, written by hand: also those that nothing makes yet."""

from __future__ import annotations

from typing import Any

from scalemgr.finance.book import Book
from scalemgr.finance.money import fromMinor
from scalemgr.finance.records import (
    BALANCE_EVENT,
    GROUP_EVENT,
    TRADE_EVENT,
    USER_EVENT,
    Entry,
    FinanceTrade,
)
from scalemgr.interfaces import ILedger
from scalemgr.wire.codes import EventRecordType
from scalemgr.wire.messages import Json, encode

ADD, UPDATE, DELETE = (
    int(EventRecordType.EV_RECORD_ADD),
    int(EventRecordType.EV_RECORD_UPDATE),
    int(EventRecordType.EV_RECORD_DELETE),
)
T0 = 1_700_000_000


class Scribe:
    """
    Writes entries that follow one another, and folds them.

    @ivar now: the time of the next entry, in unix seconds.
    @param says: is each entry that moves money followed by what there is then, as in a log of today?
    """

    def __init__(self, now: int = T0, *, says: bool = False) -> None:
        self._says = says
        self.book = Book()
        self.entries: list[Entry] = []
        self.now = now

    def _write(
        self, event: str, type: int, group: str, data: Any, record: Any = None, *, login: int = 0, **more: int
    ) -> Entry:
        entry = Entry(
            seq=self.book.seq + 1,
            time_ms=self.now * 1000 + 250,
            event=event,
            type=type,
            group=group,
            login=login,
            order=more.get("order", 0),
            balance=more.get("balance", 0),
            credit=more.get("credit", 0),
            principal="crm",
            key=None,
            fingerprint=None,
            data=encode(data),
            record=None if record is None else encode(record),
        )
        self.book.apply(entry)
        self.entries.append(entry)
        return entry

    def group(self, name: str = "demo", type: int = ADD, **fields: Any) -> Entry:
        """A group, by default in USD."""
        record = {"currency": "USD", "digits": 2, **fields, "group": name}
        return self._write(GROUP_EVENT, type, name, {"group": name}, None if type == DELETE else record)

    def user(self, login: int = 1001, group: str = "demo", type: int = ADD, **fields: Any) -> Entry:
        """An account, with a password's hash."""
        if type == DELETE:
            return self._write(USER_EVENT, type, group, {"login": login}, login=login)
        record = {"enable": 1, "name": f"Client {login}", **fields, "login": login, "group": group}
        return self._write(
            USER_EVENT, type, group, {"login": login}, {**record, "password_hash": "secret"}, login=login
        )

    def trade(
        self,
        order: int,
        profit: int = 100,
        login: int = 1001,
        type: int = ADD,
        *,
        cmd: int = 6,
        pending: int = 0,
        moves: int | None = None,
        **fields: Any,
    ) -> Entry:
        """
        A trade of state 3, whose profit goes to balance or credit.

        @param moves: how much goes there, if that is not the profit.
        @param pending: by how many requests more, or fewer, await approval.
        """
        account = self.book.accounts[login]
        digits = self.book.groups[account.group].digits
        trade = FinanceTrade(
            order=order,
            login=login,
            cmd=cmd,
            profit=profit,
            digits=digits,
            comment=fields.pop("comment", "Finance"),
            open_time=fields.pop("open_time", self.now),
            close_time=fields.pop("close_time", self.now),
            update_time=fields.pop("update_time", self.now),
            balance_version=account.balance_version + 1,
            **fields,
        )
        moved = profit if moves is None else moves
        where = {"credit": moved} if cmd in (7, 9) else {"balance": moved}
        record = {"pending": pending} if pending else None
        entry = self._write(TRADE_EVENT, type, account.group, trade.data(), record, login=login, order=order, **where)
        if self._says and moved:
            self.balance(login)
        return entry

    def balance(self, login: int = 1001, /, **wrong: Any) -> Entry:
        """What is on an account now."""
        account = self.book.accounts[login]
        digits = self.book.groups[account.group].digits
        equity = fromMinor(account.balance + account.credit, digits)
        data = {
            "login": login,
            "balance": fromMinor(account.balance, digits),
            "credit": fromMinor(account.credit, digits),
            "equity": equity,
            "margin": 0.0,
            "margin_free": equity,
            "margin_level": 0.0,
            "balance_version": account.balance_version,
            **wrong,
        }
        return self._write(BALANCE_EVENT, UPDATE, account.group, data, login=login)

    def story(self) -> Scribe:
        """Something of everything."""
        for name, currency, digits in [("demo", "USD", 2), ("vip", "USD", 2), ("jp", "JPY", 0), ("gone", "USD", 2)]:
            self.group(name, currency=currency, digits=digits, floor=-500)
        for login, group in [(1001, "demo"), (1002, "demo"), (1003, "jp"), (1004, "gone")]:
            self.user(login, group, email=f"c{login}@example.com", leverage=100 + login % 10)
        self.trade(1, 1000)
        if not self._says:
            self.balance()
        self.trade(2, 5000, 1002, comment="O'Brien, }")
        self.trade(3, 700, 1003)
        self.trade(4, 50, 1004)
        self.now += 100
        self.trade(5, 250, cmd=7)
        self.trade(6, 900, state=17, moves=0, pending=1)
        self.trade(7, -100, cmd=8, state=17, moves=0, pending=1)
        self.trade(6, 900, type=UPDATE, pending=-1, gw_uuid="u-1")
        self.trade(7, -100, cmd=8, state=18, type=UPDATE, moves=0, pending=-1)
        self.trade(8, -300, cmd=8, state=17, moves=0, pending=1)
        self.now += 100
        self.trade(1, 1500, type=UPDATE, moves=500)
        self.trade(5, 250, cmd=7, state=6, type=DELETE, moves=-250)
        self.user(1002, "vip", UPDATE, email="new@example.com")
        self.trade(9, 1, 1002)
        self.user(1004, "gone", DELETE)
        self.group("gone", DELETE)
        self.group("vip", UPDATE, company="Acme")
        return self


def keep(ledger: ILedger, entries: list[Entry]) -> None:
    """Have a ledger keep entries as if it had made them."""
    inner: Any = ledger
    inner._append(entries)
    for entry in entries:
        ledger.book.apply(entry)
    inner._appended(entries)


def told(text: Json) -> Any:
    """What JSON says."""
    import json

    return json.loads(text)
