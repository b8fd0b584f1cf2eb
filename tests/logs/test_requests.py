"""Lines about requests: those that are asked for, whole, and nothing else of the requests."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.logger import LogEvent, LogLevel, globalLogPublisher

from scalemgr.config import Log as LogSettings
from scalemgr.config import Settings
from scalemgr.interfaces import Told
from scalemgr.logs.lines import asJson
from scalemgr.logs.log import Log
from scalemgr.logs.requests import RequestLines, fields, inWords
from scalemgr.wire.codes import RetCode
from scalemgr.wire.errors import InternalError, LedgerFailed, ManagerError, Refused, ShuttingDown, SyncTimeout
from scalemgr.wire.messages import Json, encode

from ..helpers import Daemon
from .events import NOW, emitted

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BOOKED = Told("BalanceInSync", Json('"pay-1"'), "crm", 1001, 7, 200, 0.0021, submitted=True)
LATE = replace(BOOKED, status=504, seconds=5.002, error=SyncTimeout("trade", 7, "void"))


class Written:
    """What is written of requests."""

    def __init__(self, *, json: bool = False, **chosen: str) -> None:
        self.stream = StringIO()
        self.settings = replace(Settings(), log=LogSettings(**chosen))
        self.log = Log(self.stream, self.settings, lambda: NOW, json=json)
        self.lines = RequestLines(self.log, self.settings, lambda: NOW, lambda: 0.0)

    def of(self, told: Told) -> str:
        """The line about a request."""
        self.stream.seek(0)
        self.stream.truncate()
        self.lines.told(told)
        return self.stream.getvalue()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (LATE, 'BalanceInSync "pay-1" of crm: 504 SYNC_TIMEOUT, void, after 5.002 s (login 1001, order 7)'),
        (BOOKED, 'BalanceInSync "pay-1" of crm: 200, booked, after 0.002 s (login 1001, order 7)'),
        (replace(BOOKED, order=0), 'BalanceInSync "pay-1" of crm: 200, booked, after 0.002 s (login 1001)'),
        (replace(BOOKED, login=0), 'BalanceInSync "pay-1" of crm: 200, booked, after 0.002 s (order 7)'),
        (
            replace(BOOKED, replayed=True, login=0, order=0),
            'BalanceInSync "pay-1" of crm: 200, replayed, after 0.002 s',
        ),
        (Told("", Json("7"), "", 0, 0, 404, 0.0), "an unknown command 7 of nobody: 404, read, after 0.000 s"),
    ],
)
def test_words(told: Told, words: str) -> None:
    """For people it is one sentence: what, whose, what it came to, how long it took, what about."""
    assert inWords(told) == words
    assert (
        Written(requests="all").of(told)
        == f"2025-11-22 18:40:00.250Z {'warn ' if told is LATE else 'info '}    {words}\n"
    )


def test_machine() -> None:
    """For machines each of these is a member, and so is the trace, where there is one."""
    told = replace(LATE, traceparent=TRACE)
    assert json.loads(Written(json=True).of(told)) == {
        "time": "2025-11-22T18:40:00.250Z",
        "level": "warn",
        "message": inWords(told),
        "where": "scalemgr.logs.requests",
        "command": "BalanceInSync",
        "extID": "pay-1",
        "principal": "crm",
        "login": 1001,
        "order": 7,
        "status": 504,
        "error": "SYNC_TIMEOUT",
        "outcome": "void",
        "replayed": False,
        "duration": 5.002,
        "trace_id": TRACE[3:35],
        "parent_id": TRACE[36:52],
    }
    assert Written().of(told).endswith(f"order 7) trace_id={TRACE[3:35]} parent_id={TRACE[36:52]}\n")


def test_oneSpacing() -> None:
    """What is looked for in lines about requests is found in all others alike: none has a space outside of a text."""
    for line in (
        Written(json=True).of(replace(LATE, seconds=5.123456)),
        asJson(emitted("hm {n}", LogLevel.warn, n=1, ok=None)),
    ):
        assert line == json.dumps(json.loads(line), separators=(",", ":")) + "\n"
        assert '"level":"warn"' in line


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
TOLD = st.builds(
    Told,
    TEXTS,
    (st.none() | st.integers() | TEXTS).map(encode),
    TEXTS,
    st.integers(0, 10**15),
    st.integers(0, 10**15),
    st.integers(100, 599),
    st.floats(0, 10**6),
    st.none() | st.builds(ManagerError, TEXTS, error=TEXTS),
    st.booleans(),
    st.sampled_from(["", TRACE]),
    st.booleans(),
)


@settings(deadline=None, max_examples=300)
@given(TOLD)
def test_machineSaysWhatThereIs(told: Told) -> None:
    """Whatever names things have, the line is one line of ASCII, and as a general encoder would have it."""
    line = Written(json=True, requests="all").of(told)
    assert line.isascii()
    assert line.count("\n") == 1
    read = json.loads(line)
    assert read["message"] == inWords(told)
    wanted = fields(told)
    assert read["duration"] == pytest.approx(wanted.pop("duration"), abs=1e-6)
    assert read["extID"] == json.loads(wanted.pop("extID"))
    assert read.items() >= wanted.items()
    assert read.keys() == {"time", "level", "message", "where", "duration", "extID", *wanted}


@settings(deadline=None, max_examples=200)
@given(TOLD)
def test_peopleGetOneLine(told: Told) -> None:
    """Whatever names things have, the line for people is one line with nothing in it that a terminal would obey."""
    line = Written(requests="all").of(told)
    assert line[:-1].isprintable()
    assert line[-1] == "\n"


@pytest.mark.parametrize(
    ("status", "error", "level"),
    [
        (500, InternalError("E1"), "error"),
        (500, LedgerFailed("no", outcome="pending"), "error"),
        (500, LedgerFailed("no", outcome="void"), "warn"),
        (504, SyncTimeout("trade", 7, "pending"), "error"),
        (504, SyncTimeout("trade", 7, "void"), "warn"),
        (503, ShuttingDown(), "warn"),
        (409, Refused("no", RetCode.RET_TRADE_NO_MONEY), ""),
        (401, ManagerError("no", status=401), ""),
        (200, None, ""),
    ],
)
def test_failedOnesOnly(status: int, error: ManagerError | None, level: str) -> None:
    """Unless it is asked for more, there is a line about what failed, as important as what may have become of money."""
    told = replace(BOOKED, status=status, error=error)
    line = Written(json=True).of(told)
    assert (json.loads(line)["level"] if line else "") == level
    assert json.loads(Written(json=True, requests="all").of(told))["level"] == (level or "info")
    assert Written(json=True, requests="none").of(told) == ""


def test_level() -> None:
    """What is less important than the log's level is not said of requests either; both can be changed later."""
    written = Written(requests="all", level="error")
    assert written.of(BOOKED) == written.of(LATE) == ""
    changed = replace(Settings(), log=LogSettings(requests="all", level="info"))
    apply = [part.prepare(changed) for part in (written.log, written.lines)]
    assert written.of(BOOKED) == ""
    for each in apply:
        each()
    assert written.of(BOOKED) != ""
    written.lines.prepare(replace(Settings(), log=LogSettings(requests="failed")))()
    assert written.of(BOOKED) == ""
    assert written.of(LATE) != ""


def test_anotherObserver() -> None:
    """If the operator has another observer, it gets the same as an event."""
    got: list[LogEvent] = []
    globalLogPublisher.addObserver(got.append)
    try:
        RequestLines(None, Settings(), lambda: NOW, lambda: 0.0).told(LATE)
    finally:
        globalLogPublisher.removeObserver(got.append)
    [event] = got
    assert event["text"] == inWords(LATE)
    assert event["log_level"].name == "warn"
    assert event.items() >= fields(LATE).items()


def test_wholeDaemon() -> None:
    """Of a deposit, its repeat, a question, and of who has no token, there is a line each, in order, without data."""
    written = Written(requests="all")
    daemon = Daemon(watcher=written.lines)
    session = daemon.staff()
    written.stream.truncate(0)
    session.deposit("pay-1", 10.0, comment="the secret of Ann", traceparent=TRACE)
    daemon.settle()
    session.deposit("pay-1", 10.0, comment="the secret of Ann")
    daemon.settle()
    session.send("GetAccountByLogin", 8, {"login": 1001})
    daemon.connect().send("Ping\n\x1b[1m", "stranger\r\n")
    said = [line.split(" ", 2)[2].strip() for line in written.stream.getvalue().splitlines()]
    assert [line.split(", after")[0].split("info     ")[1] for line in said] == [
        'BalanceInSync "pay-1" of crm: 200, booked',
        'BalanceInSync "pay-1" of crm: 200, replayed',
        "GetAccountByLogin 8 of crm: 200, read",
        'an unknown command "stranger\\r\\n" of nobody: 401 PERMISSION_DENIED, untaken',
    ]
    assert "secret" not in written.stream.getvalue()
