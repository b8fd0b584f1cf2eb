"""What several verbs take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .ending import Status, Stop, stopping

__all__ = ["addLedger", "addSpan", "ledgerFolder", "spanOf"]


def addLedger(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Add the words that name an embedded ledger: one of them is said."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--ledger", metavar="URL", help="sqlite:FOLDER")
    which.add_argument("--config", type=Path, metavar="FILE", help="the daemon's configuration, which says where it is")
    return which


def ledgerFolder(options: argparse.Namespace) -> Path:
    """
    The folder of the ledger that was named.

    @raise Stop: if there is none, or it has no folder, or the configuration cannot be read.
    """
    from ..ledger.errors import LedgerRefused
    from ..ledger.url import folderOf

    url, base = options.ledger, Path.cwd()
    if options.config is not None:
        from ..config import ConfigError, load

        with stopping(ConfigError, status=Status.WORDS):
            url, base = load(options.config).ledger.url, options.config.absolute().parent
    with stopping(LedgerRefused, status=Status.WORDS):
        folder = folderOf(url, base)
    if not (folder / "log.db").exists():
        raise Stop(f"{folder / 'log.db'} does not exist, so there is no ledger to be read", Status.WORDS)
    return folder


def addSpan(parser: argparse.ArgumentParser, fromHelp: str, toHelp: str) -> None:
    """Add C{--from} and C{--to}."""
    parser.add_argument("--from", dest="since", type=_time(atEnd=False), metavar="DATE", help=f"{fromHelp}: {_DATES}")
    parser.add_argument("--to", dest="until", type=_time(atEnd=True), metavar="DATE", help=toHelp)


_DATES = "2026-11-26 (the whole day, UTC), 2026-11-26T14:30:00, or unix seconds"


def _time(*, atEnd: bool) -> Callable[[str], int]:
    """Reads a time as unix seconds: of a day its beginning, or that of the next."""

    def read(text: str) -> int:
        if text.isdecimal() and len(text) <= 12:
            return int(text)
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no time; expected {_DATES}") from None
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        if atEnd and len(text) == len("2026-11-26"):
            found += timedelta(days=1)
        return int(found.timestamp())

    return read


def spanOf(options: argparse.Namespace) -> tuple[int, int] | None:
    """From when, and until before when, in unix seconds; C{None}: neither was said."""
    if options.since is None and options.until is None:
        return None
    return options.since or 0, _NEVER if options.until is None else options.until


_NEVER = 253402300800
