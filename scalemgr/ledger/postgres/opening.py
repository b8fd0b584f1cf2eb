"""A gateway's ledger, of its settings."""

from __future__ import annotations

from ..process import ProcessProjector
from ..settings import LedgerSettings
from .following import Servers
from .ledger import PostgresLedger

__all__ = ["ledgerOf"]


def ledgerOf(settings: LedgerSettings) -> PostgresLedger:
    """
    A ledger, not yet open, with a process of its own that keeps the views up.

    @raise LedgerRefused: if what is set is no connection string.
    """
    return PostgresLedger(settings, follow=lambda settings: ProcessProjector(Servers(settings)))
