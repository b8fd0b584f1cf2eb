"""How sessions end: the last words arrive, and whoever does not take its leave is cut off and forgotten."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from scalemgr.server.leaving import LINGER_S
from scalemgr.server.patience import STRANGER_REFUSALS_MAX
from scalemgr.server.protocol import ManagerProtocol

from ..helpers import LIMITS, Daemon, token


class StubbornTransport(StringTransport):
    """A peer that never closes: only aborting ends its connection, and that at once, as a real one does."""

    protocol: ManagerProtocol

    def abortConnection(self) -> None:
        super().abortConnection()
        self.protocol.connectionLost(Failure(ConnectionAborted()))


def stubborn(daemon: Daemon) -> StubbornTransport:
    """A session of such a peer."""
    transport = StubbornTransport()
    transport.protocol = daemon.factory.buildProtocol(None)
    transport.protocol.makeConnection(transport)
    return transport


def test_silentPeersGiveUpTheirPlaces() -> None:
    """Peers that connect, say nothing and never close do not hold their places: others get in after a while."""
    daemon = Daemon(limits=replace(LIMITS, sessionsMax=2, authSeconds=10))
    silent = [stubborn(daemon), stubborn(daemon)]
    daemon.clock.advance(10)
    assert [b"no valid __token within 10 seconds" in peer.value() for peer in silent] == [True, True]
    daemon.clock.advance(LINGER_S)
    assert daemon.factory.sessions() == 0
    assert daemon.staff().protocol.principal is not None


def test_stopDoesNotWaitForStubbornPeers() -> None:
    """A stop is over when every session has had its time to leave, whether it did or not."""
    daemon = Daemon()
    stubborn(daemon)
    finished = []
    daemon.factory.finish().addCallback(finished.append)
    assert finished == []
    daemon.clock.advance(LINGER_S)
    assert finished == [None]


def test_stopCanBeHurried() -> None:
    """Sessions that still wait for an answer when patience ends are cut off, and the stop is over."""
    daemon = Daemon()
    peer = stubborn(daemon)
    daemon.ledgerThread.held = True
    peer.protocol.dataReceived(
        b'{"command":"BalanceInSync","extID":"a","data":{"login":1001,"amount":1},"__token":"%s"}\n' % token().encode()
    )
    daemon.settle()
    finished = []
    daemon.factory.finish().addCallback(finished.append)
    daemon.clock.advance(1)
    assert finished == []
    daemon.factory.cutOff()
    assert finished == [None]
    daemon.ledgerThread.release()
    daemon.settle()
    assert daemon.balance() == 100


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"command":"Ping","extID":1}\n'], ids=["no JSON", "no token"])
def test_strangersMayBeWrongSoOften(line: bytes) -> None:
    """A peer without a valid token is closed when it has been refused too often, not one refusal before."""
    daemon = Daemon()
    session = daemon.connect()
    session.sendRaw(line * (STRANGER_REFUSALS_MAX - 1))
    assert len(session.lines()) == STRANGER_REFUSALS_MAX - 1
    assert not session.transport.disconnecting
    session.sendRaw(line * 3)
    last = session.lines()
    assert last[-1]["data"]["message"] == "too many lines without a valid __token"
    assert len(last) == 2
    assert session.transport.disconnecting


def test_acquaintancesMayAlwaysBeWrong() -> None:
    """A session that has shown a valid token may send as many bad lines as it likes."""
    session = Daemon().staff()
    session.sendRaw(b"nonsense\n" * (2 * STRANGER_REFUSALS_MAX))
    assert len(session.lines()) == 2 * STRANGER_REFUSALS_MAX
    session.send("Ping", 1)
    assert session.answers()[-1]["status"] == 200


def test_blankLinesCostNothing() -> None:
    """Blank lines, however many, are passed over; what stands between them is answered."""
    daemon = Daemon()
    session = daemon.staff()
    ping = b'{"command":"Ping","extID":%d}'
    session.sendRaw(b"\n" * 50_000 + ping % 1 + b"\r\n\r\n" * 50_000 + ping % 2 + b"\n")
    assert [answer["extID"] for answer in session.answers()] == [1, 2]


@pytest.mark.parametrize("before", [False, True])
def test_stopIsOverWhenPeersHaveLeft(before: bool) -> None:
    """A session that is being closed ends when its peer has closed, too, however early: nobody waits for the rest of
    its time."""
    daemon = Daemon()
    session = daemon.staff()
    alsoProvides(session.transport, ITCPTransport)
    session.transport.loseWriteConnection = lambda: None
    daemon.ledgerThread.held = True
    session.deposit("a")
    daemon.settle()
    daemon.factory.finish()
    if before:
        session.protocol.readConnectionLost()
    assert not session.transport.disconnecting
    daemon.ledgerThread.release()
    daemon.settle()
    assert session.transport.disconnecting == before
    if not before:
        session.protocol.readConnectionLost()
    assert session.transport.disconnecting
    assert [answer["status"] for answer in session.answers()] == [200]
