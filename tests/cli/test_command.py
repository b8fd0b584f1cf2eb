"""The command as a whole: help, examples, terminals and pipes, how it ends, what it imports."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scalemgr.cli.ending import STATUSES, Status
from scalemgr.cli.output import printable
from scalemgr.cli.progress import Progress, patience
from scalemgr.cli.verbs import VERBS, Verb
from scalemgr.ledger.audit import verify

from ..e2e.daemons import ROOT
from .conftest import Demo

Say = Callable[..., tuple[int, str, str]]
SCALEMGR = [sys.executable, "-m", "scalemgr"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "TERM": "xterm"}
PATIENCE_S = 30


# -- help -----------------------------------------------------------------------------------------------


def test_helpShowsEachVerb(said: Say) -> None:
    """Help has a line and an example for each verb, and the exit statuses; a verb's own help ends with its example."""
    status, out, _ = said("--help")
    assert status == 0
    for verb in VERBS:
        assert re.search(rf"^  {verb.name} +{re.escape(verb.help)}$", out, re.MULTILINE)
        assert f"$ {verb.example}" in out
        status, own, _ = said(verb.name, "--help")
        assert (status, own.splitlines()[-1]) == (0, f"  {verb.example}")
        assert own.startswith(f"usage: scalemgr {verb.name} ")
    assert STATUSES in out


def test_statusesAreTheSameEverywhere() -> None:
    """Help and docs have the exit statuses that there are, in the same words."""
    told = {int(number): words for number, words in re.findall(r"^  (\d+) +(.*)$", STATUSES, re.MULTILINE)}
    assert set(told) == set(Status)
    documented = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    table = {int(number): words for number, words in re.findall(r"^\| (\d+) \| (.*) \|$", documented, re.MULTILINE)}
    assert table == {number: words.replace("--key", "`--key`") for number, words in told.items()}


def test_docsHaveEachVerb() -> None:
    """The document shows each verb as help does."""
    documented = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    assert re.findall(r"^## `(\w+)`", documented, re.MULTILINE) == [verb.name for verb in VERBS]
    for verb in VERBS:
        assert f"    {verb.example}\n" in documented


def test_helpImportsNothing() -> None:
    """Help, and words that make no sense, take no time: nothing that is slow to import is."""
    code = (
        "import sys\nfrom scalemgr.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    loaded = set(ended.stderr.split())
    assert not loaded & {"twisted", "zope", "msgspec", "rich", "jwt", "cryptography", "asyncio", "sqlite3", "ujson"}


def test_noReactor() -> None:
    """No verb makes a reactor in this process."""
    code = (
        "import sys\nfrom scalemgr.cli import main\nfor verb in sys.argv[1:]:\n"
        "    try:\n        main([verb, '--help'])\n    except SystemExit:\n        pass\n"
        "sys.exit('twisted.internet.reactor' in sys.modules)"
    )
    words = [sys.executable, "-c", code, *(verb.name for verb in VERBS)]
    ended = subprocess.run(words, env=ENVIRONMENT, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


# -- examples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb.name != "demo"], ids=lambda v: v.name)
def test_examples(verb: Verb, said: Say, server: str, demo: Demo, here: Path, request: pytest.FixtureRequest) -> None:
    """Each example does what it says, on a demo: it ends with status 0 and says something."""
    said("deposit", "1001", "250.00", "--key", "payment-4711", "--comment", "Card payment")
    (here / "scalemgr.toml").write_text("")
    said("token", "--config", "scalemgr.toml", "--new-key")
    (here / "payments.csv").write_text("reference,login,amount\npayment-4711,1001,250.00\n")
    ledger = demo.ledger
    database = ""
    if verb.name in ("restore", "copy", "renew"):
        assert said("backup", "ledger-2026-11-26.db", "--ledger", f"sqlite:{ledger}")[0] == 0
        ledger = here / "new"
    if verb.name in ("copy", "renew"):
        # No daemon is at work on that one.
        assert said("restore", "ledger-2026-11-26.db", str(ledger))[0] == 0
        database = request.getfixturevalue("postgresUrl")
    if verb.name == "renew":
        assert said("copy", "--from", f"sqlite:{ledger}", "--to", database)[0] == 0
    example = verb.example.replace("/var/lib/scalemgr", str(ledger)).replace("postgresql:///scalemgr", database)
    words = shlex.split(example)
    # Who asked is the demo's manager; that day may be another.
    words = [{"crm": "demo", "2026-11-26": "2001-01-01"}.get(w, w) if verb.name == "reconcile" else w for w in words]
    status, out, err = said(*words[1:])
    assert (status, bool(out)) == (0, True), err


# -- terminals and pipes --------------------------------------------------------------------------------


def onTerminal(*words: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """What a person sees who says this, and the exit status."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*SCALEMGR, *words], env={**ENVIRONMENT, **(env or {})}, stdin=slave, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        seen = b""
        # On Linux the end is an error.
        while select.select([master], [], [], PATIENCE_S)[0]:
            try:
                got = os.read(master, 65536)
            except OSError:
                break
            seen += got
        status = process.wait(PATIENCE_S)
    os.close(master)
    return status, seen.decode().replace("\r\n", "\n")


def inPipe(*words: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """What a script reads, and the exit status."""
    ended = subprocess.run(
        [*SCALEMGR, *words], env={**ENVIRONMENT, **(env or {})}, capture_output=True, text=True, timeout=60, check=False
    )
    return ended.returncode, ended.stdout


def test_peopleAndScripts(server: str) -> None:
    """A terminal gets sentences and tables, a pipe gets JSON; --json and --text say otherwise."""
    env = {"SCALEMGR_SERVER": server}
    assert inPipe("deposit", "1001", "5", env=env)[0] == 0
    status, seen = onTerminal("statement", "1001", env=env)
    assert status == 0
    assert "1001 in demo: opening 0.00" in seen
    assert "\x1b[" in seen
    assert "\x1b[" not in onTerminal("statement", "1001", env={**env, "NO_COLOR": "1"})[1].replace(
        "\x1b[1m", ""
    ).replace("\x1b[0m", "")
    for status, text in (inPipe("statement", "1001", env=env), onTerminal("statement", "1001", "--json", env=env)):
        assert status == 0
        assert all(isinstance(json.loads(line), dict) for line in text.splitlines())
    assert "1001 in demo: opening 0.00" in inPipe("statement", "1001", "--text", env=env)[1]
    assert inPipe("account", "1001", "--text", "--json", env=env)[0] == 2


def test_whatOthersWroteIsHarmless(server: str) -> None:
    """A comment with control characters or markup in it moves no cursor and sets no colour."""
    env = {"SCALEMGR_SERVER": server}
    evil = "\x1b[2J[red]\u202ex"
    status, seen = onTerminal("deposit", "1002", "5", "--comment", evil, env=env)
    assert status == 0
    for verb in (("statement", "1002"), ("tail", "--from-seq", "0", "--login", "1002", "--count", "2")):
        status, more = onTerminal(*verb, env=env)
        assert status == 0
        seen += more
    assert "[red]" in seen
    assert "\x1b[2J" not in seen
    assert "\u202e" not in seen


def test_printable() -> None:
    """What is shown of a text is what it says, but for what would not be seen."""
    assert printable("Zahlung für Ann \u2603") == "Zahlung für Ann \u2603"
    assert printable("a\x1b[31m\n\u202e") == "a\\x1b[31m\\n\\u202e"


# -- how it ends ----------------------------------------------------------------------------------------


def test_interrupted(server: str) -> None:
    """Ctrl-C ends what would go on for ever, with status 130 and without a traceback."""
    with subprocess.Popen(
        [*SCALEMGR, "tail", "--from-seq", "0", "--server", server],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (130, "")


def test_readerHasGone(server: str) -> None:
    """Who has read enough ends it, with status 141 and without a traceback."""
    command = f"{shlex.join([*SCALEMGR, 'commands'])} | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr, len(ended.stdout.splitlines())) == (141, "", 1)


# -- progress -------------------------------------------------------------------------------------------


class _Terminal:
    """Standard error of somebody who looks."""

    def __init__(self) -> None:
        self.seen = ""

    def write(self, text: str) -> int:
        self.seen += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_barAfterTwoSeconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no bar for what takes less than two seconds, and one for what takes longer."""
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    now = 0.0
    with Progress("entries", lambda: now) as progress:
        now = 1.9
        progress(10, 100)
        assert terminal.seen == ""
        now = 2.0
        progress(20, 100)
        progress(100, 100)
    assert "entries" in terminal.seen


def test_wordAfterTwoSeconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for an answer is told so after two seconds, and not if it comes before; in a file there is no word."""
    terminal = _Terminal()
    made: list[_Timer] = []

    def after(seconds: float, do: Callable[[], None]) -> _Timer:
        made.append(_Timer(seconds, do))
        return made[-1]

    with patience("no answer yet", after):  # type: ignore[arg-type]
        pass
    assert made == []
    monkeypatch.setattr("sys.stderr", terminal)
    with patience("no answer yet", after):  # type: ignore[arg-type]
        assert (made[0].seconds, made[0].isStarted, made[0].isCancelled) == (2.0, True, False)
        made[0].do()
    assert made[0].isCancelled
    assert terminal.seen == "scalemgr: no answer yet\n"


class _Timer:
    """A timer that somebody else turns."""

    daemon = False

    def __init__(self, seconds: float, do: Callable[[], None]) -> None:
        self.seconds, self.do = seconds, do
        self.isStarted = self.isCancelled = False

    def start(self) -> None:
        self.isStarted = True

    def cancel(self) -> None:
        self.isCancelled = True


def test_noBarInPipes(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody sees a bar in a file."""
    times = iter([0.0, 10.0])
    with Progress("entries", lambda: next(times)) as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""


def test_verifyShowsHowFarItIs(demo: Demo) -> None:
    """Progress of an audit goes up to all entries, and never down."""
    told: list[tuple[int, int]] = []
    audit = verify(demo.ledger, lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (audit.seq, audit.seq)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["deposit", "1001", "1", "--token", "eyJhbGciOi.eyJpZCI6.c2ln"], "there is no --token; no word takes a token"),
        (["deposit", "1001", "1", "--token=eyJhbGciOi.eyJpZCI6.c2ln"], "there is no --token; no word takes a token"),
        (["deposit", "1001", "1", "--time", "3"], "there is no --time; did you mean --timeout?"),
        (["deposit", "1001", "1", "eyJhbGciOi.eyJpZCI6.c2ln"], "1 more word than it takes"),
        (["deposit", "eyJhbGciOi.eyJpZCI6.c2ln", "1"], "invalid int value: '(a token)'"),
        (["deposit", "1001", "1", "--server", "eyJhbGciOi.eyJpZCI6.c2ln"], "got '(a token)'"),
        (["verify", "--ledger", "sqlite:x", "secret"], "1 more word than it takes"),
    ],
)
def test_noWordIsGuessed(said: Say, words: list[str], why: str) -> None:
    """A word that is not known whole is status 2, with the usage of its verb; what may be a token is not echoed."""
    status, out, err = said(*words)
    assert (status, out) == (2, "")
    assert why in err
    assert "eyJ" not in err
    assert "secret" not in err
    assert "--server" in words or err.startswith(f"usage: scalemgr {words[0]} ")
