"""Connections through a proxy: whom it names is the peer; who is no proxy is not believed."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IProtocolFactory
from twisted.internet.protocol import Factory, ServerFactory
from twisted.logger import capturedLogs, eventAsText
from twisted.python.failure import Failure

from scalemgr.server.gate import GateRules, networks
from scalemgr.server.proxied import HEADER_S, WAITING_MAX
from scalemgr.wire.proxyheader import HEADER_MAX

from ..helpers import Daemon
from .secure import AUTHORITY, Doorway, Wire

PROXY = "10.0.0.5"
PROXIES = networks([PROXY, "10.1.0.0/24", "2001:db8:1::/64"])
V1 = b"PROXY TCP4 203.0.113.9 10.0.0.11 51234 8443\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([203, 0, 113, 9, 10, 0, 0, 11]) + b"\xc8\x22\x20\xfb"
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
PING = b'{"command": "Ping", "extID": "p"}\r\n'


def at(host: str) -> IAddress:
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, 40000)


class Connection:
    """One that has come in."""

    def __init__(self, daemon: Daemon, peer: IAddress, factory: IProtocolFactory | None = None) -> None:
        self.daemon = daemon
        self.wire = Wire(peerAddress=peer)
        made: Any = daemon.factory.proxies.before(factory or daemon.factory).buildProtocol(peer)
        self.protocol = made
        made.makeConnection(self.wire)

    def say(self, data: bytes) -> bytes:
        """Send something; what came back."""
        if not self.wire.aborted:
            self.protocol.dataReceived(data)
        self.daemon.settle()
        heard = self.wire.value()
        self.wire.clear()
        return heard

    def leave(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


@pytest.fixture
def daemon() -> Daemon:
    """One that believes a proxy."""
    return Daemon(gate=GateRules(proxies=PROXIES))


def peers(daemon: Daemon) -> list[str]:
    """From where its sessions are, as an operator sees them."""
    return [session.peer for session in daemon.factory.seen(100)]


@pytest.mark.parametrize("proxy", [PROXY, "10.1.0.77", "2001:db8:1::5", f"::ffff:{PROXY}"])
@pytest.mark.parametrize("header", [V1, V2])
def test_whoIsNamedIsThePeer(daemon: Daemon, proxy: str, header: bytes) -> None:
    """The session is of whom the proxy names, and what follows the header in the same piece is his."""
    connection = Connection(daemon, at(proxy))
    assert b'"status":401' in connection.say(header + PING)
    assert peers(daemon) == ["203.0.113.9"]
    connection.leave()
    assert (peers(daemon), len(daemon.factory.gate), len(daemon.factory.proxies)) == ([], 0, 0)


@pytest.mark.parametrize("header", [V1, V2])
def test_byteByByte(daemon: Daemon, header: bytes) -> None:
    """A header may come in any pieces; before it is whole there is no session."""
    connection = Connection(daemon, at(PROXY))
    for n in range(len(header)):
        assert peers(daemon) == []
        assert connection.say(header[n : n + 1]) == b""
    assert peers(daemon) == ["203.0.113.9"]
    assert b"".join(connection.say(PING[n : n + 1]) for n in range(len(PING))).count(b'"status":401') == 1
    connection.leave()


@pytest.mark.parametrize("host", ["192.0.2.7", "10.1.1.1", "2001:db8:2::1"])
def test_whoIsNoProxyIsNotBelieved(daemon: Daemon, host: str) -> None:
    """A header from elsewhere is a line that is no request: nobody can say that he is somebody else."""
    connection = Connection(daemon, at(host))
    assert b"INVALID_DATA" in connection.say(V1)
    assert peers(daemon) == [host]
    connection.leave()


def test_unixSocketsAreNoProxies(daemon: Daemon) -> None:
    """Who comes over a UNIX socket has no address that could be named."""
    connection = Connection(daemon, UNIXAddress("/run/x"))
    assert b"INVALID_DATA" in connection.say(V1)
    connection.leave()


def test_allowIsAboutWhomTheProxyNames(daemon: Daemon) -> None:
    """The proxy need not be allowed, but whom it names must be; the line says who that was."""
    daemon.factory.gate.rules = GateRules(networks(["203.0.113.0/24"]), proxies=PROXIES)
    assert b'"status":401' in Connection(daemon, at(PROXY)).say(V2 + PING)
    with capturedLogs() as logged:
        connection = Connection(daemon, at(PROXY))
        assert connection.say(V2.replace(b"\xcb\x00\x71\x09", b"\xc0\x00\x02\x01") + PING) == b""
    assert connection.wire.aborted
    assert "from 192.0.2.1 is closed: [access] allow does not name it" in eventAsText(logged[0])
    assert daemon.factory.refused["network"] == 1


def test_eachClientCountsForItself(daemon: Daemon) -> None:
    """How many connections an address may have is counted by whom the proxy names, not by the proxy."""
    daemon.factory.gate.rules = GateRules(perAddress=1, proxies=PROXIES)
    Connection(daemon, at(PROXY)).say(V1)
    other = V1.replace(b"203.0.113.9", b"203.0.113.8")
    assert Connection(daemon, at(PROXY)).say(other) == b""
    assert b"too many connections from your address" in Connection(daemon, at(PROXY)).say(V1)
    assert peers(daemon) == ["203.0.113.9", "203.0.113.8"]


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
def test_aProxyForItself(daemon: Daemon, header: bytes) -> None:
    """A proxy that names nobody is there itself, as soon as it says something."""
    connection = Connection(daemon, at(PROXY))
    assert connection.say(header) == b""
    assert peers(daemon) == []
    assert b'"status":401' in connection.say(PING)
    assert peers(daemon) == [PROXY]
    connection.leave()
    connection = Connection(daemon, at(PROXY))
    assert b'"status":401' in connection.say(header + PING)
    connection.leave()


@pytest.mark.parametrize("said", [b"", LOCAL, b"PROXY UNKNOWN\r\n"])
def test_aGlanceIsNotWorthALine(daemon: Daemon, said: bytes) -> None:
    """A proxy that connects and leaves, to see whether anybody is there, is not written down, allowed or not."""
    daemon.factory.gate.rules = GateRules(networks(["203.0.113.0/24"]), proxies=PROXIES)
    with capturedLogs() as logged:
        connection = Connection(daemon, at(PROXY))
        connection.say(said)
        connection.leave()
    assert (logged, daemon.factory.refused["proxy"], len(daemon.factory.proxies)) == ([], 0, 0)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (PING, "what it sent does not begin with a PROXY header"),
        (b"\x16\x03\x01\x02\x00", "what it sent does not begin with a PROXY header"),
        (V1.replace(b"TCP4", b"TCP5"), "its PROXY line is not as specified"),
        (V2[:15] + b"\x0b", "too short for its addresses"),
        (V2[:14] + HEADER_MAX.to_bytes(2), f"may have {HEADER_MAX}"),
    ],
)
def test_badHeader(daemon: Daemon, said: bytes, why: str) -> None:
    """A proxy that sends no header, or a bad one, is closed without a word; one line says which proxy, and why."""
    with capturedLogs() as logged:
        connection = Connection(daemon, at(PROXY))
        assert connection.say(said) == b""
        assert connection.wire.aborted
        connection.protocol.dataReceived(V1 + PING)
        connection.leave()
    assert (peers(daemon), connection.wire.value(), len(daemon.factory.proxies)) == ([], b"", 0)
    [line] = [eventAsText(event) for event in logged]
    assert f"a connection from the proxy {PROXY} is closed: " in line
    assert why in line
    assert "Ping" not in line
    assert daemon.factory.refused["proxy"] == 1


@pytest.mark.parametrize("said", [b"", V1[:-1], V2[:-1]])
def test_lateHeader(daemon: Daemon, said: bytes) -> None:
    """A header must be whole in time, however it drips."""
    with capturedLogs() as logged:
        connection = Connection(daemon, at(PROXY))
        daemon.clock.advance(HEADER_S / 2)
        connection.say(said)
        daemon.clock.advance(HEADER_S / 2 - 0.01)
        assert not connection.wire.aborted
        daemon.clock.advance(0.01)
        assert connection.wire.aborted
        connection.leave()
    [line] = [eventAsText(event) for event in logged]
    assert f"proxy {PROXY} is closed: it has sent no PROXY header within 5 seconds" in line
    # In time it has as long as anybody.
    connection = Connection(daemon, at(PROXY))
    connection.say(V1)
    daemon.clock.advance(HEADER_S + 1)
    assert not connection.wire.disconnecting
    connection.leave()


def test_aLongGlance(daemon: Daemon) -> None:
    """A proxy that is there for itself and says nothing is closed when its time is up, and that is no line either."""
    with capturedLogs() as logged:
        connection = Connection(daemon, at(PROXY))
        connection.say(LOCAL)
        daemon.clock.advance(HEADER_S)
        assert connection.wire.aborted
        connection.leave()
    assert logged == []


def test_brokenOff(daemon: Daemon) -> None:
    """A proxy that leaves in the middle of its header is worth a line."""
    with capturedLogs() as logged:
        connection = Connection(daemon, at(PROXY))
        connection.say(V2[:-1])
        connection.leave()
    assert "it has left in the middle of its PROXY header" in eventAsText(logged[0])


def test_linesAreSpared(daemon: Daemon) -> None:
    """However many bad headers come at once, a few lines a second are logged, and all are counted."""
    with capturedLogs() as logged:
        for _ in range(100):
            Connection(daemon, at(PROXY)).say(PING)
    assert (len(logged), daemon.factory.refused["proxy"]) == (10, 100)


def test_soManyMayWait(daemon: Daemon) -> None:
    """So many connections may be at their headers; one more is closed, and when one has ended there is room again."""
    waiting = [Connection(daemon, at(PROXY)) for _ in range(WAITING_MAX)]
    assert not any(connection.wire.aborted for connection in waiting)
    with capturedLogs() as logged:
        refused = Connection(daemon, at(PROXY))
    assert refused.wire.aborted
    assert f"{WAITING_MAX} others have yet to send their PROXY headers" in eventAsText(logged[0])
    refused.leave()
    waiting[0].say(V1)
    waiting[1].leave()
    assert len(daemon.factory.proxies) == WAITING_MAX - 2
    Connection(daemon, at(PROXY)).say(V1)
    assert peers(daemon) == ["203.0.113.9"] * 2
    daemon.factory.proxies.close()
    assert all(connection.wire.aborted for connection in waiting[2:])
    assert len(daemon.factory.proxies) == 0


def test_otherProxies(daemon: Daemon) -> None:
    """Which proxies are believed may change at any time, for the connections to come."""
    before = Connection(daemon, at(PROXY))
    daemon.factory.gate.rules = GateRules()
    assert b"INVALID_DATA" in Connection(daemon, at(PROXY)).say(V1)
    before.say(V1)
    assert peers(daemon) == [PROXY, "203.0.113.9"]


def test_halfClosed(daemon: Daemon) -> None:
    """A client that closes its own direction is answered through a proxy, too; before the header nobody is there."""
    connection = Connection(daemon, at(PROXY))
    assert not IHalfCloseableProtocol.providedBy(connection.protocol)
    connection.say(V1 + PING[:-4])
    assert IHalfCloseableProtocol.providedBy(connection.protocol)
    connection.protocol.readConnectionLost()
    assert b"the last line has no end" in connection.say(b"")
    connection.protocol.writeConnectionLost()
    connection.leave()


def test_factoryThatTakesNobody(daemon: Daemon) -> None:
    """What builds no session for somebody does not build one behind a proxy either."""

    class Nobody(Factory):
        def buildProtocol(self, addr: IAddress | None) -> None:
            assert addr == IPv4Address("TCP", "203.0.113.9", 51234)

    connection = Connection(daemon, at(PROXY), Nobody())
    connection.say(V1 + PING)
    assert connection.wire.aborted
    connection.leave()


def test_startAndStop(daemon: Daemon) -> None:
    """What is behind proxies is told when its port opens and closes, and is called by its own name."""
    inside = ServerFactory()
    outside: Any = daemon.factory.proxies.before(inside)
    outside.doStart()
    assert inside.numPorts == 1
    outside.doStop()
    assert inside.numPorts == 0
    assert outside.logPrefix() == "ServerFactory"


@pytest.mark.parametrize(("header", "peer"), [(V1, "203.0.113.9"), (V2, "203.0.113.9"), (LOCAL, PROXY)])
@pytest.mark.parametrize("together", [True, False])
def test_tlsBehindAProxy(tmp_path: Path, header: bytes, peer: str, together: bool) -> None:
    """The header comes before TLS, in one piece with its beginning or not; what is inside is the client's own."""
    doorway = Doorway(tmp_path)
    daemon = doorway.daemon
    daemon.factory.gate.rules = GateRules(proxies=PROXIES)
    connection = Connection(daemon, at(PROXY), doorway.door.wrap(daemon.clock, daemon.factory))
    came, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = doorway.context(AUTHORITY.client()).wrap_bio(came, going, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    if not together:
        assert connection.say(header) == b""
        header = b""
    came.write(connection.say(header + going.read()))
    tls.do_handshake()
    tls.write(PING)
    came.write(connection.say(going.read()))
    assert b'"status":401' in tls.read(65536)
    assert peers(daemon) == [peer]
    connection.leave()


def test_notAllowedBehindAProxyAndTls(tmp_path: Path) -> None:
    """Whom nobody allows is not even shaken hands with, though TLS has begun in the same piece."""
    doorway = Doorway(tmp_path)
    daemon = doorway.daemon
    daemon.factory.gate.rules = GateRules(networks(["192.0.2.0/24"]), proxies=PROXIES)
    connection = Connection(daemon, at(PROXY), doorway.door.wrap(daemon.clock, daemon.factory))
    came, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = doorway.context(AUTHORITY.client()).wrap_bio(came, going, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    assert connection.say(V2 + going.read()) == b""
    assert connection.wire.aborted
    connection.leave()
    assert daemon.factory.refused["network"] == 1
