"""A list of payments is told apart from the ledger line by line, as an independent recount of both would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.money import Amount
from scalemgr.finance.requests import BALANCE, AskForMoney, Cause, Decide, MoveMoney, TakeBack
from scalemgr.ledger.log import SqliteLog
from scalemgr.ledger.reconcile import Finding, Payment, Reconciliation
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.codes import TradeCommand

from .helpers import NOW_MS, account, commit, opened, populate, sql

IN = TradeCommand.OP_BALANCE_IN


def deposit(order: int, key: str | None, cents: int, login: int = 1001, who: str = "psp", **more: Any) -> MoveMoney:
    return MoveMoney(Cause(who, EVERYTHING, key), more.pop("cmd", IN), login, Amount(cents, 2), order, **more)


@contextmanager
def reconciled(
    folder: Path, *lines: tuple[str, int, int, int], extra: bool = False, **how: Any
) -> Iterator[list[Finding]]:
    """What becomes of these lines (reference, login, amount, decimals), numbered from 2 as in a file."""
    with (
        closing(SqliteLog(folder / "log.db", readOnly=True)) as log,
        closing(Reconciliation(**how)) as reconciliation,
    ):
        reconciliation.add(Payment(number, *line) for number, line in enumerate(lines, 2))
        assert reconciliation.compare(log, (lambda ms: True) if extra else None) == log.head()
        yield list(reconciliation.findings())


def found(folder: Path, *lines: tuple[str, int, int, int], **how: Any) -> list[tuple[str, str]]:
    """The same, in short."""
    with reconciled(folder, *lines, **how) as findings:
        return [(f.finding, f.why) for f in findings]


@pytest.fixture
def ledger(folder: Path) -> Iterator[SqliteLedger]:
    """A brokerage without a deposit, that stays open: as beside a daemon."""
    with opened(folder) as ledger:
        populate(ledger)
        commit(ledger, account(1003, "vip"))
        yield ledger


def test_eachKind(folder: Path, ledger: SqliteLedger) -> None:
    """Matched, missing, refused, different and double are each told as what they are, and why."""
    commit(
        ledger,
        deposit(1, "ok", 25000),
        deposit(2, "other-login", 100, 1002),
        deposit(3, "other-amount", 101),
        deposit(4, "twice", 5),
        deposit(5, "credit", 7, cmd=TradeCommand.OP_CREDIT_IN),
        deposit(6, "out", 900),
    )
    ledger.commit([deposit(7, "refused", 100, 4711), deposit(8, "unknown-to-all", 1, who="crm")], NOW_MS)
    assert found(
        folder,
        ("ok", 1001, 250, 0),
        ("nowhere", 1001, 1, 0),
        ("other-login", 1001, 1, 0),
        ("other-amount", 1001, 1, 0),
        ("twice", 1001, 5, 2),
        ("twice", 1001, 5, 2),
        ("credit", 1001, 7, 2),
        ("out", 1001, -9, 0),
        ("refused", 4711, 1, 0),
        principal="psp",
        extra=True,
    ) == [
        ("matched", ""),
        ("missing", "the ledger does not have this reference"),
        ("different", "order 2 is on login 1002"),
        ("different", "order 3 is of 1.01"),
        ("matched", ""),
        ("double", "line 6 has this reference already"),
        ("different", "order 5 is of credit"),
        ("different", "order 6 is of 9.00"),
        ("refused", "it was refused: RET_USER_NOT_FOUND"),
    ]


def test_asItStandsNow(folder: Path, ledger: SqliteLedger) -> None:
    """What was changed, taken back, approved or declined since counts as what it is as of the entry."""
    cause = Cause("psp", EVERYTHING)
    ask = [AskForMoney(replace(cause, key=f"ask-{n}"), IN, 1001, Amount(10 * n, 2), n) for n in (1, 2, 3)]
    commit(ledger, *ask, deposit(4, "changed", 400), deposit(5, "gone", 500))
    commit(
        ledger,
        Decide(cause, 1, True),
        Decide(cause, 2, False),
        replace(deposit(4, "change", 450), named=4),
        TakeBack(cause, 5, BALANCE),
    )
    lines = [("ask-1", 10), ("ask-2", 20), ("ask-3", 30), ("changed", 450), ("change", 450), ("gone", 500)]
    assert found(folder, *((key, 1001, cents, 2) for key, cents in lines), extra=True) == [
        ("matched", ""),
        ("different", "order 2 was declined"),
        ("different", "order 3 awaits approval"),
        ("matched", ""),
        ("double", "line 5 is of order 4 already"),
        ("different", "order 5 was taken back"),
    ]
    assert found(folder, extra=True) == [
        ("extra", "order 1 is not in the list"),
        ("extra", "order 4 is not in the list"),
    ]


def test_changeOfWhatIsNotListed(folder: Path, ledger: SqliteLedger) -> None:
    """A reference that changed an order which no other line names is held against the whole order."""
    commit(ledger, deposit(1, "first", 400))
    commit(ledger, replace(deposit(1, "change", 450), named=1))
    assert found(folder, ("change", 1001, 45, 1)) == [("matched", "")]


def test_keysArePerCaller(folder: Path, ledger: SqliteLedger) -> None:
    """A reference that two callers used is two bookings, unless one of them is named; of what has no key, too."""
    commit(ledger, deposit(1, "p", 100), deposit(2, "p", 100, who="crm"), deposit(3, None, 100, who="crm"))
    line = ("p", 1001, 1, 0)
    assert found(folder, line) == [("double", "it was booked 2 times, as the orders 1, 2")]
    assert found(folder, line, principal="psp", extra=True) == [("matched", "")]
    assert found(folder, line, principal="crm", extra=True) == [
        ("matched", ""),
        ("extra", "order 3 is not in the list"),
    ]


def test_byComment(folder: Path, ledger: SqliteLedger) -> None:
    """By comment, a second deposit with the same comment is a double, whatever its key."""
    commit(ledger, deposit(1, "a", 100, comment="Invoice 7"), deposit(2, "b", 100, comment="Invoice 7"))
    commit(ledger, deposit(3, "c", 100, comment="Invoice 8"))
    assert found(folder, ("Invoice 7", 1001, 1, 0), ("Invoice 8", 1001, 1, 0), by="comment") == [
        ("double", "it was booked 2 times, as the orders 1, 2"),
        ("matched", ""),
    ]


def test_commentThatIsAnothersKey(folder: Path, ledger: SqliteLedger) -> None:
    """By comment, a key is no reference, though what has it is looked at because it is not in the list."""
    commit(ledger, deposit(1, "p", 100, comment="of card"))
    assert found(folder, ("p", 1001, 1, 0), by="comment", extra=True) == [
        ("missing", "the ledger does not have this reference"),
        ("extra", "order 1 is not in the list"),
    ]


def test_aKeyOfSomethingElse(folder: Path, ledger: SqliteLedger) -> None:
    """The key of a request that moves no money is no payment, and is not missing either."""
    commit(ledger, replace(account(1004), cause=Cause("psp", EVERYTHING, "open")))
    assert found(folder, ("open", 1004, 1, 0)) == [
        ("different", "the reference is that of a request that moves no money")
    ]


def test_asOfOneEntry(folder: Path, ledger: SqliteLedger) -> None:
    """What is booked while the log is read is not there yet."""
    commit(ledger, *(deposit(n, f"k{n}", 100) for n in range(1, 600)))

    with (
        closing(SqliteLog(folder / "log.db", readOnly=True)) as log,
        closing(Reconciliation()) as reconciliation,
    ):
        reconciliation.add([Payment(2, "late", 1001, 1, 0), Payment(3, "k599", 1001, 1, 0)])
        late = iter([deposit(700, "late", 100)])

        def tell(done: int, total: int) -> None:
            commit(ledger, *late)

        head = log.head()
        assert reconciliation.compare(log, None, tell) == head
        assert [f.finding for f in reconciliation.findings()] == ["missing", "matched"]


def test_gap(folder: Path, ledger: SqliteLedger) -> None:
    """A log in which entries are missing is not compared."""
    commit(ledger, deposit(1, "a", 100))
    commit(ledger, deposit(2, "b", 100))
    # When this is answered the ledger's own views have read what is taken away here.
    assert ledger.account(1003) is not None
    sql(folder / "log.db", "DELETE FROM page WHERE last = 7")
    with pytest.raises(ValueError, match="entry 6 is missing"):
        found(folder, ("a", 1001, 1, 0))


# -- an independent recount -----------------------------------------------------------------------------


@dataclass
class Told:
    """What a person who reads both lists would note of each reference."""

    orders: list[int] = field(default_factory=list)
    refused: bool = False


KEYS = st.sampled_from(["a", "b", "c", "d"])
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("deposit"), KEYS, st.sampled_from([1001, 1002, 9999]), st.integers(1, 3)),
        st.tuples(st.just("take back"), st.integers(1, 8)),
        st.tuples(st.just("change"), st.integers(1, 8), st.integers(1, 3)),
    ),
    max_size=12,
)
LINES = st.lists(st.tuples(KEYS, st.sampled_from([1001, 1002, 9999]), st.integers(1, 3)), max_size=6)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=ACTS, lines=LINES)
def test_recount(acts: list[tuple[Any, ...]], lines: list[tuple[str, int, int]]) -> None:
    """Whatever was booked, changed, taken back and refused, and whatever the list says: each line gets the finding that
    a recount by hand gives it, and what is left over is extra."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "ledger"
        with opened(folder) as ledger:
            populate(ledger)
            told, stands = perform(ledger, acts)
        with reconciled(folder, *((key, login, cents, 2) for key, login, cents in lines), extra=True) as findings:
            assert [f.finding for f in findings if f.line] == expected(lines, told, stands)
            listed = {key for key, _, _ in lines}
            left = [o for key, t in told.items() if key not in listed for o in t.orders if stands[o] is not None]
            assert sorted(o for f in findings if not f.line for o in f.orders) == sorted(left)


def perform(ledger: SqliteLedger, acts: list[tuple[Any, ...]]) -> tuple[dict[str, Told], dict[int, Any]]:
    """Do it all; what was told of each key, and what each order stands at (C{None}: taken back)."""
    told: dict[str, Told] = {}
    stands: dict[int, Any] = {}
    for number, act in enumerate(acts, 1):
        if act[0] == "deposit":
            _, key, login, cents = act
            if key in told:
                # A repeat, or another request under the same name: it changes nothing.
                ledger.commit([deposit(100 + number, key, cents, login)], NOW_MS)
                continue
            note = told.setdefault(key, Told())
            if login == 9999:
                ledger.commit([deposit(number, key, cents, login)], NOW_MS)
                note.refused = True
            else:
                commit(ledger, deposit(number, key, cents, login))
                note.orders.append(number)
                stands[number] = login, cents
        elif stands.get(act[1]) is not None:
            login, _ = stands[act[1]]
            if act[0] == "change":
                commit(ledger, replace(deposit(act[1], None, act[2], login), named=act[1]))
                stands[act[1]] = login, act[2]
            else:
                commit(ledger, TakeBack(Cause("psp", EVERYTHING), act[1], BALANCE))
                stands[act[1]] = None
    return told, stands


def expected(lines: list[tuple[str, int, int]], told: dict[str, Told], stands: dict[int, Any]) -> list[str]:
    """The finding of each line."""
    seen: Counter[str] = Counter()
    findings = []
    for key, login, cents in lines:
        seen[key] += 1
        note = told.get(key)
        if seen[key] > 1:
            findings.append("double")
        elif note is None:
            findings.append("missing")
        elif note.refused:
            findings.append("refused")
        else:
            findings.append("matched" if stands[note.orders[0]] == (login, cents) else "different")
    return findings
