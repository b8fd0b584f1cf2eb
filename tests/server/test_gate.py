"""Who may come in: from where, and how many from one address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, eventAsText

from scalemgr.server.gate import Gate, GateRules, networks
from scalemgr.server.protocol import ManagerProtocol
from scalemgr.server.sparing import Sparing

from ..helpers import Daemon


def at(host: str) -> IAddress:
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, 40000)


# -- from where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allow", "host", "isAllowed"),
    [
        ([], "203.0.113.9", True),
        ([], "2001:db8::9", True),
        (["10.1.0.0/16"], "10.1.255.255", True),
        (["10.1.0.0/16"], "10.2.0.0", False),
        (["10.1.0.0/16"], "10.0.255.255", False),
        (["10.1.0.0/16"], "::ffff:10.1.2.3", True),
        (["10.1.0.0/16"], "::ffff:10.2.2.3", False),
        (["10.1.0.0/16"], "2001:db8::9", False),
        (["0.0.0.0/0"], "2001:db8::9", False),
        (["192.0.2.7"], "192.0.2.7", True),
        (["192.0.2.7"], "192.0.2.8", False),
        (["192.0.2.7", "2001:db8::/32"], "2001:db8:ffff::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["fe80::/10"], "fe80::1%eth0", True),
    ],
)
def test_allow(allow: list[str], host: str, isAllowed: bool) -> None:
    """A connection is taken from the networks that are named, or from everywhere if none is."""
    gate = Gate(GateRules(networks(allow)))
    assert gate.isAllowed(at(host)) is isAllowed


@pytest.mark.parametrize("peer", [UNIXAddress("/run/x"), None])
def test_noAddress(peer: IAddress | None) -> None:
    """What has no address, such as a UNIX socket, is always taken, and any number of it."""
    gate = Gate(GateRules(networks(["10.0.0.0/8"]), 1))
    assert gate.isAllowed(peer)
    assert gate.enter(peer)
    assert gate.enter(peer)
    gate.leave(peer)
    assert len(gate) == 0


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.1.2.3/16", "localhost", "10.0.0", "2001:db8::/129", "x" * 99])
def test_noNetwork(text: str) -> None:
    """What is no network is refused, and repeated so that it can be found."""
    with pytest.raises(ValueError, match=r"is no address and no network") as caught:
        networks(["10.0.0.0/8", text])
    assert repr(text) in str(caught.value)


# -- how many -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "isSame"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ],
)
def test_whatCountsTogether(one: str, other: str, isSame: bool) -> None:
    """Connections of one address count together, and IPv6 addresses with all of their /64."""
    gate = Gate(GateRules(perAddress=1))
    assert gate.enter(at(one))
    assert gate.enter(at(other)) is not isSame


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1"]))))
def test_countIsWhatIsThere(steps: list[tuple[bool, str]]) -> None:
    """However they come and go, at most so many of each address are in, and nobody who has left is remembered."""
    gate = Gate(GateRules(perAddress=2))
    inside: list[str] = []
    for comes, host in steps:
        if comes:
            assert gate.enter(at(host)) is (inside.count(host) < 2)
            if inside.count(host) < 2:
                inside.append(host)
        elif host in inside:
            inside.remove(host)
            gate.leave(at(host))
    assert len(gate) == len(set(inside))


def test_otherRules() -> None:
    """Other rules put nobody out who is in; who is in counts."""
    gate = Gate()
    assert gate.enter(at("10.0.0.1"))
    assert gate.enter(at("10.0.0.1"))
    gate.rules = GateRules(perAddress=2)
    assert not gate.enter(at("10.0.0.1"))
    gate.leave(at("10.0.0.1"))
    assert gate.enter(at("10.0.0.1"))


# -- on the wire --------------------------------------------------------------------------------------


def connect(daemon: Daemon, host: str) -> tuple[object, StringTransport]:
    """A connection from there."""
    protocol = daemon.factory.buildProtocol(at(host))
    transport = StringTransport(peerAddress=at(host))
    protocol.makeConnection(transport)
    return protocol, transport


def test_turnedAwayWithoutAWord() -> None:
    """Whoever comes from where nobody may is cut off at once and told nothing; the log says who it was."""
    daemon = Daemon(gate=GateRules(networks(["10.0.0.0/8"])))
    with capturedLogs() as logged:
        protocol, transport = connect(daemon, "192.0.2.7")
    assert transport.disconnected
    assert transport.value() == b""
    assert not isinstance(protocol, ManagerProtocol)
    assert daemon.factory.sessions() == 0
    said = [eventAsText(event) for event in logged]
    assert len(said) == 1
    assert "a connection from 192.0.2.7 is closed: [access] allow does not name it" in said[0]
    _, transport = connect(daemon, "10.0.0.1")
    assert not transport.disconnected


def test_oneTooManyIsTold() -> None:
    """One connection too many of an address is told 429 and closed; when one has left there is room again."""
    daemon = Daemon(gate=GateRules(perAddress=2))
    first, _ = connect(daemon, "192.0.2.7")
    connect(daemon, "192.0.2.7")
    _, refused = connect(daemon, "192.0.2.7")
    assert b'"status":429' in refused.value()
    assert b"too many connections from your address" in refused.value()
    assert refused.disconnecting
    assert daemon.factory.refused == {"sessions": 0, "network": 0, "address": 1, "handshake": 0, "proxy": 0}
    assert not connect(daemon, "192.0.2.8")[1].disconnecting
    assert daemon.factory.sessions() == 3
    first.connectionLost()  # type: ignore[attr-defined]
    assert not connect(daemon, "192.0.2.7")[1].disconnecting


def test_whoWasRefusedLeavesNothing() -> None:
    """A connection that was refused takes nothing from the count of its address when it goes."""
    daemon = Daemon(gate=GateRules(perAddress=1))
    first, _ = connect(daemon, "192.0.2.7")
    for _ in range(3):
        refused, transport = connect(daemon, "192.0.2.7")
        assert transport.disconnecting
        refused.connectionLost()  # type: ignore[attr-defined]
    assert connect(daemon, "192.0.2.7")[1].disconnecting
    first.connectionLost()  # type: ignore[attr-defined]
    assert len(daemon.factory.gate) == 0


def test_strangersCannotFloodTheLog() -> None:
    """However many are turned away at once, a few lines a second are logged, and then how many there were."""
    daemon = Daemon(gate=GateRules(networks(["10.0.0.0/8"])))
    with capturedLogs() as logged:
        for _ in range(1000):
            connect(daemon, "192.0.2.7")
    assert len(logged) == 10
    daemon.clock.advance(1)
    with capturedLogs() as logged:
        connect(daemon, "192.0.2.7")
    assert eventAsText(logged[0]).endswith("(and 990 other lines about strangers left out)")
    assert daemon.factory.refused == {"sessions": 0, "network": 1001, "address": 0, "handshake": 0, "proxy": 0}


def test_sparing() -> None:
    """So many lines are said in one second, again in the next one, and what was left out is told once."""
    clock = Clock()
    sparing = Sparing(clock, 2)
    assert [sparing.more() for _ in range(4)] == ["", "", None, None]
    clock.advance(0.999)
    assert sparing.more() is None
    clock.advance(0.001)
    assert [sparing.more() for _ in range(3)] == [" (and 3 other lines about strangers left out)", "", None]
    clock.advance(1)
    assert sparing.more() == " (and 1 other line about strangers left out)"
