"""The projector as a process of its own: what L{process} starts, and how the two talk.

It has the log, to read, the views, and its end of a pair of sockets. When the other end is closed it finishes the turn
that it is in, and ends.
"""

from __future__ import annotations

import gc
import signal
import socket
import sys
from pathlib import Path

from msgspec import Struct
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner
from zope.interface import implementer

from .errors import LedgerRefused
from .process import Line
from .projector import ThreadProjector

__all__ = ["main"]

# With their escapes both together fit in a packet.
_TEXT_MAX = 4000
_TRACEBACK_MAX = 6000


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
    descriptor, logPath, viewsPath = sys.argv[1:]
    with socket.socket(fileno=int(descriptor)) as end:
        _follow(Line(end), Path(logPath), Path(viewsPath))


def _follow(line: Line, logPath: Path, viewsPath: Path) -> None:
    begin = line.hear()
    if begin is None:
        return
    globalLogBeginner.beginLoggingTo([_Told(line)], redirectStandardIO=False)

    def tell() -> None:
        line.say("state", projector.reached, projector.made, projector.failing)

    projector = ThreadProjector(logPath, viewsPath, made=begin[1], tell=tell)
    try:
        projector.begin()
    except LedgerRefused as e:
        line.say("refused", str(e))
        return
    tell()
    finish = False
    while not finish and (message := line.hear()) is not None:
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
    projector.stop(finish)


if __name__ == "__main__":
    main()
