"""What is done with is gone at once: nothing of a request waits in a circle for the collector."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from ..helpers import Daemon, fresh

COMMANDS: dict[str, tuple[str, dict[str, Any]]] = {
    "a deposit": ("BalanceInSync", {"login": 1001, "amount": 5.0}),
    "one that is accepted": ("BalanceIn", {"login": 1001, "amount": 5.0}),
    "a refusal": ("BalanceOutSync", {"login": 1001, "amount": -1e9}),
    "a bad request": ("BalanceInSync", {"login": 1001, "amount": 0}),
    "a repeat": ("BalanceInSync", {"login": 1001, "amount": 5.0, "idempotency_key": "again"}),
    "a question": ("GetAccountByLogin", {"login": 1001}),
}


@pytest.mark.parametrize("what", COMMANDS)
def test_nothingLeft(what: str) -> None:
    """After so many of them, the collector finds nothing to do."""
    command, data = COMMANDS[what]
    daemon = Daemon()
    session = daemon.staff()

    def ask(times: int) -> None:
        for _ in range(times):
            session.send(command, fresh(), data)
            daemon.settle()
        assert len(session.answers()) == times

    ask(2)
    gc.collect()
    gc.disable()
    try:
        ask(20)
        assert gc.collect() == 0
    finally:
        gc.enable()
