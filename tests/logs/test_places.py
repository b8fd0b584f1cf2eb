"""Each program that starts the daemon gets our log, unless the operator has asked for another."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.logger import LogLevel, jsonFileLogObserver, textFileLogObserver
from twisted.python.logfile import LogFile

from scalemgr.config import Log as LogSettings
from scalemgr.config import Settings
from scalemgr.logs import places
from scalemgr.logs.log import Log
from scalemgr.logs.places import CannotLog, Surroundings, findLog

from .events import NOW, emitted

TWISTD = {"logger": None, "syslog": 0, "logfile": None, "nodaemon": 1, "debug": False}


class Output:
    """A file to write to that may say that it is a terminal."""

    def __init__(self, path: Path, terminal: bool) -> None:
        self.file = path.open("w+", encoding="utf-8")
        self.isatty = lambda: terminal
        self.flush, self.fileno, self.encoding = self.file.flush, self.file.fileno, self.file.encoding

    def said(self) -> str:
        """What was written."""
        return os.pread(self.file.fileno(), 100_000, 0).decode()


@pytest.fixture
def outputs(tmp_path: Path) -> Iterator[dict[bool, Output]]:
    """One that is a terminal, and one that is not."""
    made = {terminal: Output(tmp_path / f"{terminal}", terminal) for terminal in (False, True)}
    yield made
    for each in made.values():
        each.file.close()


@pytest.fixture(autouse=True)
def inOwnFolder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A log that goes to a file goes to none of ours, and closes it; and what is done with SIGUSR1 is undone."""
    opened: list[LogFile] = []

    class Closed(LogFile):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            opened.append(self)

    monkeypatch.setattr(places, "LogFile", Closed)
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)
    for each in opened:
        each.close()


def find(parent: Any, output: Any, *argv: str, environ: dict[str, str] | None = None, **chosen: str) -> Log | None:
    """The log under a program with these options, on this output, with these settings."""
    settings = replace(Settings(), log=LogSettings(**chosen))
    return findLog(parent, settings, Surroundings(("twistd", *argv), output, environ or {}, lambda: NOW))


def said(log: Log | None) -> None:
    """Let it say something."""
    assert log is not None
    log(emitted("hello", LogLevel.warn))


JSON = '{"time":"2025-11-22T18:40:00.250Z","level":"warn","message":"hello","where":"scalemgr.room.Room"}\n'
TEXT = "2025-11-22 18:40:00.250Z warn     hello\n"
COLOURED = "2025-11-22 18:40:00.250Z \x1b[33mwarn    \x1b[0m hello\n"


@pytest.mark.parametrize(
    ("terminal", "format", "environ", "line"),
    [
        (True, "auto", {}, COLOURED),
        (True, "auto", {"NO_COLOR": "1"}, TEXT),
        (True, "auto", {"NO_COLOR": ""}, COLOURED),
        (True, "text", {"TERM": "dumb"}, TEXT),
        (True, "json", {}, JSON),
        (False, "auto", {}, JSON),
        (False, "text", {}, TEXT),
        (False, "json", {}, JSON),
    ],
)
@pytest.mark.parametrize("way", ["twistd", "tac", "twist"])
def test_format(
    outputs: dict[bool, Output], way: str, terminal: bool, format: str, environ: dict[str, str], line: str
) -> None:
    """A terminal gets text, in colours unless the operator wants none; else there is JSON; or as it is configured."""
    output = outputs[terminal]
    parents: dict[str, Any] = {"twistd": TWISTD, "tac": None, "twist": twist(output, terminal)}
    said(find(parents[way], output, "-ny", "scalemgr.tac", environ=environ, format=format))
    assert output.said() == line


def twist(output: Any, terminal: bool, **said: Any) -> dict[str, Any]:
    """The options of C{twist} on this output."""
    return {
        "logFile": output,
        "logLevel": LogLevel.info,
        "logFormat": "text" if terminal else "json",
        "fileLogObserverFactory": textFileLogObserver if terminal else jsonFileLogObserver,
        **said,
    }


def test_twistTakesIt(outputs: dict[bool, Output]) -> None:
    """twist is given our log, and lets everything through to it."""
    options = twist(outputs[False], False)
    log = find(options, outputs[False])
    assert options["fileLogObserverFactory"](outputs[False]) is log
    assert options["logLevel"] is LogLevel.debug


def test_wordsOfTwistGoFirst(outputs: dict[bool, Output]) -> None:
    """What twist was told of format and level goes before what is configured, and stays when that is read again."""
    log = find(twist(outputs[False], False, logFormat="text", logLevel=LogLevel.error), outputs[False], level="debug")
    assert log is not None
    assert (log.json, log.least) == (False, LogLevel.error)
    log.prepare(replace(Settings(), log=LogSettings(level="info")))()
    assert log.least is LogLevel.error


def test_levelIsConfigured(outputs: dict[bool, Output]) -> None:
    """Else the level is the configured one, now and when the configuration is read again."""
    log = find(TWISTD, outputs[False], level="error")
    said(log)
    assert outputs[False].said() == ""
    assert log is not None
    log.prepare(replace(Settings(), log=LogSettings(level="warn")))()
    said(log)
    assert outputs[False].said() == JSON


@pytest.mark.parametrize(
    ("parent", "argv"),
    [
        ({**TWISTD, "logger": "acme.observer"}, ()),
        ({**TWISTD, "syslog": 1}, ()),
        (None, ("-n", "--logger", "acme.observer", "-y", "x.tac")),
        (None, ("--logger=acme.observer", "-ny", "x.tac")),
        (None, ("--syslog", "-y", "x.tac")),
    ],
)
def test_operatorsOwn(parent: Any, argv: tuple[str, ...]) -> None:
    """With an observer of the operator's own choice, or with syslog, there is no log of ours."""
    assert find(parent, StringIO(), *argv) is None


@pytest.mark.parametrize(
    ("parent", "argv", "file"),
    [
        ({**TWISTD, "nodaemon": 0}, (), "twistd.log"),
        ({**TWISTD, "logfile": "a.log"}, (), "a.log"),
        ({**TWISTD, "logfile": "a.log", "nodaemon": 0}, (), "a.log"),
        (None, ("-y", "x.tac"), "twistd.log"),
        (None, ("-l", "a.log", "-ny", "x.tac"), "a.log"),
        (None, ("--logfile=a.log", "-y", "x.tac"), "a.log"),
        (None, ("-l", "-", "-ny", "x.tac"), ""),
        (None, ("-b", "-y", "x.tac"), ""),
        (None, ("--of", "another program"), ""),
        ({**TWISTD, "logfile": "-"}, (), ""),
    ],
)
def test_file(outputs: dict[bool, Output], tmp_path: Path, parent: Any, argv: tuple[str, ...], file: str) -> None:
    """In the background, or if twistd is told so, the log goes to the file that twistd would write."""
    said(find(parent, outputs[True], *argv, environ={"NO_COLOR": "1"}))
    assert [path.name for path in tmp_path.glob("*.log")] == [file] * bool(file)
    assert (tmp_path / file).read_text() == JSON if file else outputs[True].said() == TEXT


def test_fileIsRolled(tmp_path: Path) -> None:
    """On SIGUSR1 the log goes on in a new file, as twistd's does; a handler that is there already stays."""
    log = find({**TWISTD, "logfile": "a.log"}, StringIO(), format="text")
    said(log)
    os.kill(os.getpid(), signal.SIGUSR1)
    said(log)
    said(log)
    assert (tmp_path / "a.log.1").read_text() == TEXT
    assert (tmp_path / "a.log").read_text() == TEXT + TEXT
    mine = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    find({**TWISTD, "logfile": "b.log"}, StringIO())
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN
    signal.signal(signal.SIGUSR1, mine)


def test_fileThatCannotBe() -> None:
    """A log that cannot be written stops the start, with a sentence."""
    with pytest.raises(CannotLog, match=r"^the log cannot be written to nowhere/a\.log: No such file or directory$"):
        find({**TWISTD, "logfile": "nowhere/a.log"}, StringIO())
