"""An audit folds the log again and finds whatever does not follow from it."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from scalemgr.ledger.audit import verify
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.ledger.snapshot import loadSnapshot, saveSnapshot

from .helpers import commit, depositEach, made, opened, populate, sql, update


@pytest.fixture
def orders(folder: Path) -> list[int]:
    """A ledger of four entries and three deposits on 1001; their orders."""
    return made(folder, 10, 20, 30)


def differences(folder: Path) -> list[str]:
    return verify(folder).differences


def test_clean(folder: Path, orders: list[int]) -> None:
    """A ledger that is as it should be has no differences, and is counted."""
    with opened(folder) as ledger:
        commit(ledger, update(orders[0], 5))
        epoch = ledger.epoch
    audit = verify(folder)
    assert (audit.epoch, audit.seq, audit.accounts, audit.trades, audit.differences) == (epoch, 8, 2, 3, [])


def test_empty(folder: Path) -> None:
    """A ledger without an entry has no differences."""
    with opened(folder):
        pass
    audit = verify(folder)
    assert (audit.seq, audit.accounts, audit.trades, audit.differences) == (0, 0, 0, [])


def test_changes_nothing(folder: Path, orders: list[int]) -> None:
    """An audit leaves every file as it was."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert differences(folder) == []
    assert {name: (folder / name).read_bytes() for name in before} == before


@pytest.mark.parametrize(
    ("change", "expected", "found"),
    [
        ("balance = 61", "60", "61"),
        ("credit = 7", "0", "7"),
        ("balance_version = 9", "3", "9"),
        ("\"group\" = 'vip'", "demo", "vip"),
        ("record = json_set(record, '$.enable', 0)", "1", "0"),
    ],
)
def test_changed_account(folder: Path, orders: list[int], change: str, expected: str, found: str) -> None:
    """An account that was changed in the views is found, and only that one, with what is and what should be."""
    sql(folder / "views.db", f"UPDATE account SET {change} WHERE login = 1001")
    (line,) = differences(folder)
    assert line.startswith("views.db: login 1001")
    said, comma, says = line.partition(", the log says ")
    assert comma
    assert found in said
    assert expected in says


@pytest.mark.parametrize(
    ("statement", "login"),
    [
        ("DELETE FROM account WHERE login = 1002", 1002),
        ("INSERT INTO account (login, \"group\", record) VALUES (7, 'demo', '{\"enable\":1}')", 7),
    ],
    ids=["missing", "added"],
)
def test_number_of_accounts(folder: Path, orders: list[int], statement: str, login: int) -> None:
    """An account that is missing from the views, or only there, is found."""
    sql(folder / "views.db", statement)
    (found,) = differences(folder)
    assert found.startswith(f"views.db: login {login} ")


@pytest.mark.parametrize(
    ("statement", "trades"),
    [
        ('DELETE FROM trade WHERE "order" = (SELECT max("order") FROM trade)', 2),
        ("INSERT INTO trade VALUES (99, 'demo', '{}')", 4),
    ],
    ids=["missing", "added"],
)
def test_number_of_trades(folder: Path, orders: list[int], statement: str, trades: int) -> None:
    """A trade that is missing from the views, or one too many, is found."""
    sql(folder / "views.db", statement)
    assert differences(folder) == [f"views.db: has {trades} trades, the log has 3"]


def test_views_behind(folder: Path, orders: list[int]) -> None:
    """Views that are behind the log are compared as of the entry that they have reached."""
    old = (folder / "views.db").read_bytes()
    with opened(folder) as ledger:
        depositEach(ledger, 40)
    (folder / "views.db").write_bytes(old)
    (folder / "book.snapshot").unlink()
    audit = verify(folder)
    assert (audit.seq, audit.trades, audit.differences) == (8, 4, [])
    sql(folder / "views.db", "UPDATE account SET balance = 100 WHERE login = 1001")
    (found,) = differences(folder)
    assert found.startswith("views.db: login 1001")
    assert "100" in found


@pytest.mark.parametrize("lose", ["missing", "other epoch", "newer"])
def test_no_views(folder: Path, orders: list[int], lose: str) -> None:
    """Views that cannot be read are a difference, and the rest is audited."""
    path = folder / "views.db"
    if lose == "missing":
        path.unlink()
    else:
        sql(path, "UPDATE view SET epoch = 'another'" if lose == "other epoch" else "PRAGMA user_version = 99")
    audit = verify(folder)
    assert audit.seq == 7
    (found,) = audit.differences
    assert found.startswith("views.db cannot be read: ")


@pytest.mark.parametrize("what", ["balance", "account", "nextLogin", "groups"])
def test_tampered_snapshot(folder: Path, orders: list[int], what: str) -> None:
    """A snapshot that says something else than the log, though it is whole, is found."""
    path = folder / "book.snapshot"
    book = loadSnapshot(path, epoch := verify(folder).epoch)
    assert book is not None
    if what == "balance":
        book.accounts[1001] = msgspec.structs.replace(book.accounts[1001], balance=61)
    elif what == "account":
        del book.accounts[1002]
    elif what == "nextLogin":
        book.nextLogin = 5000
    else:
        book.groups["vip"] = msgspec.structs.replace(book.groups["vip"], digits=3)
    saveSnapshot(path, epoch, book)
    (found,) = differences(folder)
    assert found.startswith("book.snapshot: ")


def test_useless_snapshot(folder: Path, orders: list[int]) -> None:
    """A snapshot that is torn or missing is no difference: nobody will believe it."""
    (folder / "book.snapshot").write_bytes((folder / "book.snapshot").read_bytes()[:-1])
    assert differences(folder) == []
    (folder / "book.snapshot").unlink()
    assert differences(folder) == []


@pytest.mark.parametrize(
    ("seq", "said"),
    [(1, "entry 2 does not follow entry 0"), (4, "entry 5 does not follow entry 3"), (7, "entry 7 is missing")],
    ids=["first", "inside", "last"],
)
def test_gap(folder: Path, orders: list[int], seq: int, said: str) -> None:
    """An entry that is missing from the log is found, wherever it was."""
    sql(folder / "log.db", f"DELETE FROM entry WHERE seq = {seq}")
    assert f"log.db: {said}" in differences(folder)


def test_changed_log(folder: Path, orders: list[int]) -> None:
    """An entry whose money was changed in the log is found: views and snapshot say otherwise."""
    sql(folder / "log.db", "UPDATE entry SET balance = 21 WHERE seq = 6")
    found = differences(folder)
    assert [line.split(":")[0] for line in found] == ["book.snapshot", "views.db"]
    assert all("61" in line.partition("the log says")[2] for line in found)


def test_unknown_account_in_log(folder: Path, orders: list[int]) -> None:
    """Money of an account that the log never opened is found."""
    sql(folder / "log.db", "UPDATE entry SET login = 4711 WHERE seq = 6")
    assert any("entry 6 moves money of an account that the log never opened" in line for line in differences(folder))


def test_beside_a_daemon(folder: Path, orders: list[int]) -> None:
    """An audit beside an open ledger finds no differences, idle or while deposits are made, and hinders none."""
    with opened(folder) as ledger:
        depositEach(ledger, 1)
        assert ledger.account(1001) is not None
        assert (verify(folder).seq, differences(folder)) == (8, [])
        enough = threading.Event()
        batches = [0]

        def work() -> None:
            while not enough.is_set():
                depositEach(ledger, 1, 2, 3)
                batches[0] += 1

        thread = threading.Thread(target=work)
        thread.start()
        try:
            audits = [verify(folder) for _ in range(8)]
        finally:
            enough.set()
            thread.join(30)
        assert [audit.differences for audit in audits] == [[]] * 8
        assert [audit.seq for audit in audits] == sorted(audit.seq for audit in audits)
        assert ledger.book.seq == 8 + 3 * batches[0]
    assert verify(folder).seq == 8 + 3 * batches[0]


def test_nothing_there(tmp_path: Path) -> None:
    """Where there is no ledger, or something else, an audit says so by name and makes none."""
    with pytest.raises(LedgerRefused, match=f"no ledger to be read in {tmp_path / 'nowhere'}"):
        verify(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "log.db").write_bytes(b"Dear diary,\n" * 1000)
    with pytest.raises(LedgerRefused, match="not a database"):
        verify(tmp_path)


def test_populated_only(folder: Path) -> None:
    """Accounts without money are compared like others."""
    with opened(folder) as ledger:
        populate(ledger)
    sql(folder / "views.db", "UPDATE account SET record = json_set(record, '$.enable', 0) WHERE login = 1002")
    (found,) = differences(folder)
    assert found.startswith("views.db: login 1002")
