"""Where the lines go.

While the daemon serves, they are written by a thread of its own: a disk that is slow, or a pipe that nobody reads,
holds up nobody but the log. What cannot be written yet is kept up to L{PILE_CHARACTERS_MAX}; what comes on top is left
out, and counted, and the log says so when it is written again. Before and after, lines are written at once: what a
daemon says that does not start must be there when it ends.

(systemd's journal takes what it is sent and, beyond its own limit for a service, throws away and counts. Only when the
journal itself hangs does its socket fill.)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Condition, Thread
from typing import Protocol, TextIO

__all__ = ["PATIENCE_S", "PILE_CHARACTERS_MAX", "Descriptor", "IStream", "Writer"]

#: So much waits to be written, in characters.
PILE_CHARACTERS_MAX = 16 * 1024 * 1024
#: How long the end of the daemon waits for what is still to be written, in seconds.
PATIENCE_S = 2.0


class IStream(Protocol):
    """What lines can be written to, such as C{sys.stdout} or Twisted's C{LogFile}. (Not zope's: it stays here.)"""

    def write(self, text: str, /) -> object:
        """Take some text."""

    def flush(self) -> object:
        """Hand on what was taken."""


class Descriptor:
    """
    Writes to an open file past the stream that it has in Python: whoever is stuck in that holds it locked, and then the
    interpreter could not even end.

    @param stream: is not used any more.
    """

    def __init__(self, stream: TextIO) -> None:
        stream.flush()
        self._number = stream.fileno()
        self._encoding = stream.encoding
        # Of a text that was written in part, the rest.
        self._rest = b""

    def write(self, text: str, /) -> None:
        """
        Write all of a text, or keep what is left of it, so that no line is cut.

        @raise OSError: nothing of it was written.
        """
        data = text.encode(self._encoding, "backslashreplace")
        self._rest += data
        try:
            self.flush()
        except OSError:
            before = len(self._rest) - len(data)
            if before >= 0:
                self._rest = self._rest[:before]
                raise

    def flush(self) -> None:
        while self._rest:
            self._rest = self._rest[os.write(self._number, self._rest) :]


class Writer:
    """
    Writes lines to a stream, in the order in which they come. Any thread may give it some.

    @param leftOut: makes the line that says how many are missing.
    """

    def __init__(self, stream: IStream, leftOut: Callable[[int], str]) -> None:
        self._stream = stream
        self._leftOut = leftOut
        self._changed = Condition()
        self._pile: list[str] = []
        self._piled = 0
        self._lost = 0
        self._stopping = False
        self._stuck = False
        self._thread: Thread | None = None

    def write(self, line: str) -> None:
        """Write a line, which has its end, now or soon. Never raises."""
        with self._changed:
            if self._piled + len(line) > PILE_CHARACTERS_MAX or self._stuck:
                self._lost += 1
                return
            self._pile.append(line)
            self._piled += len(line)
            if self._thread is None:
                self._put(*self._take())
            else:
                self._changed.notify()

    def start(self) -> None:
        """From now on, do it in a thread. (Not before the daemon has put itself into the background.)"""
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what there is, and from now on do it at once; if it cannot be written in time, never again."""
        thread = self._thread
        if thread is None:
            return
        with self._changed:
            self._stopping = True
            self._changed.notify()
        thread.join(PATIENCE_S)
        with self._changed:
            self._thread = None
            self._stuck = thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pile and not self._stopping:
                    self._changed.wait()
                if not self._pile:
                    return
                lines, lost = self._take()
            self._put(lines, lost)

    def _take(self) -> tuple[list[str], int]:
        """What is to be written, and how much is missing."""
        lines, lost = self._pile, self._lost
        self._pile, self._piled, self._lost = [], 0, 0
        return lines, lost

    def _put(self, lines: list[str], lost: int) -> None:
        missing = [self._leftOut(lost)] if lost else []
        try:
            self._stream.write("".join(lines + missing))
        except Exception:
            # A full disk, a reader that has gone away: there is nobody left who could be told, until it works again.
            with self._changed:
                self._lost += len(lines) + lost
            return
        try:
            self._stream.flush()
        except Exception:  # noqa: S110
            # What the stream has taken is its to write: with the next line, or never.
            pass
