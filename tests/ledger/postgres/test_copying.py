"""A ledger is copied from engine to engine byte for byte, in as many runs as it takes, and is whole only at its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from scalemgr.finance.settle import Replay
from scalemgr.interfaces import ILedger
from scalemgr.ledger.audit import verify
from scalemgr.ledger.copying import Copied, copy, originAt, targetAt
from scalemgr.ledger.errors import LedgerMissing, LedgerRefused
from scalemgr.ledger.postgres.auditing import verify as verifyServer
from scalemgr.ledger.settings import LedgerSettings
from scalemgr.ledger.sqlite import PARTIAL, FolderLock
from scalemgr.ledger.url import ledgerAt

from ...postgres import ledgerUrl
from ..helpers import NOW_MS, account, commit, depositEach, eventually, populate, sql
from ..keys import again, use

ROOT = Path(__file__).parents[3]
WAYS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("postgresql", "postgresql"), ("sqlite", "sqlite")]

Ends = tuple[str, str]


@pytest.fixture
def ends(request: pytest.FixtureRequest, postgresServer: str, tmp_path: Path) -> Iterator[Ends]:
    """The URLs of two empty places: where a ledger is copied from, and to."""
    kinds: Ends = request.param
    with ledgerUrl(postgresServer) as one, ledgerUrl(postgresServer) as other:
        urls = [one if kinds[0] == "postgresql" else f"sqlite:{tmp_path / 'from'}"]
        urls.append(other if kinds[1] == "postgresql" else f"sqlite:{tmp_path / 'to'}")
        yield urls[0], urls[1]


eachWay = pytest.mark.parametrize("ends", WAYS, indirect=True, ids="-".join)
# Either engine at either end.
eitherWay = pytest.mark.parametrize("ends", WAYS[:2], indirect=True, ids="-".join)
toServer = pytest.mark.parametrize("ends", WAYS[:1], indirect=True, ids="-".join)
toFolder = pytest.mark.parametrize("ends", WAYS[1:2], indirect=True, ids="-".join)


@contextmanager
def opened(url: str, **more: str) -> Iterator[ILedger]:
    """A ledger, for a while."""
    ledger = ledgerAt(LedgerSettings(url=url, **more), Path())  # type: ignore[arg-type]
    ledger.open(NOW_MS)
    try:
        yield ledger
    finally:
        ledger.close(None)


def made(url: str, *cents: int) -> None:
    """A ledger with deposits, each of which has a key; its views have them all."""
    with opened(url) as ledger:
        populate(ledger)
        for n, amount in enumerate(cents):
            use(ledger, ledger.reserveOrders(1), f"key-{n}", amount)
        # Whoever closes does not wait for them. This does.
        assert ledger.account(1001) is not None


def copied(ends: Ends) -> Copied:
    """Copy it."""
    with closing(originAt(ends[0], Path())) as origin, closing(targetAt(ends[1], Path())) as target:
        return copy(origin, target)


def rows(url: str, table: str) -> list[tuple[object, ...]]:
    """What is in a log, whatever keeps it; of a copy that is not whole, too."""
    statement = {
        "ledger": "SELECT epoch, created_ms, next_order FROM ledger",
        "page": "SELECT first, last, entries FROM page ORDER BY last",
    }[table]
    if url.startswith("sqlite:"):
        folder = Path(url.removeprefix("sqlite:"))
        log = folder / "log.db"
        return sql(log if log.exists() else folder / PARTIAL, statement)
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def differences(url: str) -> list[str]:
    """What an audit finds once a daemon has made the views."""
    if url.startswith("sqlite:"):
        return verify(Path(url.removeprefix("sqlite:"))).differences
    return verifyServer(LedgerSettings(url=url)).differences


@eachWay
def test_byteForByte(ends: Ends) -> None:
    """Every page, the name of the log, when it was made and which orders were given out: all as it was."""
    made(ends[0], 10, 20, 30)
    done = copied(ends)
    assert (done.seq, done.count, done.why) == (10, 10, "")
    for table in ("ledger", "page"):
        assert rows(ends[1], table) == rows(ends[0], table)


@eachWay
def test_goesOnThere(ends: Ends) -> None:
    """A daemon that opens the copy knows the accounts and the keys, goes on with the orders, and all is sound."""
    made(ends[0], 10, 20)
    copied(ends)
    with opened(ends[1]) as ledger:
        stored = eventually(lambda: ledger.account(1001))
        assert stored is not None
        assert stored.account.balance == 30
        first = ledger.reserveOrders(1)
        assert first > 2
        assert isinstance(eventually(lambda: again(ledger, first, "key-1", 20)), Replay)
        depositEach(ledger, 40)
    assert differences(ends[1]) == []


@eachWay
def test_beneathADaemon(ends: Ends) -> None:
    """While a daemon is at work it is copied and not whole, and nobody opens it; the last run brings the rest."""
    made(ends[0], 10)
    with opened(ends[0]) as ledger:
        done = copied(ends)
        assert (done.seq, done.count) == (6, 6)
        assert "at work" in done.why or "in use" in done.why
        with pytest.raises(LedgerRefused, match=r"not copied|is being copied"), opened(ends[1]):
            pass
        depositEach(ledger, 20)
    done = copied(ends)
    assert (done.seq, done.count, done.why) == (8, 2, "")
    assert rows(ends[1], "page") == rows(ends[0], "page")
    assert copied(ends).count == 0


@eitherWay
def test_anotherLog(ends: Ends) -> None:
    """A target that has another ledger, or one that has gone on by itself, is refused and left as it is."""
    made(ends[0], 10)
    made(ends[1], 30)
    before = rows(ends[1], "page")
    with pytest.raises(LedgerRefused, match="has another ledger"):
        copied(ends)
    assert rows(ends[1], "page") == before


@eitherWay
def test_bothHaveGoneOn(ends: Ends) -> None:
    """Two logs of one name, each of which has gone on by itself, are told apart, whichever is the longer."""
    made(ends[0], 10)
    copied(ends)
    with opened(ends[1]) as ledger:
        depositEach(ledger, 1)
    with pytest.raises(LedgerRefused, match="has gone on by itself"):
        copied(ends)
    with opened(ends[0]) as ledger:
        depositEach(ledger, 2)
    with pytest.raises(LedgerRefused, match="has something else at entry 8"):
        copied(ends)
    with opened(ends[0]) as ledger:
        depositEach(ledger, 2)
    with pytest.raises(LedgerRefused, match="has something else at entry 8"):
        copied(ends)


@eitherWay
def test_wholeIsNotAddedTo(ends: Ends) -> None:
    """A copy that was whole, and may have been opened, gets nothing more."""
    made(ends[0], 10)
    copied(ends)
    with opened(ends[0]) as ledger:
        depositEach(ledger, 2)
    with pytest.raises(LedgerRefused, match="is a whole ledger of 6 entries"):
        copied(ends)


@eitherWay
def test_holeIsNotWhole(ends: Ends) -> None:
    """A copy in which pages are missing is never whole."""
    made(ends[0], 1, 2, 3)
    with opened(ends[0]):
        assert copied(ends).why
    if ends[1].startswith("sqlite:"):
        sql(Path(ends[1].removeprefix("sqlite:")) / PARTIAL, "DELETE FROM page WHERE last = 4")
    else:
        with psycopg.connect(ends[1]) as connection:
            connection.execute("DELETE FROM page WHERE last = 4")
    with pytest.raises(LedgerRefused, match="pages are missing"):
        copied(ends)


@eitherWay
def test_notToItself(ends: Ends) -> None:
    """A ledger is not copied to where it is, whatever it is called."""
    made(ends[0], 10)
    with pytest.raises(LedgerRefused, match="to itself"):
        copied((ends[0], ends[0]))
    assert differences(ends[0]) == []


@eitherWay
def test_notUnderADaemon(ends: Ends) -> None:
    """Where a daemon is at work nothing is copied to."""
    made(ends[0], 10)
    with opened(ends[1]), pytest.raises(LedgerRefused, match=r"is at work|in use by another"):
        copied(ends)


@eitherWay
def test_noDaemonBeginsMeanwhile(ends: Ends) -> None:
    """Who makes the last run sees to it that nobody begins to write where it comes from, and where it goes."""
    made(ends[0], 10)
    with closing(originAt(ends[0], Path())) as origin, closing(targetAt(ends[1], Path())) as target:
        assert origin.exclude() == ""
        target.begin(origin.epoch, origin.createdMs)
        for url in ends:
            with pytest.raises(LedgerRefused, match=r"in use by another|is being copied"), opened(url):
                pass


@eitherWay
@pytest.mark.parametrize(
    "gap", ["UPDATE page SET last = 15, first = 14 WHERE last = 6", "DELETE FROM page WHERE last = 6"]
)
def test_gapIsFound(ends: Ends, gap: str) -> None:
    """A log in which entries are missing is copied as far as it is whole, and never becomes a ledger."""
    made(ends[0], 10, 20)
    if ends[0].startswith("sqlite:"):
        sql(Path(ends[0].removeprefix("sqlite:")) / "log.db", gap)
    else:
        with psycopg.connect(ends[0], autocommit=True) as connection:
            connection.execute(gap.encode())
    with pytest.raises(LedgerRefused, match="is damaged"):
        copied(ends)
    with pytest.raises(LedgerRefused, match=r"not copied|is being copied"), opened(ends[1]):
        pass


@eitherWay
def test_newer(ends: Ends) -> None:
    """What a newer version has written is neither copied nor copied to."""
    made(ends[0], 10)
    copied(ends)
    for url in ends:
        if url.startswith("sqlite:"):
            sql(Path(url.removeprefix("sqlite:")) / "log.db", "PRAGMA user_version=99")
        else:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("UPDATE scalemgr_schema SET version = 99 WHERE kind = 'log'")
        with pytest.raises(LedgerRefused, match="by a newer one"):
            copied(ends)


@eitherWay
def test_anotherLogMeanwhile(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the log gets another name while it is copied, the copy is not called whole."""
    made(ends[0], 10)
    with closing(originAt(ends[0], Path())) as origin, closing(targetAt(ends[1], Path())) as target:
        monkeypatch.setattr(origin, "named", lambda: "another")
        with pytest.raises(LedgerRefused, match="has become another log"):
            copy(origin, target)
    with pytest.raises(LedgerRefused, match=r"not copied|is being copied"), opened(ends[1]):
        pass


CUT = """
import os, signal, sys
from contextlib import closing
from pathlib import Path
from scalemgr.ledger import copying, folders
from scalemgr.ledger.postgres import copying as servers
for module in folders, servers:
    module._PAGES = 3
def tell(done, total):
    if done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
with closing(copying.originAt(sys.argv[1], Path())) as origin:
    with closing(copying.targetAt(sys.argv[2], Path())) as target:
        copying.copy(origin, target, tell)
"""


@eachWay
def test_killed(ends: Ends) -> None:
    """Killed anywhere, a copy is not whole, has whole pages, and goes on from there when it is made again."""
    made(ends[0], *range(1, 21))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for at in (0, 10, 44):
        words = [sys.executable, "-c", CUT, *ends, str(at)]
        ended = subprocess.run(words, env=environment, check=False, capture_output=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        found = rows(ends[1], "page")
        assert found == rows(ends[0], "page")[: len(found)]
        assert found or at == 0
        with pytest.raises(LedgerRefused, match=r"not copied|is being copied"), opened(ends[1]):
            pass
    done = copied(ends)
    assert (done.seq, done.count, done.why) == (44, 0, "")
    with opened(ends[1]) as ledger:
        commit(ledger, account(1003))
    assert differences(ends[1]) == []


@toServer
def test_wrongNames(ends: Ends, tmp_path: Path) -> None:
    """Where there is no ledger there is nothing to copy, and where something else is, nothing is put beside it."""
    with pytest.raises(LedgerMissing, match="no ledger to be copied"):
        copied(ends)
    with pytest.raises(LedgerMissing, match="there is no ledger"):
        copied((ends[1], ends[0]))
    made(ends[0], 10)
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine").write_text("mine")
    with pytest.raises(LedgerRefused, match="not empty, mine is in it"):
        copied((ends[0], f"sqlite:{tmp_path / 'to'}"))


@toServer
def test_notBesideViewsOfAnother(ends: Ends) -> None:
    """Views without their log may be of one of the same name that had gone on: nothing is copied beside them."""
    made(ends[0], 10)
    copied(ends)
    with opened(ends[1]) as ledger:
        depositEach(ledger, 1)
    with psycopg.connect(ends[1], autocommit=True) as connection:
        connection.execute("TRUNCATE ledger, page, book")
    with pytest.raises(LedgerRefused, match="has the views of another ledger"):
        copied(ends)


@toFolder
def test_oneFile(ends: Ends) -> None:
    """A folder that was copied to has one file and the lock, for their owner, and lets others have it."""
    made(ends[0], 10)
    copied(ends)
    folder = Path(ends[1].removeprefix("sqlite:"))
    assert {path.name for path in folder.iterdir()} == {"log.db", "lock"}
    assert (folder / "log.db").stat().st_mode & 0o777 == 0o600
    FolderLock(folder).release()


@toServer
def test_stamps(ends: Ends, postgresServer: str) -> None:
    """From server to server pages keep the stamps of their commits; those of a folder get some."""
    made(ends[0], 10, 20)
    copied(ends)
    stamped = "SELECT last, stamp FROM page ORDER BY last"
    with ledgerUrl(postgresServer) as other:
        copied((ends[1], other))
        with psycopg.connect(ends[1]) as one, psycopg.connect(other) as two:
            found = one.execute(stamped.encode()).fetchall()
            assert two.execute(stamped.encode()).fetchall() == found
    assert all(stamp for _, stamp in found)
