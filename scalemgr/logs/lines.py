"""What one line of the log looks like.

For machines, one JSON object::

    {"time":"2025-11-22T18:40:00.250Z","level":"info","message":"listening on tcp 127.0.0.1:8080",
     "where":"scalemgr.daemon.service.ManagerService","door":"tcp 127.0.0.1:8080"}

C{where} is the logger's namespace. The event's own fields follow, as far as they are texts, numbers, booleans or null;
none takes the place of the four before them. If something has failed, C{failure} is the traceback: of C{log_failure},
or, of a failure in another process, what C{log_traceback} says. A line is ASCII, and has no space outside of a text:
what finds one kind of lines (L{scalemgr.logs.requests} has another) finds all.

For people::

    2025-11-22 18:40:00.250Z info     listening on tcp 127.0.0.1:8080

with the trace that it belongs to at its end, if there is one, and a traceback on lines of its own, each after a tab.

Times are UTC. Whatever a peer may have had a hand in can end no line and has no power over a terminal: what cannot be
printed is escaped, and how long a text may be is bounded.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import isfinite
from typing import Any, cast

from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure

from .printing import CUT, cut, printable

__all__ = ["FIELD_CHARACTERS_MAX", "LEVELS", "MESSAGE_CHARACTERS_MAX", "asJson", "asText", "levelOf"]

#: By their names, as they are configured; the least first.
LEVELS: dict[str, LogLevel] = {level.name: level for level in LogLevel.iterconstants()}

#: What is longer is cut, in characters.
MESSAGE_CHARACTERS_MAX = 4000
FIELD_CHARACTERS_MAX = 1000
# Of a longer traceback the middle is left out: how it began and how it ended is what one looks for.
_TRACEBACK_CHARACTERS_MAX = 20_000

# What twisted.python.log puts into an event beside what it is about.
_LEGACY = frozenset({"format", "isError", "failure", "printed", "system", "time", "why"})
_FIRST = frozenset({"time", "level", "message", "where"})
_TRACE = ("trace_id", "parent_id")

_COLOURS = {
    LogLevel.debug: "\x1b[2m",
    LogLevel.info: "",
    LogLevel.warn: "\x1b[33m",
    LogLevel.error: "\x1b[31m",
    LogLevel.critical: "\x1b[1;31m",
}
_PLAIN = "\x1b[0m"


def levelOf(event: LogEvent) -> LogLevel:
    """
    How important an event is. What Twisted says of itself (that a factory starts, that a port is closed) is C{debug}
    unless it is a warning; and so is what is said through C{twisted.python.log}, which cannot be told from it.
    """
    level = event.get("log_level", LogLevel.info)
    if level is LogLevel.info and event.get("log_namespace", "").startswith(("twisted.", "log_legacy")):
        level = LogLevel.debug
    return cast(LogLevel, level)


def asJson(event: LogEvent) -> str:
    """An event as a line with its end, for machines."""
    failure = _failureOf(event)
    members: dict[str, Any] = {
        "time": _time(event, "T"),
        "level": levelOf(event).name,
        "message": cut(_message(event, failure), MESSAGE_CHARACTERS_MAX),
        "where": event.get("log_namespace", ""),
    }
    for name, value in event.items():
        if not name.startswith("log_") and name not in _LEGACY and name not in _FIRST:
            if isinstance(value, str):
                members[name] = cut(value, FIELD_CHARACTERS_MAX)
            elif value is None or isinstance(value, (bool, int)):
                members[name] = value
            elif isinstance(value, float):
                members[name] = value if isfinite(value) else str(value)
    if traceback := _traceback(event, failure):
        members["failure"] = traceback
    # The standard one takes any text, also half a surrogate pair, and any integer.
    return json.dumps(members, separators=(",", ":")) + "\n"


def asText(event: LogEvent, *, colours: bool = False) -> str:
    """An event as a line with its end, for people."""
    failure = _failureOf(event)
    message = printable(_message(event, failure), MESSAGE_CHARACTERS_MAX)
    trace = "".join(f" {name}={printable(str(event[name]), FIELD_CHARACTERS_MAX)}" for name in _TRACE if name in event)
    line = textLine(_time(event, " "), levelOf(event), f"{message}{trace}", colours=colours)
    return line + "".join(f"\t{printable(part)}\n" for part in _traceback(event, failure).splitlines())


def textLine(time: str, level: LogLevel, message: str, *, colours: bool) -> str:
    """A line with its end, for people, of what can be printed."""
    colour = _COLOURS[level] if colours else ""
    return f"{time} {colour}{level.name:<8}{_PLAIN if colour else ''} {message}\n"


def timeText(seconds: float, between: str) -> str:
    """A time of the day, in unix seconds, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(between, "milliseconds").removesuffix("+00:00") + "Z"


def _time(event: LogEvent, between: str) -> str:
    return timeText(event.get("log_time", 0.0), between)


def _message(event: LogEvent, failure: Failure | None) -> str:
    if event.get("log_namespace") == "log_legacy" and failure is not None:
        # Its text is its traceback, which stands elsewhere.
        return str(event.get("why") or "unhandled error")
    text = formatEvent(event)
    return text if text or failure is None else failure.getErrorMessage()


def _failureOf(event: LogEvent) -> Failure | None:
    found = event.get("log_failure", event.get("failure"))
    return found if isinstance(found, Failure) else None


def _traceback(event: LogEvent, failure: Failure | None) -> str:
    """The traceback of what has failed; empty: nothing has."""
    try:
        text = event.get("log_traceback") or "" if failure is None else failure.getTraceback()
    except Exception as e:  # what an exception says of itself is anybody's code
        return f"there is no traceback: {type(e).__name__}"
    if len(text) <= _TRACEBACK_CHARACTERS_MAX:
        return text
    half = _TRACEBACK_CHARACTERS_MAX // 2
    return f"{text[:half]}\n{CUT}\n{text[-half:]}"
