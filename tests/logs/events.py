"""Events to log."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, Logger, LogLevel
from twisted.python.failure import Failure

#: When they happen, in unix seconds.
NOW = 1_763_836_800.25


def emitted(format: str | None, level: LogLevel = LogLevel.info, **fields: Any) -> LogEvent:
    """The event that an observer gets of what a room says."""
    got: list[LogEvent] = []
    Logger("scalemgr.room.Room", observer=got.append).emit(level, format, **fields)
    [event] = got
    return {**event, "log_time": NOW}


def failed(error: Exception) -> Failure:
    """A failure with a traceback."""
    try:
        raise error
    except Exception:
        return Failure()
