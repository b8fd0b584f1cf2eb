"""The projector as a process of its own: what L{process} starts, and how the two talk.

It has its end of a pair of sockets, and is told there which log to follow. When the other end is closed it finishes the
turn that it is in, if that is soon, and ends.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from typing import Any

from msgspec import Struct, convert
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner
from zope.interface import implementer

from .errors import LedgerRefused
from .following import Files
from .process import Line
from .projector import ISource, ThreadProjector

__all__ = ["main"]

# With their escapes both together fit in a packet.
_TEXT_MAX = 4000
_TRACEBACK_MAX = 6000
# How long a turn may still take when the daemon is gone. A server may take its time to answer; what is cut off there is
# undone by it.
_LAST_SECONDS = 2.0


@implementer(ILogObserver)
class _Told(Struct, frozen=True):
    """What an operator should know is said by the daemon, so that there is one log."""

    line: Line

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level", LogLevel.info)
        failure = event.get("log_failure")
        # How it ended is what one looks for.
        traceback = "" if failure is None else failure.getTraceback()[-_TRACEBACK_MAX:]
        self.line.say("log", level.name, formatEvent(event)[:_TEXT_MAX], traceback)


def main() -> None:
    """Follow the log until the daemon says that it is enough, or is gone."""
    for unheeded in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # They are the daemon's to heed.
        signal.signal(unheeded, signal.SIG_IGN)
    # A turn makes a million objects, none of them in a cycle: to look for those takes a tenth of the time.
    gc.freeze()
    gc.set_threshold(1_000_000)
    (descriptor,) = sys.argv[1:]
    with socket.socket(fileno=int(descriptor)) as end:
        _follow(Line(end))


def _source(kind: str, words: Any) -> ISource:
    """What is to be followed."""
    if kind == Files.kind:
        return convert(words, Files)
    # Not everybody has what talks to a server.
    from .postgres.following import Servers

    return convert(words, Servers)


def _next(line: Line) -> list[Any] | None:
    """What the daemon says next; C{None} if it is gone, or wants no more."""
    message = line.hear()
    return None if message == ["stop", None] else message


def _follow(line: Line) -> None:
    begin = line.hear()
    if begin is None or begin[0] != "begin":
        # The daemon's start came to nothing.
        return
    globalLogBeginner.beginLoggingTo([_Told(line)], redirectStandardIO=False)

    def tell() -> None:
        line.say("state", projector.reached, projector.made, projector.failing)

    _, made, kind, words = begin
    projector = ThreadProjector(_source(kind, words), made=made, tell=tell)
    try:
        projector.begin()
    except LedgerRefused as e:
        line.say("refused", str(e))
        return
    tell()
    finish = False
    while not finish and (message := _next(line)) is not None:
        match message:
            case ["wake", head]:
                projector.wake(head)
            case ["want", seq]:
                projector.want(seq)
            case ["suspect", seen, anew]:
                projector.suspect(seen, anew)
            case ["stop", head]:
                projector.wake(head)
                finish = True
    if finish:
        projector.stop()
    else:
        projector.stop(finish=False, seconds=_LAST_SECONDS)
        # Not by the interpreter's own end, which is none too sure while a thread waits for a server.
        os._exit(0)


if __name__ == "__main__":
    main()
