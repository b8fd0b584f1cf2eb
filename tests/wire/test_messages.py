"""Lines that come in: every good one is a request, every bad one an answer, and nothing else happens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scalemgr.wire.messages import (
    DEPTH_MAX,
    BadLine,
    ExtID,
    Request,
    decode,
    encode,
    request,
    response,
)

from .values import cleanObjects, cleanTexts, numbers

thorough = settings(deadline=None, max_examples=60)


def line(**members: Any) -> bytes:
    """A request with these members besides, or instead of, the ordinary ones."""
    return json.dumps({"command": "Ping", "extID": "a", "data": {}, **members}).encode()


def around(data: str) -> bytes:
    """A request whose C{data} is this text."""
    return ('{"command":"Ping","extID":"a","data":' + data + "}").encode()


def refusal(text: bytes) -> BadLine:
    """Why a line is no request."""
    with pytest.raises(BadLine) as caught:
        decode(text)
    assert (caught.value.error.status, caught.value.error.error) == (400, "INVALID_DATA")
    return caught.value


@thorough
@given(
    cleanTexts.filter(bool),
    st.none() | cleanTexts | numbers,
    cleanObjects,
    st.none() | st.text("abc.", min_size=1),
)
def test_requestReadsBack(command: str, extID: ExtID, data: dict[str, Any], token: str | None) -> None:
    """What a client writes with our own encoder is what the server reads."""
    assume(not data.keys() & {"__access", "__deferred"})
    found = decode(request(command, extID, data, token)[:-2])
    assert repr(found) == repr(Request(command, extID, encode(extID), data, token))


@thorough
@given(cleanObjects, st.booleans(), st.sampled_from([None, 1]), st.sampled_from([":", " : ", ": "]))
def test_dataIsReadAsTheStandardLibraryReadsIt(
    data: dict[str, Any], ascii: bool, indent: int | None, colon: str
) -> None:
    """However a client spaces and escapes its JSON, the fast parser reads what a strict one does."""
    assume(not data.keys() & {"__access", "__deferred"})
    text = json.dumps(data, ensure_ascii=ascii, indent=indent, separators=(",", colon))
    assert repr(decode(around(text)).data) == repr(json.loads(text))


@thorough
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_garbageIsAnswered(garbage: bytes) -> None:
    """Whatever comes is a request or has an answer that can be written; no other exception escapes."""
    try:
        decode(garbage)
    except BadLine as e:
        answer = json.loads(response(e.extID, e.error.status, encode(e.error.data())))
        assert (answer["extID"], answer["status"], answer["data"]["error"]) == (None, 400, "INVALID_DATA")


@thorough
@given(st.data())
def test_damageIsAnswered(data: st.DataObject) -> None:
    """A good line with a few bytes changed is a request or has an answer that can be written."""
    text = bytearray(line(data={"comment": "é: 'x'", "amount": 250.5, "list": [{"a": None}]}))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        size = data.draw(st.integers(0, 2))
        text[at : at + size] = data.draw(st.sampled_from([b'"', b"\\", b"{", b"\xff", b":", b"9", b""]))
    try:
        decode(bytes(text))
    except BadLine as e:
        answer = json.loads(response(e.extID, e.error.status, encode(e.error.data())))
        assert answer["status"] == 400


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"{",
        b'{"command":"Ping"',
        b'{"command":"Ping",}',
        b'{"command":"Ping"}x',
        b"{'command':'Ping'}",
        b'{"command":"Ping","data":tru}',
        b'{"command":"Ping","data":{"a":"\\q"}}',
        b'\xef\xbb\xbf{"command":"Ping"}',
    ],
)
def test_whatIsNotJsonIsRefused(text: bytes) -> None:
    """A line that is not JSON is answered with 400 and without an extID."""
    assert refusal(text).extID == "null"


@pytest.mark.parametrize("text", [b"[]", b"1", b'"Ping"', b"null", b"true", b"NaN", b'[{"command":"Ping","data":{}}]'])
def test_onlyAnObjectIsARequest(text: bytes) -> None:
    """JSON that is no object is not a request."""
    assert "one JSON object" in refusal(text).error.message


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"])
def test_whatIsNotUtf8IsRefused(bad: bytes) -> None:
    """Bytes that are not UTF-8, halves of surrogate pairs and overlong forms included, are refused."""
    assert "UTF-8" in refusal(b'{"command":"Ping","data":{"comment":"' + bad + b'"}}').error.message


@pytest.mark.parametrize("place", [b'{"command":"Pi%sng"}', b'{"command":"Ping","data":{"a":"%s"}}', b'{"%s":1}'])
@pytest.mark.parametrize("nul", [b"\0", b"\\u0000", b"\\\\\\u0000"], ids=["raw", "escaped", "after a backslash"])
def test_nulIsRefused(place: bytes, nul: bytes) -> None:
    """NUL is let in nowhere, raw or escaped: text in a database might end there."""
    refusal(place % nul)


@pytest.mark.parametrize("control", ["\x01", "\t", "\x1b", "\r", "\n"])
def test_rawControlCharactersAreRefused(control: str) -> None:
    """A control character inside a string must be escaped, as in strict JSON."""
    refusal(around('{"a":"' + control + '"}'))
    assert decode(around(json.dumps({"a": control}))).data == {"a": control}


def test_backslashBeforeUIsText() -> None:
    """An escaped backslash followed by u0000 or ud800 is harmless text and is kept."""
    assert decode(around(r'{"a":"\\u0000","b":"\\ud800"}')).data == {"a": r"\u0000", "b": r"\ud800"}


@pytest.mark.parametrize("half", [r"\ud800", r"\udfff", r"\ude00\ud83d", r"\ud83dx", r"\ud83d\ud83d\ude00"])
@pytest.mark.parametrize("place", ['{"a":"%s"}', '{"%s":1}', '{"a":[{"b":"x%s"}]}'])
def test_halfASurrogatePairIsRefused(half: str, place: str) -> None:
    """A string that no UTF-8 can hold is refused here, not where it would be stored."""
    refusal(around(place % half))


def test_wholeSurrogatePairIsOneCharacter() -> None:
    """A character beyond the first plane may be escaped as a pair or stand as it is."""
    assert decode(around(r'{"a":"\ud83d\ude00"}')).data == decode(around('{"a":"😀"}')).data == {"a": "😀"}


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("colons", ["", '"b":"::",'], ids=["plain", "with colons in a string"])
def test_nestingHasABound(opening: str, colons: str) -> None:
    """Nesting is let in one below and at its bound, and refused one above and far above."""
    closing = "]" if opening == "[" else "}"

    def nested(depth: int) -> bytes:
        inner = depth - 2  # The envelope and its data are two.
        return around("{" + colons + '"a":' + opening * inner + "1" + closing * inner + "}")

    for depth in (DEPTH_MAX - 1, DEPTH_MAX):
        assert "a" in decode(nested(depth)).data
    for depth in (DEPTH_MAX + 1, DEPTH_MAX + 2, 1000, 1030, 20000):
        assert refusal(nested(depth)).extID == '"a"'


def test_nestingOutsideDataCounts() -> None:
    """The bound holds for members that nobody reads, too."""
    assert decode(b'{"command":"Ping","x":' + b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1) + b"}")
    refusal(b'{"command":"Ping","x":' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}")


@pytest.mark.parametrize(
    "text",
    [
        '{"command":"Ping","command":"Pong","data":{}}',
        '{"command":"Ping","data":{},"data":{"amount":1}}',
        '{"command":"Ping","data":{"amount":1,"amount":2}}',
        '{"command":"Ping","data":{"amount":1,"amount":1}}',
        '{"command":"Ping","data":{"amount" :1,"amount"  \t : 2}}',
        '{"command":"Ping","data":{"amount":1,"\\u0061mount":2}}',
        '{"command":"Ping","data":{"a/b":1,"a\\/b":2}}',
        '{"command":"Ping","data":{"a":[0,{"b":1,"b":2}]}}',
        '{"command":"Ping","data":{"amount":1,"comment":"10:30","amount":2}}',
        '{"command":"Ping","data":{"amount":1,"amount":2,"":""}}',
        '{"command":"Ping","data":{"a:b":1,"a:b":1}}',
        '{"command":"Ping","__token":"a","__token":"b"}',
    ],
)
def test_memberGivenTwiceIsRefused(text: str) -> None:
    """A member that is given twice is refused, however it is spelled: two readers might not read the same one."""
    assert "given twice" in refusal(text.encode()).error.message


@pytest.mark.parametrize(
    "text",
    [
        '{"comment":"10:30"}',
        '{"comment":":","other":"::"}',
        '{"a:b":1}',
        '{"comment":"\\"a\\":1,\\"a\\":2"}',
        '{"a":{"x":1},"b":{"x":1}}',
        '{"a":[{"x":1},{"x":1}]}',
        '{"a":"a","b":"a"}',
        '{"a":1,"A":2,"a ":3}',
        '{"x":{"data":1,"command":2,"__token":3}}',
        '{"a":"\\u003a"}',
    ],
)
def test_whatOnlyLooksGivenTwiceIsLetIn(text: str) -> None:
    """Colons in strings and equal names in different objects are no reason to refuse a line."""
    assert decode(around(text)).data == json.loads(text)
