"""What several verbs take."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from .ending import Status, Stop, stopping

if TYPE_CHECKING:
    from ..ledger.settings import LedgerSettings

__all__ = [
    "addLedger",
    "addSkippedOrders",
    "addSpan",
    "checked",
    "folderOf",
    "folderThere",
    "ledgerSettings",
    "reaching",
    "spanOf",
]


def addLedger(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Add the words that name a ledger: one of them is said."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--ledger", metavar="URL", help="sqlite:FOLDER, or postgresql://...")
    which.add_argument("--config", type=Path, metavar="FILE", help="the daemon's configuration, which says where it is")
    return which


def ledgerSettings(options: argparse.Namespace) -> tuple[LedgerSettings, Path]:
    """
    The ledger that was named, and the folder that a relative one starts from.

    @raise Stop: if it is none that lasts, or the configuration cannot be read.
    """
    from ..ledger.settings import LedgerSettings

    if options.config is None:
        return checked(LedgerSettings(url=options.ledger), Path.cwd())
    from ..config import ConfigError, load

    with stopping(ConfigError, status=Status.WORDS):
        return checked(load(options.config).ledger, options.config.absolute().parent)


def checked(settings: LedgerSettings, base: Path) -> tuple[LedgerSettings, Path]:
    """
    The same, if they name a ledger that lasts.

    @raise Stop: if they do not.
    """
    from ..ledger.url import isPostgres

    if isPostgres(settings.url):
        from ..ledger.errors import LedgerRefused
        from ..ledger.url import ledgerAt

        # Before anything is tried: are its words what a connection string has, and is there what they are read with?
        with stopping(LedgerRefused, status=Status.WORDS):
            ledgerAt(settings, base)
    else:
        folderOf(settings, base)
    return settings, base


def folderOf(settings: LedgerSettings, base: Path) -> Path:
    """
    The folder of a ledger.

    @raise Stop: if it has none.
    """
    from ..ledger import url
    from ..ledger.errors import LedgerRefused

    with stopping(LedgerRefused, status=Status.WORDS):
        return url.folderOf(settings.url, base)


def folderThere(settings: LedgerSettings, base: Path) -> Path:
    """
    The same.

    @raise Stop: if there is no ledger in it, either.
    """
    folder = folderOf(settings, base)
    if not (folder / "log.db").exists():
        raise Stop(f"{folder / 'log.db'} does not exist, so there is no ledger to be read", Status.WORDS)
    return folder


@contextmanager
def reaching() -> Iterator[None]:
    """Where a ledger is opened: that there is none, or its server cannot be reached, has a status of its own."""
    from ..ledger.errors import LedgerMissing, LedgerUnreachable

    with stopping(LedgerMissing, status=Status.WORDS), stopping(LedgerUnreachable, status=Status.UNREACHABLE):
        yield


def addSkippedOrders(parser: argparse.ArgumentParser) -> None:
    """Add C{--skip-orders}."""
    from ..ledger.backup import SKIPPED_ORDERS

    parser.add_argument(
        "--skip-orders",
        type=_orders,
        default=SKIPPED_ORDERS,
        metavar="N",
        help="so many order numbers are not handed out: more than there can have been since the backup, so that none "
        f"is given to a second trade (default: {SKIPPED_ORDERS})",
    )


def _orders(text: str) -> int:
    if not text.isdecimal() or int(text) > 10**15:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of orders")
    return int(text)


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
