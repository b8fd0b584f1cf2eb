"""What the tests of the runtime share."""

from __future__ import annotations

import pytest

from .house import House


@pytest.fixture
def house() -> House:
    """A daemon with two sessions of one caller."""
    return House()
