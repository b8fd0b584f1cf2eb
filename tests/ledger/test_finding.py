"""What a commit asks of the latest entries: memory has their numbers, and the log what they say."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent

from scalemgr.finance.records import Entry
from scalemgr.finance.settle import Replay
from scalemgr.ledger import recent as recentModule
from scalemgr.ledger.log import SqliteLog
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed

from .conftest import Logged
from .gate import Gate
from .helpers import NOW_MS, commit, deposit, diskError, opened, populate, sql, update
from .keys import NEVER, A, B, C, again, flush, isVoid, keyed, use
from .scribe import DELETE, UPDATE, Scribe, keep
from .tampering import change, eachAlone, remove


@pytest.fixture(params=[1, 4, 65_536], autouse=True)
def together(request: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many entries memory lets go of together."""
    size: int = request.param
    monkeypatch.setattr(recentModule, "_TOGETHER", size)
    return size


@pytest.fixture
def ledger(folder: Path, gate: Gate) -> Iterator[SqliteLedger]:
    """A populated ledger whose views have nothing of what is committed then."""
    with opened(folder) as ledger:
        flush(populate(ledger))
        with gate.shut():
            yield ledger


@pytest.fixture
def spoilt(failures: list[LogEvent]) -> Iterator[None]:
    """That the views cannot follow a log that was damaged is no failure of the test."""
    yield
    failures.clear()


# Set up before, and so torn down after, the ledger is.
SPOILT = pytest.mark.usefixtures("spoilt")


def scribeOf(ledger: SqliteLedger) -> Scribe:
    """One who goes on where a ledger is."""
    scribe = Scribe()
    for entry in ledger.entries(0, 1000):
        scribe.book.apply(entry)
    return scribe


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """Which entries were read from the log, read by read."""
    seen: list[set[int]] = []
    at = SqliteLog.at

    def reading(log: SqliteLog, seqs: Any) -> list[Entry]:
        seen.append(set(seqs))
        return at(log, seqs)

    monkeypatch.setattr(SqliteLog, "at", reading)
    return seen


# -- it is found --------------------------------------------------------------------------------------


def test_only_in_memory(ledger: SqliteLedger, reads: list[set[int]]) -> None:
    """Keys and trades that only memory knows of are found, with one read for all, and so are they by other threads."""
    entries = [use(ledger, n, str(n)) for n in range(1, 9)]
    names = [("crm", str(n)) for n in range(1, 9)]
    assert reads == []
    assert ledger.commit([keyed(20 + n, str(n)) for n in range(1, 9)], NOW_MS) == [Replay(entry) for entry in entries]
    assert reads == [{entry.seq for entry in entries}]
    with ThreadPoolExecutor(1) as other:
        assert other.submit(ledger.keyed, [*names, NEVER]).result(30) == dict(zip(names, entries, strict=True))
        found = other.submit(ledger.trade, 3).result(30)
    assert found == (entries[2].trade(), "demo")
    [changed] = commit(ledger, update(3, 250))
    assert changed.balance == 150
    assert commit(ledger, update(3, 260), update(8, 90))[0].balance == 10
    assert (found := ledger.trade(3)) is not None
    assert found[0].profit == 260
    assert again(ledger, 30, "3") == Replay(entries[2])


def test_nothing_is_read_for_what_is_new(ledger: SqliteLedger, reads: list[set[int]]) -> None:
    """A deposit with a key that nobody has used costs no read of the log."""
    for n in range(1, 20):
        commit(ledger, deposit(100 + n), keyed(n, str(n)))
    assert reads == []


def test_released_bit_by_bit(folder: Path, gate: Gate) -> None:
    """Wherever memory ends and the views begin, keys and trades on both sides are found in one commit."""
    with opened(folder) as ledger:
        flush(populate(ledger))
        with gate.shut():
            entries = [use(ledger, n, str(n)) for n in range(1, 11)]
        assert ledger._projector.waitFor(ledger.book.seq, 30)
        for reached in range(4, ledger.book.seq + 1):
            ledger._recent.release(reached)
            assert ledger._recent.released == reached
            batch = [keyed(30, str(n)) for n in range(1, 11)]
            assert ledger.commit(batch, NOW_MS) == [Replay(entry) for entry in entries]
            assert [ledger.trade(entry.order) for entry in entries] == [(entry.trade(), "demo") for entry in entries]


def test_found_while_it_is_released(folder: Path) -> None:
    """Keys and trades are found at any moment while the views take them over from memory."""
    with opened(folder) as ledger, ThreadPoolExecutor(1) as other:
        populate(ledger)
        entries = {("crm", str(n)): use(ledger, n, str(n)) for n in range(1, 40)}
        asked = other.submit(lambda: [(ledger.keyed(list(entries)), ledger.trade(5)) for _ in range(200)])
        for n in range(100, 300):
            use(ledger, n, str(n))
        expected = (entries, (entries["crm", "5"].trade(), "demo"))
        assert all(answer == expected for answer in asked.result(60))


def test_profiles(ledger: SqliteLedger) -> None:
    """The last word about an account is found wherever it is, also that it is deleted."""
    scribe = scribeOf(ledger)
    for login in (1003, 1004, 1005):
        scribe.user(login, email="first")
    keep(ledger, scribe.entries)
    for n in range(1, 6):
        commit(ledger, deposit(n))
    scribe = scribeOf(ledger)
    scribe.user(1003, type=UPDATE, email="second")
    scribe.user(1004, type=DELETE)
    keep(ledger, scribe.entries)
    found = ledger._profiles([1001, 1003, 1004, 1005, 7])
    assert {login: profile.get("email") for login, profile in found.items()} == {
        1001: None,
        1003: "second",
        1005: "first",
    }


# -- a log that cannot be read ------------------------------------------------------------------------

DAMAGES = [
    pytest.param("UPDATE page SET entries = substr(entries, 3) WHERE last = 5", id="torn"),
    pytest.param("UPDATE page SET entries = '[[]]' WHERE last = 5", id="empty"),
    pytest.param("DELETE FROM page WHERE last = 5", id="gone"),
]


@SPOILT
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_page(ledger: SqliteLedger, folder: Path, logged: Logged, damage: str) -> None:
    """A repeat or a change of what is on a damaged page is void, and nothing is booked; the rest goes on."""
    use(ledger, 1, A)
    sound = use(ledger, 2, B)
    eachAlone(folder / "log.db")
    sql(folder / "log.db", damage)
    for _ in range(3):
        batch = [keyed(3, A), keyed(4, B), update(1, 500), update(2, 100)]
        repeat, replay, wrong, right = ledger.commit(batch, NOW_MS)
        assert (isVoid(repeat), isVoid(wrong), replay) == (True, True, Replay(sound))
        assert isinstance(right, Entry)
        with pytest.raises(LedgerFailed) as failed:
            ledger.keyed([A, B])
        assert failed.value.details == {}
        with pytest.raises(LedgerFailed) as failed:
            ledger.trade(1)
        assert failed.value.details == {}
        assert ledger.keyed([B, C]) == {B: sound}
    assert ledger.book.accounts[1001].balance == 200
    assert isinstance(again(ledger, 5, C), Entry)
    assert sum("cannot be read at entry 5" in line for line in logged.lines()) == 1


@SPOILT
@pytest.mark.parametrize("changes", [{"key": "b"}, {"key": None}, {"principal": "psp"}])
def test_other_key(ledger: SqliteLedger, folder: Path, changes: dict[str, Any]) -> None:
    """An entry that does not carry the key that was looked for is damage, and not an answer."""
    use(ledger, 1, A)
    change(folder / "log.db", 5, **changes)
    assert isVoid(again(ledger, 2, A))
    assert ledger.book.accounts[1001].balance == 100


@SPOILT
@pytest.mark.parametrize("changes", [{"order": 7}, {"event": "user:event"}, {"data": {"order": 7}}, {"data": []}])
def test_other_trade(ledger: SqliteLedger, folder: Path, changes: dict[str, Any]) -> None:
    """The same of a trade: its change is void."""
    commit(ledger, deposit(1))
    change(folder / "log.db", 5, **changes)
    assert isVoid(ledger.commit([update(1, 500)], NOW_MS)[0])
    with pytest.raises(LedgerFailed):
        ledger.trade(1)
    assert ledger.book.accounts[1001].balance == 100


@SPOILT
@pytest.mark.parametrize("changes", [{"login": 1}, {"event": "trade:event"}, {"record": [1]}, {"record": {"login": 1}}])
def test_other_profile(ledger: SqliteLedger, folder: Path, changes: dict[str, Any]) -> None:
    """The same of an account's profile: whoever needs it is told, and nobody else."""
    scribe = scribeOf(ledger)
    scribe.user(1003)
    scribe.user(1004, email="sound")
    keep(ledger, scribe.entries)
    change(folder / "log.db", 5, **changes)
    found = ledger._profiles([1003, 1004])
    assert found.get(1004)["email"] == "sound"  # type: ignore[index]
    with pytest.raises(LedgerFailed) as failed:
        found.get(1003)
    assert failed.value.details == {"outcome": "void"}


@SPOILT
def test_missing_entry_between(ledger: SqliteLedger, folder: Path) -> None:
    """An entry that is missing is not taken for the one that is in its place."""
    use(ledger, 1, A)
    use(ledger, 2, B)
    remove(folder / "log.db", 7)
    assert isVoid(again(ledger, 3, B))
    assert isinstance(again(ledger, 3, A), Replay)


def test_disk_error(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the log cannot be read, repeats are void and new deposits go on; once it can be, repeats are replays."""
    used = use(ledger, 1, A)

    def broken(log: SqliteLog, seqs: object) -> list[Entry]:
        raise diskError("SQLITE_IOERR_READ")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteLog, "at", broken)
        repeat, fresh = ledger.commit([keyed(2, A), keyed(3, B)], NOW_MS)
        assert isVoid(repeat)
        assert isinstance(fresh, Entry)
    assert again(ledger, 2, A) == Replay(used)
    assert ledger.book.accounts[1001].balance == 200
