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
from typing import Any

import ujson
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogBeginner
from zope.interface import implementer

from .errors import LedgerRefused
from .process import PACKET_MAX
from .projector import ThreadProjector

__all__ = ["main"]

# With their escapes they fit in a packet.
_TEXT_MAX = 4000


@implementer(ILogObserver)
class _Line:
    """
    To the daemon. What an operator should know is said there, so that there is one log.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def say(self, *message: Any) -> None:
        try:
            self._socket.send(ujson.dumps(message).encode("ascii"))
        except OSError:
            # The daemon is gone, which is seen when it is listened to.
            pass

    def hear(self) -> list[Any] | None:
        """What it says next; C{None} if that was all."""
        try:
            packet = self._socket.recv(PACKET_MAX)
        except OSError:
            return None
        return list(ujson.loads(packet)) if packet else None

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level", LogLevel.info)
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        self.say("log", level.name, text[:_TEXT_MAX])


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
        _follow(_Line(end), Path(logPath), Path(viewsPath))


def _follow(line: _Line, logPath: Path, viewsPath: Path) -> None:
    begin = line.hear()
    if begin is None:
        return
    globalLogBeginner.beginLoggingTo([line], redirectStandardIO=False)

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
