"""What the official clients require of every line (``wire.md`` 6), over all commands and events."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from scalemgr.commands.describe import parameters

from ..helpers import Daemon, builtIn, token
from ..record import SCRIPT
from ..wire.test_escaping import phpRepaired

#: What damages lines: quotes, what the PHP client takes for a trailing comma, line ends, what is not ASCII.
NASTY = [
    "'",
    "O'Brien",
    "\\'",
    '"',
    "a,}",
    "a, ]",
    "\r\n",
    "\t",
    "é",
    "\U0001f600",
    "\u2028",
    "</script>",
    ",}]'",
    "%s",
]
# What can be sent: a line with NUL is refused, under no extID.
_WRITTEN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
TEXT = st.one_of(st.sampled_from(NASTY), st.lists(st.sampled_from(NASTY), max_size=4).map("".join), _WRITTEN)
EXTID = st.one_of(_WRITTEN.filter(bool), st.sampled_from(NASTY), st.integers(-(2**53), 2**53).filter(bool))

#: The markers that the clients know of arrays (``wire.md`` 4); scalemgr sends none at all.
_KNOWN_MARKERS = {"t": 4, "n": 8, "sr": 2, "sc": 2}


@cache
def freeTexts(command: str) -> list[str]:
    """The parameters of a command that take any text, and do not decide what is done."""
    declared = next(parameters(c.params) for c in builtIn() if command in (c.name, *c.aliases))
    return [
        p.name for p in declared if p.name in ("comment", "name", "city", "gw_source", "gw_uuid", "api_data", "email")
    ]


def javaScript(stream: bytes) -> list[Any]:
    """The messages as the JavaScript client reads them, when each byte comes in a piece of its own."""
    text = "".join(bytes([byte]).decode("utf-8", "replace") for byte in stream)
    assert text.endswith("\r\n") or not text
    return [json.loads(frame) for frame in text.split("\r\n")[:-1]]


def php(stream: bytes) -> list[Any]:
    """The messages as the PHP client reads them."""
    return [json.loads(phpRepaired(frame)) for frame in stream.decode().split("\r\n")[:-1]]


def check(line: Any, asked: dict[str, Any]) -> None:
    """One message, as a client takes it."""
    if isinstance(line, list):
        assert len(line) >= _KNOWN_MARKERS[line[0]]
        return
    if "event" in line:
        # An event is told by this member, before anything else is looked at; it has no extID that could match.
        assert line["event"]
        assert "extID" not in line
        assert isinstance(line["data"], dict)
        return
    extID = line["extID"]
    # Found by identity, type included.
    assert json.dumps(extID) in asked
    assert extID not in (None, "", 0, False)
    assert isinstance(line["status"], int)
    assert isinstance(line["data"], dict)


@settings(deadline=None, max_examples=15, phases=[Phase.explicit, Phase.generate])
@given(
    st.lists(TEXT, min_size=3, max_size=3), st.lists(EXTID, min_size=len(SCRIPT), max_size=len(SCRIPT), unique_by=str)
)
def test_everyLine(texts: list[str], extIDs: list[Any]) -> None:
    """Every line that is ever sent, answers and events of all commands, is one frame of ASCII that both clients read as
    it was meant: what was said comes back as it was said, and each answer under the extID of its request."""
    daemon = Daemon()
    asking, hearing = daemon.connect(token()), daemon.staff()
    asked: dict[str, Any] = {}
    said: set[str] = set()
    for n, ((command, data), extID) in enumerate(zip(SCRIPT, extIDs, strict=True)):
        words = {name: texts[(n + i) % len(texts)] for i, name in enumerate(freeTexts(command)) if name in data}
        asked[json.dumps(extID)] = command
        asking.send(command, extID, {**data, **words})
        daemon.settle()
        for session in (asking, hearing):
            stream = session.raw()
            assert stream.isascii()
            assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f]|(?<!\r)\n|\r(?!\n)", stream)
            assert b"'" not in stream
            lines = [json.loads(line) for line in stream.split(b"\r\n")[:-1]]
            assert javaScript(stream) == php(stream) == lines
            for line in lines:
                check(line, asked)
                if isinstance(line, dict) and "extID" in line:
                    said.add(json.dumps(line["extID"]))
    assert said == set(asked)


@pytest.mark.parametrize("role", ["manager", "user"])
def test_then(role: str) -> None:
    """A JavaScript client that is awaited sends a command named then: it is answered like any that there is not, and
    does no harm."""
    daemon = Daemon()
    session = daemon.connect(token("1001", role))
    before = daemon.kept()
    session.send("then", "a1b2c3d4e5f6", {})
    session.send("Ping", "next", {})
    then, ping = session.answers()
    assert (then["extID"], then["status"], then["data"]["error"]) == ("a1b2c3d4e5f6", 404, "RET_INVALID_METHOD")
    assert ping["status"] == 200
    assert daemon.kept() == before
