"""Where the log is, under each of the programs that start the daemon.

What decides is how each of them chooses its observer, and nothing of theirs is replaced behind its back:

- C{twist} takes what its options, which are the C{parent} of ours, have as C{fileLogObserverFactory} when the service
  is started. C{--log-file} says where to; C{--log-format} and C{--log-level} go before the settings, unless they say
  what C{twist} does by itself: that cannot be told from silence.
- C{twistd} asks the application for an C{ILogObserver}, once the service has been given its parent, which is the
  application (C{ManagerService.setServiceParent}): C{twistd scalemgr} and C{etc/scalemgr.tac} alike. C{--logger} goes
  before that in C{twistd} itself, and with C{--syslog} there is none of ours. With C{--logfile}, or in the background,
  ours writes to the file that C{twistd} would write to, which goes on in a new one after each megabyte and on SIGUSR1,
  as that does.

In the foreground the log is C{stdout}: under systemd the journal, and there is nothing to be rotated.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from getopt import GetoptError, getopt
from typing import Any, TextIO

from twisted.logger import LogLevel
from twisted.python.logfile import LogFile
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]

from ..config import Settings
from .log import Log
from .writer import Descriptor, IStream

__all__ = ["CannotLog", "Surroundings", "findLog"]

# What twistd writes to in the background, unless it is told otherwise.
_FILE = "twistd.log"


class CannotLog(Exception):
    """The log cannot be written where it should be; the message says why, for the operator."""


class Surroundings:
    """
    What a process is given by the one that starts it.

    @param argv: its own name, and the words that it was started with.
    @param time: the time of day, in unix seconds.
    """

    def __init__(
        self, argv: Sequence[str], stdout: TextIO, environ: Mapping[str, str], time: Callable[[], float]
    ) -> None:
        self.argv = argv
        self.stdout = stdout
        self.environ = environ
        self.time = time


def findLog(parent: MutableMapping[str, Any] | None, settings: Settings, given: Surroundings) -> Log | None:
    """
    The log that the program should have, and, if it is C{twist}, has from now on.

    @param parent: the options of the program; C{None}: of the C{twistd} that reads C{etc/scalemgr.tac}.
    @return: C{None}: the operator has asked for another.
    @raise CannotLog: if its file cannot be written.
    """
    if parent is not None and "fileLogObserverFactory" in parent:
        return _underTwist(parent, settings, given)
    said = _wordsOf(given.argv) if parent is None else parent
    if said.get("logger") or said.get("syslog"):
        return None
    file = said.get("logfile") or ""
    if file == "-" or (not file and (said.get("nodaemon") or said.get("debug"))):
        return _on(given.stdout, settings, given)
    return Log(_Rolling(file or _FILE), settings, given.time, json=settings.log.format != "text")


def _underTwist(parent: MutableMapping[str, Any], settings: Settings, given: Surroundings) -> Log:
    stream, level = parent["logFile"], parent["logLevel"]
    byItself = "text" if given.stdout.isatty() else "json"
    asked = parent["logFormat"] if parent["logFormat"] != byItself else ""
    log = _on(stream, settings, given, format=asked, level=None if level is LogLevel.info else level)
    parent["fileLogObserverFactory"] = lambda _: log
    # What is let through is our affair: else a level that is lowered later would not be.
    parent["logLevel"] = LogLevel.debug
    return log


def _on(
    stream: TextIO, settings: Settings, given: Surroundings, *, format: str = "", level: LogLevel | None = None
) -> Log:
    """A log on an open stream."""
    format = format or settings.log.format
    isTerminal = stream.isatty()
    colours = isTerminal and not given.environ.get("NO_COLOR") and given.environ.get("TERM") != "dumb"
    json = format == "json" or (format == "auto" and not isTerminal)
    return Log(Descriptor(stream), settings, given.time, json=json, colours=colours, level=level)


def _wordsOf(argv: Sequence[str]) -> dict[str, Any]:
    """What C{twistd} was told. It parses its words itself, but shows them to nobody whom it runs from a file."""
    known = ServerOptions()
    try:
        words, _ = getopt(list(argv[1:]), known.shortOpt, known.longOpt)
    except GetoptError:
        # It is another program that reads the file, and has an output like any other.
        return {"nodaemon": True}
    return {known.synonyms[name.lstrip("-").replace("-", "_")]: value or True for name, value in words}


class _Rolling(IStream):
    """A file that goes on in a new one when it is long enough, or when SIGUSR1 says so."""

    def __init__(self, path: str) -> None:
        try:
            self._file = LogFile.fromFullPath(path)
        except OSError as e:
            raise CannotLog(f"the log cannot be written to {path}: {e.strerror}") from e
        self._isDue = False
        if signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:
            signal.signal(signal.SIGUSR1, self._due)

    def _due(self, number: int, frame: object) -> None:
        # Whoever writes does it: a signal comes at any time.
        self._isDue = True

    def write(self, text: str, /) -> None:
        if self._isDue:
            self._isDue = False
            self._file.rotate()
        self._file.write(text)

    def flush(self) -> None:
        self._file.flush()
