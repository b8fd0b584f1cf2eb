"""The trace that a request is a part of: kept if it is written as W3C Trace Context wants it, else ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalemgr.wire.messages import BadLine, Request, decode, request, traceIds
from scalemgr.wire.messages import _decodeAny as thorough
from scalemgr.wire.messages import _decodePlain as quick

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{CALLER}-01"


def line(**members: Any) -> bytes:
    """A request with these members besides."""
    return json.dumps({"command": "Ping", "extID": "a", "data": {"x": 1}, **members}).encode()


def test_isKept() -> None:
    """What a client sends with its request is what the server has of it."""
    assert decode(request("Ping", "a", {}, "t", traceparent=GOOD)[:-2]).traceparent == GOOD
    assert decode(request("Ping", "a", {}, "t")[:-2]).traceparent == ""
    assert b"traceparent" not in request("Ping", "a", {})


def test_isQuick() -> None:
    """A request with a trace is read by the quick look, as nearly all are."""
    found = quick(line(traceparent=GOOD))
    assert found is not None
    assert found.traceparent == GOOD


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        GOOD.upper(),
        GOOD + "-00",
        GOOD + "\n",
        " " + GOOD,
        GOOD[:-1],
        GOOD.replace("-", ":"),
        f"01-{TRACE}-{CALLER}-01",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{CALLER}-0g",
        GOOD.replace("4", "\u0664"),
        None,
        0,
        1.5,
        True,
        [GOOD],
        {"traceparent": GOOD},
        "a" * 100_000,
    ],
)
def test_aWrongOneIsIgnored(wrong: Any) -> None:
    """What is no traceparent is no error either: the request is the same one without it, to both looks."""
    assert decode(line(traceparent=wrong)) == decode(line()) == thorough(line(traceparent=wrong))


def test_givenTwiceIsGivenTwice() -> None:
    """Like any member, it may be there only once: else nobody could say which one counts."""
    twice = line(traceparent=GOOD)[:-1] + f',"traceparent":"{GOOD}"}}'.encode()
    with pytest.raises(BadLine, match="'traceparent' is given twice"):
        decode(twice)


@settings(deadline=None, max_examples=500)
@given(
    st.sampled_from(["null", "7", f'"{GOOD}"', f'"{GOOD[:-1]}"', '"a:b"', '"\\u003a"', '"\\u0000"', "[]", '{"a":1}']),
    st.sampled_from(["traceparent", "tr\\u0061ceparent", "Traceparent"]),
    st.sampled_from(["", ',"traceparent":"x"', ',"x":1', ',"traceparent":null']),
)
def test_quickIsThorough(value: str, name: str, rest: str) -> None:
    """However the member is written, the quick look takes no request for another than the thorough one does."""
    text = f'{{"command":"Ping","extID":"a","data":{{"a":1}},"{name}":{value}{rest}}}'.encode()
    try:
        whole: Request | str = thorough(text)
    except BadLine as e:
        whole = str(e)
    assert quick(text) in (None, whole)


def test_ids() -> None:
    """A log names the trace and the caller in it, of a trace that there is."""
    assert traceIds(GOOD) == {"trace_id": TRACE, "parent_id": CALLER}
    assert traceIds("") == {}
