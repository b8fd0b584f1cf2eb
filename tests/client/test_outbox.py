"""The outbox: on the disk before it is sent, certain before it is let go of."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scalemgr.client import Client, ClientError, NotApplied, OutboxInUse, Outcome, OutcomeUnknown, Refused, Reply
from scalemgr.client.address import parseAddress
from scalemgr.client.asking import Asked, Intent
from scalemgr.client.identity import callerOf
from scalemgr.client.outbox import DONE_MAX, OutboxFile

from ..helpers import token
from .certificates import Authority
from .drivers import Driver
from .wires import Wire

Make = Callable[..., Driver]


def intent(row: int, key: str = "k", **data: Any) -> Intent:
    import json

    text = json.dumps({"login": 1001, "amount": 250, "idempotency_key": key, **data})
    return Intent(row, "BalanceInSync", key, text, 0.0)


class Kept(Wire):
    """A core with an outbox that is told what to say."""

    def __init__(self, **more: Any) -> None:
        super().__init__(keeps=True, **more)
        self.rows: dict[int, Any] = {}
        self.settled: list[tuple[int, str]] = []
        self.given: list[Asked] = []

    def give(self) -> None:
        """The disk is given what there is."""
        self.given += self.core.requests.takeToKeep()

    def keep(self) -> list[int]:
        """The disk is done with what there is."""
        self.give()
        rows = []
        given, self.given = self.given, []
        for asked in given:
            row = len(self.rows) + 1
            self.rows[row] = asked
            rows.append(row)
            self.core.requests.kept(asked, row, self.now)
        self.turn()
        return rows

    def settle(self, why: str = "") -> list[int]:
        """And with what is over."""
        given = self.core.requests.takeToSettle()
        if not why:
            self.settled += given
        rows = [row for row, _ in given]
        self.core.requests.settled(rows, why)
        self.turn()
        return rows


def kept(**more: Any) -> Kept:
    wire = Kept(**more)
    wire.connect()
    return wire


def test_nothingIsSentBeforeItIsKept() -> None:
    """Not a byte of it goes out before it is on the disk."""
    wire = kept()
    wire.ask()
    wire.ask("question", "GetGroups", {})
    assert [r["command"] for r in wire.requests()] == ["GetGroups"]
    wire.keep()
    assert [r["command"] for r in wire.requests()] == ["BalanceInSync"]


def test_notGivenInTime() -> None:
    """What the outbox could not be given in time, for nobody knew yet whose it is, was not taken, and nobody waits."""
    wire = kept()
    wire.ask("late", deadlineS=1)
    wire.advance(1)
    assert isinstance(wire.told["late"], NotApplied)
    wire.ask("refused")
    wire.core.lost("it is another server", isFinal=True)
    wire.turn()
    assert isinstance(wire.told["refused"], NotApplied)
    assert wire.keep() == []
    assert not wire.core.requests.isSettling


def test_doneIsSettled() -> None:
    """What is answered need not be repeated by anybody; its caller does not wait for that to be noted."""
    wire = kept()
    wire.ask()
    wire.keep()
    wire.answer(wire.request(), order=7)
    assert isinstance(wire.told["it"], Reply)
    wire.settle()
    assert wire.settled == [(1, "200")]


def test_passwordsAreNotKept() -> None:
    """What has a password in it is not put on the disk."""
    wire = kept()
    wire.ask(command="AddUser", data={"group": "g", "name": "n", "password": "geheim"})
    assert wire.keep() == []
    assert len(wire.requests()) == 1


def test_notKeptIsNotSent() -> None:
    """If the disk is full, it is not sent, and its caller is told so."""
    wire = kept()
    wire.ask()
    (asked,) = wire.core.requests.takeToKeep()
    wire.core.requests.notKept(asked, "disk full")
    wire.turn()
    error = wire.told["it"]
    assert isinstance(error, NotApplied)
    assert "disk full" in str(error)
    assert wire.requests() == []


def test_notAppliedIsNotedFirst() -> None:
    """Before a caller is told "not applied", the disk knows, for else whoever opens the outbox next would apply it."""
    wire = kept()
    wire.core.lost("refused")
    wire.ask(deadlineS=1)
    wire.keep()
    wire.advance(1)
    assert wire.told == {}
    assert wire.core.requests.isSettling
    wire.settle()
    assert isinstance(wire.told["it"], NotApplied)
    assert not wire.core.requests.isSettling


def test_notNotedIsUnknown() -> None:
    """If that cannot be noted, it may be applied after all, and its caller is told that."""
    wire = kept()
    wire.core.lost("refused")
    wire.ask(deadlineS=1)
    wire.keep()
    wire.advance(1)
    wire.settle("disk full")
    assert isinstance(wire.told["it"], OutcomeUnknown)


def test_slowDisk() -> None:
    """A disk that is slower than the deadline: not sent, noted as such, and then told."""
    wire = kept()
    wire.ask(deadlineS=1)
    wire.give()
    wire.advance(2)
    assert wire.told == {}
    wire.keep()
    assert wire.requests() == []
    wire.settle()
    assert isinstance(wire.told["it"], NotApplied)


def test_goesOnAfterTheDeadline() -> None:
    """Its caller is told that it is not known; it is asked on, and the outcome is told when it is certain."""
    wire = kept()
    wire.ask(key="k", deadlineS=1)
    wire.keep()
    wire.request()
    wire.lose()
    wire.advance(1)
    assert isinstance(wire.told["it"], OutcomeUnknown)
    wire.connect()
    wire.answer(wire.request(), 504, outcome="pending")
    wire.answer(wire.nextRequest(60), 200, order=7)
    (told,) = wire.outcomes
    assert isinstance(told.result, Reply)
    wire.settle()
    assert wire.settled == [(1, "200")]


def test_voidAfterTheDeadlineIsTheEnd() -> None:
    """When nobody waits any more, "it was withdrawn" is certain enough: it is not begun anew."""
    wire = kept()
    wire.ask(deadlineS=1)
    wire.keep()
    wire.answer(wire.request(), 504, outcome="pending")
    request = wire.nextRequest()
    wire.advance(1)
    wire.answer(request, 504, outcome="void")
    wire.settle()
    (told,) = wire.outcomes
    assert isinstance(told.result, NotApplied)
    wire.advance(100)
    assert wire.requests() == []


def test_voidIsNotOfWhatWasLost() -> None:
    """An attempt of a connection that is gone may arrive after the next was withdrawn: it is asked until it is done."""
    wire = kept()
    wire.ask(deadlineS=1)
    wire.keep()
    wire.request()
    wire.lose()
    wire.advance(1)
    wire.connect()
    wire.answer(wire.request(), 504, outcome="void")
    assert wire.settle() == []
    wire.answer(wire.nextRequest(60), 200, order=7)
    wire.settle()
    assert wire.settled == [(1, "200")]


def test_sameKeyAsWhatIsLeft() -> None:
    """While the outbox asks for what is not certain, nobody is told that nothing was booked under its key."""
    wire = kept()
    wire.ask("before", key="k")
    wire.core.lost("refused")
    wire.core.requests.resume([intent(9, "k")], wire.now)
    wire.keep()
    wire.ask("after", key="k", deadlineS=1)
    wire.ask("another", key="another", deadlineS=1)
    wire.keep()
    wire.advance(30)
    wire.settle()
    assert isinstance(wire.told["before"], OutcomeUnknown)
    assert isinstance(wire.told["after"], OutcomeUnknown)
    assert isinstance(wire.told["another"], NotApplied)
    wire.connect()
    for request in wire.requests():
        wire.answer(request, 200, order=7)
    wire.settle()
    assert [row for row, _ in wire.settled] == [3, 9, 1, 2]


def test_resumed() -> None:
    """What the outbox has of before is asked with its key; what becomes of it is told, and noted."""
    wire = kept()
    wire.core.requests.resume([intent(3, "a"), intent(4, "b", login=1002)], wire.now)
    wire.turn()
    first, second = wire.requests()
    assert [r["data"]["idempotency_key"] for r in (first, second)] == ["a", "b"]
    wire.answer(first, 200, order=1)
    wire.answer(second, 409, error="RET_TRADE_NO_MONEY", outcome="refused")
    wire.settle()
    assert [row for row, _ in wire.settled] == [3, 4]
    done, refused = wire.outcomes
    assert isinstance(done.result, Reply)
    assert isinstance(refused.result, Refused)


def test_resumedAndNotAllowed() -> None:
    """A token that may not (any more) does not settle it: it is asked again, when that may have been mended."""
    wire = kept()
    wire.core.requests.resume([intent(3)], wire.now)
    wire.turn()
    wire.answer(wire.request(), 403, error="RET_NOT_ENOUGH_RIGHTS")
    assert wire.settle() == []
    wire.answer(wire.nextRequest(60), 200)
    wire.settle()
    assert [row for row, _ in wire.settled] == [3]


def test_closedKeepsWhatIsNotCertain() -> None:
    """What may be booked stays; what was not sent does not."""
    wire = kept()
    wire.ask("sent")
    wire.keep()
    wire.request()
    wire.core.lost("x")
    wire.ask("unsent")
    wire.keep()
    wire.ask("unkept")
    wire.give()
    wire.ask("not given")
    wire.core.close()
    wire.turn()
    assert isinstance(wire.told["sent"], OutcomeUnknown)
    wire.keep()
    wire.settle()
    assert all(isinstance(wire.told[name], NotApplied) for name in ("unsent", "unkept", "not given"))
    assert [row for row, _ in wire.settled] == [2, 3]


def test_forgottenIsAskedOn() -> None:
    """A caller who does not wait any more does not change what becomes of it."""
    wire = kept()
    asked = wire.ask()
    wire.keep()
    wire.core.requests.forget(asked)
    wire.answer(wire.request(), 200)
    wire.settle()
    assert wire.settled == [(1, "200")]
    assert len(wire.outcomes) == 1


# -- the file ---------------------------------------------------------------------------------------------------


def test_fileKeeps(tmp_path: Path) -> None:
    """What was written is there again, oldest first, until it is settled; and it is for its owner alone."""
    path = tmp_path / "outbox"
    file = OutboxFile(path)
    assert file.write([("BalanceIn", "a", "{}", "crm"), ("BalanceIn", "b", "{}", "crm")], []) == [1, 2]
    assert file.write([("BalanceIn", "c", "{}", "crm")], [(1, "200")]) == [3]
    file.close()
    again = OutboxFile(path)
    assert [(found.row, found.key) for found in again.unfinished()] == [(2, "b"), (3, "c")]
    assert again.write([("BalanceIn", "d", "{}", "crm")], []) == [4]
    again.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_fileIsBounded(tmp_path: Path) -> None:
    """Of what is done only the last are kept; what is not done, always."""
    file = OutboxFile(tmp_path / "outbox")
    file.write([("BalanceIn", "open", "{}", "crm")], [])
    for _ in range(3):
        rows = file.write([("BalanceIn", "done", "{}", "crm")] * DONE_MAX, [])
        file.write([], [(row, "200") for row in rows])
    assert [found.key for found in file.unfinished()] == ["open"]
    file.close()
    with sqlite3.connect(tmp_path / "outbox") as connection:
        (count,) = connection.execute("SELECT count(*) FROM intent").fetchone()
    connection.close()
    assert count == DONE_MAX + 1


def test_fileHasOneOwner(tmp_path: Path) -> None:
    """A second client, in this process or another, is refused with a sentence; it takes nothing from the first."""
    file = OutboxFile(tmp_path / "outbox")
    with pytest.raises(OutboxInUse, match="in use by another client"):
        OutboxFile(tmp_path / "outbox")
    file.write([("BalanceIn", "a", "{}", "crm")], [])
    with pytest.raises(OutboxInUse):
        OutboxFile(tmp_path / "outbox")
    file.close()
    OutboxFile(tmp_path / "outbox").close()


def test_notAnOutbox(tmp_path: Path) -> None:
    """A file that is something else is left alone."""
    (tmp_path / "text").write_text("hello, this is no database at all, and long enough to be looked at" * 30)
    with pytest.raises(ClientError, match="cannot be used as an outbox"):
        OutboxFile(tmp_path / "text")
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(ClientError, match="no outbox"):
        OutboxFile(tmp_path / "other.db")
    with pytest.raises(OSError):
        OutboxFile(tmp_path / "nowhere" / "outbox")


def test_cannotBeOpened(tmp_path: Path) -> None:
    """Whatever else is at its place, or was an outbox and is damaged or newer, is refused with a sentence."""
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "outbox")
    os.mkfifo(tmp_path / "fifo")
    OutboxFile(tmp_path / "newer").close()
    with closing(sqlite3.connect(tmp_path / "newer")) as newer:
        newer.execute("ALTER TABLE intent RENAME TO another")
    for name in ("", "dangling", "fifo", "newer"):
        with pytest.raises(ClientError, match="cannot be used as an outbox"):
            OutboxFile(tmp_path / name)


# -- with a daemon ------------------------------------------------------------------------------------------------


def test_keptAndSettled(make: Make, port: int, tmp_path: Path) -> None:
    """A deposit leaves nothing unfinished behind, and says so to the next who opens it."""
    client = make(f"tcp:127.0.0.1:{port}", outbox=tmp_path / "outbox")
    assert client.command("BalanceInSync", login=1001, amount=1, idempotency_key=f"kept-{tmp_path.name}").profit == 1.0
    client.hangUp()
    file = OutboxFile(tmp_path / "outbox")
    assert file.unfinished() == []
    file.close()


def test_inUse(make: Make, port: int, tmp_path: Path) -> None:
    """With an outbox that somebody else has, nothing is sent, and the error says why."""
    file = OutboxFile(tmp_path / "outbox")
    client = make(f"tcp:127.0.0.1:{port}", outbox=tmp_path / "outbox")
    with pytest.raises(NotApplied, match="in use by another client"):
        client.command("BalanceInSync", login=1001, amount=1)
    with pytest.raises(OutboxInUse):
        client.unfinished()
    file.close()


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_cannotBeHad(make: Make, port: int, tmp_path: Path, name: str) -> None:
    """Who asks with an outbox that cannot be had, for whatever reason, is told so, and does not wait for ever."""
    client = make(f"tcp:127.0.0.1:{port}", outbox=tmp_path / name)
    with pytest.raises(NotApplied, match="so it was not sent"):
        client.command("BalanceInSync", login=1001, amount=1)


def test_cannotBeWritten(make: Make, port: int, tmp_path: Path) -> None:
    """A request that the file cannot be given is refused, and the next one is kept as if it had not been."""
    client = make(f"tcp:127.0.0.1:{port}", outbox=tmp_path / "outbox")
    with pytest.raises(NotApplied, match="so it was not sent"):
        client.call("Plugin\ud800", {}, idempotency_key="k")
    assert client.command("BalanceInSync", login=1001, amount=1).profit == 1.0


def test_unfinishedIsFinished(make: Make, port: int, tmp_path: Path) -> None:
    """What a client that is gone had meant to do is done by the next one, which tells what became of it."""
    key = f"left-{tmp_path.name}"
    text = f'{{"login":1001,"amount":3,"idempotency_key":"{key}"}}'
    file = OutboxFile(tmp_path / "outbox")
    file.write([("BalanceInSync", key, text, ""), ("BalanceOutSync", f"{key}-2", text.replace("3", "-1e9"), "")], [])
    file.close()
    outcomes: list[Outcome] = []
    told = threading.Event()

    def heard(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if len(outcomes) == 2:
            told.set()

    client = make(f"tcp:127.0.0.1:{port}", outbox=tmp_path / "outbox", onOutcome=heard)
    client.command("Ping")
    for _ in range(100):
        client.command("Ping")
        if told.wait(0.01):
            break
    results = {outcome.key: outcome.result for outcome in outcomes}
    assert isinstance(results[key], Reply)
    assert isinstance(results[f"{key}-2"], Refused)
    assert client.unfinished() == []
    assert client.call("GetRequest", {"idempotency_key": key}).data["state"] == "done"


def test_notReachedIsNotDoneLater(make: Make, port: int, nobody: int, tmp_path: Path) -> None:
    """A caller who was told "not applied" can rely on it: the next who opens the outbox does not do it."""
    client = make(f"tcp:127.0.0.1:{nobody}", outbox=tmp_path / "outbox", deadline=0.3)
    with pytest.raises(NotApplied):
        client.command("BalanceInSync", login=1001, amount=1)
    client.hangUp()
    file = OutboxFile(tmp_path / "outbox")
    assert file.unfinished() == []
    file.close()


def test_threadsShareAnOutbox(port: int, tmp_path: Path) -> None:
    """Any number of threads may use one client, and its outbox."""
    with Client(f"tcp:127.0.0.1:{port}", outbox=tmp_path / "outbox") as client:
        before = client.GetAccountByLogin(login=1003).balance_version
        assert isinstance(before, int)

        def deposit() -> None:
            for _ in range(20):
                client.BalanceInSync(login=1003, amount="0.01")

        threads = [threading.Thread(target=deposit) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.GetAccountByLogin(login=1003).balance_version == before + 160
        assert client.unfinished() == []


def told(path: Path) -> list[tuple[str | None, str | None]]:
    """Whose each is in an outbox, and what became of it."""
    with closing(sqlite3.connect(path)) as outbox:
        return outbox.execute("SELECT caller, outcome FROM intent ORDER BY row").fetchall()


def test_anothersOutbox(make: Make, guarded: int, tmp_path: Path) -> None:
    """
    What one caller has begun is not gone on with by another, under whose name it would be booked again: it is refused,
    and stays as it is, until the first comes again, with whichever of its tokens.
    """
    key, path = f"of-{tmp_path.name}", tmp_path / "outbox"
    file = OutboxFile(path)
    file.write([("BalanceInSync", key, f'{{"login":1001,"amount":3,"idempotency_key":"{key}"}}', "crm")], [])
    file.close()
    words: dict[str, Any] = {"outbox": path, "deadline": 20}
    gateway = make(f"tcp:127.0.0.1:{guarded}", token=lambda: token("gateway"), **words)
    with pytest.raises(NotApplied, match=r"has 1 unfinished of crm, and this is gateway: use the token of the one"):
        gateway.command("BalanceInSync", login=1001, amount=1)
    assert [intent.key for intent in gateway.unfinished()] == [key]
    gateway.hangUp()
    assert told(path) == [("crm", None)]
    crm = make(f"tcp:127.0.0.1:{guarded}", token=token("crm", jti="a newer one"), **words)
    assert crm.command("BalanceInSync", login=1001, amount=1).profit == 1.0
    for _ in range(1000):
        if not crm.unfinished():
            break
    assert crm.call("GetRequest", {"idempotency_key": key}).data["state"] == "done"
    crm.hangUp()
    assert told(path) == [("crm", "200"), ("crm", "200")]
    # Nothing is unfinished: now it may be another's.
    gateway = make(f"tcp:127.0.0.1:{guarded}", token=token("gateway"), **words)
    assert gateway.command("BalanceInSync", login=1001, amount=1).profit == 1.0
    gateway.hangUp()


def test_anotherWithTheSameKey() -> None:
    """What may be booked under a name of one caller is not asked again as another, where it would be booked again."""
    wire = Wire()
    wire.core.identified("crm")
    wire.connect("one")
    wire.ask("doubtful")
    wire.requests()
    wire.lose()
    wire.ask("fresh")
    wire.core.identified("gateway")
    wire.connect("two")
    assert len(wire.requests()) == 1
    error = wire.told["doubtful"]
    assert isinstance(error, OutcomeUnknown)
    assert "it was asked as crm, and the token is of gateway now" in str(error)


def test_anothersStayInTheOutbox() -> None:
    """What is in the outbox is asked again when the token is its caller's again; its caller is told at once."""
    wire = Kept()
    wire.core.identified("crm")
    wire.connect("one")
    wire.ask(deadlineS=60)
    wire.keep()
    wire.requests()
    wire.lose()
    wire.core.identified("gateway")
    wire.connect("two")
    assert isinstance(wire.told["it"], OutcomeUnknown)
    wire.advance(60)
    assert wire.requests() == []
    wire.lose()
    wire.core.identified("crm")
    wire.connect("one")
    wire.answer(wire.nextRequest(60), order=7)
    wire.settle()
    assert wire.settled == [(1, "200")]


def test_olderOutbox(tmp_path: Path) -> None:
    """An outbox of before callers were noted is gone on with by whoever opens it, for nobody knows whose it is."""
    OutboxFile(tmp_path / "outbox").close()
    with closing(sqlite3.connect(tmp_path / "outbox")) as older:
        older.execute("ALTER TABLE intent DROP COLUMN caller")
        older.execute("INSERT INTO intent (row, made, command, key, data) VALUES (1, 0, 'BalanceIn', 'k', '{}')")
        older.commit()
    file = OutboxFile(tmp_path / "outbox")
    assert [(found.key, found.caller) for found in file.unfinished()] == [("k", None)]
    assert file.write([("BalanceIn", "b", "{}", "crm")], []) == [2]
    file.close()


def test_whoACallerIs(tmp_path: Path) -> None:
    """A caller is the same with each of its tokens, and certificates; one whose token cannot be read is its token."""
    plain = parseAddress("tcp:localhost:1")
    assert callerOf(None, plain) == ""
    assert callerOf(token("crm"), plain) == callerOf(token("crm", exp=2**33), plain) == "crm"
    assert callerOf(token(None, sub="x"), plain).startswith("token ")
    assert callerOf(token(77), plain) == "77"
    for opaque in ("opaque", "a.b.c", "..", "a.W10.c", "é.é.é"):
        found = callerOf(opaque, plain)
        assert found.startswith("token ")
        assert opaque not in found
    assert callerOf("opaque", plain) != callerOf("opaque2", plain)
    authority = Authority(tmp_path)
    mine = [parseAddress("tls:localhost:1", certificate=authority.certify("crm")[0], key="k") for _ in range(2)]
    assert callerOf(None, mine[0]) == callerOf(None, mine[1]) == "certificate CN=crm"
    assert callerOf(token("crm"), mine[0]) == "crm"
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(OSError, match="no certificate in it"):
        callerOf(None, parseAddress("tls:localhost:1", certificate=tmp_path / "empty.pem"))
