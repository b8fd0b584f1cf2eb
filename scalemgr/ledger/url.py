"""Which ledger: C{sqlite:FOLDER}, C{memory:}, or C{postgresql://...}, which takes the extra C{scalemgr[postgresql]}."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from ..interfaces import ILedger
from .errors import LedgerRefused
from .memory import MemoryLedger
from .process import ProcessProjector
from .settings import LedgerSettings
from .sqlite import FolderLock, SqliteLedger

__all__ = ["absolute", "folderOf", "isPostgres", "ledgerAt", "postgres", "probe", "shown"]

_KINDS = "sqlite:FOLDER, memory: or postgresql://..."
# With nothing in it that could be a password, as in a connection string whose beginning is misspelt or missing.
_HARMLESS = re.compile(r"[\w.+-]*:?")


def ledgerAt(settings: LedgerSettings, base: Path) -> ILedger:
    """
    The ledger that a URL names, not yet open. Its views are kept up by a process beside this one.

    @param base: the folder that a relative one starts from.
    @raise LedgerRefused: if it names none.
    """
    url = settings.url
    if isPostgres(url):
        ledger: ILedger = postgres("opening").ledgerOf(settings)
        return ledger
    if settings.read_url or settings.views_url:
        raise LedgerRefused(f"ledger.read_url and ledger.views_url are for PostgreSQL, and the ledger is {_told(url)}")
    if url == "memory:":
        return MemoryLedger()
    try:
        return SqliteLedger(folderOf(url, base), follow=ProcessProjector)
    except LedgerRefused:
        raise LedgerRefused(f"{_told(url)} names no ledger; expected {_KINDS}") from None


def isPostgres(url: str) -> bool:
    """Is it a connection string of PostgreSQL?"""
    return url.startswith(("postgresql:", "postgres:"))


def postgres(module: str) -> Any:
    """
    A module of L{scalemgr.ledger.postgres}, for which psycopg has to be there.

    @raise LedgerRefused: if it is not.
    """
    try:
        return import_module(f"{__package__}.postgres.{module}")
    except ImportError as e:
        if (e.name or "").partition(".")[0] != "psycopg" and "libpq" not in str(e):
            raise
        raise LedgerRefused(
            f"a ledger on PostgreSQL takes psycopg ({e}); install it with: pip install 'scalemgr[postgresql]'"
        ) from None


def shown(url: str, base: Path) -> str:
    """A URL, for people: without its password, and with the whole path of a folder."""
    if isPostgres(url):
        return str(postgres("server").shown(url))
    return f"in {folderOf(url, base).absolute()}" if url.startswith("sqlite:") else url


def absolute(url: str, base: Path) -> str:
    """The same, wherever it is read."""
    return f"sqlite:{base / folderOf(url, base)}" if url.startswith("sqlite:") else url


def probe(settings: LedgerSettings, base: Path) -> None:
    """
    See whether a ledger could be opened, as far as that can be seen without making or keeping anything.

    @raise LedgerRefused: if it surely could not.
    """
    if isinstance(ledgerAt(settings, base), SqliteLedger):
        folder = folderOf(settings.url, base)
        if (folder / "lock").exists():
            FolderLock(folder).release()


def folderOf(url: str, base: Path) -> Path:
    """
    The folder of an embedded ledger.

    @raise LedgerRefused: if the URL does not name one.
    """
    scheme, colon, folder = url.partition(":")
    if scheme != "sqlite" or not colon or not folder:
        raise LedgerRefused(f"{_told(url)} names no ledger; expected sqlite:FOLDER or postgresql://...")
    return base / folder


def _told(url: str) -> str:
    """What is no URL of a ledger, or of none that is meant here, for people: nothing of it that may be secret."""
    if _HARMLESS.fullmatch(url) or url.startswith("sqlite:"):
        return repr(url)
    return "what was given (it is not shown, for there may be a password in it)"
