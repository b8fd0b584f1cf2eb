"""What goes wrong with a ledger before it can serve, and with its views."""

__all__ = ["LedgerMissing", "LedgerRefused", "LedgerUnreachable", "ViewsBehind"]


class LedgerRefused(Exception):
    """The ledger cannot be used as it is; the message says why and what to do, for the operator."""


class LedgerUnreachable(LedgerRefused):
    """The server that it is on cannot be reached, or does not let us in."""


class LedgerMissing(LedgerRefused):
    """There is none."""


class ViewsBehind(ValueError):
    """The views have less than they had."""
