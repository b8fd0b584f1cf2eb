"""What can be wrong with the demonstration."""

from __future__ import annotations

__all__ = ["Failed", "Missing"]


class Missing(Exception):
    """Something is not on this machine; the message says what, and how to come by it."""


class Failed(Exception):
    """It does not go as it should; the message says what, for whoever looks for the mistake."""
