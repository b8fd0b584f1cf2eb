"""A log to be read and nothing more, wherever it is: beside the daemons that write it, or a copy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ..finance.records import Entry
from .errors import LedgerRefused
from .log import SqliteLog
from .settings import LedgerSettings
from .url import folderOf, isPostgres, postgres

__all__ = ["ILog", "logAt", "logIn"]


class ILog(Protocol):
    """
    What audits and comparisons read. (Not zope's: it stays inside this folder.)

    @ivar epoch: the name of the log.
    """

    epoch: str

    def head(self) -> int:
        """The number of the last entry; 0 if there is none."""

    def pages(self, after: int) -> Iterator[list[Entry]]:
        """All entries that follow the entry C{after}, many at a time."""

    def close(self) -> None:
        """Let go of it."""


def logAt(settings: LedgerSettings, base: Path) -> ILog:
    """
    The log of a ledger.

    @param base: the folder that a relative one starts from.
    @raise LedgerRefused: if there is none, or it cannot be read.
    """
    if isPostgres(settings.url):
        log: ILog = postgres("auditing").readable(settings)
        return log
    return logIn(folderOf(settings.url, base) / "log.db")


def logIn(path: Path) -> ILog:
    """
    The log in a file.

    @raise LedgerRefused: if it is none, or cannot be read.
    """
    try:
        return SqliteLog(path, readOnly=True)
    except sqlite3.Error as e:
        raise LedgerRefused(f"{path} is no log that can be read: {e}") from e
