"""The quick look at a line never sees anything else than the thorough one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalemgr.wire.messages import BadLine, decode
from scalemgr.wire.messages import _decodeAny as thorough
from scalemgr.wire.messages import _decodePlain as quick

from .values import cleanTexts, numbers

DEPOSIT = (
    '{"command":"BalanceInSync","extID":"crm:17/a-1","data":{"login":1001,"amount":250.25,"comment":"a b"},'
    '"__token":"e30.e30.x"}'
)
# What lines are made of, right and wrong.
NAMES = st.sampled_from(["command", "extID", "data", "__token", "__access", "x", "ext\\u0049D", "a:b"])
EXTIDS = st.sampled_from(
    ['"a"', '"a:b"', '"a\\u003ab"', '"\\u0000"', '"a\\/b"', '"é"', "7", "7.5", "null", "true", "[]"]
)
MEMBERS = st.sampled_from(
    [
        '"g":' + 40 * "[" + 40 * "]",
        '"a":1',
        '"a":"x:y"',
        '"a":2',
        '"b":{}',
        '"b":{"c":1}',
        '"b":[]',
        '"__access":1',
        '"d":1e400',
        '"e":NaN',
        '"f":"\\ud800"',
    ]
)
TOKENS = st.sampled_from(["null", "7"]) | st.text("a:\\", max_size=3).map(json.dumps)
DATA = st.lists(MEMBERS, max_size=4).map(lambda members: "{" + ",".join(members) + "}") | st.sampled_from(
    ["null", "[]"]
)


def said(read: Any, line: bytes) -> Any:
    """What comes of a line, to compare."""
    try:
        return repr(read(line))
    except BadLine as e:
        return str(e.extID), e.error.data()


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """Lines of which most are almost right."""
    members = [f'"command":{draw(st.sampled_from(["Ping", "", "A" * 129]).map(json.dumps))}']
    members.append(f'"extID":{draw(EXTIDS)}')
    members.append(f'"data":{draw(DATA)}')
    if draw(st.booleans()):
        members.append(f'"__token":{draw(TOKENS)}')
    if draw(st.integers(0, 3)) == 0:
        members.append(f'"{draw(NAMES)}":{draw(EXTIDS)}')
    return ("{" + ",".join(draw(st.permutations(members))) + "}").encode()


@settings(deadline=None, max_examples=1500)
@given(lines())
def test_quickIsThorough(line: bytes) -> None:
    """Whatever a line is made of, what the quick look takes for a request is that very request to the thorough one."""
    found = quick(line)
    if found is not None:
        assert repr(found) == said(thorough, line)
    assert said(decode, line) == said(thorough, line)


@settings(deadline=None, max_examples=300)
@given(cleanTexts, st.dictionaries(cleanTexts, numbers | cleanTexts | st.booleans() | st.none(), max_size=4))
def test_quickIsThoroughAboutValues(extID: str, data: dict[str, Any]) -> None:
    """Nor does it see other values: numbers, texts with colons, brackets and escapes, and names like those."""
    line = json.dumps({"command": "Ping", "extID": extID, "data": data}, ensure_ascii=bool(len(extID) % 2)).encode()
    found = quick(line)
    if found is not None:
        assert repr(found) == said(thorough, line)


def test_ordinaryLinesAreQuick() -> None:
    """The lines that nearly all clients send are read by the quick look."""
    assert quick(DEPOSIT.encode()) is not None
    assert quick(DEPOSIT.replace(',"__token":"e30.e30.x"', "").encode()) is not None


@pytest.mark.parametrize("at", range(len(DEPOSIT)))
def test_eachByteCounts(at: int) -> None:
    """A line with one byte less, or another one in its place, is to both looks the same."""
    for byte in (b"", b":", b'"', b"[", b"}", b"\\", b"\x00", b"\xff"):
        line = DEPOSIT.encode()[:at] + byte + DEPOSIT.encode()[at + 1 :]
        assert said(decode, line) == said(thorough, line)
