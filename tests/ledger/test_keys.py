"""A key and its effect are one entry, and the ledger knows every key that was used, wherever it keeps it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scalemgr.finance.records import REFUSAL, Entry
from scalemgr.finance.requests import ForgetKeys, fingerprint
from scalemgr.finance.settle import Replay
from scalemgr.interfaces import ILedger
from scalemgr.ledger.audit import verify
from scalemgr.ledger.snapshot import loadSnapshot
from scalemgr.wire.errors import DuplicateRequest, LedgerFailed

from .engines import Engine, every, lasting
from .helpers import CAUSE, NOW_MS, commit, deposit, opened, populate, trades
from .keys import (
    BETWEEN,
    NEVER,
    A,
    B,
    C,
    again,
    flush,
    forget,
    keyed,
    use,
)

# -- keys that were used ------------------------------------------------------------------------------


@every
def test_one_entry(ledger: ILedger) -> None:
    """A key and its effect are one entry: what is read back says both, who asked, and for what; only it has the key."""
    entry = use(ledger, 1, A)
    assert (entry.principal, entry.key, entry.balance, entry.order) == ("crm", "a", 100, 1)
    assert entry.fingerprint == fingerprint(keyed(1, A))
    entries = ledger.entries(4, 10)
    assert trades(entries) == [entry]
    assert [e.key for e in entries] == ["a", None]
    assert ledger.keyed([A]) == {A: entry}


@every
@pytest.mark.parametrize("flushed", [False, True])
def test_repeat_in_a_later_commit(ledger: ILedger, flushed: bool) -> None:
    """A repeat in a later commit is a replay of an equal entry, wherever its key is kept; another is a duplicate."""
    entry = use(ledger, 1, A)
    if flushed:
        flush(ledger)
    before = ledger.book.seq
    assert again(ledger, 2, A) == Replay(entry)
    other = again(ledger, 2, A, 101)
    assert isinstance(other, DuplicateRequest)
    assert other.details == {"order": 1}
    assert (ledger.book.seq, ledger.entries(before, 10)) == (before, [])
    assert ledger.book.accounts[1001].balance == 100


@every
@pytest.mark.parametrize("flushed", [False, True])
def test_refusal_repeats(ledger: ILedger, flushed: bool) -> None:
    """A refusal with a key is kept and repeats; one without is kept and does not."""
    first, unkeyed = commit(ledger, keyed(1, A, login=4711), deposit(2, login=4711))
    if flushed:
        flush(ledger)
    assert [first.event, unkeyed.event] == [REFUSAL] * 2
    assert ledger.entries(4, 10) == [first, unkeyed]
    assert ledger.commit([keyed(3, A, login=4711)], NOW_MS) == [Replay(first)]
    assert ledger.keyed([A]) == {A: first}


@every
def test_failed_commit_uses_no_key(ledger: ILedger, engine: Engine) -> None:
    """A commit that fails leaves its keys unused."""
    engine.failNext(ledger)
    with pytest.raises(LedgerFailed):
        ledger.commit([keyed(1, A)], NOW_MS)
    assert ledger.keyed([A]) == {}
    assert use(ledger, 1, A).seq == 5


@lasting
@BETWEEN
def test_repeat_after_reopening(engine: Engine, tmp_path: Path, between: Callable[[Path], None]) -> None:
    """A repeat after the ledger was closed and opened again is a replay, also if the views had to be made again."""
    ledger = engine.make(tmp_path)
    ledger.open(NOW_MS)
    entries = [use(populate(ledger), 1, A), use(ledger, 2, B)]
    ledger.close(None)
    between(tmp_path / "ledger")
    ledger = engine.make(tmp_path)
    ledger.open(NOW_MS)
    assert ledger.keyed([A, B, NEVER]) == {A: entries[0], B: entries[1]}
    assert [again(ledger, 3, A), again(ledger, 3, B)] == [Replay(entry) for entry in entries]
    assert ledger.book.accounts[1001].balance == 200
    ledger.close(None)


@every
def test_keyed(ledger: ILedger) -> None:
    """Exactly those keys are found that were used, by whom they were used, and also from another thread."""
    entries = {name: use(ledger, n, name) for n, name in enumerate([A, B, ("psp", "a"), C], 1)}
    flush(ledger)
    entries["crm", "d"] = use(ledger, 5, "d")
    asked = [*entries, NEVER, ("psp", "b"), ("CRM", "a"), ("crm", "A"), ("crm", "a "), ("a", "crm")]
    assert ledger.keyed(asked) == entries
    assert ledger.keyed({B, NEVER}) == {B: entries[B]}
    assert ledger.keyed([A]) == {A: entries[A]}
    assert ledger.keyed([NEVER]) == ledger.keyed([]) == {}
    with ThreadPoolExecutor(1) as other:
        assert other.submit(ledger.keyed, asked).result(30) == entries


ODD = [
    "Grüße ☃ 𝄞",
    "it's \"quoted\" \\ 'twice'",
    "k" * 200,
    "é" * 100,
    '["crm","a"]',
    "null",
    "1",
    "1.0",
    "%_*?",
    "\n\t\x7f",
]


@every
@pytest.mark.parametrize("flushed", [False, True])
def test_odd_keys(ledger: ILedger, flushed: bool) -> None:
    """Whatever text a key or a principal is, it is found again as it is, and none is taken for another."""
    names = [*((("crm", odd)) for odd in ODD), *((odd, "a") for odd in ODD)]
    entries = {name: use(ledger, n, name) for n, name in enumerate(names, 1)}
    if flushed:
        flush(ledger)
    assert ledger.keyed(names) == entries
    assert [again(ledger, 99, name) for name in names] == [Replay(entries[name]) for name in names]
    assert ledger.keyed([("crm", odd + "x") for odd in ODD]) == {}


# -- forgetting ---------------------------------------------------------------------------------------


@every
def test_forgettable(ledger: ILedger) -> None:
    """What can be forgotten next are the oldest keys, so many at once, and none that is not old enough."""
    assert ledger.forgettable(2**60, 10) == 0
    for order, (key, time) in enumerate([(None, 10), ("a", 10), (None, 30), ("b", 20), ("c", 40), ("d", 5)], 1):
        request = deposit(order) if key is None else keyed(order, key)
        assert isinstance(ledger.commit([request], time)[0], Entry)
    # The keys a, b, c and d are entries 7, 11, 13 and 15.
    for before, expected in {10: [0, 0, 0], 11: [7, 7, 7], 21: [7, 11, 11], 41: [7, 11, 15]}.items():
        assert [ledger.forgettable(before, limit) for limit in (1, 2, 9)] == expected, before
    forget(ledger, 7)
    assert [ledger.forgettable(41, limit) for limit in (1, 2, 9)] == [11, 13, 15]
    assert ledger.forgettable(20, 9) == 7
    forget(ledger, 15)
    assert ledger.forgettable(2**60, 9) == 15


@every
@pytest.mark.parametrize("flushed", [False, True])
def test_forgotten_key(ledger: ILedger, flushed: bool) -> None:
    """A key that was forgotten is not found and can be used again; then the later entry counts, and only that."""
    use(ledger, 1, A)
    kept = use(ledger, 2, B)
    if flushed:
        flush(ledger)
    forget(ledger, 5)
    assert ledger.keyed([A, B]) == {B: kept}
    if flushed:
        flush(ledger)
    assert ledger.keyed([A, B]) == {B: kept}
    later = use(ledger, 3, A, 700)
    assert (later.seq, ledger.book.accounts[1001].balance) == (10, 900)
    for _ in range(2):
        assert ledger.keyed([A, B]) == {A: later, B: kept}
        assert again(ledger, 4, A, 700) == Replay(later)
        assert isinstance(again(ledger, 4, A), DuplicateRequest)
        flush(ledger)


@every
def test_used_forgotten_and_used_in_one_batch(ledger: ILedger) -> None:
    """Also within a batch a key is free once it is forgotten, and the last use is the one that is kept."""
    first, _, later = commit(ledger, keyed(1, A), ForgetKeys(CAUSE, 5), keyed(2, A))
    assert (first.seq, later.seq) == (5, 8)
    for _ in range(2):
        assert ledger.keyed([A]) == {A: later}
        assert again(ledger, 3, A) == Replay(later)
        flush(ledger)


@lasting
@BETWEEN
def test_forgotten_after_reopening(engine: Engine, tmp_path: Path, between: Callable[[Path], None]) -> None:
    """What was forgotten stays forgotten after reopening, however the book and the views are made then."""
    ledger = engine.make(tmp_path)
    ledger.open(NOW_MS)
    use(populate(ledger), 1, A)
    use(ledger, 2, B)
    kept = use(ledger, 3, C)
    # The keys a, b and c are entries 5, 7 and 9.
    forget(ledger, 7)
    later = use(ledger, 4, A)
    ledger.close(None)
    between(tmp_path / "ledger")
    ledger = engine.make(tmp_path)
    ledger.open(NOW_MS)
    assert ledger.book.forgotten == 7
    assert ledger.keyed([A, B, C]) == {A: later, C: kept}
    assert again(ledger, 5, A) == Replay(later)
    assert use(ledger, 5, B).seq == 14
    assert ledger.forgettable(2**60, 1) == 9
    ledger.close(None)
    if engine.name == "sqlite":
        assert verify(tmp_path / "ledger").differences == []


def test_snapshot_says_what_is_forgotten(folder: Path) -> None:
    """The snapshot says up to where keys are forgotten, and is believed: nothing before it is folded."""
    with opened(folder) as ledger:
        use(populate(ledger), 1, A)
        forget(ledger, 5)
        epoch = ledger.epoch
    book = loadSnapshot(folder / "book.snapshot", epoch)
    assert book is not None
    assert (book.seq, book.forgotten) == (7, 5)
