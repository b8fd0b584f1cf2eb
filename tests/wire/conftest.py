"""This room is pure: nothing in it logs, waits or has a reactor, so there is nothing to lose and no need to look."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def nothingLost() -> None:
    """Instead of the look after every other test, which takes longer than most tests here."""
