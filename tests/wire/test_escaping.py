"""Lines that leave: what every official client can read, and reads as it was meant."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalemgr.wire.codes import EventRecordType, RetCode
from scalemgr.wire.messages import Json, encode, event, request, response

from .values import objects, texts

thorough = settings(deadline=None, max_examples=60)


def phpRepaired(line: str) -> str:
    """What the official PHP client makes of a line before it parses it (``wire.md`` 6)."""
    line = re.sub(r"(?<!\\)'", '"', line)
    line = re.sub(r",\s*([}\]])", r"\1", line, flags=re.ASCII)
    return re.sub(r"[\r\n\t]", "", line)


def same(one: Any, other: Any) -> bool:
    """The same JSON value, types and order of members included."""
    return repr(one) == repr(other)


@thorough
@given(objects)
def test_encodedReadsBack(value: Any) -> None:
    """What is written is read back as the same value, of the same type, by a strict parser."""
    assert same(json.loads(encode(value)), value)


@thorough
@given(objects)
def test_encodedIsSafeOnTheWire(value: Any) -> None:
    """What is written is ASCII without a control character, so on one line, and has no apostrophe."""
    text = encode(value)
    assert text.isascii()
    assert min(text) >= " "
    assert "'" not in text


@thorough
@given(objects)
def test_encodedSurvivesThePhpClient(value: Any) -> None:
    """The repairs that the PHP client applies to every line change no value."""
    assert same(json.loads(phpRepaired(encode(value))), value)


@pytest.mark.parametrize(
    "text",
    [
        "O'Brien",
        "\\'",
        "\\\\'",
        "'",
        ",}",
        ",]",
        ",,}",
        ", }",
        ",\t}",
        ",\r\n]",
        ",\v ]",
        ",\u00a0}",
        ",'}",
        ", ,  ]}",
        '{"a": 1, }',
        "\\u0027",
        "line\r\nbreak",
        "\x00",
        "a/b",
    ],
)
def test_awkwardTextSurvivesThePhpClient(text: str) -> None:
    """The strings that the repairs aim at come through as values and as names of members."""
    encoded = encode({text: [text], "z": text})
    assert json.loads(encoded) == json.loads(phpRepaired(encoded)) == {text: [text], "z": text}


def test_unsafeWouldHaveBeenDamaged() -> None:
    """The model of the PHP client does damage what is not escaped, so the tests above can fail."""
    assert phpRepaired('{"a":"x,  }"}') == '{"a":"x}"}'
    assert phpRepaired('["O\'Brien"]') == '["O"Brien"]'
    assert phpRepaired('["a\tb"]') == '["ab"]'


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), float("-inf"), b"bytes", {1}, object()],
    ids=lambda value: str(type(value).__name__) + str(value)[:4],
)
def test_whatIsNotJsonIsRefused(value: object) -> None:
    """What JSON has no form for is refused wherever it stands, never written as something else."""
    for wrapped in (value, [value], {"a": {"b": value}}):
        with pytest.raises(ValueError, match=r"."):
            encode(wrapped)


def test_endlessNestingIsRefused() -> None:
    """A value nested without end is refused like any other that is not JSON; nothing crashes."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match=r"."):
        encode(value)


def test_encodedOnce() -> None:
    """Text that is JSON already is not encoded again; a string that looks like it is."""
    assert encode(Json('{"a":1}')) == '{"a":1}'
    assert encode('{"a":1}') == '"{\\"a\\":1}"'


@pytest.mark.parametrize("number", [250.0, -250.0, 0.1, 59.97, 1e-8, 999999999999999.0, 2**53 - 1, 10**30])
def test_numbersAreWrittenAsNumbers(number: float) -> None:
    """A number leaves as a JSON number with exactly its value; a whole float keeps its point."""
    text = encode(number)
    assert same(json.loads(text), number)
    assert Decimal(text) == Decimal(str(number))


@thorough
@given(texts, st.sampled_from([200, 400, 504]), objects)
def test_answerIsOneLine(extID: str, status: int, data: dict[str, Any]) -> None:
    """An answer is one ASCII line of three members; whatever is in its data, none of them is an event."""
    line = response(encode(extID), status, data)
    assert line.endswith(b"\r\n")
    assert line.count(b"\r") == line.count(b"\n") == 1
    assert line.isascii()
    answer = json.loads(line)
    assert list(answer) == ["extID", "status", "data"]
    assert same(answer, {"extID": extID, "status": status, "data": data})


def test_answerIsAsPublished() -> None:
    """An answer looks to the byte as on the page of the method."""
    assert response(Json('"open-1"'), 200, {"order": 1242279, "profit": 250.0}) == (
        b'{"extID":"open-1","status":200,"data":{"order":1242279,"profit":250.0}}\r\n'
    )
    assert response(Json("null"), RetCode.RET_INVALID_DATA.status, Json("{}")) == (
        b'{"extID":null,"status":400,"data":{}}\r\n'
    )


@thorough
@given(objects, st.integers(1, 2**53), st.integers(0, 10**14))
def test_eventIsOneLine(data: dict[str, Any], seq: int, timeMs: int) -> None:
    """An event is one ASCII line of five members, its time in seconds to the millisecond."""
    line = event("trade:event", EventRecordType.EV_RECORD_UPDATE, encode(data), seq, timeMs)
    assert line.endswith(b"\r\n")
    assert line.count(b"\r") == line.count(b"\n") == 1
    assert line.isascii()
    message = json.loads(line)
    assert list(message) == ["event", "type", "data", "seq", "time"]
    assert same(message["data"], data)
    assert (message["event"], message["type"], message["seq"]) == ("trade:event", 1, seq)
    assert round(message["time"] * 1000) == timeMs


def test_eventIsItsDataAsKept() -> None:
    """An event carries the data that was kept to the byte, so that a replay gives the same line."""
    line = event("trade:event", EventRecordType.EV_RECORD_ADD, Json('{"order": 7.0}'), 7, 1763836800250)
    assert line == b'{"event":"trade:event","type":0,"data":{"order": 7.0},"seq":7,"time":1763836800.25}\r\n'


def test_requestIsAsTheClientsSendIt() -> None:
    """A request has its members in the order of the official clients; the token only if there is one."""
    assert request("Ping", "a", {}, "t") == b'{"command":"Ping","extID":"a","data":{},"__token":"t"}\r\n'
    assert request("Ping", 1, {"x": "O'Brien"}) == b'{"command":"Ping","extID":1,"data":{"x":"O\\u0027Brien"}}\r\n'
