"""What an audit compares of views: all that they keep, as of one moment, condensed where it is much."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from ..finance.records import GROUP_EVENT, TRADE_EVENT, USER_EVENT, Account
from ..finance.requests import KeyName

__all__ = ["Frozen", "condense", "freeze"]


def condense(*facts: object) -> int:
    """What an audit remembers of a record."""
    return hash(facts)


class Frozen(Struct, frozen=True):
    """
    The views as of one entry.

    @ivar accounts: all of them, by login.
    @ivar contents: what is kept of each trade, account and group, condensed, by kind and key.
    @ivar groupsOfTrades: each group that trades of a login are in, with the first of those trades.
    @ivar gone: the groups that are deleted.
    @ivar movements: the entries that moved money, in order;
    @ivar moved: and what is kept of each, condensed.
    @ivar keys: the entry of each idempotency key.
    """

    seq: int
    accounts: dict[int, Account]
    contents: dict[tuple[str, int | str], int]
    groupsOfTrades: dict[tuple[int, str], int]
    gone: set[str]
    movements: array[int]
    moved: array[int]
    keys: dict[KeyName, int]


def freeze(ask: Callable[[str], Iterable[Sequence[Any]]]) -> Frozen:
    """
    What views keep.

    @param ask: given a statement, its rows; all of them as of one moment.
    """
    ((seq,),) = ask("SELECT seq FROM view")
    accounts = {
        login: Account(login, group, enable, balance, credit, version, pending, bool(deleted))
        for login, group, enable, balance, credit, version, pending, deleted in ask(
            'SELECT login, "group", enable, balance, credit, balance_version, pending, deleted FROM account'
        )
    }
    contents: dict[tuple[str, int | str], int] = {}
    groupsOfTrades: dict[tuple[int, str], int] = {}
    for order, login, group, *facts in ask('SELECT * FROM trade ORDER BY "order"'):
        contents[TRADE_EVENT, order] = condense(order, login, *facts)
        groupsOfTrades.setdefault((login, group), order)
    for login, record, currency, digits in ask(
        "SELECT login, record, currency, digits FROM account LEFT JOIN profile USING (login)"
    ):
        contents[USER_EVENT, login] = condense(record, currency, digits)
    gone: set[str] = set()
    for group, shown, record, deleted in ask('SELECT * FROM "group"'):
        contents[GROUP_EVENT, group] = condense(shown, record)
        if deleted:
            gone.add(group)
    movements, moved = array("q"), array("q")
    for row in ask("SELECT * FROM movement ORDER BY seq"):
        movements.append(row[0])
        moved.append(condense(*row))
    keys = {
        (principal, key): seq
        for seq, principal, key in ask("SELECT seq, principal, key FROM key WHERE seq > (SELECT forgotten FROM view)")
    }
    return Frozen(seq, accounts, contents, groupsOfTrades, gone, movements, moved, keys)
