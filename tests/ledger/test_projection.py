"""What each kind of entry makes of the views."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from scalemgr.finance.records import Entry
from scalemgr.ledger.audit import verify
from scalemgr.ledger.views import Views

from .helpers import dump, opened, sql
from .scribe import ADD, DELETE, T0, UPDATE, Scribe, keep

TABLES = ("trade", "account", "profile", '"group"', "movement", "key", "digits", "view")


def viewsOf(entries: list[Entry], *sizes: int) -> Views:
    """Views into which these entries went in batches of these sizes, the rest in one."""
    views = Views(":memory:", "epoch")
    at = 0
    for size in (*sizes, len(entries)):
        if batch := entries[at : at + size]:
            views.project(batch)
        at += size
    return views


def rows(views: Views, query: str) -> list[tuple[object, ...]]:
    return list(views._connection.execute(query))


def content(views: Views) -> dict[str, list[tuple[object, ...]]]:
    return {table: sorted(rows(views, f"SELECT * FROM {table}")) for table in TABLES}


def test_columns_of_a_trade() -> None:
    """What trades are searched by is what their records say, money in minor units."""
    story = Scribe().story()
    with closing(viewsOf(story.entries)) as views:
        found = rows(
            views,
            'SELECT "order", login, "group", cmd, state, reason, digits, open_time, close_time, update_time, profit'
            ' FROM trade ORDER BY "order"',
        )
    assert found == [
        (1, 1001, "demo", 6, 3, 7, 2, T0 + 200, T0 + 200, T0 + 200, 1500),
        (2, 1002, "vip", 6, 3, 7, 2, T0, T0, T0, 5000),
        (3, 1003, "jp", 6, 3, 7, 0, T0, T0, T0, 700),
        (4, 1004, "gone", 6, 3, 7, 2, T0, T0, T0, 50),
        (5, 1001, "demo", 7, 6, 7, 2, T0 + 200, T0 + 200, T0 + 200, 250),
        (6, 1001, "demo", 6, 3, 7, 2, T0 + 100, T0 + 100, T0 + 100, 900),
        (7, 1001, "demo", 8, 18, 7, 2, T0 + 100, T0 + 100, T0 + 100, -100),
        (8, 1001, "demo", 8, 17, 7, 2, T0 + 100, T0 + 100, T0 + 100, -300),
        (9, 1002, "vip", 6, 3, 7, 2, T0 + 200, T0 + 200, T0 + 200, 1),
    ]


@pytest.mark.parametrize("profit", [1, -1, 10**15 - 1, 1 - 10**15, 333333333333333, 5 * 10**14 + 1])
@pytest.mark.parametrize("digits", [0, 1, 2, 3, 8, 12])
def test_profit_is_exact(profit: int, digits: int) -> None:
    """A profit of any size and any decimals is kept to the last minor unit."""
    scribe = Scribe()
    scribe.group("demo", digits=digits)
    scribe.user()
    scribe.trade(1, profit)
    with closing(viewsOf(scribe.entries)) as views:
        assert rows(views, "SELECT profit FROM trade") == [(profit,)]


def test_accounts_and_groups() -> None:
    """Accounts are as the book has them, the deleted ones marked; so are groups."""
    story = Scribe().story()
    with closing(viewsOf(story.entries)) as views:
        frozen = views.frozen()
        assert frozen.accounts == story.book.accounts
        assert frozen.gone == {"gone"}
        assert rows(views, 'SELECT "group", deleted FROM "group" WHERE NOT deleted') == [
            (name, 0) for name in sorted(story.book.groups)
        ]
        assert rows(views, "SELECT login, currency, digits FROM account") == [
            (1001, "USD", 2),
            (1002, "USD", 2),
            (1003, "JPY", 0),
            (1004, "USD", 2),
        ]
        assert rows(views, "SELECT digits FROM digits") == [(0,), (2,)]
        assert views.account(1004) is None
        stored = views.account(1001)
        assert stored is not None
        assert (stored.account, stored.account.pending) == (story.book.account(1001), 1)
        assert views.trade(4) is not None


def test_movements() -> None:
    """One row an entry that moved money, in order, with what was on the account after it; no other entry has one."""
    story = Scribe().story()
    running = {login: [0, 0] for login in story.book.accounts}
    expected = []
    for entry in story.entries:
        if entry.balance or entry.credit:
            on = running[entry.login]
            on[0] += entry.balance
            on[1] += entry.credit
            expected.append((entry.seq, entry.time_ms, entry.login, entry.order, entry.type, *on))
    with closing(viewsOf(story.entries)) as views:
        found = rows(views, 'SELECT seq, time_ms, login, "order", type, balance, credit FROM movement')
        assert found == expected
        assert rows(views, 'SELECT comment FROM movement WHERE "order" = 2') == [('"O\\u0027Brien\\u002c }"',)]


def test_batches_do_not_matter() -> None:
    """However the entries are cut into batches, the views are the same: they are what the log says, not how it came."""
    entries = Scribe().story().entries
    with closing(viewsOf(entries)) as whole:
        expected = content(whole)
    cuts = [[1] * len(entries)]
    chance = random.Random(7)
    cuts += [[chance.randrange(1, 9) for _ in entries] for _ in range(50)]
    for sizes in cuts:
        with closing(viewsOf(entries, *sizes)) as views:
            assert content(views) == expected, sizes


def test_trades_follow() -> None:
    """When an account moves, its trades are in the new group: those before, after, and in the same batch, no others."""
    scribe = Scribe()
    for name in "abc":
        scribe.group(name)
    scribe.user(1001, "a")
    scribe.user(1002, "a")
    scribe.trade(1)
    scribe.trade(2, login=1002)
    before = len(scribe.entries)
    scribe.trade(3)
    scribe.user(1001, "b", UPDATE)
    scribe.trade(4)
    scribe.user(1001, "c", UPDATE)
    scribe.user(1003, "b")
    scribe.trade(5, login=1003)
    scribe.user(1003, "a", UPDATE)
    for sizes in ([], [before], [1] * 20):
        with closing(viewsOf(scribe.entries, *sizes)) as views:
            assert rows(views, 'SELECT "order", "group" FROM trade ORDER BY 1') == [
                (1, "c"),
                (2, "a"),
                (3, "c"),
                (4, "c"),
                (5, "a"),
            ]


def test_group_made_anew() -> None:
    """A group that was deleted can be made again, with another currency; accounts of the old one keep theirs."""
    scribe = Scribe()
    scribe.group("g", digits=2)
    scribe.user(1001, "g")
    scribe.trade(1, 100)
    scribe.user(1001, "g", DELETE)
    scribe.group("g", DELETE)
    scribe.group("g", ADD, currency="JPY", digits=0)
    scribe.user(1002, "g")
    for sizes in ([], [1] * 20, [5], [6]):
        with closing(viewsOf(scribe.entries, *sizes)) as views:
            assert rows(views, 'SELECT deleted FROM "group"') == [(0,)]
            assert rows(views, "SELECT login, currency, digits, deleted FROM account") == [
                (1001, "USD", 2, 1),
                (1002, "JPY", 0, 0),
            ]
            assert views.frozen().accounts == scribe.book.accounts


def test_no_trade(folder: Path) -> None:
    """An entry that is said to be a trade and is none is named, and nothing of its batch is kept."""
    story = Scribe().story()
    wrong = [*story.entries, replace(story.entries[-1], seq=len(story.entries) + 1, event="trade:event", order=77)]
    with closing(Views(":memory:", "epoch")) as views:
        with pytest.raises(ValueError, match=f"entry {len(wrong)} has no trade"):
            views.project(wrong)
        assert views.seq() == 0
        assert rows(views, "SELECT * FROM account") == []


def test_made_again(folder: Path) -> None:
    """Views that are made again from the log are those that followed it, and an audit finds nothing in either."""
    story = Scribe(says=True).story()
    with opened(folder) as ledger:
        for i in range(0, len(story.entries), 3):
            keep(ledger, story.entries[i : i + 3])
            assert ledger.account(7) is None
    assert verify(folder).differences == []
    followed = dump(folder / "views.db")
    (folder / "views.db").unlink()
    with opened(folder):
        pass
    assert dump(folder / "views.db") == followed
    assert verify(folder).differences == []


def test_profiles() -> None:
    """Profiles are those of the accounts that exist, with the password's hash."""
    with closing(viewsOf(Scribe().story().entries)) as views:
        found = views.profiles([1001, 1002, 1004, 7])
        assert sorted(found) == [1001, 1002]
        assert (found[1002]["email"], found[1002]["password_hash"]) == ("new@example.com", "secret")


def test_older_views_are_made_again(folder: Path) -> None:
    """Views of the shape before are made anew from the log."""
    story = Scribe(says=True).story()
    with opened(folder) as ledger:
        keep(ledger, story.entries)
    sql(folder / "views.db", "DROP TABLE movement", "DROP INDEX trade_updated", "PRAGMA user_version = 2")
    with opened(folder) as ledger:
        assert ledger.account(1001) is not None
    assert verify(folder).differences == []
    with closing(sqlite3.connect(folder / "views.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (4,)
