"""What the views are to keep of entries: no SQL, and nothing of what is in the views already.

Also what an audit holds the views against, so that both read an entry alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import ujson

from ..finance.records import BALANCE_EVENT, GROUP_EVENT, KEYS_FORGOTTEN, TRADE_EVENT, USER_EVENT, Entry
from ..wire.codes import EventRecordType
from ..wire.messages import encode

__all__ = ["Change", "Changes", "GroupRow", "Moved", "Movement", "TradeRow", "UserRow", "read"]


class TradeRow(NamedTuple):
    """A row of C{trade}."""

    order: int
    login: int
    group: str
    cmd: int
    state: int
    reason: int
    digits: int
    open_time: int
    close_time: int
    update_time: int
    balance_version: int
    profit: int
    data: str


class Movement(NamedTuple):
    """A row of C{movement}, less what was on the account then."""

    seq: int
    time_ms: int
    login: int
    order: int
    type: int
    cmd: int
    balance: int
    credit: int
    comment: str


class UserRow(NamedTuple):
    """What is said of an account."""

    login: int
    group: str
    enable: int
    record: str


class GroupRow(NamedTuple):
    """A row of C{group}."""

    group: str
    shown: str
    record: str
    deleted: int
    currency: str
    digits: int


class _Trade(msgspec.Struct, gc=False):
    login: int
    cmd: int
    state: int
    reason: int
    digits: int
    open_time: int
    close_time: int
    update_time: int
    balance_version: int
    profit: float
    # As it is in the record, with its escapes.
    comment: msgspec.Raw


_TRADE = msgspec.json.Decoder(_Trade).decode


def _trade(entry: Entry) -> tuple[TradeRow, Movement | None]:
    """The trade of an entry, and how it moved money, if it did."""
    # A str and nothing more: neither msgspec nor sqlite3 is quick with what is derived from it.
    data = str(entry.data)
    try:
        trade = _TRADE(data)
    except msgspec.MsgspecError as e:
        raise ValueError(f"entry {entry.seq} has no trade: {e}") from None
    cmd = trade.cmd
    # Not by the names of their columns, which takes twice as long.
    row = _new(
        TradeRow,
        (
            entry.order,
            trade.login,
            entry.group,
            cmd,
            trade.state,
            trade.reason,
            trade.digits,
            trade.open_time,
            trade.close_time,
            trade.update_time,
            trade.balance_version,
            # Exact: it is the double nearest to a decimal of at most 15 digits, so the product is less than half away.
            round(trade.profit * 10**trade.digits),
            data,
        ),
    )
    balance, credit = entry.balance, entry.credit
    if not balance and not credit:
        return row, None
    comment = str(trade.comment, "utf-8")
    where = entry.seq, entry.time_ms, entry.login, entry.order, entry.type
    return row, _new(Movement, (*where, cmd, balance, credit, comment))


_new = tuple.__new__


def _pending(entry: Entry) -> int:
    """How many requests more, or fewer, await approval."""
    return 0 if entry.record is None else int(ujson.loads(entry.record)["pending"])


class Change(NamedTuple):
    """What one entry changes; C{None}: nothing of this kind."""

    trade: TradeRow | None = None
    movement: Movement | None = None
    user: UserRow | None = None
    closed: int | None = None
    group: GroupRow | None = None
    dropped: str | None = None
    forgotten: int = 0


_NOTHING = Change()


def read(entry: Entry) -> Change:
    """
    What an entry changes.

    @raise ValueError: if it cannot be read.
    """
    if entry.event == TRADE_EVENT:
        row, movement = _trade(entry)
        return Change(row, movement)
    if entry.event == USER_EVENT:
        if entry.type == EventRecordType.EV_RECORD_DELETE:
            return Change(closed=entry.login)
        text = str(entry.record or entry.data)
        return Change(user=UserRow(entry.login, entry.group, ujson.loads(text)["enable"], text))
    if entry.event == GROUP_EVENT:
        if entry.type == EventRecordType.EV_RECORD_DELETE:
            return Change(dropped=entry.group)
        text = str(entry.record or entry.data)
        record = ujson.loads(text)
        shown = str(encode(entry.group))
        return Change(group=GroupRow(entry.group, shown, text, 0, record.get("currency", ""), record.get("digits", 0)))
    if entry.event == KEYS_FORGOTTEN:
        return Change(forgotten=ujson.loads(entry.data)["up_to"])
    return _NOTHING


class Moved:
    """
    How much of an account changes.

    @ivar balance: by how much, in minor units, as is C{credit}.
    @ivar versions: by how many changes.
    @ivar pending: by how many requests more, or fewer, await approval.
    """

    __slots__ = ("balance", "credit", "pending", "versions")

    def __init__(self) -> None:
        self.balance = self.credit = self.pending = self.versions = 0


class Changes:
    """
    What consecutive entries change together, each thing as it is in the end.

    @ivar trades: by order, each in the group that its account is in at the end, if that was said.
    @ivar users: what was last said of an account, by login, and the currency of its group then.
    @ivar closed: the logins that were deleted.
    @ivar groups: by name; a group that is deleted has C{deleted} set, C{dropped} names those of which no more is said.
    @ivar keys: the idempotency keys that were used, each with its entry.
    @ivar forgotten: the keys up to this entry no longer count.
    """

    def __init__(self) -> None:
        self.trades: dict[int, TradeRow] = {}
        self.movements: list[Movement] = []
        self.moved: defaultdict[int, Moved] = defaultdict(Moved)
        self.users: dict[int, tuple[UserRow, GroupRow | None]] = {}
        self.closed: set[int] = set()
        self.groups: dict[str, GroupRow] = {}
        self.dropped: set[str] = set()
        self.keys: list[tuple[str, str, int]] = []
        self.forgotten = 0

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Changes:
        """
        The changes of these entries.

        @raise ValueError: if one of them cannot be read.
        """
        changes = cls()
        for entry in entries:
            event, key = entry.event, entry.key
            if key is not None:
                changes.keys.append((entry.principal, key, entry.seq))
            # Almost all are of these two; of the second, there is nothing to keep.
            if event == TRADE_EVENT:
                changes._addTrade(entry)
            elif event != BALANCE_EVENT:
                changes._add(read(entry))
        if changes.users:
            for order, row in changes.trades.items():
                if row.login in changes.users:
                    changes.trades[order] = row._replace(group=changes.users[row.login][0].group)
        return changes

    def _addTrade(self, entry: Entry) -> None:
        row, movement = _trade(entry)
        self.trades[entry.order] = row
        if movement is not None:
            moved = self.moved[entry.login]
            moved.balance += entry.balance
            moved.credit += entry.credit
            moved.versions += 1
            self.movements.append(movement)
        if entry.record is not None:
            self.moved[entry.login].pending += _pending(entry)

    def _add(self, change: Change) -> None:
        if change.user is not None:
            self.users[change.user.login] = change.user, self.groups.get(change.user.group)
        elif change.closed is not None:
            self.closed.add(change.closed)
        elif change.group is not None:
            self.groups[change.group.group] = change.group
            self.dropped.discard(change.group.group)
        elif change.dropped is not None:
            self.dropped.add(change.dropped)
        elif change.forgotten:
            self.forgotten = change.forgotten

    def running(self, before: Mapping[int, tuple[int, int]]) -> list[tuple[int | str, ...]]:
        """
        The rows of C{movement}.

        @param before: balance and credit of each account before the first of these entries.
        """
        on = dict(before)
        rows: list[tuple[int | str, ...]] = []
        for seq, timeMs, login, order, type, cmd, balance, credit, comment in self.movements:
            wasBalance, wasCredit = on.get(login, (0, 0))
            on[login] = after = (wasBalance + balance, wasCredit + credit)
            rows.append((seq, timeMs, login, order, type, cmd, balance, credit, *after, comment))
        return rows
