"""A gateway's ledger, of its settings."""

from __future__ import annotations

from ..errors import LedgerRefused
from ..process import ProcessProjector
from ..settings import LedgerSettings
from .following import Servers
from .ledger import PostgresLedger
from .server import Server

__all__ = ["ledgerOf"]


def ledgerOf(settings: LedgerSettings) -> PostgresLedger:
    """
    A ledger, not yet open, with a process of its own that keeps the views up.

    @raise LedgerRefused: if what is set is no connection string.
    """
    # Now, and not when somebody asks the first question.
    for name, url in (("views_url", settings.views_url), ("read_url", settings.read_url)):
        try:
            if url:
                Server(url, settings)
        except LedgerRefused as e:
            raise LedgerRefused(f"ledger.{name}: {e}") from None
    return PostgresLedger(settings, follow=lambda settings: ProcessProjector(Servers(settings)))
