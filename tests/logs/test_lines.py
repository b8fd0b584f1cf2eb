"""Lines of the log: one event each, whatever it is made of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from twisted.python import log as legacy

from scalemgr.logs.lines import (
    FIELD_CHARACTERS_MAX,
    MESSAGE_CHARACTERS_MAX,
    asJson,
    asText,
    levelOf,
    printable,
)

from .events import NOW, emitted, failed

EVIL = 'a\r\nb\x1b[2J\x00\u202e\u2028\ud800"\\'
# Also halves of surrogate pairs, which no text that came over the wire has.
TEXTS = st.text(st.characters())


def test_json() -> None:
    """A line for machines has the time, the level, what is said, by whom, and what it is about."""
    line = asJson(emitted("the ledger is {seconds:g} s late", LogLevel.warn, seconds=2.5, batch=3, ok=True, how=None))
    assert line.endswith("}\n")
    assert json.loads(line) == {
        "time": "2025-11-22T18:40:00.250Z",
        "level": "warn",
        "message": "the ledger is 2.5 s late",
        "where": "scalemgr.room.Room",
        "seconds": 2.5,
        "batch": 3,
        "ok": True,
        "how": None,
    }


def test_text() -> None:
    """A line for people has the time, the level and what is said."""
    assert asText(emitted("hello {n}", n=1)) == "2025-11-22 18:40:00.250Z info     hello 1\n"
    assert asText(emitted("oh", LogLevel.critical)) == "2025-11-22 18:40:00.250Z critical oh\n"


def test_trace() -> None:
    """The trace that a line belongs to stands at its end for people, and is a member for machines."""
    event = emitted("hm", trace_id="4b", parent_id="00")
    assert asText(event).endswith(" hm trace_id=4b parent_id=00\n")
    assert json.loads(asJson(event)).items() >= {"trace_id": "4b", "parent_id": "00"}.items()


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.dictionaries(st.text("abtimelvwhrsg_", min_size=1), TEXTS | st.integers() | st.floats() | st.none()))
def test_jsonIsOneLine(said: str, fields: dict[str, Any]) -> None:
    """Whatever an event is made of, its line is one line of ASCII, JSON, and what it must say of itself stays so."""
    event = emitted("{said}", **{**{f"f{name}": value for name, value in fields.items()}, "said": said})
    event.update({name: value for name, value in fields.items() if name in ("time", "level", "message", "where")})
    line = asJson(event)
    assert line.isascii()
    assert line.count("\n") == 1
    read = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (read["time"], read["level"], read["where"]) == ("2025-11-22T18:40:00.250Z", "info", "scalemgr.room.Room")
    assert read["message"] == said[:MESSAGE_CHARACTERS_MAX]


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_textIsOneLine(said: str) -> None:
    """Nothing that is said ends a line for people, or means something to a terminal; what can be printed stays."""
    line = asText(emitted("{said}", said=said))
    assert line[:-1].isprintable()
    assert line[-1] == "\n"
    if said.isprintable():
        assert line.endswith(f" {said}\n")


def test_escaping() -> None:
    """A peer's line ends and escapes can be read, and not obeyed."""
    assert printable(EVIL) == 'a\\r\\nb\\x1b[2J\\x00\\u202e\\u2028\\ud800"\\'
    assert printable("Zoë 漢") == "Zoë 漢"


@pytest.mark.parametrize("write", [asJson, asText])
def test_lengthIsBounded(write: Any) -> None:
    """Neither a message, nor a field, nor a traceback is as long as somebody else wants it to be."""
    huge = "x" * 10_000_000
    event = emitted("{said}", said=huge, log_failure=failed(ValueError(huge)))
    assert MESSAGE_CHARACTERS_MAX + FIELD_CHARACTERS_MAX < len(write(event)) < 30_000


def test_valuesThatAreNone() -> None:
    """What JSON does not have is text, or left out: objects never get into a line."""
    line = asJson(emitted("x", infinite=float("inf"), huge=10**400, thing=object(), data={"a": 1}, raw=b"x"))
    assert json.loads(line) == {
        "time": "2025-11-22T18:40:00.250Z",
        "level": "info",
        "message": "x",
        "where": "scalemgr.room.Room",
        "infinite": "inf",
        "huge": 10**400,
    }


def test_failure() -> None:
    """A traceback is a member for machines; for people it stands below, and no line of it looks like one of the log."""
    event = emitted("it failed", LogLevel.critical, log_failure=failed(ValueError("oh\n2025-11-22 forged\x1b[1m")))
    read = json.loads(asJson(event))
    assert read["message"] == "it failed"
    assert read["failure"].startswith("Traceback (most recent call last):\n")
    first, *rest = asText(event).splitlines()
    assert first == "2025-11-22 18:40:00.250Z critical it failed"
    assert rest[0] == "\tTraceback (most recent call last):"
    assert all(line.startswith("\t") and line[1:].isprintable() for line in rest)
    assert "\t2025-11-22 forged\\x1b[1m" in rest


def test_failureOfAnotherProcess() -> None:
    """What another process says of its failure stands where that of this one would."""
    event = emitted("it failed", log_traceback="Traceback\n  here\nKeyError: 'k'\n")
    assert json.loads(asJson(event))["failure"] == "Traceback\n  here\nKeyError: 'k'\n"
    assert asText(event).splitlines()[1:] == ["\tTraceback", "\t  here", "\tKeyError: 'k'"]
    assert "failure" not in json.loads(asJson(emitted("fine", log_traceback=None)))


def test_failureWithoutWords() -> None:
    """A failure of which nothing is said says itself what it is; one that cannot is a line all the same."""

    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert json.loads(asJson(emitted(None, log_failure=failed(KeyError("k")))))["message"] == "'k'"
    assert "Unspeakable" in json.loads(asJson(emitted("x", log_failure=failed(Unspeakable()))))["failure"]


def test_legacyFailure() -> None:
    """What Twisted's old log is told of a failure reads like any other, with its traceback where tracebacks are."""
    got: list[LogEvent] = []
    globalLogPublisher.addObserver(got.append)
    try:
        legacy.msg("chatter")
        legacy.msg(failure=failed(ValueError("v")), why="it broke", isError=1)
    finally:
        globalLogPublisher.removeObserver(got.append)
    said, broken = got
    assert levelOf(said) is LogLevel.debug
    read = json.loads(asJson(broken))
    assert (read["level"], read["message"]) == ("critical", "it broke")
    assert read["failure"].endswith("ValueError: v\n")


@pytest.mark.parametrize(
    ("namespace", "level", "taken"),
    [
        ("twisted.internet.protocol.Factory", LogLevel.info, LogLevel.debug),
        ("twisted.internet.protocol.Factory", LogLevel.warn, LogLevel.warn),
        ("log_legacy", LogLevel.info, LogLevel.debug),
        ("log_legacy", LogLevel.critical, LogLevel.critical),
        ("scalemgr.daemon.service.ManagerService", LogLevel.info, LogLevel.info),
        ("acme_scale", LogLevel.info, LogLevel.info),
        ("stdout", LogLevel.info, LogLevel.info),
    ],
)
def test_levels(namespace: str, level: LogLevel, taken: LogLevel) -> None:
    """What Twisted says of its own doings is for who debugs; its warnings, and what others say, are for everybody."""
    assert levelOf({"log_namespace": namespace, "log_level": level, "log_time": NOW}) is taken
