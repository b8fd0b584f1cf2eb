"""Views on a server against views on a file: any history is kept alike, and any question is answered alike."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from scalemgr.finance.masks import Mask, Sight
from scalemgr.finance.questions import ACCOUNTS, GROUPS, TRADES, Bounds, Filter, StatementQuery, TableQuery
from scalemgr.finance.records import KEYS_FORGOTTEN
from scalemgr.ledger.columns import TABLES, TEXT
from scalemgr.ledger.postgres.views import PostgresViews

from ...postgres import ledgerUrl
from ..scribe import ADD, DELETE, T0, UPDATE, Scribe
from .both import Both, opened

TEXTS = [
    "",
    "a",
    "A",
    "B",
    "b%",
    "a_b",
    "O'Brien, }",
    "Élan",
    "éLAN",
    "\U0001f600",
    "\\",
    '"',
    "{day}",
    "%s ?",
    "ﬁ",
    "Z",
]
GROUPS_OF = {"demo": 2, "vip": 2, "jp": 0, "Démo-9": 2, "btc": 8, "a'b": 3, "x,y": 2, "Z": 12}
MASKS = ["*", "*", "demo", "*,!demo", "jp,vip", "D*,b*", "nobody", "*o*", "a'b"]
MONEY = [0, 1, -1, 5, 99, 100, 101, 12345, -30, 10**9, 10**15 - 1, 1 - 10**15, 333333333333333]
SIGHTS = [Sight(balances=False), Sight(Mask("demo")), Sight(login=1002), Sight(Mask("*,!demo"), 0, False)]
FLOATS = [0.5, -0.5, 2.0, 1001.0, 1001.5, 1e300, -1e300, 1e18, 9.3e18, 2.0**53, 2.0**53 + 2, 1e-300, 0.1]
INTEGERS = [2**63 - 1, -(2**63), 2**53 + 1, 0, 1, -1, 3, 2]


@pytest.fixture(scope="module")
def views(postgresServer: str) -> Iterator[PostgresViews]:
    """Views on a server."""
    with ledgerUrl(postgresServer) as url, opened(url) as views:
        yield views


class Author:
    """Writes a history, and asks about it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.scribe = Scribe()
        self.orders: list[tuple[int, int]] = []
        self.logins: list[int] = []
        self._keys = 0
        for name in GROUPS_OF:
            if name == "demo" or self.maybe(0.6):
                self._group(name, ADD)
        for login in range(1001, 1004):
            self._user(login, ADD)

    def maybe(self, chance: float) -> bool:
        return self._random.random() < chance

    def one(self, things: Any) -> Any:
        return self._random.choice(list(things))

    def some(self, things: Any, most: int = 4) -> list[Any]:
        return [self.one(things) for _ in range(self._random.randint(0, most))]

    # -- a history --------------------------------------------------------------------------------------

    def write(self, count: int) -> None:
        """So many things happen."""
        for _ in range(count):
            self.scribe.now += self.one([0, 0, 1, 86400, 40 * 86400, -3])
            self.one([self._trade, self._trade, self._trade, self._again, self._account, self._move, self._rest])()
            self._key()

    def _key(self) -> None:
        entry = self.scribe.entries[-1]
        if self.maybe(0.6):
            # Now and then one that was used before, or is used twice at once.
            self._keys += self.one([0, 1, 1, 1, 1, 1, 1])
            key = f"k{self.one([self._keys] * 9 + [1])}-{self.one(['', 'é', chr(92)])}"
            self.scribe.entries[-1] = replace(entry, key=key, principal=self.one(["crm", "crm", "psp'"]))

    def _group(self, name: str, type: int) -> None:
        more = {"floor": self.one([-500, 0, 7, -(10**14)])} if self.maybe(0.6) else {}
        if self.maybe(0.5):
            more["company"] = self.one(TEXTS)
        if self.maybe(0.3):
            more["secgroups"] = [{"floor": 1.5, "a": None}]
        self.scribe.group(name, type, currency=self.one(["USD", "É'U"]), digits=GROUPS_OF[name], **more)

    def _user(self, login: int, type: int) -> None:
        account = self.scribe.book.ever(login)
        digits = None if account is None else GROUPS_OF[account.group]
        group = self.one(name for name in self.scribe.book.groups if digits in (None, GROUPS_OF[name]))
        texts = {name: self.one(TEXTS) for name in self.some(["name", "email", "city", "comment", "id"])}
        numbers = {name: self.one([0, 1, 100, 2**53 + 1]) for name in self.some(["leverage", "magic", "regdate"])}
        self.scribe.user(login, group, type, enable=self.one([0, 1]), **texts, **numbers)
        if type == ADD:
            self.logins.append(login)

    def _trade(self) -> None:
        login = self.one(self.logins)
        order = self.one([len(self.orders) + 1, 1000 + len(self.orders) + 1])
        if any(order == other for other, _ in self.orders):
            return
        self.orders.append((order, login))
        self._say(order, login, ADD)

    def _again(self) -> None:
        if self.orders:
            order, login = self.one(self.orders)
            if self.scribe.book.accounts[login].deleted is False:
                self._say(order, login, self.one([UPDATE, DELETE]))

    def _say(self, order: int, login: int, type: int) -> None:
        profit = self.one(MONEY)
        on = self.scribe.book.accounts[login]
        # No more is ever there than one amount can be.
        fits = all(abs(was + profit) < 10**15 for was in (on.balance, on.credit))
        more = {"gw_uuid": self.one(TEXTS), "gw_order": self.one([0, 7])} if self.maybe(0.3) else {}
        self.scribe.trade(
            order,
            profit,
            login,
            type,
            cmd=self.one([6, 7, 8, 9]),
            state=self.one([3, 6, 17, 18]),
            pending=self.one([0, 0, 1]),
            moves=None if fits else 0,
            comment=self.one(TEXTS),
            open_time=self.scribe.now + self.one([0, 0, -5]),
            **more,
        )

    def _account(self) -> None:
        self._user(1001 + len(self.logins), ADD)

    def _move(self) -> None:
        self._user(self.one(self.logins), UPDATE)

    def _rest(self) -> None:
        what = self.one(["group", "gone", "closed", "forget"])
        used = {account.group for account in self.scribe.book.accounts.values()}
        unused = [name for name in self.scribe.book.groups if name not in used]
        if what == "group":
            self._group(self.one(GROUPS_OF), self.one([ADD, UPDATE]))
        elif what == "gone" and unused:
            self.scribe.group(self.one(unused), DELETE)
        elif what == "closed" and len(self.logins) > 2:
            login = self.logins.pop()
            self.scribe.user(login, self.scribe.book.accounts[login].group, DELETE)
            self.logins = [other for other in self.logins if other != login]
        elif what == "forget" and self.scribe.book.seq > self.scribe.book.forgotten + 2:
            upTo = self._random.randint(self.scribe.book.forgotten + 1, self.scribe.book.seq)
            self.scribe._write(KEYS_FORGOTTEN, DELETE, "", {"up_to": upTo})

    # -- questions --------------------------------------------------------------------------------------

    def value(self, table: str, name: str) -> Any:
        if self.maybe(0.01):
            return self.one([None, "x", 1, True, 2**64, float("nan"), "x" * 600, [1]])
        if TABLES[table].columns[name].kind == TEXT:
            there = [*self.scribe.book.groups] if name == "group" else [*TEXTS, "USD", "É'U"]
            text = self.one(there)
            return self.one([text, text, text.swapcase(), "%", "_", f"%{text.swapcase()[1:]}", f"{text[:1]}%", "\\%"])
        if name in ("login", "order"):
            there = [*self.logins, *(order for order, _ in self.orders)]
            return (
                self.one(there) + self.one([0, 0, 0.0, 0.5, -0.5]) if self.maybe(0.8) else self.one(INTEGERS + FLOATS)
            )
        if name.endswith("time"):
            return self.scribe.now + self.one([0, -1, 0.5, -86400])
        cents = [minor / 10**digits for minor in MONEY for digits in (0, 2, 3, 8)]
        return self.one([*cents, *INTEGERS, *FLOATS, 100, 6, 7, 17, -5, 5])

    def filter(self, table: str) -> Filter:
        columns = [*TABLES[table].columns] * 20 + ["nothing"]

        def rule(kind: str) -> Any:
            name = self.one(columns)
            known = name if name in TABLES[table].columns else "group"
            value = self.value(table, known)
            if kind == "where":
                operators = ["=", "==", "!=", "<", ">", "<=", ">=", "like", "LIKE", "is"]
                text = TABLES[table].columns[known].kind == TEXT
                return [name, "like" if text and self.maybe(0.4) else self.one(operators[: None if text else 7]), value]
            if kind == "whereNot":
                return [name, value]
            if "Between" in kind:
                return [name, [value, self.value(table, known)]]
            return [name, [self.value(table, known) for _ in range(self.one([0, 1, 3, 9]))]]

        kinds = [name for name in Filter.__struct_fields__ if name != "orderBy"]
        kinds += ["where"] * 6
        chosen = {kind: [rule(kind) for _ in range(self.one([1, 1, 2]))] for kind in self.some(kinds, 2)}
        orders = [[self.one(columns), self.one(["ASC", "DESC", "desc"])] for _ in range(self.one([0, 1, 1, 2, 8]))]
        return Filter(**chosen, orderBy=orders)

    def table(self, table: str) -> TableQuery:
        columns = [*TABLES[table].columns]
        chosen = self.some(columns, 12)
        return TableQuery(
            table=table,
            columns=tuple(self.one([columns, chosen or columns, () if TABLES[table].whole else columns])),
            objects=self.maybe(0.3),
            filter=self.filter(table),
            groupFilter=self.one([*["*"] * 9, *MASKS]),
            tradeType=self.one([*[0] * 9, 1, 2, 3, 4, 5]),
            logins=tuple(self.some([1001, 1002, 1003, 77])) if table != GROUPS and self.maybe(0.1) else None,
            limit=self.one([None] * 9 + [1, 3, 20, 50, 0]),
            offset=self.one([0] * 5 + [1, 5]),
            totals=tuple(self.some(columns, 5)),
            nowMs=(self.scribe.now - self.one([0, 86400, 10**6])) * 1000,
        )

    def statement(self) -> StatementQuery:
        seq = self.scribe.book.seq
        times = [0, T0, *(entry.time_ms // 1000 for entry in self.scribe.entries), self.scribe.now + 1]
        return StatementQuery(
            login=self.one([1001, 1002, 1003, 1004, 77]),
            fromS=self.one([0, self.one(times)]),
            toS=self.one([None, self.one(times)]),
            afterSeq=self.one([0, 0, self._random.randint(0, seq + 2)]),
            asOf=self.one([None, None, self._random.randint(0, seq + 1)]),
            limit=self.one([None, None, 1, 2, 3, 0]),
            newestFirst=self.maybe(0.5),
        )

    def sight(self) -> Sight:
        return self.one([*[Sight()] * 9, *SIGHTS, Sight(Mask(self.one(MASKS)), self.one([0, 0, 1001]))])

    def bounds(self) -> Bounds:
        # SQLite takes no statement that is longer than an answer may be.
        return Bounds(self.one([50_000] * 9 + [3]), 20.0, self.one([2**25] * 9 + [16_000]))


# A smaller history has no smaller seed.
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**32 - 1))
def test_alike(views: PostgresViews, seed: int) -> None:
    """Any history leaves the same rows in both; any question about it has the same answer, or refusal, in both."""
    random = Random(seed)
    both, author = Both(views), Author(random)
    done = 0
    for count in (0, 30, 30):
        author.write(count)
        both.project(author.scribe.entries[done:], random.randint(1, 20), random.randint(1, 5))
        done = len(author.scribe.entries)
        for _ in range(30):
            both.table(author.table(author.one([TRADES, TRADES, ACCOUNTS, GROUPS])), author.sight(), author.bounds())
        for _ in range(10):
            both.statement(author.statement(), author.sight(), author.bounds())
    logins = range(1000, 1010)
    both.same(lambda views: [views.account(login) for login in logins])
    both.same(lambda views: views.profiles(logins))
    orders = [order for order, _ in author.orders]
    both.same(lambda views: [views.trade(order) for order in [*orders, 99]])
    both.same(lambda views: views.trades([*orders, 99]))
    names = {(entry.principal, entry.key) for entry in author.scribe.entries if entry.key is not None}
    both.same(lambda views: views.keyed([*names, ("crm", "never")]))
    both.same(lambda views: (views.keyed([]), views.trades([]), views.profiles([])))
