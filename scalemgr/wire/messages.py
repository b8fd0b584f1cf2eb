"""One line of the wire, either way.

A client sends one JSON object a line, ended by CR LF (a lone LF will do)::

    {"command": "BalanceInSync", "extID": "deposit-req-1001", "data": {...}, "__token": "<jwt>"}

and gets one answer a request, in any order, matched by C{extID}::

    {"extID": "deposit-req-1001", "status": 200, "data": {...}}

with C{"replayed": true} beside the status if it is the outcome of an earlier request with the same key.
A request may also have a C{traceparent}, as W3C Trace Context writes it: the trace that it is a part of, which the
server's log then names. One that is not written so is ignored, as that specification wants it, and it is not sent back.

Events come in between, numbered by their place in the log::

    {"event": "trade:event", "type": 0, "data": {...}, "seq": 7, "time": 1763836800.25}

What holds for every line that leaves here, because the official clients need it (``wire.md`` 6): it is
ASCII, has no raw line break, and contains nothing inside a string that the PHP client's repairs would
damage. An answer never has a top-level C{event}; C{extID} comes back as it was, with its JSON type.

What holds for every line that is let in: it is UTF-8 and strict JSON, no member is given twice, no string
has a NUL or half a surrogate pair, and nothing is nested deeper than L{DEPTH_MAX}. What is read is read by
msgspec, which is as strict as that but for members given twice, NUL and depth; what is sent is written by
ujson, which can keep to ASCII. What a number may be is the business of L{scalemgr.finance.money}.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
import ujson
from msgspec import Struct, field

from .errors import InvalidData, ManagerError

__all__ = [
    "COMMAND_CHARACTERS_MAX",
    "DEPTH_MAX",
    "EXTID_BYTES_MAX",
    "BadLine",
    "ExtID",
    "Json",
    "Request",
    "decode",
    "encode",
    "event",
    "marker",
    "request",
    "response",
    "safe",
    "traceIds",
]

#: The longest C{extID}, in bytes of UTF-8 (a number: of its digits).
EXTID_BYTES_MAX = 200
#: The longest C{command}, in characters.
COMMAND_CHARACTERS_MAX = 128
#: How deep objects and lists may be nested; the envelope is 1, its C{data} 2.
DEPTH_MAX = 32

ExtID = str | int | float | None


class Json(str):
    """Text that is one JSON value already, escaped as every official client needs it."""

    __slots__ = ()


NULL = Json("null")


class BadLine(Exception):
    """
    A line that is no request.

    @ivar error: what to answer.
    @ivar extID: the C{extID} of the answer, as JSON; C{null} if none could be read.
    """

    def __init__(self, error: ManagerError, extID: Json = NULL) -> None:
        super().__init__(error.message)
        self.error = error
        self.extID = extID


class Request(Struct, frozen=True, gc=False):
    """
    What a client asks.

    @ivar command: the name of the command, 1 to L{COMMAND_CHARACTERS_MAX} characters.
    @ivar extID: the client's own id of this request, as it is echoed.
    @ivar extIDText: the same as JSON, which also tells C{1} from C{"1"}.
    @ivar data: the parameters, not yet validated.
    @ivar token: the C{__token}, or C{None}.
    @ivar traceparent: as it came, if it can be used; else empty.
    """

    command: str
    extID: ExtID
    extIDText: Json
    data: dict[str, Any]
    token: str | None
    traceparent: str = ""


# -- out ----------------------------------------------------------------------------------------------


def encode(value: Any) -> Json:
    """
    A JSON value as text. Members of an object may be L{Json} already: they go in as they are.

    @raise ValueError: for what is none: NaN, infinities, C{Decimal}s, objects of any kind.
    """
    if type(value) is Json:
        return value
    if type(value) is str and _PLAIN(value):
        return Json(f'"{value}"')
    if type(value) is dict and Json in set(map(type, value.values())):
        # Put together once: what is text already may be large.
        parts = [part for name, member in value.items() for part in (",", encode(str(name)), ":", encode(member))]
        return Json("".join(["{", *parts[1:], "}"]))
    try:
        _check(value)
        text: str = ujson.dumps(value, escape_forward_slashes=False, allow_nan=False)
    except (OverflowError, RecursionError) as e:
        raise ValueError(str(e)) from None
    # ujson writes no space and no trailing comma, so each of these can only stand inside a string.
    if "'" in text:
        text = text.replace("'", "\\u0027")
    if ",}" in text or ",]" in text or ", " in text:
        text = _PHP_TRAILING_COMMA.sub(r"\\u002c\1", text)
    return Json(text)


def safe(text: str) -> Json:
    """
    JSON that somebody else wrote, without spaces between its parts, as every official client needs it. If it is
    so already, that is found quickly.

    @raise ValueError: if it is no JSON.
    """
    if (
        not text.isascii()
        or "'" in text
        or _finds(text, ",}")
        or _finds(text, ",]")
        or _finds(text, ", ", _SPACED_COMMA)
    ):
        return encode(ujson.loads(text))
    return Json(text)


def _finds(text: str, part: str, only: re.Pattern[str] | None = None) -> bool:
    """
    Does this occur? Piece by piece, so that other threads get their turn in between.

    @param only: where this matches, too.
    """
    for start in range(0, len(text), _PIECE):
        at = text.find(part, start, start + _PIECE + 1)
        while at >= 0:
            if only is None or only.match(text, at):
                return True
            at = text.find(part, at + 1, start + _PIECE + 1)
    return False


# Text that is the same in JSON, whoever writes or reads it.
_PLAIN = re.compile(r"[A-Za-z0-9 _.:;@/+=#-]*").fullmatch
_PIECE = 1024 * 1024
_SPACED_COMMA = re.compile(r", +[}\]]")
_SCALARS = frozenset({str, int, float, bool, type(None)})


def _check(value: Any) -> None:
    """Refuse what ujson would turn into something else: it makes a Decimal a float, and asks objects for a dict."""
    parts: Iterable[Any]
    if isinstance(value, (dict, Mapping)):
        parts = value.values()
    elif isinstance(value, (list, tuple)):
        parts = value
    elif value is None or isinstance(value, (str, int, float)):
        return
    else:
        raise ValueError(f"{value!r} is not a JSON value")
    for type in set(map(builtins.type, parts)) - _SCALARS:
        if not issubclass(type, (str, int, float)):
            for part in parts:
                _check(part)
            return


# The PHP client deletes such a comma, also inside a string.
_PHP_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


def response(extID: Json, status: int, data: Mapping[str, Any] | Json, *, replayed: bool = False) -> bytes:
    """
    The answer to a request, as a line with its end.

    @param replayed: is it the outcome of an earlier request with the same key?
    """
    again = ',"replayed":true' if replayed else ""
    text = data if type(data) is Json else encode(data)
    return f'{{"extID":{extID},"status":{status}{again},"data":{text}}}\r\n'.encode("ascii")


def event(name: str, type: int, data: Json, seq: int, timeMs: int) -> bytes:
    """
    An event, as a line with its end. The same arguments give the same bytes, live or replayed.

    @param timeMs: when it was booked, in milliseconds since 1970; on the wire it is in seconds.
    """
    return f'{{"event":"{name}","type":{type},"data":{data},"seq":{seq},"time":{_seconds(timeMs)}}}\r\n'.encode("ascii")


@lru_cache(maxsize=16)
def _seconds(timeMs: int) -> str:
    """All entries of a batch have one time, and to write a float costs as much as the rest of an event."""
    return str(timeMs / 1000)


def marker(name: str, data: Mapping[str, Any]) -> bytes:
    """A line about the events of this session, which is no entry of the log and has no number."""
    return f'{{"event":"{name}","data":{encode(data)}}}\r\n'.encode("ascii")


def request(
    command: str, extID: ExtID, data: Mapping[str, Any] | Json, token: str | None = None, *, traceparent: str = ""
) -> bytes:
    """A request, as a line with its end: what a client sends."""
    envelope = {"command": command, "extID": extID, "data": data}
    if token is not None:
        envelope["__token"] = token
    if traceparent:
        envelope["traceparent"] = traceparent
    return encode(envelope).encode("ascii") + b"\r\n"


# -- in -----------------------------------------------------------------------------------------------


def decode(line: bytes) -> Request:
    """
    The request on a line (without its end).

    @raise BadLine: if there is none.
    """
    return _decodePlain(line) or _decodeAny(line)


class _Envelope(Struct, gc=False):
    command: str
    data: dict[str, Any]
    extID: str
    token: str | None = field(name="__token", default=None)
    traceparent: str | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope).decode
# As numbers: to look for a byte takes a quarter of the time that to look for bytes does.
_BRACKET, _BACKSLASH = b"[\\"


def _decodePlain(line: bytes) -> Request | None:
    """
    The request on a line, if it is as nearly all are: then a look at the whole of it shows that nothing is wrong
    with it, in a fifth of the time. C{None}: it has to be looked at piece by piece.
    """
    try:
        envelope = _ENVELOPE(line)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    data, extID, token, trace = envelope.data, envelope.extID, envelope.token, envelope.traceparent
    # A member has exactly one colon, so with no more colons than members none was given twice, and none is within
    # another but in data. A colon in the extID is counted, unless it is escaped.
    colons = len(data) + (3 if token is None else 4)
    if trace is not None:
        colons += 1
        trace = _traceparent(trace)
    if ":" in extID:
        colons += extID.count(":")
    if (
        line.count(b":") != colons
        or _BRACKET in line
        or (_BACKSLASH in line and b"\\u00" in line)
        or not _PLAIN(extID)
        or len(extID) > EXTID_BYTES_MAX
        or not 0 < len(envelope.command) <= COMMAND_CHARACTERS_MAX
        or token == ""
        or "__access" in data
        or "__deferred" in data
    ):
        return None
    return Request(envelope.command, extID, Json(f'"{extID}"'), data, token, trace or "")


def _decodeAny(line: bytes) -> Request:
    try:
        envelope = _parse(line)
    except (ValueError, RecursionError, msgspec.MsgspecError) as e:
        raise BadLine(InvalidData(f"the line is not one JSON object: {_why(e, line)}"), _salvageExtID(line)) from None
    extID = envelope.get("extID")
    extIDText = _checkExtID(extID)
    try:
        return Request(
            _checkCommand(envelope.get("command")),
            extID,
            extIDText,
            _checkData(envelope.get("data")),
            _checkToken(envelope.get("__token")),
            _traceparent(envelope.get("traceparent")),
        )
    except InvalidData as e:
        raise BadLine(e, extIDText) from None


# float() itself, so that 1e400 becomes an infinity, which is refused with the name of the member it stands for.
_DECODER = msgspec.json.Decoder(float_hook=float)


def _parse(line: bytes) -> dict[str, Any]:
    """The object that a line is, or an exception that says why not."""
    value = _DECODER.decode(line)
    if type(value) is not dict:
        raise ValueError("it is some other value")
    # A member has exactly one colon, so with no more colons than members none was given twice. If there
    # are more, they may well be inside strings; a slower parser tells.
    if line.count(b":") != _countMembers(value):
        json.loads(line, object_pairs_hook=_eachOnce)
    if b"\\u0000" in line and _ESCAPED_NUL.search(line):
        raise ValueError("a string contains NUL")
    return value


_NO_NUMBER = re.compile(rb"[:,\[]\s*-?(NaN|Infinity)")


def _why(error: Exception, line: bytes) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if found := _NO_NUMBER.search(line):
        return f"{found[1].decode()} is not JSON"
    return str(error).removeprefix("JSON is malformed: ")


def _countMembers(value: dict[str, Any]) -> int:
    """How many members all objects in a value have together."""
    count = len(value)
    level: list[Any] = [v for v in value.values() if type(v) is dict or type(v) is list]
    depth = 1
    while level:
        depth += 1
        if depth > DEPTH_MAX:
            raise ValueError("nested too deep")
        below: list[Any] = []
        for container in level:
            if type(container) is dict:
                count += len(container)
                container = container.values()
            below += [v for v in container if type(v) is dict or type(v) is list]
        level = below
    return count


_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def _eachOnce(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"{name[:40]!r} is given twice")
        seen.add(name)


def _checkExtID(extID: object) -> Json:
    """The C{extID} as JSON, or L{BadLine}: what cannot be echoed cannot be answered to."""
    if extID is None:
        return NULL
    if type(extID) is str:
        if len(extID) <= EXTID_BYTES_MAX and len(extID.encode("utf-8")) <= EXTID_BYTES_MAX:
            return encode(extID)
    elif type(extID) is int or type(extID) is float:
        try:
            text = encode(extID)
        except ValueError:  # NaN, Infinity, 1e400
            pass
        else:
            if len(text) <= EXTID_BYTES_MAX:
                return text
    raise BadLine(InvalidData(f"expected a string or a number of at most {EXTID_BYTES_MAX} bytes", field="extID"))


def _checkCommand(command: object) -> str:
    if type(command) is not str or not command or len(command) > COMMAND_CHARACTERS_MAX:
        raise InvalidData(f"expected a string of 1 to {COMMAND_CHARACTERS_MAX} characters", field="command")
    return command


def _checkData(data: object) -> dict[str, Any]:
    if data is None:
        return {}
    if type(data) is not dict:
        raise InvalidData("expected an object", field="data")
    # Service members of the server's own side; what a client puts there is never believed.
    data.pop("__access", None)
    data.pop("__deferred", None)
    return data


def _checkToken(token: object) -> str | None:
    if token is None or token == "":
        return None
    if type(token) is not str:
        raise InvalidData("expected a string", field="__token")
    return token


# Version 00: a trace and a caller within it, neither all zeros, and flags.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch


def _traceparent(value: object) -> str:
    """Who sends a wrong one has lost a trace, and no more than that."""
    return value if type(value) is str and _TRACEPARENT(value) else ""


def traceIds(traceparent: str) -> dict[str, str]:
    """What a L{Request.traceparent} says, as a log names it: nothing of one that is empty."""
    return {"trace_id": traceparent[3:35], "parent_id": traceparent[36:52]} if traceparent else {}


_EXTID = re.compile(
    r'"extID"\s*:\s*("(?:[^"\\\x00-\x1f\ufffd]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?\d{1,15})(?=\s*[,}])'
)


def _salvageExtID(line: bytes) -> Json:
    """
    The C{extID} of a line that does not parse, where it can be made out.

    An answer under another request's C{extID} would be worse than none, so it must be the only one.
    """
    if line.count(b'"extID"') != 1:
        return NULL
    found = _EXTID.search(line.decode("utf-8", "replace"))
    try:
        return NULL if found is None else _checkExtID(_DECODER.decode(found.group(1)))
    except (msgspec.MsgspecError, BadLine):
        return NULL
