"""An audit folds the log again and finds whatever does not follow from it."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
import ujson

from scalemgr.ledger.audit import verify
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.ledger.snapshot import loadSnapshot, saveSnapshot

from .helpers import commit, depositEach, made, opened, populate, spoilPages, sql, update
from .tampering import change, remove

CHANGED = "is not what the log says"
#: The columns of trades and of movements that are derived.
SEARCHED = (
    *("login", "cmd", "state", "reason", "digits", "open_time", "close_time", "update_time"),
    *("balance_version", "profit"),
)
MOVED = (
    *("time_ms", "login", '"order"', "type", "cmd", "balance_change", "credit_change"),
    *("balance", "credit", "comment"),
)
PROFILE = f"the profile of login 1001 {CHANGED}"


@pytest.fixture
def orders(folder: Path) -> list[int]:
    """A ledger of four entries and three deposits on 1001, which are the entries 5, 7 and 9; their orders."""
    return made(folder, 10, 20, 30)


def differences(folder: Path) -> list[str]:
    return verify(folder).differences


def test_clean(folder: Path, orders: list[int]) -> None:
    """A ledger that is as it should be has no differences, and is counted."""
    with opened(folder) as ledger:
        commit(ledger, update(orders[0], 5))
        epoch = ledger.epoch
    audit = verify(folder)
    assert (audit.epoch, audit.seq, audit.accounts, audit.trades, audit.differences) == (epoch, 12, 2, 3, [])


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
    ("change", "found"),
    [
        ("balance = 61", ["login 1001: balance is 61, the log says 60"]),
        ("credit = 7", ["login 1001: credit is 7, the log says 0"]),
        ("balance_version = 9", ["login 1001: balance_version is 9, the log says 3"]),
        ("\"group\" = 'vip'", ["login 1001: group is vip, the log says demo"]),
        ("enable = 0", ["login 1001: enable is 0, the log says 1"]),
        ("pending = 1", ["login 1001: pending is 1, the log says 0"]),
        ("deleted = 1", ["login 1001: deleted is True, the log says False"]),
        ("digits = 3", [PROFILE]),
        ("currency = 'EUR'", [PROFILE]),
    ],
)
def test_changed_account(folder: Path, orders: list[int], change: str, found: list[str]) -> None:
    """An account that was changed in the views is found, and only that one, with what is and what should be."""
    sql(folder / "views.db", f"UPDATE account SET {change} WHERE login = 1001")
    assert differences(folder) == [f"views.db: {line}" for line in found]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "DELETE FROM account WHERE login = 1002",
            ["login 1002 is missing, which the log does not say", "the profile of login 1002 is missing"],
        ),
        (
            "INSERT INTO account (login, \"group\", enable, currency, digits) VALUES (7, 'demo', 1, 'USD', 2)",
            ["login 7 is there, which the log does not say", "the profile of login 7 is not what the log says"],
        ),
    ],
    ids=["missing", "added"],
)
def test_number_of_accounts(folder: Path, orders: list[int], statement: str, found: list[str]) -> None:
    """An account that is missing from the views, or only there, is found."""
    sql(folder / "views.db", statement)
    assert differences(folder) == [f"views.db: {line}" for line in found]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ('DELETE FROM trade WHERE "order" = 3', "order 3 is missing"),
        ("INSERT INTO trade VALUES (99, 1001, 'demo', 6, 3, 7, 2, 0, 0, 0, 1, 5, '{}')", f"order 99 {CHANGED}"),
        ("UPDATE trade SET data = json_set(data, '$.profit', 1000000.0) WHERE \"order\" = 2", f"order 2 {CHANGED}"),
        (
            'UPDATE trade SET "group" = \'vip\' WHERE "order" = 2',
            "order 2 of login 1001 is in group vip, the log says demo",
        ),
        *((f'UPDATE trade SET {column} = {column} + 1 WHERE "order" = 2', f"order 2 {CHANGED}") for column in SEARCHED),
        ('DELETE FROM "group" WHERE "group" = \'vip\'', "group vip is missing"),
        ("INSERT INTO \"group\" VALUES ('gold', '', '{}', 0)", f"group gold {CHANGED}"),
        ('UPDATE "group" SET shown = \'"gold"\' WHERE "group" = \'vip\'', f"group vip {CHANGED}"),
        (
            'UPDATE "group" SET deleted = 1 WHERE "group" = \'vip\'',
            "group vip is deleted, the log says that it is not",
        ),
        ("UPDATE profile SET record = json_set(record, '$.name', 'Mallory') WHERE login = 1001", PROFILE),
        ("DELETE FROM profile WHERE login = 1001", PROFILE),
        ("DELETE FROM movement WHERE seq = 7", "the movement of entry 7 is missing"),
        ("INSERT INTO movement VALUES (3, 0, 1001, 9, 0, 6, 1, 0, 1, 0, '')", f"the movement of entry 3 {CHANGED}"),
        *(
            (f"UPDATE movement SET {column} = {column} || 1 WHERE seq = 7", f"the movement of entry 7 {CHANGED}")
            for column in MOVED
        ),
        (
            "UPDATE \"group\" SET record = json_set(record, '$.digits', 0) WHERE \"group\" = 'vip'",
            f"group vip {CHANGED}",
        ),
    ],
)
def test_trades_and_groups(folder: Path, orders: list[int], statement: str, found: str) -> None:
    """A trade or a group that is missing from the views, only there, or changed, is found, and only that one."""
    assert orders == [1, 2, 3]
    sql(folder / "views.db", statement)
    assert differences(folder) == [f"views.db: {found}"]


def test_two_changes(folder: Path, orders: list[int]) -> None:
    """Each of several changes in the views is found."""
    sql(folder / "views.db", 'DELETE FROM trade WHERE "order" = 1', "UPDATE trade SET data = '{}' WHERE \"order\" = 3")
    assert differences(folder) == ["views.db: order 1 is missing", f"views.db: order 3 {CHANGED}"]


def test_last_word_on_a_trade(folder: Path, orders: list[int]) -> None:
    """What counts is the last entry about a trade: one that was changed by a request is as the log says."""
    with opened(folder) as ledger:
        commit(ledger, update(orders[1], 25))
    assert differences(folder) == []
    (old,) = sql(folder / "log.db", "SELECT data FROM entry WHERE seq = 7")[0]
    sql(folder / "views.db", f"UPDATE trade SET data = '{old}' WHERE \"order\" = 2")
    assert differences(folder) == [f"views.db: order 2 {CHANGED}"]


def test_views_behind(folder: Path, orders: list[int]) -> None:
    """Views that are behind the log are compared as of the entry that they have reached."""
    old = (folder / "views.db").read_bytes()
    with opened(folder) as ledger:
        depositEach(ledger, 40)
    (folder / "views.db").write_bytes(old)
    (folder / "book.snapshot").unlink()
    audit = verify(folder)
    assert (audit.seq, audit.trades, audit.differences) == (12, 4, [])
    sql(folder / "views.db", "UPDATE account SET balance = 100 WHERE login = 1001")
    (found,) = differences(folder)
    assert found.startswith("views.db: login 1001")
    assert "100" in found


LOSE = {
    "other epoch": "UPDATE view SET epoch = 'another'",
    "newer": "PRAGMA user_version = 99",
    "no table": "DROP TABLE trade",
}


@pytest.mark.parametrize("lose", ["missing", *LOSE])
def test_no_views(folder: Path, orders: list[int], lose: str) -> None:
    """Views that cannot be read are a difference, and the rest is audited."""
    path = folder / "views.db"
    if lose == "missing":
        path.unlink()
    else:
        sql(path, LOSE[lose])
    audit = verify(folder)
    assert audit.seq == 10
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
    [
        (1, "entry 2 does not follow entry 0"),
        (4, "entry 5 does not follow entry 3"),
        (9, "entry 10 does not follow entry 8"),
        (10, "entry 10 is missing"),
    ],
    ids=["first", "inside", "last trade", "last"],
)
def test_gap(folder: Path, orders: list[int], seq: int, said: str) -> None:
    """An entry that is missing from the log is found, wherever it was."""
    remove(folder / "log.db", seq)
    assert f"log.db: {said}" in differences(folder)


def test_changed_log(folder: Path, orders: list[int]) -> None:
    """An entry whose money was changed in the log is found: views, snapshot and each later balance say otherwise."""
    change(folder / "log.db", 7, balance=21)
    found = differences(folder)
    moved = "book.snapshot: what crm has moved of USD on day 20414 since 1970 is not what the log says"
    assert found.pop(1) == moved
    assert [line.split(":")[0] for line in found[:2]] == ["book.snapshot", "views.db"]
    assert all("61" in line.partition("the log says")[2] for line in found[:2])
    assert found[2:4] == [f"views.db: the movement of entry {seq} {CHANGED}" for seq in (7, 9)]
    assert found[4:] == [
        f"log.db: entry {seq} says that {name} of login 1001 is {said}, the entries before it say {right}"
        for seq, said, right in ((8, 0.3, 0.31), (10, 0.6, 0.61))
        for name in ("balance", "equity", "margin_free")
    ]


def test_changed_data_in_log(folder: Path, orders: list[int]) -> None:
    """An entry whose record was changed in the log is found, though the money is what it was."""
    [(old,)] = sql(folder / "log.db", "SELECT data FROM entry WHERE seq = 7")
    change(folder / "log.db", 7, data={**ujson.loads(old), "profit": 1000000.0})
    assert differences(folder) == [f"views.db: order 2 {CHANGED}"]


def test_damaged_log(folder: Path) -> None:
    """Damage inside the log is a difference, and not an error."""
    made(folder, *range(1, 200))
    spoilPages(folder / "log.db")
    assert differences(folder) == ["log.db: database disk image is malformed"]


def test_unknown_account_in_log(folder: Path, orders: list[int]) -> None:
    """Money of an account that the log never opened is found."""
    change(folder / "log.db", 7, login=4711)
    assert any("entry 7 moves money of an account that is not there" in line for line in differences(folder))


def test_beside_a_daemon(folder: Path, orders: list[int]) -> None:
    """An audit beside an open ledger finds no differences, idle or while deposits are made, and hinders none."""
    with opened(folder) as ledger:
        depositEach(ledger, 1)
        assert ledger.account(1001) is not None
        assert (verify(folder).seq, differences(folder)) == (12, [])
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
        assert ledger.book.seq == 12 + 6 * batches[0]
    assert verify(folder).seq == 12 + 6 * batches[0]


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
    sql(folder / "views.db", "UPDATE account SET enable = 0 WHERE login = 1002")
    assert differences(folder) == ["views.db: login 1002: enable is 0, the log says 1"]
