"""Where connections come in: plain TCP only where it may be."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from twisted.internet.protocol import ServerFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, eventAsText

from scalemgr.config import ConfigError, Settings, Tls
from scalemgr.daemon.doors import Doors, StartFailed
from scalemgr.daemon.speakers import Speakers

from ..certificates import Authority

# The reactor of these tests says of every IPv4 port that it is open to all.
EVERYWHERE = "tcp:8080"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate and its key, in one file."""
    return Authority().server().write(tmp_path / "certificate.pem")


def opened(*descriptions: str, allowPlain: bool = False, certificate: Path | None = None) -> Doors:
    reactor = MemoryReactorClock()
    reactor.rightNow = time.time()
    tls = Tls() if certificate is None else Tls(certificate=str(certificate))
    doors = Doors(reactor, Speakers(reactor, tls, Path()), demo=False)
    doors.open(descriptions, ServerFactory(), allowPlain=allowPlain)
    return doors


@pytest.mark.parametrize(
    "description", [EVERYWHERE, "tcp:8080:interface=192.0.2.1", "tcp6:8080", r"tcp:8080:interface=\:\:"]
)
def test_plainForOthersIsRefused(description: str) -> None:
    """Plain TCP that other machines can reach does not start, and what is said tells what can be done."""
    with pytest.raises(StartFailed) as caught:
        opened(description)
    for word in (repr(description), "tls:", "interface=127.0.0.1", "allow_plain = true in [access]"):
        assert word in str(caught.value)


def test_plainForOthersWhereItIsAllowed() -> None:
    """Where it is allowed in so many words it starts, with a warning of its own for each."""
    with capturedLogs() as logged:
        doors = opened(EVERYWHERE, "tcp6:8081", allowPlain=True)
    assert len(doors.addresses()) == 2
    assert [event["log_level"] for event in logged] == [LogLevel.warn] * 2
    assert "tokens and passwords go over the network in clear" in eventAsText(logged[0])


@pytest.mark.parametrize("allowPlain", [False, True])
def test_othersNeedNoLeave(allowPlain: bool, certificate: Path) -> None:
    """A loopback address, a UNIX socket and TLS need no leave, and cause no warning."""
    tls = [f"ssl:8443:privateKey={certificate}:certKey={certificate}", "tls:8444", "tls:tcp6:8445"]
    plain = [r"tcp:8080:interface=\:\:1", "unix:/run/scalemgr.sock"]
    with capturedLogs() as logged:
        doors = opened(*plain, *tls, allowPlain=allowPlain, certificate=certificate)
    assert logged == []
    assert [door.speaker is not None for door in doors] == [False, False, True, True, True]
    assert str(list(doors)[2]) == "tcp 0.0.0.0:8443 with TLS"


def test_leaveTakenBack() -> None:
    """A configuration that no longer allows what is open is refused: it could not be started with."""
    allowing = replace(Settings(), access=replace(Settings().access, allow_plain=True))
    exposed, local = opened(EVERYWHERE, allowPlain=True), opened(r"tcp:8080:interface=\:\:1")
    exposed.prepare(allowing)()
    local.prepare(Settings())()
    with pytest.raises(ConfigError, match="allow_plain"):
        exposed.prepare(Settings())
