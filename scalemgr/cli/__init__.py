"""The C{scalemgr} command: a verb, its words, a status.

What a verb found is on standard output: for people on a terminal, as one JSON object a line into a pipe (or as
C{--json} and C{--text} say). What went wrong is one sentence on standard error. How it ended is the exit status, and
means the same for every verb: L{Status}.

    verbs.py      which verbs there are: a word, a line of help, an example
    ending.py     exit statuses, and how to end with one
    output.py     people, or JSON
    progress.py   a bar, where something takes longer than two seconds
    options.py    what several verbs take: a ledger, a server, a date
    words.py      how words are read

The other modules are a verb each, or a few of a kind: a function C{declare} adds the words that it takes, and sets the
function that is run with them. A module is imported only when its verb is said, so C{scalemgr --help} takes no time.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from .. import __version__
from .ending import STATUSES, Status, Stop
from .verbs import VERBS, Verb
from .words import VerbParser, withoutTokens

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """
    The entry point of the command.

    @return: the exit status.
    @raise SystemExit: with status 2 and a usage line on standard error, if the words make no sense.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if sys.stdout is None:
        sys.stdout = _unwritable()
    if sys.stderr is None:
        sys.stderr = _unwritable()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a terminal has no letters for is told as its escape: a deposit that is booked must not end as a failure.
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser(words[0] if words else "").parse_args(words)
    try:
        status = int(options.run(options))
        # Here, and not when the interpreter ends, where a reader that has gone is a traceback.
        sys.stdout.flush()
    except Stop as e:
        _say(str(e))
        return _flushed(e.status)
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    except BrokenPipeError:
        return _unread()
    except Exception:
        # Whatever it is, it may have struck after something was booked.
        traceback.print_exc()
        return _flushed(Status.UNKNOWN)
    return status


def _unwritable() -> io.TextIOWrapper:
    """
    What stands for an output that was closed before we began (C{>&-}): to write there fails, as on a full disk. It has
    the descriptor that is free, so that no file gets that, to be written into.
    """
    # Without a buffer, so that nothing is left in it that would fail again when the interpreter ends.
    return io.TextIOWrapper(io.FileIO(os.open(os.devnull, os.O_RDONLY), "w"), write_through=True)


def _say(sentence: str) -> None:
    with suppress(OSError):
        print(f"scalemgr: {withoutTokens(sentence)}", file=sys.stderr)


def _flushed(status: Status) -> Status:
    try:
        sys.stdout.flush()
    except OSError:
        _unread()
    return status


def _unread() -> Status:
    """Whoever read the output has seen enough; say nothing at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Status.UNREAD


def _parser(said: str) -> argparse.ArgumentParser:
    """
    The parser of all verbs.

    @param said: the verb that is said: only of that one more is known than its help.
    """
    width = max(len(verb.name) for verb in VERBS) + 2
    verbs = "\n".join(f"  {verb.name:{width}}{verb.help}\n  {'':{width}}$ {verb.example}" for verb in VERBS)
    parser = argparse.ArgumentParser(
        prog="scalemgr",
        usage="scalemgr VERB [words ...]",
        description="Tools for the scalemgr daemon, which `twistd scalemgr` starts.",
        epilog=f"verbs (`scalemgr VERB --help` tells all of one):\n{verbs}\n\n{STATUSES}\n\n{_OUTPUT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"scalemgr {__version__}")
    subparsers = parser.add_subparsers(
        prog="scalemgr", parser_class=VerbParser, required=True, metavar="VERB", help=argparse.SUPPRESS
    )
    for verb in VERBS:
        _addVerb(subparsers, verb, whole=verb.name == said)
    return parser


_OUTPUT = """\
output:
  For people on a terminal, one JSON object a line into a pipe; --json and --text say otherwise. What went wrong is
  a sentence on standard error. NO_COLOR is honoured."""


def _addVerb(subparsers: argparse._SubParsersAction[VerbParser], verb: Verb, *, whole: bool) -> None:
    parser = subparsers.add_parser(
        verb.name,
        description=f"{verb.help[:1].upper()}{verb.help[1:]}.",
        epilog=f"example:\n  {verb.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if whole:
        getattr(import_module(f".{verb.module}", __package__), verb.declare)(parser)
