"""Views on a server, where they are not just as views on a file: many who ask, transactions, and who cuts them off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from scalemgr.finance.masks import Sight
from scalemgr.finance.questions import TRADES, Bounds, Filter, StatementQuery, TableQuery
from scalemgr.finance.records import Entry
from scalemgr.ledger.postgres import asking, filling
from scalemgr.ledger.postgres.tenure import Tenure
from scalemgr.ledger.postgres.views import PostgresViews
from scalemgr.ledger.ticket import Ticket
from scalemgr.wire.codes import RetCode
from scalemgr.wire.errors import InvalidData, LedgerFailed

from ..conftest import Logged
from ..scribe import Scribe, told
from .both import TABLES, opened, rows

TRADES_BY_ORDER = TableQuery(table=TRADES, columns=("order", "profit"))


@pytest.fixture
def views(postgresUrl: str) -> Iterator[PostgresViews]:
    """Views of a log of which nothing is in."""
    with opened(postgresUrl) as views:
        yield views


def several(count: int) -> list[Entry]:
    """A group, an account, and so many deposits of 1.00, each with a key."""
    scribe = Scribe()
    scribe.group()
    scribe.user()
    for order in range(1, count + 1):
        scribe.trade(order)
        scribe.entries[-1] = replace(scribe.entries[-1], key=f"k{order}")
    return scribe.entries


def ask(views: PostgresViews, query: TableQuery = TRADES_BY_ORDER, **bounds: Any) -> Any:
    return told(views.table(query, Sight(), Bounds(**bounds)).rows)


# -- what is written ----------------------------------------------------------------------------------


def test_other_log(views: PostgresViews, postgresUrl: str) -> None:
    """Views of another log are refused, to read and to write, and are of another one only once they are cleared."""
    views.project(several(3))
    for readOnly in (False, True):
        with pytest.raises(ValueError, match="of another log"), opened(postgresUrl, "another", readOnly=readOnly):
            pass
    with opened(postgresUrl, None) as same:
        assert same.seq() == 5
        Tenure(same._connection).clear("another")
    assert {table: rows(views, f"SELECT * FROM {table}") for table in TABLES} == {table: [] for table in TABLES}
    with opened(postgresUrl, "another") as other:
        assert other.seq() == 0


def test_reader_writes_nothing(views: PostgresViews, postgresUrl: str) -> None:
    """Whoever only reads does not make views of no log yet its own."""
    views._connection.execute("DELETE FROM view")
    with pytest.raises(ValueError, match="of another log"), opened(postgresUrl, readOnly=True):
        pass
    assert rows(views, "SELECT * FROM view") == []


def test_one_after_the_other(views: PostgresViews, postgresUrl: str) -> None:
    """Of two that fold in the same entries at once, one waits and is then told that they are in: nothing is twice."""
    entries = several(3)
    failed: list[Exception] = []

    def late(other: PostgresViews) -> None:
        try:
            other.project(entries)
        except ValueError as e:
            failed.append(e)

    with opened(postgresUrl) as other:
        with views.turn():
            views.project(entries)
            thread = Thread(target=late, args=[other])
            thread.start()
            thread.join(0.2)
        thread.join(30)
        assert not thread.is_alive()
    assert [str(error) for error in failed] == ["entry 1 does not follow entry 5"]
    assert views.frozen().accounts[1001].balance == 300


def test_turn_is_seen_together(views: PostgresViews, postgresUrl: str) -> None:
    """Others see all of a turn at its end, and nothing of one that fails, however far it came."""
    entries = several(4)
    with opened(postgresUrl, readOnly=True) as other:
        with views.turn():
            views.project(entries[:4])
            views.project(entries[4:])
            assert (views.seq(), other.seq(), ask(other)) == (6, 0, [])
        assert (other.seq(), len(ask(other))) == (6, 4)
        before = {table: rows(other, f"SELECT * FROM {table}") for table in TABLES}
        scribe = several(5)[6:]
        with pytest.raises(ZeroDivisionError), views.turn():
            views.project(scribe)
            raise ZeroDivisionError
        assert (views.seq(), other.seq()) == (6, 6)
        assert {table: rows(other, f"SELECT * FROM {table}") for table in TABLES} == before
    views.project(several(5)[6:])
    assert views.seq() == 7


def test_cut_off_in_a_turn(views: PostgresViews, postgresUrl: str) -> None:
    """Of a turn whose connection is cut nothing is in, and the views say that they are closed."""
    with opened(postgresUrl) as other:
        with pytest.raises(psycopg.OperationalError), views.turn():
            views.project(several(3))
            pid = views._connection.info.backend_pid
            other._connection.execute("SELECT pg_terminate_backend(%s)", [pid])
            views.seq()
        assert views.closed
        assert not other.closed
        assert (other.seq(), rows(other, "SELECT * FROM trade")) == (0, [])
        other.project(several(3))
        assert other.seq() == 5


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_pieces(views: PostgresViews, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Rows that are copied in pieces of any size are all there, once."""
    monkeypatch.setattr(filling, "_PIECE", size)
    views.project(several(7))
    assert [row[0] for row in ask(views)] == [1, 2, 3, 4, 5, 6, 7]
    assert [row[0] for row in rows(views, "SELECT seq FROM movement")] == [3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("text", ["\\", "\\N", "\\.", "\t", "\n", "\r\n", "a\\\tb", "\u2028", "%s", "'", "NULL", "{1}"])
def test_text_is_kept(views: PostgresViews, text: str) -> None:
    """Any text comes out as it went in, whatever it means to who copies, and to who splits rows."""
    scribe = Scribe()
    scribe.group(f"demo{text}x")
    scribe.user(1001, f"demo{text}x", email=text)
    scribe.trade(1, comment=text)
    scribe.trade(2, comment=text)
    scribe.trade(1, comment=text, type=1)
    scribe.entries = [replace(entry, key=f"{text}{entry.seq}", principal=text) for entry in scribe.entries]
    views.project(scribe.entries[:4])
    views.project(scribe.entries[4:])
    query = TableQuery(
        table=TRADES, columns=("order", "group", "comment"), filter=Filter(where=[["comment", "=", text]])
    )
    assert ask(views, query) == [[1, f"demo{text}x", text], [2, f"demo{text}x", text]]
    assert views.keyed([(text, f"{text}3")]) == {(text, f"{text}3"): 3}
    assert views.profiles([1001])[1001]["email"] == text


@pytest.mark.parametrize("apart", [True, False])
def test_second_use(views: PostgresViews, logged: Logged, apart: bool) -> None:
    """A key that is used again is an alarm, the first use counts, and the rest goes in."""
    *entries, second = several(3)
    second = replace(second, key="k1")
    for page in [entries, [second]] if apart else [[*entries, second]]:
        views.project(page)
    assert views.keyed([("crm", "k1"), ("crm", "k3")]) == {("crm", "k1"): 3}
    assert views.trade(3) is not None
    assert logged.lines() == ["the key 'k1' of crm has two entries, 3 and 5: it was applied twice"]


def test_account_of_no_group(views: PostgresViews) -> None:
    """An account in a group that was never made is said to be, by name, and nothing of its page is in."""
    scribe = Scribe()
    scribe.group()
    scribe.user()
    with pytest.raises(ValueError, match="demo"):
        views.project([replace(scribe.entries[1], seq=1)])
    assert views.seq() == 0


@pytest.mark.parametrize("table", TABLES)
def test_check(views: PostgresViews, table: str) -> None:
    """That a table is missing is found."""
    views.check(thorough=False)
    views._connection.execute(f"DROP TABLE {table}")
    with pytest.raises(psycopg.Error, match="does not exist"):
        views.check(thorough=False)


# -- what is asked ------------------------------------------------------------------------------------


def test_as_of_one_moment(views: PostgresViews, postgresUrl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of an answer is as of the entry that it says, whatever is written between two of its statements."""
    entries = several(8)
    views.project(entries[:6])
    one = asking.PostgresAsked.one

    def slow(asked: asking.PostgresAsked, *args: Any) -> Any:
        found = one(asked, *args)
        if left := entries[other.seq() :]:
            other.project(left[:1])
        return found

    with opened(postgresUrl) as other, monkeypatch.context() as patch:
        patch.setattr(asking.PostgresAsked, "one", slow)
        query = replace(TRADES_BY_ORDER, totals=("profit",))
        table = views.table(query, Sight(), Bounds())
        assert (table.seq, table.count, table.totals, len(told(table.rows))) == (6, 4, {"profit": 4.0}, 4)
    assert views.seq() > 6
    with opened(postgresUrl) as other, monkeypatch.context() as patch:
        patch.setattr(asking.PostgresAsked, "one", slow)
        Tenure(views._connection).clear("epoch")
        views.project(entries[:5])
        # They are others than those that it was once told of.
        views.demand(0)
        statement = views.statement(StatementQuery(login=1001), Sight(), Bounds())
        assert statement is not None
        assert (statement.seq, statement.count, statement.closing) == (5, 3, (3.0, 0.0))


def test_bytes(views: PostgresViews) -> None:
    """An answer may have exactly as many bytes as it may, and not one more."""
    views.project(several(20))
    found = views.table(TRADES_BY_ORDER, Sight(), Bounds()).rows
    assert ask(views, bytes=len(found)) == told(found)
    with pytest.raises(InvalidData, match="the answer would have more than"):
        ask(views, bytes=len(found) - 1)
    assert len(ask(views)) == 20


SLOW = "SELECT (SELECT count(*) FROM generate_series(1, 10000000000)), ''"


@pytest.fixture
def slow(views: PostgresViews, monkeypatch: pytest.MonkeyPatch) -> Event:
    """To count takes for ever; set when it has begun."""
    begun = Event()
    one = asking.PostgresAsked.one

    def forEver(asked: asking.PostgresAsked, sql: str, values: Any = ()) -> Any:
        if "count(*)" in sql:
            begun.set()
            sql, values = SLOW, ()
        return one(asked, sql, values)

    views.project(several(3))
    monkeypatch.setattr(asking.PostgresAsked, "one", forEver)
    return begun


@pytest.mark.parametrize("told", [True, False])
def test_too_long(views: PostgresViews, slow: Event, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """A question that takes longer than it may ends, even if the server cannot be told so; the next one is answered."""
    if not told:
        monkeypatch.setattr(asking.PostgresAsked, "_interrupt", lambda asked: None)
    with pytest.raises(LedgerFailed, match=r"takes longer than 0.1 seconds") as error:
        ask(views, seconds=0.1)
    assert error.value.code == RetCode.RET_ERR_TIMEOUT
    monkeypatch.undo()
    assert len(ask(views)) == 3


def test_called_off(views: PostgresViews, slow: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question under way that nobody waits for ends; the next one on the same connection is answered."""
    ticket = Ticket()

    def callOff() -> None:
        assert slow.wait(30)
        ticket.callOff()

    thread = Thread(target=callOff)
    thread.start()
    with pytest.raises(LedgerFailed) as error:
        views.table(TRADES_BY_ORDER, Sight(), Bounds(), ticket)
    thread.join(30)
    assert error.value.code == RetCode.RET_ERR_CANCEL
    monkeypatch.undo()
    assert len(ask(views)) == 3


def test_cut_off_in_a_question(views: PostgresViews, slow: Event, postgresUrl: str) -> None:
    """Whoever is cut off while asking is told what the server says, not what came of tidying up."""
    pid = views._connection.info.backend_pid

    def cut() -> None:
        assert slow.wait(30)
        with ExitStack() as stack:
            other = stack.enter_context(psycopg.connect(postgresUrl, autocommit=True))
            other.execute("SELECT pg_terminate_backend(%s)", [pid])

    thread = Thread(target=cut)
    thread.start()
    with pytest.raises(psycopg.OperationalError, match="terminating connection"):
        ask(views)
    thread.join(30)
    assert views.closed


def test_whatever_the_server_prefers(views: PostgresViews, postgresUrl: str) -> None:
    """How a database writes numbers, or sorts texts, is nothing to the answers."""
    scribe = Scribe()
    for name in ("b", "B", "a", "É"):
        scribe.group(name)
    scribe.user(1001, "b")
    scribe.trade(1, 333333333333333)
    views.project(scribe.entries)
    views._connection.execute("SET extra_float_digits = -15")
    assert ask(views) == [[1, 3333333333333.33]]
    groups = TableQuery(table="group", columns=("group",))
    assert ask(views, groups) == [["B"], ["a"], ["b"], ["É"]]


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        (["magic", "=", 2.0**53], False),
        (["magic", ">", 2.0**53], True),
        (["magic", "<", 2.0**53 + 2], True),
        (["magic", "=", 2**53 + 1], True),
        (["magic", "<", 1e300], True),
        (["login", "=", 1001.0], True),
        (["login", ">", 1000.5], True),
        (["login", "=", 1000.5], False),
        (["balance", "=", 3], True),
        (["balance", "<", 2**63 - 1], True),
    ],
)
def test_comparisons_are_exact(views: PostgresViews, condition: list[Any], matches: bool) -> None:
    """A number is compared as it is, whether it or what it is compared with is whole or not, and however large."""
    scribe = Scribe()
    scribe.group()
    scribe.user(magic=2**53 + 1)
    scribe.trade(1, 300)
    views.project(scribe.entries)
    query = TableQuery(table="account", columns=("login",), filter=Filter(where=[condition]))
    assert ask(views, query) == ([[1001]] if matches else [])
