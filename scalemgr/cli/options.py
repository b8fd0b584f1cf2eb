"""What several verbs take."""

from __future__ import annotations

import argparse
from pathlib import Path

from .ending import Stop, stopping

__all__ = ["addLedger", "ledgerFolder"]


def addLedger(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Add the words that name an embedded ledger: one of them is said."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--ledger", metavar="URL", help="sqlite:FOLDER")
    which.add_argument("--config", type=Path, metavar="FILE", help="the daemon's configuration, which says where it is")
    return which


def ledgerFolder(options: argparse.Namespace) -> Path:
    """
    The folder of the ledger that was named.

    @raise Stop: if it is none that has a folder, or the configuration cannot be read.
    """
    from ..ledger.errors import LedgerRefused
    from ..ledger.url import folderOf

    url, base = options.ledger, Path.cwd()
    if options.config is not None:
        from ..config import ConfigError, load

        with stopping(ConfigError):
            url, base = load(options.config).ledger, options.config.absolute().parent
    try:
        return folderOf(url, base)
    except LedgerRefused as e:
        raise Stop(str(e)) from e
