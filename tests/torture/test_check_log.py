"""The checks of the log and of its readers find what they are for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

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
    """A reader that has everything: the events of two deposits by replay, a refusal that is none, and one more live."""
    script = Script()
    script.book(key="a"), script.book(key="b"), script.refuse("c"), script.book(key="d")
    script.subscribe(0)
    script.hear(*script.log[:4])
    script.replayed(5)
    script.hear(*script.log[5:])
    return script


def found(script: Script) -> str:
    """The one thing that is wrong with what the reader got."""
    wrong = checkReader("reader", script.reading, script.log, EPOCH)
    assert len(wrong) == 1, wrong
    return wrong[0]


def test_wholeLog(read: Script) -> None:
    """A log without a gap, and a reader that got all of it across a break, give no discrepancy."""
    read.subscribe(7)
    read.replayed(7)
    assert checkReader("reader", read.reading, read.log, EPOCH) == []
    assert checkLog(read.log) == []
    assert checkBalances(read.log, {1001: (300, 3), 1002: (0, 0)}) == []


def test_gap(script: Script) -> None:
    """A number that the log leaves out is found."""
    script.book(seq=1)
    script.book(seq=4)
    assert checkLog(script.log) == ["the log has entry 4 where 3 should be"]


def test_orderTwice(script: Script) -> None:
    """An order that two trades have is found."""
    script.book(order=7)
    script.book(order=7)
    assert checkLog(script.log) == ["order 7 is in the log 2 times"]


def test_movesOtherwise(script: Script) -> None:
    """An entry that moves another amount than it says is found, and a refusal that moves any."""
    script.book(100, balance=99)
    script.refuse(balance=5)
    assert [sentence[:16] for sentence in checkLog(script.log)] == [
        "entry 1 moves 99",
        "entry 3 moves 5 ",
        "entry 3 moves mo",
    ]


@pytest.mark.parametrize("at", [1, 3, 6])
def test_notFollowedUp(read: Script, at: int) -> None:
    """An entry that moves money and is not followed by what the account has then is found, also the last one."""
    following = read.log[at + 1 :]
    del read.log[at:]
    read.log += [replace(entry, seq=entry.seq - 1) for entry in following]
    wrong = checkLog(read.log)
    assert wrong[0].startswith(f"entry {at} moves money, and is ")
    assert len(wrong) == 1


def test_saidForNothing(read: Script) -> None:
    """What an account has is said after each entry that moves money and nowhere else: more of it is found."""
    read.log.append(replace(read.log[-1], seq=8))
    assert checkLog(read.log) == ["entry 8 says what an account has, and follows no entry that moves money"]


@pytest.mark.parametrize(
    "wrong",
    [{"login": 1002}, {"order": 7}, {"key": "d"}, {"type": 0}, {"principal": "x"}, {"time_ms": 1}, {"balance": 1}],
)
def test_followedUpByAnother(read: Script, wrong: dict[str, object]) -> None:
    """What follows an entry that moves money is of the same account, cause and time, and nobody's request."""
    read.log[-1] = replace(read.log[-1], **wrong)
    assert any(sentence.startswith("entry 6 moves money, and is followed by") for sentence in checkLog(read.log))


@pytest.mark.parametrize(
    ("right", "wrong"), [('"balance":3.0', '"balance":2.0'), ('"balance_version":3', '"balance_version":2')]
)
def test_saysOtherwise(read: Script, right: str, wrong: str) -> None:
    """A balance that is said and is not the sum of the entries up to there is found."""
    last = read.log[-1]
    assert right in last.data
    read.log[-1] = replace(last, data=last.data.replace(right, wrong))
    (sentence,) = checkLog(read.log)
    assert sentence.startswith('entry 7 says {"login":1001,')


def test_stranger(script: Script) -> None:
    """Money that moved without a key, or under one that nobody sent, is found."""
    script.book(key=None)
    script.book(key="whose")
    wrong = checkStrangers(keys(script.attempts(), script.log), script.log)
    assert wrong == ["entry 1 has no key", "key crm/whose: in the log, and nobody sent it"]


@pytest.mark.parametrize("told", [{1001: (201, 2)}, {1001: (200, 3)}, {}])
def test_balanceDiffers(script: Script, told: dict[int, tuple[int, int]]) -> None:
    """A balance or a version that is not the sum of the entries is found."""
    script.book()
    script.book()
    (wrong,) = checkBalances(script.log, told)
    assert wrong.endswith("the log comes to (200, 2)")


def test_missed(read: Script) -> None:
    """An event that a reader did not get is found, also the last one."""
    del read.reading[-1]
    assert found(read) == "reader: 1 events were missed, the first is 7"


def test_twice(read: Script) -> None:
    """An event that came twice is found."""
    read.hear(read.log[6])
    assert found(read) == "reader: event 7 came twice"


def test_disorder(read: Script) -> None:
    """An event that came too late is found."""
    read.reading[1], read.reading[2] = read.reading[2], read.reading[1]
    assert found(read) == "reader: event 1 came after 2"


def test_otherBytes(read: Script) -> None:
    """An event that is not the entry byte for byte is found."""
    last = read.reading[-1]
    assert isinstance(last, Line)
    read.reading[-1] = Line(last.line.replace('"time":', '"time": '))
    assert re.match("reader: event 7 came as .*, the log has", found(read))


def test_foreign(read: Script) -> None:
    """An event that the log does not have, or that is nobody's business, is found."""
    read.hear(read.log[4])
    assert found(read).startswith("reader: an event that the log does not have")


def test_replayTooShort(read: Script) -> None:
    """A replay that says it is done before everything was sent is found."""
    del read.reading[4]
    read.hear(read.log[3])
    wrong = checkReader("reader", read.reading, read.log, EPOCH)
    assert wrong[0] == "reader: a replay ended at 5, and the last event before that was 3"


def test_replayOfAnotherLog(read: Script) -> None:
    """A replay whose end names another log is found."""
    read.subscribe(7)
    read.replayed(7, "e2")
    assert "a replay ended with" in found(read)


def test_replayEndsTwice(read: Script) -> None:
    """A second end of one replay is found."""
    read.replayed(7)
    assert "a replay came to its end twice" in found(read)


def test_replayUnfinished(read: Script) -> None:
    """A reader that was not told that it has everything is found."""
    read.subscribe(7)
    assert found(read) == "reader: the last replay did not come to its end"


def test_cannotReadOn(read: Script) -> None:
    """A reader that was not let read on from where it was is found."""
    read.subscribe(7, 410)
    read.subscribe(7)
    read.replayed(7)
    assert found(read).startswith("reader: it could not read on from 7")


def test_readOnFromElsewhere(read: Script) -> None:
    """A reader that does not read on from where it was is found: that would hide what it missed."""
    read.subscribe(2)
    read.replayed(7)
    assert found(read) == "reader: it read on from 2, and had come to 7"


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
