"""What tests of several commands want."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from scalemgr.commands import accounts


@pytest.fixture
def cheapHash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing that is not slow on purpose."""
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
