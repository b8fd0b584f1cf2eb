"""A list of payments that somebody else has, held against the log as of one entry.

Only the log is read, from its first entry to the one that is its last when that begins. It never forgets, while the
table of keys does if it is told to; and it can be read beside a daemon, or from a backup. What is compared is what each
order stands at as of that entry: a deposit that was changed since is what it was changed to, one that was taken back
is none, a request counts once it is approved.

A list may have millions of lines, so it is kept in a temporary file, and memory is bounded. For the same reason the log
is read once, and not looked up line by line.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import ujson
from msgspec import Struct

from ..finance.money import fromMinor
from ..finance.records import ADDED, DELETED, REFUSAL, TRADE_EVENT, Entry
from ..finance.requests import BALANCE
from ..wire.codes import RetCode, TradeState
from .audit import Tell, nobody
from .finding import Log

__all__ = [
    "DIFFERENT",
    "DOUBLE",
    "EXTRA",
    "FINDINGS",
    "MATCHED",
    "MISSING",
    "REFUSED",
    "Finding",
    "Payment",
    "Reconciliation",
]

#: It was booked once, on this account, with this amount.
MATCHED = "matched"
#: The ledger does not know the reference.
MISSING = "missing"
#: It knows it, and refused it.
REFUSED = "refused"
#: It is in the list more than once, or was booked more than once, or its order is that of a line before.
DOUBLE = "double"
#: It was booked, and not like this.
DIFFERENT = "different"
#: It was booked, and is not in the list.
EXTRA = "extra"
#: All of them, as they are told.
FINDINGS = (MATCHED, MISSING, REFUSED, DOUBLE, DIFFERENT, EXTRA)


class Payment(NamedTuple):
    """
    One line of a list.

    @ivar line: its number there.
    @ivar reference: what names the payment.
    @ivar amount: signed, C{amount * 10 ** -decimals}.
    """

    line: int
    reference: str
    login: int
    amount: int
    decimals: int


class Finding(Struct, frozen=True):
    """
    What became of one payment.

    @ivar finding: one of L{FINDINGS}.
    @ivar line: where it is in the list; 0: it is not, as for L{EXTRA}.
    @ivar login: as the list has it, as C{amount}; of what is L{EXTRA}, as the ledger has it.
    @ivar orders: how it was booked.
    @ivar why: what is wrong, in words; empty: nothing is.
    """

    finding: str
    line: int
    reference: str
    login: int
    amount: float
    orders: tuple[int, ...] = ()
    why: str = ""


_SCHEMA = """
CREATE TABLE line (number INTEGER PRIMARY KEY, reference TEXT, login INTEGER, amount INTEGER, decimals INTEGER) STRICT;
-- Who else asked for something under a reference of the list.
CREATE TABLE another (reference TEXT PRIMARY KEY, principal TEXT, "order" INTEGER) STRICT, WITHOUT ROWID;
-- Each entry that a reference of the list names, or that is to be in the list.
CREATE TABLE booked (seq INTEGER PRIMARY KEY, reference TEXT, "order" INTEGER, kind TEXT, type INTEGER) STRICT;
-- What their orders stand at, in minor units.
CREATE TABLE trade (
    "order" INTEGER PRIMARY KEY, login INTEGER, cmd INTEGER, state INTEGER, digits INTEGER, amount INTEGER, gone INTEGER
) STRICT;
"""
_LISTED = """
SELECT l.number, l.reference, l.login, l.amount, l.decimals,
    (SELECT min(number) FROM line WHERE reference = l.reference),
    (SELECT min(o.number) FROM booked a JOIN line o USING (reference) WHERE a."order" = t."order" AND a.kind = 'trade'),
    a.principal, a."order", b.kind, b.type, t."order", t.login, t.cmd, t.state, t.digits, t.amount, t.gone
FROM line l LEFT JOIN booked b ON b.reference = l.reference AND b.kind != 'extra' LEFT JOIN trade t USING ("order")
    LEFT JOIN another a ON a.reference = l.reference
ORDER BY l.number, b.seq
"""
_UNLISTED = """
SELECT b.reference, t."order", t.login, t.digits, t.amount FROM booked b JOIN trade t USING ("order")
WHERE b.kind = 'extra' AND NOT t.gone AND t.state NOT IN (?, ?) ORDER BY b.seq
"""
# The states of a request that has moved nothing.
_UNMOVED = (int(TradeState.TS_FINANCE_OPEN_PENDING), int(TradeState.TS_FINANCE_OPEN_DECLINE))
_CACHE_KIB = 65536
# So many who did something are remembered by name.
_PRINCIPALS_MAX = 1000


class _Trade(Struct, gc=False):
    login: int
    cmd: int
    state: int
    digits: int
    profit: float
    comment: str


_TRADE = msgspec.json.Decoder(_Trade).decode


class Reconciliation:
    """
    One comparison: L{add} the list, L{compare} it, ask for the L{findings}.

    @param by: C{"key"}: a reference is an idempotency key; C{"comment"}: it is the comment of the movement, which
        nothing keeps from being used twice.
    @param principal: only what this caller did; C{None}: whoever did it. What another did under a reference of the list
        is L{DIFFERENT}, if this one did nothing.
    """

    def __init__(self, *, by: str = "key", principal: str | None = None) -> None:
        self._byKey = by == "key"
        self._principal = principal
        # Of whom there are entries; the first of them.
        self._principals: set[str] = set()
        # A file without a name, gone when it is closed.
        self._kept = sqlite3.connect("", isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._kept.execute(f"PRAGMA {pragma}").fetchall()
        self._kept.executescript(_SCHEMA)

    def add(self, payments: Iterable[Payment]) -> int:
        """
        Add to the list.

        @return: how many there are in it now.
        """
        self._kept.execute("BEGIN")
        self._kept.executemany("INSERT INTO line VALUES (?, ?, ?, ?, ?)", payments)
        self._kept.execute("COMMIT")
        (count,) = self._kept.execute("SELECT count(*) FROM line").fetchone()
        return int(count)

    def compare(self, log: Log, extra: Callable[[int], bool] | None = None, tell: Tell = nobody) -> int:
        """
        Read the log.

        @param extra: is what was booked at this time, in milliseconds since 1970, to be in the list? C{None}: nothing
            need be.
        @return: the entry that all findings are as of.
        @raise ValueError: if the log is damaged.
        """
        self._kept.execute("CREATE INDEX line_of ON line (reference)")
        head = log.head()
        done = 0
        for page in log.pages(0):
            if page[-1].seq != done + len(page):
                missing = next(n for n, entry in enumerate(page, done + 1) if entry.seq != n)
                raise ValueError(f"entry {missing} is missing")
            entries = page[: head - done]
            self._read(entries, extra)
            done += len(entries)
            tell(done, head)
            if done == head:
                break
        self._kept.execute("CREATE INDEX booked_of ON booked (reference)")
        self._kept.execute('CREATE INDEX booked_as ON booked ("order")')
        return head

    @property
    def strangers(self) -> list[str] | None:
        """Who has asked for something, if the one who was named never has; C{None}: that one has."""
        isKnown = self._principal is None or self._principal in self._principals
        return None if isKnown else sorted(self._principals)

    def _read(self, entries: list[Entry], extra: Callable[[int], bool] | None) -> None:
        self._kept.execute("BEGIN")
        # A str and nothing more, which msgspec is quick with.
        trades = {e.seq: _TRADE(str(e.data)) for e in entries if e.event == TRADE_EVENT}
        references = {e.seq: r for e in entries if (r := self._reference(e, trades.get(e.seq))) is not None}
        named = {e.seq: references[e.seq] for e in entries if e.seq in references and self._isOurs(e)}
        if self._principal is not None:
            self._note(entries, references)
        listed = self._listed(set(named.values()))
        followed = self._followed({e.order for e in entries if e.event == TRADE_EVENT and e.type != ADDED})
        booked, stands = [], []
        for entry in entries:
            trade, reference = trades.get(entry.seq), named.get(entry.seq)
            if reference in listed:
                kind = "trade" if trade else "refused" if entry.event == REFUSAL else "other"
                booked.append((entry.seq, reference, entry.order, kind, entry.type))
            elif trade and extra and self._isExtra(entry, trade, extra):
                booked.append((entry.seq, entry.key or "", entry.order, "extra", entry.type))
            elif entry.order not in followed:
                continue
            if trade:
                followed.add(entry.order)
                stands.append(_row(entry, trade))
        self._kept.executemany("INSERT INTO booked VALUES (?, ?, ?, ?, ?)", booked)
        self._kept.executemany("INSERT OR REPLACE INTO trade VALUES (?, ?, ?, ?, ?, ?, ?)", stands)
        self._kept.execute("COMMIT")

    def _isExtra(self, entry: Entry, trade: _Trade, extra: Callable[[int], bool]) -> bool:
        """Is it a payment that was to be in the list? It is not, or is not known to be."""
        return entry.type == ADDED and trade.cmd in BALANCE and self._isOurs(entry) and extra(entry.time_ms)

    def _isOurs(self, entry: Entry) -> bool:
        return self._principal in (None, entry.principal)

    def _reference(self, entry: Entry, trade: _Trade | None) -> str | None:
        if self._byKey:
            return entry.key
        return trade.comment if trade is not None and entry.type == ADDED else None

    def _note(self, entries: list[Entry], references: Mapping[int, str]) -> None:
        """Who did something, and what others did under references of the list."""
        for entry in entries:
            if len(self._principals) < _PRINCIPALS_MAX or entry.principal == self._principal:
                self._principals.add(entry.principal)
        others = {references[e.seq]: e for e in entries if e.seq in references and not self._isOurs(e)}
        rows = [(name, others[name].principal, others[name].order) for name in self._listed(set(others))]
        self._kept.executemany("INSERT OR IGNORE INTO another VALUES (?, ?, ?)", rows)

    def _listed(self, references: set[str]) -> set[str]:
        return self._those(
            "SELECT DISTINCT reference FROM line WHERE reference IN (SELECT value FROM json_each(?))", references
        )

    def _followed(self, orders: set[int]) -> set[int]:
        return self._those('SELECT "order" FROM trade WHERE "order" IN (SELECT value FROM json_each(?))', orders)

    def _those(self, question: str, values: set[Any]) -> set[Any]:
        return {v for (v,) in self._kept.execute(question, (ujson.dumps(list(values)),))} if values else set()

    # -- what came of it --------------------------------------------------------------------------------

    def findings(self) -> Iterator[Finding]:
        """What became of each payment of the list, in its order, then what is not in it, in the order of the log."""
        for _, rows in groupby(self._kept.execute(_LISTED), itemgetter(0)):
            yield _judge(list(rows))
        for reference, order, login, digits, amount in self._kept.execute(_UNLISTED, _UNMOVED):
            why = f"order {order} is not in the list"
            yield Finding(EXTRA, 0, reference, login, fromMinor(amount, digits), (order,), why)

    def close(self) -> None:
        """Forget all of it."""
        self._kept.close()


def _row(entry: Entry, trade: _Trade) -> tuple[int, ...]:
    """What an order stands at after an entry."""
    # Exact: it is the double nearest to a decimal of at most 15 digits, so the product is less than half away.
    amount = round(trade.profit * 10**trade.digits)
    return (entry.order, trade.login, trade.cmd, trade.state, trade.digits, amount, entry.type == DELETED)


class _Booked(NamedTuple):
    kind: str
    type: int
    order: int
    login: int
    cmd: int
    state: int
    digits: int
    amount: int
    gone: int


def _judge(rows: list[tuple[Any, ...]]) -> Finding:
    """What became of the payment of one line; a row for each entry that its reference names."""
    line, reference, login, amount, decimals, first, _, another, anothers = rows[0][:9]
    named = [_Booked(*row[9:]) for row in rows if row[9] is not None]
    trades = {b.order: b for b in named if b.kind == "trade"}

    def found(finding: str, why: str = "") -> Finding:
        return Finding(finding, line, reference, login, fromMinor(amount, decimals), tuple(trades), why)

    if first != line:
        return found(DOUBLE, f"line {first} has this reference already")
    if not named and another is not None:
        return found(DIFFERENT, f"it was asked for by {another}{f', as order {anothers}' if anothers else ''}")
    if not named:
        return found(MISSING, "the ledger does not have this reference")
    if len(trades) > 1:
        return found(DOUBLE, f"it was booked {len(trades)} times, as the orders {', '.join(map(str, trades))}")
    if trades:
        (booked,) = trades.values()
        why = _difference(booked, login, amount, decimals)
        if why:
            return found(DIFFERENT, why)
        # A reference may be that of a change or of an approval, too, and what moved once is not two payments.
        before = min(row[6] for row in rows if row[6] is not None)
        return found(MATCHED) if before == line else found(DOUBLE, f"line {before} is of order {booked.order} already")
    refusals = [b.type for b in named if b.kind == "refused"]
    if refusals:
        return found(REFUSED, f"it was refused: {_nameOf(refusals[-1])}")
    return found(DIFFERENT, "the reference is that of a request that moves no money")


def _difference(booked: _Booked, login: int, amount: int, decimals: int) -> str:
    """What is not as it should be, in words; empty: nothing."""
    order = f"order {booked.order}"
    if booked.gone:
        return f"{order} was taken back"
    if booked.state == TradeState.TS_FINANCE_OPEN_PENDING:
        return f"{order} awaits approval"
    if booked.state == TradeState.TS_FINANCE_OPEN_DECLINE:
        return f"{order} was declined"
    if booked.login != login:
        return f"{order} is on login {booked.login}"
    if booked.cmd not in BALANCE:
        return f"{order} is of credit"
    # Exact: whole numbers of the smaller unit of the two.
    if booked.amount * 10**decimals != amount * 10**booked.digits:
        return f"{order} is of {fromMinor(booked.amount, booked.digits):.{booked.digits}f}"
    return ""


def _nameOf(ret: int) -> str:
    try:
        return RetCode(ret).name
    except ValueError:
        return f"code {ret}"
