"""The core against a whole daemon, with the connection cut wherever it can be: applied once, told for certain."""

from __future__ import annotations

import pytest

from scalemgr.client.errors import ClientError
from scalemgr.client.session import Reply

from ..helpers import Daemon
from .wires import Joined, seqs


def whole() -> tuple[int, int]:
    """How many bytes go each way for a deposit that nothing happens to."""
    joined = Joined()
    joined.upMax = joined.downMax = 10**9
    joined.join()
    joined.ask(key="payment-1")
    assert isinstance(joined.told["it"], Reply)
    assert joined.upMax is not None
    assert joined.downMax is not None
    return 10**9 - joined.upMax, 10**9 - joined.downMax


UP, DOWN = whole()


@pytest.mark.parametrize("way", ["upMax", "downMax"])
def test_cutAtEveryByte(way: str) -> None:
    """Cut after each byte of what is asked, or of what is answered, a deposit is booked once and answered."""
    for at in range(UP if way == "upMax" else DOWN):
        joined = Joined()
        setattr(joined, way, at)
        joined.join()
        joined.ask(key="payment-1")
        assert joined.session is None, "it was not cut"
        assert joined.told == {}
        joined.join()
        reply = joined.told["it"]
        assert isinstance(reply, Reply), (at, reply)
        assert joined.daemon.balance() == 25000
        assert reply.data["balance_version"] == 1


def test_lostAnswerIsReplayed() -> None:
    """If it was booked and the answer was lost, the answer is the first one's, and says so."""
    joined = Joined()
    joined.downMax = DOWN - 1
    joined.join()
    joined.ask()
    assert joined.daemon.balance() == 25000
    joined.join()
    reply = joined.told["it"]
    assert isinstance(reply, Reply)
    assert reply.replayed


def test_refusalSurvivesACut() -> None:
    """A refusal that was lost is the same refusal, though by now it would be granted."""
    joined = Joined()
    joined.downMax = 40
    joined.join()
    joined.ask(command="BalanceOutSync", data={"login": 1001, "amount": -5})
    assert joined.session is None
    joined.join()
    refused = joined.told["it"]
    assert isinstance(refused, ClientError)
    assert "not enough money" in str(refused)


def test_voidIsRepeated() -> None:
    """A ledger that is stuck makes 504s, void and pending; each deposit is booked once all the same."""
    joined = Joined()
    joined.join()
    daemon = joined.daemon
    daemon.ledgerThread.held = True
    for n in range(3):
        joined.ask(n, data={"login": 1001, "amount": 10})
    for _ in range(8):
        daemon.clock.advance(1)
        joined.pump()
        joined.advance(1)
    daemon.ledgerThread.release()
    for _ in range(12):
        daemon.clock.advance(1)
        joined.pump()
        joined.advance(1)
    assert all(isinstance(joined.told[n], Reply) for n in range(3)), joined.told
    assert daemon.balance() == 3000


def test_stoppingDaemonIsWaitedFor() -> None:
    """503 while the daemon stops; the next one, on the same ledger, books it."""
    first = Daemon()
    joined = Joined(first)
    joined.join()
    first.dispatcher.stopping = True
    joined.ask()
    joined.advance(1)
    assert joined.told == {}
    joined.part()
    first.dispatcher.stopping = False
    joined.join()
    joined.advance(5)
    assert isinstance(joined.told["it"], Reply)
    assert first.balance() == 25000


def test_eventsAcrossCuts() -> None:
    """With the connection cut after every so many bytes, each event comes once, in order."""
    for step in (97, 331, 1009):
        joined = Joined()
        other = joined.daemon.staff()
        follower = joined.follow(fromSeq=0)
        heard: list[int] = []
        for round in range(60):
            joined.downMax = step * (1 + round % 3)
            if joined.session is None:
                joined.join()
            if round < 20:
                other.deposit(f"d-{round}")
                joined.daemon.settle()
                other.raw()
            joined.pump()
            heard += seqs(follower)
        joined.downMax = None
        if joined.session is None:
            joined.join()
        joined.pump()
        heard += seqs(follower)
        last = joined.daemon.ledger.book.seq
        assert heard == list(range(1, last + 1))
