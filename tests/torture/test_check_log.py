"""The checks of the log and of its readers find what they are for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .books import Account
from .check_log import checkBalances, checkLog, checkStrangers
from .check_reader import checkReader
from .history import keys
from .journal import Line, Trouble
from .scripted import EPOCH, Script
from .verdict import traces


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def read() -> Script:
    """A reader that has everything: two events by replay, a refusal that is none, and one live."""
    script = Script()
    entries = script.book(key="a"), script.book(key="b"), script.refuse("c"), script.book(key="d")
    script.subscribe(0)
    script.hear(*entries[:2])
    script.replayed(3)
    script.hear(entries[3])
    return script


def found(script: Script) -> str:
    """The one thing that is wrong with what the reader got."""
    wrong = checkReader("reader", script.reading, script.log, EPOCH)
    assert len(wrong) == 1, wrong
    return wrong[0]


def test_wholeLog(read: Script) -> None:
    """A log without a gap, and a reader that got all of it across a break, give no discrepancy."""
    read.subscribe(4)
    read.replayed(4)
    assert checkReader("reader", read.reading, read.log, EPOCH) == []
    assert checkLog(read.log) == []


def test_gap(script: Script) -> None:
    """A number that the log leaves out is found."""
    script.book(key="a", seq=1)
    script.book(key="b", seq=3)
    assert checkLog(script.log) == ["the log has entry 3 where 2 should be"]


def test_keyTwice(script: Script) -> None:
    """A key that two entries have is found."""
    script.book()
    script.refuse()
    assert checkLog(script.log) == ["key crm/k has 2 entries"]


def test_stranger(script: Script) -> None:
    """Money that moved without a key, or under one that nobody sent, is found."""
    script.book(key=None)
    script.book(key="whose")
    wrong = checkStrangers(keys(script.attempts(), script.log), script.log)
    assert wrong == ["entry 1 has no key", "key crm/whose: in the log, and nobody sent it"]


def test_closedAccount(script: Script) -> None:
    """An account that is closed is told of no more; one that is told of and is closed is found."""
    script.open()
    script.close()
    assert checkBalances(script.log, {}) == []
    (wrong,) = checkBalances(script.log, {1001: Account()})
    assert wrong.endswith("the log comes to None")


@pytest.mark.parametrize(
    "told", [{1001: Account(101, 50, 2)}, {1001: Account(100, 51, 2)}, {1001: Account(100, 50, 3)}, {}]
)
def test_balanceDiffers(script: Script, told: dict[int, Account]) -> None:
    """A balance, a credit or a version that is not the sum of the entries is found, and an account that is not told."""
    script.open()
    script.book()
    script.book(50, cmd=7)
    assert checkBalances(script.log, {1001: Account(100, 50, 2)}) == []
    (wrong,) = checkBalances(script.log, told)
    assert wrong.endswith("the log comes to Account(balance=100, credit=50, version=2)")


def test_chosen(read: Script) -> None:
    """A reader gets the events that it has chosen, all of them, and no other."""
    entry = read.balance()
    read.hear(entry)
    assert checkReader("reader", read.reading, read.log, EPOCH) == []
    read.reading[:] = []
    read.subscribe(0)
    read.hear(entry)
    read.replayed(5)
    assert checkReader("reader", read.reading, read.log, EPOCH, ["balance:event"]) == []
    read.hear(read.book())
    (wrong,) = checkReader("reader", read.reading, read.log, EPOCH, ["balance:event"])
    assert wrong.startswith("reader: an event that the log does not have")


def test_missed(read: Script) -> None:
    """An event that a reader did not get is found, also the last one."""
    del read.reading[-1]
    assert found(read) == "reader: 1 events were missed, the first is 4"


def test_twice(read: Script) -> None:
    """An event that came twice is found."""
    read.hear(read.log[3])
    assert found(read) == "reader: event 4 came twice"


def test_disorder(read: Script) -> None:
    """An event that came too late is found."""
    read.reading[1], read.reading[2] = read.reading[2], read.reading[1]
    assert found(read) == "reader: event 1 came after 2"


def test_otherBytes(read: Script) -> None:
    """An event that is not the entry byte for byte is found."""
    last = read.reading[-1]
    assert isinstance(last, Line)
    read.reading[-1] = Line(last.line.replace('"time":', '"time": '))
    assert re.match("reader: event 4 came as .*, the log has", found(read))


def test_foreign(read: Script) -> None:
    """An event that the log does not have, or that is nobody's business, is found."""
    read.hear(read.log[2])
    assert found(read).startswith("reader: an event that the log does not have")


def test_replayTooShort(read: Script) -> None:
    """A replay that says it is done before everything was sent is found."""
    del read.reading[2]
    read.hear(read.log[1])
    wrong = checkReader("reader", read.reading, read.log, EPOCH)
    assert wrong[0] == "reader: a replay ended at 3, and the last event before that was 1"


def test_replayOfAnotherLog(read: Script) -> None:
    """A replay whose end names another log is found."""
    read.subscribe(4)
    read.replayed(4, "e2")
    assert "a replay ended with" in found(read)


def test_replayEndsTwice(read: Script) -> None:
    """A second end of one replay is found."""
    read.replayed(4)
    assert "a replay came to its end twice" in found(read)


def test_replayUnfinished(read: Script) -> None:
    """A reader that was not told that it has everything is found."""
    read.subscribe(4)
    assert found(read) == "reader: the last replay did not come to its end"


def test_cannotReadOn(read: Script) -> None:
    """A reader that was not let read on from where it was is found."""
    read.subscribe(4, 410)
    read.subscribe(4)
    read.replayed(4)
    assert found(read).startswith("reader: it could not read on from 4")


def test_readOnFromElsewhere(read: Script) -> None:
    """A reader that does not read on from where it was is found: that would hide what it missed."""
    read.subscribe(2)
    read.replayed(4)
    assert found(read) == "reader: it read on from 2, and had come to 4"


def test_trouble(read: Script) -> None:
    """What the reader itself noted is told."""
    read.reading.append(Trouble("no message"))
    assert found(read) == "reader: no message"


def test_traceback(tmp_path: Path) -> None:
    """A traceback in what the daemon said is found, unless it is about the disk that was filled."""
    said = tmp_path / "daemon-0001.log"
    said.write_text("all is well\n")
    assert traces([said]) == []
    frames = 'Traceback (most recent call last):\n\t  File "x", line 1, in f\n\t    f()\n\t'
    said.write_text(frames + "sqlite3.OperationalError: database or disk is full\n")
    assert traces([said]) == []
    said.write_text(2 * (frames + "ValueError: 7\n") + frames + "builtins.KeyError: 5\n")
    assert traces([said]) == [
        f"{said.name}: a traceback, one of 2, that ends with ValueError: 7",
        f"{said.name}: a traceback, one of 1, that ends with builtins.KeyError: 5",
    ]


def test_awayIsTold(read: Script) -> None:
    """Where the log may be away for a while a reader may be told so, and go on later; elsewhere that is a fault."""
    read.subscribe(4, 503)
    read.subscribe(4)
    read.replayed(4)
    assert checkReader("reader", read.reading, read.log, EPOCH, mayBeAway=True) == []
    assert len(checkReader("reader", read.reading, read.log, EPOCH)) == 1


def test_replaysDoNotFail(read: Script) -> None:
    """A replay waits for a log that is away: to be told that it failed is a fault."""
    read.reading.append(Line('{"event":"replay:failed","data":{"seq":4}}'))
    (wrong,) = checkReader("reader", read.reading, read.log, EPOCH, mayBeAway=True)
    assert wrong.startswith("reader: an event that the log does not have")
