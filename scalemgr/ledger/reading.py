"""A log to be read and nothing more, wherever it is: beside the daemons that write it, or a copy."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from .errors import LedgerRefused
from .finding import Log
from .log import SqliteLog
from .settings import LedgerSettings
from .url import folderOf, isPostgres, postgres

__all__ = ["logAt", "logIn"]


def logAt(settings: LedgerSettings, base: Path) -> Log:
    """
    The log of a ledger.

    @param base: the folder that a relative one starts from.
    @raise LedgerRefused: if there is none, or it cannot be read.
    """
    if isPostgres(settings.url):
        log: Log = postgres("auditing").readable(settings)
        return log
    return logIn(folderOf(settings.url, base) / "log.db")


def logIn(path: Path) -> Log:
    """
    The log in a file.

    @raise LedgerRefused: if it is none, or cannot be read.
    """
    try:
        return SqliteLog(path, readOnly=True)
    except sqlite3.Error as e:
        raise LedgerRefused(f"{path} is no log that can be read: {e}") from e
