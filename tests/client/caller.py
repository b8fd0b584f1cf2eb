"""A caller who is killed in the midst of a deposit: C{python -m tests.client.caller ADDRESS OUTBOX STAGE}."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from scalemgr.client import Client
from scalemgr.client.aio import AsyncClient
from scalemgr.client.outbox import Outbox, OutboxFile
from scalemgr.client.requests import Requests

#: Where it is killed, from the first to the last.
STAGES = ("meant", "kept", "told that it is kept", "sent", "answered", "returned")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: type, name: str) -> None:
    """Die when this is called."""
    setattr(owner, name, lambda *args, **more: _die())


def _after(owner: type, name: str, when: Callable[[Any], bool]) -> None:
    """Die when this has been called, and something holds of what it was called on."""
    original = getattr(owner, name)

    def dying(self: Any, *args: Any) -> Any:
        result = original(self, *args)
        if when(self):
            _die()
        return result

    setattr(owner, name, dying)


def main(address: str, outbox: str, stage: str) -> None:
    """Deposit, up to that stage."""
    if stage == "meant":
        _before(Outbox, "keep")
    elif stage == "kept":
        _after(OutboxFile, "write", lambda file: True)
    elif stage == "told that it is kept":
        _before(Requests, "kept")
    elif stage == "sent":
        _after(AsyncClient, "_turn", lambda client: bool(client._core.requests._turns._inFlight))
    elif stage == "answered":
        _before(Requests, "answered")
    client = Client(address, outbox=outbox)
    client.BalanceInSync(login=1001, amount="250.00")
    _die()


if __name__ == "__main__":
    main(*sys.argv[1:])
