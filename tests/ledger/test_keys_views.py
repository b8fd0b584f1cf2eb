"""Keys, when the views are behind, cannot be read, or say something else than the log."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.logger import LogEvent

from scalemgr.finance.records import Entry
from scalemgr.finance.requests import ForgetKeys
from scalemgr.finance.settle import Replay
from scalemgr.ledger import following
from scalemgr.ledger import viewed as viewedModule
from scalemgr.ledger.audit import verify
from scalemgr.ledger.snapshot import loadSnapshot, saveSnapshot
from scalemgr.ledger.views import Views
from scalemgr.wire.errors import LedgerFailed

from .conftest import Logged
from .gate import Gate
from .helpers import CAUSE, NOW_MS, BadDisk, commit, deposit, eventually, opened, populate, sql, trades
from .keys import (
    NEVER,
    A,
    B,
    C,
    again,
    flush,
    forget,
    isVoid,
    keyed,
    loseViews,
    use,
)
from .tampering import change

# -- views that are behind, or cannot be read ---------------------------------------------------------


def test_repeat_while_behind(folder: Path, gate: Gate) -> None:
    """A repeat is a replay while the views do not have its first yet, and after they do, from memory or from them."""
    with opened(folder) as ledger:
        flush(populate(ledger))
        with gate.shut():
            entry = use(ledger, 1, A)
            assert gate.waiting.wait(30)
            assert sql(folder / "views.db", "SELECT count(*) FROM key") == [(0,)]
            assert again(ledger, 2, A) == Replay(entry)
            with ThreadPoolExecutor(1) as other:
                assert other.submit(ledger.keyed, [A, NEVER]).result(30) == {A: entry}
        flush(ledger)
        assert sql(folder / "views.db", "SELECT principal, key, seq FROM key") == [(*A, 5)]
        assert again(ledger, 2, A) == Replay(entry)


def test_used_again_while_behind(folder: Path, gate: Gate) -> None:
    """Views that have the forgotten use of a key and not yet the later one do not hide that one."""
    with opened(folder) as ledger:
        flush(populate(ledger))
        with gate.shut():
            use(ledger, 1, A)
            assert gate.waiting.wait(30)
            forget(ledger, 5)
            later = use(ledger, 2, A)
            # The views get the first entry, and wait with the others.
            gate.letOne()
            assert gate.waiting.wait(30)
            assert sql(folder / "views.db", "SELECT principal, key, seq FROM key") == [(*A, 5)]
            repeat, other = ledger.commit([keyed(3, A), keyed(4, B)], NOW_MS)
            assert repeat == Replay(later)
            assert isinstance(other, Entry)
            assert ledger.keyed([A, B, NEVER]) == {A: later, B: other}
            assert again(ledger, 5, A) == Replay(later)
        flush(ledger)
        assert ledger.keyed([A]) == {A: later}


def test_repeat_while_made_again(folder: Path, gate: Gate, failures: list[LogEvent]) -> None:
    """While the views are made again and do not have a key yet, its repeat is void, and not a second deposit."""
    with opened(folder) as ledger:
        old = use(populate(ledger), 1, A)
    with opened(folder) as ledger:
        sql(folder / "views.db", "DROP TABLE trade")
        with gate.shut():
            commit(ledger, deposit(2))
            assert gate.waiting.wait(30)
            # It meets the damage and gives those views up; what waits then begins at entry 0.
            gate.letOne()
            assert gate.waiting.wait(30)
            assert sql(folder / "views.db", "SELECT seq FROM view") == [(0,)]
            assert isVoid(again(ledger, 3, A))
            with pytest.raises(LedgerFailed):
                ledger.keyed([A])
        assert eventually(lambda: ledger.keyed([A])) == {A: old}
        assert again(ledger, 3, A) == Replay(old)
        assert ledger.book.accounts[1001].balance == 200
    failures.clear()


def test_repeat_while_half_made_again(
    folder: Path, gate: Gate, failures: list[LogEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views that are made again are not asked before they have all that they had, also of this very run."""
    for name in ("PAGE", "_TURN"):
        monkeypatch.setattr(following, name, 4)
    with opened(folder) as ledger:
        populate(ledger)
    with opened(folder) as ledger:
        old = use(ledger, 1, A)
        flush(ledger)
        sql(folder / "views.db", "DROP TABLE trade")
        with gate.shut(), ThreadPoolExecutor(1) as other:
            commit(ledger, deposit(2))
            for _ in range(2):
                assert gate.waiting.wait(30)
                gate.letOne()
            assert gate.waiting.wait(30)
            assert sql(folder / "views.db", "SELECT seq FROM view") == [(4,)]
            # A thread that has not opened the old ones.
            assert isVoid(other.submit(again, ledger, 3, A).result(30))
        assert eventually(lambda: ledger.keyed([A])) == {A: old}
    failures.clear()


@pytest.mark.parametrize("seq", [1, 4, 6, 999])
def test_wrong_views(folder: Path, seq: int) -> None:
    """Views that give a key an entry that has not used it are not believed: its repeat is void."""
    with opened(folder) as ledger:
        use(populate(ledger), 1, A)
        flush(ledger)
        sql(folder / "views.db", f"UPDATE key SET seq = {seq}")
        assert isVoid(again(ledger, 2, A))
        with pytest.raises(LedgerFailed):
            ledger.keyed([A])
        assert ledger.book.accounts[1001].balance == 100


def unreadable(*args: Any) -> Any:
    raise sqlite3.OperationalError("unable to open database file")


def test_unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch, gate: Gate) -> None:
    """While the views cannot be read, requests whose keys may be there fail alone and are void; the rest go on."""
    with opened(folder) as ledger:
        old = use(populate(ledger), 1, A)
        flush(ledger)
        with gate.shut(), monkeypatch.context() as patch:
            recent = use(ledger, 2, B)
            patch.setattr(ledger, "_views", unreadable)
            batch = [deposit(3), keyed(4, A), keyed(5, C), keyed(6, B), deposit(7), keyed(8, C)]
            one, used, unused, repeat, two, twice = ledger.commit(batch, NOW_MS)
            assert [type(one), type(two), repeat] == [Entry, Entry, Replay(recent)]
            assert [isVoid(outcome) for outcome in (used, unused, twice)] == [True] * 3
            with pytest.raises(LedgerFailed) as failed:
                ledger.keyed([A, B])
            assert failed.value.details == {}
            assert ledger.keyed([B]) == {B: recent}
        assert ledger.book.accounts[1001].balance == 400
        assert eventually(lambda: ledger.keyed([A, C])) == {A: old}
        assert again(ledger, 4, A) == Replay(old)
        assert use(ledger, 5, C).balance == 100


def test_damaged_while_running(folder: Path, gate: Gate, failures: list[LogEvent]) -> None:
    """Keys in views that are damaged while the ledger runs are looked up again once the views are made again."""
    with opened(folder) as ledger:
        old = use(populate(ledger), 1, A)
        flush(ledger)
        sql(folder / "views.db", "DROP TABLE key")
        assert isVoid(again(ledger, 2, A))
        with pytest.raises(LedgerFailed):
            ledger.keyed([A])
        assert eventually(lambda: ledger.keyed([A, B])) == {A: old}
        assert again(ledger, 2, A) == Replay(old)
    failures.clear()
    assert verify(folder).differences == []


def test_too_far_behind(folder: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many entries wait for the views and no more: then commits are void, until the views have caught up."""
    monkeypatch.setattr(viewedModule, "UNPROJECTED_MAX", 8)
    with opened(folder, queryS=0.0) as ledger:
        flush(populate(ledger))
        with gate.shut():
            entries = [use(ledger, n, str(n)) for n in range(1, 5)]
            for request in (keyed(5, A), keyed(1, "1"), deposit(6), ForgetKeys(CAUSE, 5)):
                with pytest.raises(LedgerFailed, match="too far behind") as failed:
                    ledger.commit([request], NOW_MS)
                assert failed.value.details == {"outcome": "void"}
            assert (ledger.book.seq, len(ledger._recent)) == (12, 8)
        assert ledger._projector.waitFor(12, 30)
        assert again(ledger, 5, "1") == Replay(entries[0])
        assert use(ledger, 5, A).seq == 13
        assert ledger.book.accounts[1001].balance == 500


def test_waits_for_the_views(folder: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that finds the views too far behind waits for them, as long as a question would, and then goes on."""
    monkeypatch.setattr(viewedModule, "UNPROJECTED_MAX", 8)
    with opened(folder, queryS=30.0) as ledger, ThreadPoolExecutor(1) as other:
        flush(populate(ledger))
        with gate.shut():
            for n in range(1, 5):
                use(ledger, n, str(n))
            waiting = other.submit(again, ledger, 5, A)
            with pytest.raises(TimeoutError):
                waiting.result(0.05)
        outcome = waiting.result(10)
        assert isinstance(outcome, Entry)
        assert outcome.seq == 13


@pytest.mark.parametrize("apart", [True, False])
def test_second_use(folder: Path, logged: Logged, apart: bool) -> None:
    """The views are a second lock: a key that is used again is an alarm, the first use counts, and the rest goes in."""
    views = Views(":memory:", "epoch")
    with opened(folder) as ledger:
        use(populate(ledger), 1, A)
        first = ledger.entries(0, 10)
    second = replace(first[4], seq=7, order=2)
    pages = [first, [second]] if apart else [[*first, second]]
    for page in pages:
        views.project(page)
    views.project([replace(second, seq=8, principal="psp")])
    assert views.keyed([A, ("psp", "a")]) == {A: 5, ("psp", "a"): 8}
    assert views.trade(2) is not None
    assert logged.has("the key 'a' of crm has two entries, 5 and 7")
    assert len(logged.lines()) - len([line for line in logged.lines() if "key" not in line]) == 1
    views.close()


def test_log_with_a_second_use(folder: Path, logged: Logged) -> None:
    """A log in which a key is used twice is served all the same: with an alarm, and verify says where."""
    with opened(folder) as ledger:
        commit(populate(ledger), keyed(1, A), keyed(2, B))
    change(folder / "log.db", 7, key="a")
    loseViews(folder)
    with opened(folder) as ledger:
        assert isinstance(again(ledger, 3, A), Replay)
    assert logged.has("the key 'a' of crm has two entries, 5 and 7", "applied twice")
    assert verify(folder).differences == ["log.db: the key 'a' of crm has two entries, 5 and 7"]


def test_unreadable_is_said_once(folder: Path, monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """However many requests meet views that cannot be read, the operator gets one line, and one more the next time."""
    with opened(folder) as ledger:
        populate(ledger)
        flush(ledger)
        for lines in (1, 2):
            with monkeypatch.context() as patch:
                patch.setattr(ledger, "_views", unreadable)
                for order in range(1, 20):
                    assert isVoid(again(ledger, order, A))
            assert eventually(lambda: ledger.keyed([B])) == {}
            assert sum("views cannot be read" in line for line in logged.lines()) == lines


def test_views_replaced(folder: Path, logged: Logged) -> None:
    """Views that somebody replaces under a running ledger are not believed: they are made again first."""
    with opened(folder) as ledger:
        populate(ledger)
        flush(ledger)
        older = (folder / "views.db").read_bytes()
        used = use(ledger, 1, A)
        flush(ledger)
        (folder / "other.db").write_bytes(older)
        (folder / "other.db").replace(folder / "views.db")
        outcome = again(ledger, 2, A)
        assert isVoid(outcome)
        assert eventually(lambda: ledger.keyed([A])) == {A: used}
        assert again(ledger, 2, A) == Replay(used)
    assert logged.has("cannot be read", "replaced")
    assert verify(folder).differences == []


@pytest.mark.parametrize("kept", [True, False])
def test_repeat_of_what_was_pending(folder: Path, kept: bool) -> None:
    """A key of a batch that was pending is used if the batch was kept after all, and else free."""
    with opened(folder) as ledger:
        disk = BadDisk(ledger)
        flush(populate(ledger))
        ledger.takeCommitted()
        disk.failAt("COMMIT", happens="COMMIT" if kept else "ROLLBACK", dies=True)
        with pytest.raises(LedgerFailed) as failed:
            ledger.commit([keyed(1, A)], NOW_MS)
        assert failed.value.details["outcome"] == "pending"
        disk.heal()
        outcome = again(ledger, 2, A)
        [found] = trades(ledger.takeCommitted())
        assert found.order == (1 if kept else 2)
        assert outcome == (Replay(found) if kept else found)
        for _ in range(2):
            [entry] = ledger.keyed([A]).values()
            assert (entry.seq, entry.order) == (5, 1 if kept else 2)
            assert ledger.book.accounts[1001].balance == 100
            flush(ledger)


# -- audit --------------------------------------------------------------------------------------------

#: Entry 7 used the key a and is forgotten by entry 11; 12 used it again; 9 used b; 14 is a refusal and used c. Entries
#: 6, 8, 10 and 13 are balance:events.
FORGOTTEN = 7


@pytest.fixture
def audited(folder: Path) -> Path:
    """A ledger with keys, forgotten and not, closed."""
    with opened(folder) as ledger:
        commit(populate(ledger), deposit(1), keyed(2, A), keyed(3, B))
        commit(ledger, ForgetKeys(CAUSE, FORGOTTEN), keyed(4, A), keyed(5, C, login=4711), deposit(6, login=4711))
    return folder


def test_audit_counts(audited: Path) -> None:
    """An audit counts what was broadcast, what was refused, and the keys that still count."""
    audit = verify(audited)
    assert (audit.seq, audit.events, audit.refusals, audit.keys, audit.differences) == (15, 12, 2, 3, [])


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM key WHERE key = 'b'", ["'b' of crm is missing"]),
        ("UPDATE key SET seq = 8 WHERE key = 'b'", ["'b' of crm is of another entry than the log says"]),
        ("INSERT INTO key VALUES ('crm', 'd', 8)", ["'d' of crm is there, which the log does not say"]),
        ("INSERT INTO key VALUES ('psp', 'a', 8)", ["'a' of psp is there, which the log does not say"]),
        (
            "UPDATE key SET key = 'x' WHERE key = 'c'",
            ["'c' of crm is missing", "'x' of crm is there, which the log does not say"],
        ),
        ("UPDATE key SET seq = 8 WHERE key = 'a'", ["'a' of crm is of another entry than the log says"]),
    ],
)
def test_audit_of_keys_in_the_views(audited: Path, statement: str, found: list[str]) -> None:
    """A key that the views lack, have too many, or have of another entry, is found, and only that one."""
    sql(audited / "views.db", statement)
    assert verify(audited).differences == [f"views.db: the key {line}" for line in found]


def test_audit_of_a_key_used_twice(audited: Path) -> None:
    """A key with two entries in the log, none of them forgotten, is found, with both."""
    change(audited / "log.db", 15, key="b")
    assert verify(audited).differences == ["log.db: the key 'b' of crm has two entries, 9 and 15"]
    change(audited / "log.db", 15, principal="psp")
    assert verify(audited).differences == ["views.db: the key 'b' of psp is missing"]


def test_audit_of_a_forgotten_key_used_before_it_was_forgotten(audited: Path) -> None:
    """That a key is forgotten later does not excuse that it was used twice before."""
    change(audited / "log.db", 5, key="a")
    assert verify(audited).differences == ["log.db: the key 'a' of crm has two entries, 5 and 7"]


@pytest.mark.parametrize("forgotten", [0, FORGOTTEN - 1, FORGOTTEN + 1])
def test_audit_of_the_snapshot(audited: Path, forgotten: int) -> None:
    """A snapshot that says other keys are forgotten than the log does is found."""
    path = audited / "book.snapshot"
    book = loadSnapshot(path, epoch := verify(audited).epoch)
    assert book is not None
    book.forgotten = forgotten
    saveSnapshot(path, epoch, book)
    assert verify(audited).differences == ["book.snapshot: which keys are forgotten differs"]


def test_views_that_grow_while_they_are_asked(folder: Path, monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """That more was let go meanwhile is no reason to mistrust views that had all that was let go before."""
    with opened(folder) as ledger:
        used = use(populate(ledger), 1, A)
        flush(ledger)
        seq = Views.seq

        def slow(views: Views) -> int:
            reached = seq(views)
            ledger._recent.released += 1
            return reached

        with monkeypatch.context() as patch:
            patch.setattr(Views, "seq", slow)
            assert ledger.keyed([A]) == {A: used}
    assert not logged.has("cannot be read")


def test_forgotten_and_not_yet_swept(folder: Path) -> None:
    """Keys that are forgotten go many at a time; one that is still there does not count, and can be used again."""
    with opened(folder) as ledger:
        populate(ledger)
        for n in range(1, 20):
            use(ledger, n, str(n))
        flush(ledger)
        forget(ledger, 8)
        flush(ledger)
        assert ledger.keyed([("crm", "1"), ("crm", "3")]) == {("crm", "3"): ledger.entries(8, 1)[0]}
        assert sql(folder / "views.db", "SELECT count(*) FROM key") == [(19,)]
        second = use(ledger, 20, "1")
        flush(ledger)
        assert ledger.keyed([("crm", "1"), ("crm", "2")]) == {("crm", "1"): second}
        assert again(ledger, 21, "1") == Replay(second)
    assert verify(folder).differences == []
    with opened(folder) as ledger:
        forget(ledger, 42)
        flush(ledger)
        assert sql(folder / "views.db", "SELECT key, seq FROM key") == [("1", second.seq)]
        assert again(ledger, 22, "1") == Replay(second)
    assert verify(folder).differences == []


def test_second_use_of_what_is_not_yet_swept(folder: Path, logged: Logged) -> None:
    """The second use of a key whose first is forgotten is no alarm; the third is."""
    views = Views(":memory:", "epoch")
    with opened(folder) as ledger:
        for n in range(1, 20):
            use(populate(ledger) if n == 1 else ledger, n, str(n))
        forget(ledger, 5)
        entries = ledger.entries(0, 100)
    views.project(entries)
    seq = entries[-1].seq
    views.project([replace(entries[4], seq=seq + 1, order=20)])
    assert views.keyed([("crm", "1")]) == {("crm", "1"): seq + 1}
    assert not logged.has("two entries")
    views.project([replace(entries[4], seq=seq + 2, order=21)])
    assert views.keyed([("crm", "1")]) == {("crm", "1"): seq + 1}
    assert logged.has("the key '1' of crm has two entries", f"{seq + 1} and {seq + 2}")
    views.close()
