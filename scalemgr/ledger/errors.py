"""What goes wrong with a ledger before it can serve."""

__all__ = ["LedgerRefused"]


class LedgerRefused(Exception):
    """The ledger cannot be used as it is; the message says why and what to do, for the operator."""
