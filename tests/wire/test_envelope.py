"""The members of a request: what each may be, and what becomes of a line whose members are wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scalemgr.wire.messages import COMMAND_CHARACTERS_MAX, DEPTH_MAX, EXTID_BYTES_MAX, BadLine, decode

from .test_messages import line, refusal


def without(name: str) -> bytes:
    """A request that lacks a member."""
    members = json.loads(line())
    del members[name]
    return json.dumps(members).encode()


def test_boundsAreThoseThatAreDocumented() -> None:
    """A client that keeps to the documented bounds today is not refused tomorrow."""
    assert (EXTID_BYTES_MAX, COMMAND_CHARACTERS_MAX, DEPTH_MAX) == (200, 128, 32)


# -- command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [without("command"), *(line(command=c) for c in (None, "", 7, True, ["Ping"], {"a": 1}, "x" * 10_240))],
    ids=["missing", "null", "empty", "number", "bool", "list", "object", "10 kB"],
)
def test_commandMustBeAName(text: bytes) -> None:
    """A request without a usable command is refused, names the member, and keeps its extID."""
    found = refusal(text)
    assert found.extID == '"a"'
    assert found.error.details == {"field": "command"}
    assert len(found.error.message) < 200


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_commandHasABound(character: str) -> None:
    """A command may be one below and at its bound, counted in characters, and not one above."""
    for length in (1, COMMAND_CHARACTERS_MAX - 1, COMMAND_CHARACTERS_MAX):
        assert decode(line(command=character * length)).command == character * length
    refusal(line(command=character * (COMMAND_CHARACTERS_MAX + 1)))


def test_commandKeepsItsCase() -> None:
    """Names are case-sensitive and not trimmed."""
    assert decode(line(command=" pInG")).command == " pInG"


# -- data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [without("data"), line(data=None), line(data={})], ids=["missing", "null", "empty"])
def test_dataMayBeLeftOut(text: bytes) -> None:
    """A command without parameters may leave C{data} out."""
    assert decode(text).data == {}


@pytest.mark.parametrize("data", [[], [["login", 1]], "x", "", 0, 1.5, False])
def test_dataMustBeAnObject(data: object) -> None:
    """C{data} that is no object is refused, also where it is empty."""
    found = refusal(line(data=data))
    assert found.extID == '"a"'
    assert found.error.details == {"field": "data"}


@pytest.mark.parametrize("forged", [{"type": 3}, {}, None, 1])
def test_serviceMembersAreNotBelieved(forged: object) -> None:
    """What a client puts into C{__access} or C{__deferred} reaches no command."""
    found = decode(line(data={"__access": forged, "login": 1, "__deferred": forged}, __access=forged))
    assert found.data == {"login": 1}
    assert "__access" not in repr(found)


# -- token --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "read"), [("t.o.k", "t.o.k"), (None, None), ("", None)])
def test_tokenIsAStringOrNothing(given: object, read: str | None) -> None:
    """A token is read as it is; null and the empty one count as none."""
    assert decode(line(__token=given)).token == read


def test_tokenMayBeLeftOut() -> None:
    """A request need not have a token."""
    assert decode(line()).token is None


@pytest.mark.parametrize("token", [1, True, {}, ["t"]])
def test_tokenOfAnotherTypeIsRefused(token: object) -> None:
    """A token that is no string is refused, and not repeated in the answer."""
    found = refusal(line(__token=token))
    assert found.error.details == {"field": "__token"}
    assert found.extID == '"a"'


# -- extID --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extID", ["a", "", "1", "O'Brien,}", "é😀", 'q"uote', "tab\t", 0, 1, -7, 2**53, 10**30, 1.5, 1.0, -0.25, 1e300]
)
def test_extIDComesBackAsItWas(extID: object) -> None:
    """An extID is echoed with its value and its JSON type: the official clients look it up by identity."""
    found = decode(line(extID=extID))
    assert repr(found.extID) == repr(extID)
    assert repr(json.loads(found.extIDText)) == repr(extID)
    assert found.extIDText.isascii()
    assert "'" not in found.extIDText


def test_extIDsOfDifferentTypesDiffer() -> None:
    """C{1}, C{"1"} and C{1.0} are three different ids."""
    assert len({decode(line(extID=extID)).extIDText for extID in (1, "1", 1.0)}) == 3


@pytest.mark.parametrize("text", [without("extID"), line(extID=None)], ids=["missing", "null"])
def test_extIDMayBeLeftOut(text: bytes) -> None:
    """A request without an extID is a request; its answer has null there."""
    found = decode(text)
    assert found.extID is None
    assert found.extIDText == "null"


@pytest.mark.parametrize("extID", ["true", "false", "{}", '{"a":"b"}', "[]", '["a"]', "1e400", "-1e400"])
def test_extIDThatCannotBeEchoedIsRefused(extID: str) -> None:
    """An extID of another type, or a number that JSON cannot write, is refused by name and answered with null."""
    for command in ('"Ping"', "7"):
        found = refusal(b'{"command":%s,"extID":%s,"data":{}}' % (command.encode(), extID.encode()))
        assert found.extID == "null"
        assert found.error.details == {"field": "extID"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("member", ["extID", "amount"])
def test_whatIsNoNumberIsNamed(number: str, member: str) -> None:
    """What other writers of JSON put for a number that is none is refused, saying what it is."""
    found = refusal(b'{"command":"Ping","%s":%s}' % (member.encode(), number.encode()))
    assert found.error.status == 400
    assert found.error.message.endswith(f": {number.lstrip('-')} is not JSON")


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("unit", ["x", "é", "\u20ac", "'", "😀"])
def test_extIDHasABound(unit: str, escaped: bool) -> None:
    """An extID may be one below and at its bound, in bytes of UTF-8 however it is escaped, and not one above."""

    def sized(size: int) -> str:
        width = len(unit.encode())
        return unit * (size // width) + "x" * (size % width)

    def sent(extID: str) -> bytes:
        return json.dumps({"command": "Ping", "extID": extID}, ensure_ascii=escaped).encode()

    for size in (EXTID_BYTES_MAX - 1, EXTID_BYTES_MAX):
        assert decode(sent(sized(size))).extID == sized(size)
    assert refusal(sent(sized(EXTID_BYTES_MAX + 1))).extID == "null"


def test_extIDOfDigitsHasTheSameBound() -> None:
    """A number as extID may have as many digits as a string may have bytes."""
    for digits in (EXTID_BYTES_MAX - 1, EXTID_BYTES_MAX):
        assert decode(line(extID=10**digits - 1)).extIDText == "9" * digits
    assert refusal(line(extID=10**EXTID_BYTES_MAX)).extID == "null"
    refusal(b'{"command":"Ping","extID":' + b"9" * 10_000 + b"}")


# -- an extID from a line that does not parse ---------------------------------------------------------


def salvaged(text: str) -> Any:
    """The extID of the answer to a bad line."""
    with pytest.raises(BadLine) as caught:
        decode(text.encode())
    return json.loads(caught.value.extID)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"a"', "a"),
        ('""', ""),
        ('"O\'Brien,}"', "O'Brien,}"),
        ('"q\\"uote\\\\"', 'q"uote\\'),
        ('"é😀"', "é😀"),
        ("7", 7),
        ("-7", -7),
        ("0", 0),
        ("9" * 15, 10**15 - 1),
        ('"' + "x" * EXTID_BYTES_MAX + '"', "x" * EXTID_BYTES_MAX),
    ],
)
@pytest.mark.parametrize("colon", [":", " : "])
def test_extIDIsSalvaged(written: str, read: object, colon: str) -> None:
    """A line that does not parse is answered under its extID, with its type, where that can be made out."""
    text = '{"command":"Ping","extID"' + colon + written
    assert repr(salvaged(text + ',"data":{"amount":}}')) == repr(read)
    assert repr(salvaged(text + ',"data":{"a":1,"a":2}}')) == repr(read)
    assert repr(salvaged(text + ',"data":' + "[" * 2000)) == repr(read)


@pytest.mark.parametrize(
    "written",
    [
        '"raw\x01control"',
        '"' + "x" * (EXTID_BYTES_MAX + 1) + '"',
        '"' + "é" * EXTID_BYTES_MAX + '"',
        "12.5.",
        "1e400",
        "9" * 16,
        "NaN",
        "true",
        "null",
        "{",
        "",
    ],
)
def test_extIDIsNotGuessed(written: str) -> None:
    """Where the extID of a bad line cannot be made out for certain, the answer has null, not a piece of it."""
    assert salvaged('{"command":"Ping","extID":' + written + ',"data":{"amount":}}') is None


def test_extIDInsideAStringIsNotSalvaged() -> None:
    """Text that only quotes an extID is not taken for one."""
    assert salvaged('{"command":"Ping","data":{"comment":"say \\"extID\\":\\"b\\"","amount":}}') is None
