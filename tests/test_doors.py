"""Where connections come in: plain TCP only where it may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec.structs import replace
from twisted.internet.protocol import ServerFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, eventAsText

from scalemgr.config import ConfigError, Settings, Tls
from scalemgr.doors import Doors, StartFailed
from scalemgr.speakers import Speakers

# The reactor of these tests says of every IPv4 port that it is open to all.
EVERYWHERE = "tcp:8080"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "scalemgr")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return file


def opened(*descriptions: str, allowPlain: bool = False) -> Doors:
    reactor = MemoryReactorClock()
    doors = Doors(reactor, Speakers(reactor, Tls(), Path()), demo=False)
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
    tls = f"ssl:8443:privateKey={certificate}:certKey={certificate}"
    with capturedLogs() as logged:
        opened(r"tcp:8080:interface=\:\:1", "unix:/run/scalemgr.sock", tls, allowPlain=allowPlain)
    assert logged == []


def test_leaveTakenBack() -> None:
    """A configuration that no longer allows what is open is refused: it could not be started with."""
    allowing = replace(Settings(), access=replace(Settings().access, allow_plain=True))
    exposed, local = opened(EVERYWHERE, allowPlain=True), opened(r"tcp:8080:interface=\:\:1")
    exposed.prepare(allowing)()
    local.prepare(Settings())()
    with pytest.raises(ConfigError, match="allow_plain"):
        exposed.prepare(Settings())
