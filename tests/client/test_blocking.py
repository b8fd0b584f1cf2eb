"""What only the client with a thread of its own does: what happens in that thread must not wait for it."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path

import pytest

from scalemgr.client import Client, ClientError, OutboxInUse, Outcome
from scalemgr.client.outbox import OutboxFile

from .drivers import PATIENCE_S


def left(path: Path) -> None:
    """There is something in an outbox that is not certain."""
    file = OutboxFile(path)
    file.write(
        [
            (
                "BalanceInSync",
                path.parent.name,
                f'{{"login":1001,"amount":1,"idempotency_key":"{path.parent.name}"}}',
                "",
            )
        ],
        [],
    )
    file.close()


def isFree(path: Path) -> bool:
    """Does somebody let go of an outbox, soon?"""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            OutboxFile(path).close()
        except OutboxInUse:
            time.sleep(0.01)
        else:
            return True
    return False


def test_outcomesMustNotAsk(port: int, tmp_path: Path) -> None:
    """What is told of outcomes is in the client's thread: it is refused to wait there, and the client goes on."""
    left(tmp_path / "outbox")
    raised: list[ClientError] = []
    told = threading.Event()

    def heard(outcome: Outcome) -> None:
        with pytest.raises(ClientError, match="must not wait") as caught:
            client.call("Ping")
        raised.append(caught.value)
        told.set()

    with Client(f"tcp:127.0.0.1:{port}", outbox=tmp_path / "outbox", onOutcome=heard) as client:
        client.unfinished()
        assert told.wait(PATIENCE_S)
        assert client.call("Ping").status == 200
    assert len(raised) == 1


def test_closedByWhatIsTold(port: int, tmp_path: Path) -> None:
    """It may be closed there, and lets go of its outbox."""
    left(tmp_path / "outbox")
    closed = threading.Event()

    def heard(outcome: Outcome) -> None:
        client.close()
        closed.set()

    client = Client(f"tcp:127.0.0.1:{port}", outbox=tmp_path / "outbox", onOutcome=heard)
    client.unfinished()
    assert closed.wait(PATIENCE_S)
    assert isFree(tmp_path / "outbox")


def test_forgottenInItsOwnThread(port: int, tmp_path: Path) -> None:
    """One that nobody has any more may be found by the garbage collector in its own thread, and ends all the same."""

    class Holder:
        def __init__(self) -> None:
            self.client = Client(f"tcp:127.0.0.1:{port}", outbox=tmp_path / "outbox")
            self.itself = self

    collected = threading.Event()

    def collect() -> None:
        gc.collect()
        collected.set()

    holder = Holder()
    holder.client.call("Ping")
    (engine,) = holder.client._engines.values()
    assert engine._loop is not None
    gc.disable()
    try:
        del holder
        engine._loop.call_soon_threadsafe(collect)
        assert collected.wait(PATIENCE_S)
    finally:
        gc.enable()
    assert isFree(tmp_path / "outbox")
