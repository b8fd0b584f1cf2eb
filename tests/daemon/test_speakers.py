"""Doors that speak TLS: how they are written, and reading their certificates again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, eventAsText

from scalemgr.config import ConfigError, Settings, Tls
from scalemgr.daemon.speakers import Speakers
from scalemgr.server.tls import CertificateRefused, Files

from ..certificates import Authority, Credential

AUTHORITY = Authority()
FIRST, SECOND = AUTHORITY.server(), AUTHORITY.server()


class House:
    """A folder with a certificate and an authority, and what speaks by them."""

    def __init__(self, folder: Path, **tls: object) -> None:
        self.folder = folder
        self.write(FIRST)
        AUTHORITY.write(folder / "ca.pem")
        self.settings = Settings(tls=Tls(**{"certificate": "server.pem", **tls}))  # type: ignore[arg-type]
        self.clock = Clock()
        self.clock.rightNow = time.time()
        self.speakers = Speakers(self.clock, self.settings.tls, folder)

    def write(self, credential: Credential) -> None:
        """Put a certificate where it is."""
        credential.write(self.folder / "server.pem")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.parametrize(
    ("written", "endpoint"),
    [
        ("tls:8443", "tcp:8443"),
        ("TLS:8443", "tcp:8443"),
        ("tls:8443:interface=10.0.0.1:backlog=100", "tcp:8443:interface=10.0.0.1:backlog=100"),
        ("tls:tcp6:8443:interface=\\:\\:1", "tcp6:8443:interface=\\:\\:1"),
        ("tls:systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
        ("tls:unix:/run/x", "unix:/run/x"),
    ],
)
def test_tls(house: House, written: str, endpoint: str) -> None:
    """tls: stands in front of a port, or of another endpoint, and has the certificate of the configuration."""
    made, speaker = house.speakers.parse(written)
    assert made == endpoint
    assert speaker is not None
    assert speaker.files is None
    assert speaker.loaded.certificate == FIRST.certificate


@pytest.mark.parametrize("written", ["tcp:8080", "unix:/run/tls", "systemd:domain=INET:index=0", "tcp6:8080"])
def test_plain(house: House, written: str) -> None:
    """Everything else is as it is written, and speaks no TLS."""
    assert house.speakers.parse(written) == (written, None)
    assert house.speakers.certificateExpires() is None


def test_ssl(house: House) -> None:
    """ssl: has files of its own, and is otherwise written as Twisted has it, with colons in names escaped."""
    odd = house.folder / "a:b=c"
    odd.mkdir()
    key, certificate, chain = odd / "key.pem", odd / "certificate.pem", odd / "chain.pem"
    key.write_bytes(SECOND.keyPem())
    certificate.write_bytes(SECOND.pem())
    chain.write_bytes(AUTHORITY.own.pem())
    quoted = str(odd).replace(":", "\\:").replace("=", "\\=")
    endpoint, speaker = house.speakers.parse(
        f"ssl:8443:interface=\\:\\:1:privateKey={quoted}/key.pem:certKey={quoted}/certificate.pem"
        f":extraCertChain={quoted}/chain.pem:backlog=7"
    )
    assert endpoint == "tcp:8443:backlog=7:interface=\\:\\:1"
    assert speaker is not None
    assert speaker.files == Files(certificate, key, chain)
    assert speaker.loaded.certificate == SECOND.certificate


def test_sslInOneFile(house: House) -> None:
    """Without certKey the certificate is where the key is."""
    file = SECOND.write(house.folder / "both.pem")
    _, speaker = house.speakers.parse(f"ssl:8443:privateKey={file}")
    assert speaker is not None
    assert speaker.files == Files(file, file)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("tls", "write tls: and a port"),
        ("tls:", "write tls: and a port"),
        ("tls:tls:8443", "in front of an endpoint that is not TLS itself"),
        ("tls:ssl:8443:privateKey=x", "in front of an endpoint that is not TLS itself"),
        ("ssl:8443:sslmethod=SSLv23_METHOD", "sslmethod cannot be chosen; TLS 1.2 is the least"),
        ("ssl:8443:dhParameters=x:privateKey=y", "dhParameters cannot be chosen"),
        ("ssl:privateKey=x", "expected ssl:PORT:privateKey=FILE:certKey=FILE"),
        ("ssl:8443:x", "expected ssl:PORT:privateKey=FILE:certKey=FILE"),
        ("ssl:8443:privateKey=nowhere.pem", "nowhere.pem cannot be read: No such file or directory"),
    ],
)
def test_wronglyWritten(house: House, written: str, said: str) -> None:
    """What cannot be says what was expected."""
    with pytest.raises((ValueError, CertificateRefused)) as error:
        house.speakers.parse(written)
    assert said in str(error.value)


def test_tlsWithoutCertificate(tmp_path: Path) -> None:
    """tls: without a certificate in the configuration says what is missing, and where."""
    with pytest.raises(ValueError, match=r"^it needs certificate and key in \[tls\] of the configuration$"):
        House(tmp_path, certificate="").speakers.parse("tls:8443")


def test_firstThatEnds(house: House) -> None:
    """When certificates end is when the first of them does."""
    soon = AUTHORITY.server(days=(-1, 3))
    file = soon.write(house.folder / "soon.pem")
    house.speakers.parse("tls:8443")
    house.speakers.parse(f"ssl:8444:privateKey={file}")
    assert house.speakers.certificateExpires() == soon.certificate.not_valid_after_utc.timestamp()


def test_again(house: House) -> None:
    """What is read again counts when it is put in force, not before, and it is said what it is; once for all doors."""
    speakers = [house.speakers.parse(f"tls:{port}")[1] for port in (1, 2)]
    house.write(SECOND)
    apply = house.speakers.prepare(house.settings)
    assert [s.loaded.certificate for s in speakers if s is not None] == [FIRST.certificate] * 2
    said = apply()
    assert [s.loaded.certificate for s in speakers if s is not None] == [SECOND.certificate] * 2
    assert said is not None
    assert said.startswith("the certificate is CN=127.0.0.1, issued by CN=Test CA, until ")
    assert said.count("CN=127.0.0.1") == 1
    # Nothing is said of what is the same.
    assert house.speakers.prepare(house.settings)() == ""


def test_otherPlace(house: House) -> None:
    """The settings may name other files, and other terms."""
    _, speaker = house.speakers.parse("tls:8443")
    assert speaker is not None
    before = speaker.loaded.context
    SECOND.write(house.folder / "second.pem")
    said = house.speakers.prepare(Settings(tls=Tls(certificate="second.pem", client_ca="ca.pem")))()
    assert said is not None
    assert said.endswith("; authorities of clients: 1 new, 0 gone")
    Authority("CN=Another").write(house.folder / "ca.pem")
    said = house.speakers.prepare(Settings(tls=Tls(certificate="second.pem", client_ca="ca.pem")))()
    assert said == "authorities of clients: 1 new, 1 gone"
    assert speaker.loaded.certificate == SECOND.certificate
    assert speaker.loaded.context is not before


@pytest.mark.parametrize("what", ["missing", "cut", "other key", "no authority"])
def test_badOneIsRefused(house: House, what: str) -> None:
    """Whatever is wrong with the new files is told, and what was in force stays, in all doors."""
    speakers = [house.speakers.parse(f"tls:{port}")[1] for port in (1, 2)]
    before = [s.loaded for s in speakers if s is not None]
    file = house.folder / "server.pem"
    settings = house.settings
    if what == "missing":
        file.unlink()
    elif what == "cut":
        file.write_bytes(file.read_bytes()[:-30])
    elif what == "other key":
        file.write_bytes(SECOND.pem() + FIRST.keyPem())
    else:
        settings = Settings(tls=Tls(certificate="server.pem", client_ca="nowhere.pem"))
    with pytest.raises(ConfigError, match=r"^tls: "):
        house.speakers.prepare(settings)
    assert [s.loaded for s in speakers if s is not None] == before


def test_certificateTakenAway(house: House) -> None:
    """A tls: door keeps its certificate if the settings name none any more."""
    house.speakers.parse("tls:8443")
    with pytest.raises(ConfigError, match="needs certificate and key"):
        house.speakers.prepare(Settings())


@pytest.mark.parametrize("days", [(-2.0, -1.0), (1.0, 2.0)])
def test_expiredOneIsRefused(house: House, days: tuple[float, float]) -> None:
    """A new certificate that has expired, or has not begun, does not take the place of a valid one."""
    _, speaker = house.speakers.parse("tls:8443")
    house.write(AUTHORITY.server(days=days))
    with pytest.raises(ConfigError, match=r"^tls: the certificate in .*The one that was read before is still valid$"):
        house.speakers.prepare(house.settings)
    assert speaker is not None
    assert speaker.loaded.certificate == FIRST.certificate


def test_theSameOneHasExpired(house: House) -> None:
    """A certificate that has expired while it was in use does not stand in the way of the rest of a configuration."""
    house.speakers.parse("tls:8443")
    house.clock.advance(40 * 86400)
    with capturedLogs() as logged:
        house.speakers.prepare(house.settings)()
    assert any("has expired at" in eventAsText(event) for event in logged)


def warned(speakers: Speakers) -> list[str]:
    with capturedLogs() as logged:
        speakers.announce()
    return [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in logged]


def test_warnings(house: House) -> None:
    """What there is to warn of is said once, though two doors have it."""
    os.chmod(house.folder / "server.pem", 0o644)
    house.speakers.parse("tls:1")
    house.speakers.parse("tls:2")
    [said] = warned(house.speakers)
    assert said.startswith("others than its owner can get at the private key")


def test_nobodyIsAsked(tmp_path: Path) -> None:
    """Clients cannot show certificates where no door speaks TLS: an operator who asks for them is told."""
    house = House(tmp_path, client_ca="ca.pem")
    house.speakers.parse("tcp:8080")
    assert warned(house.speakers) == [
        "tls.client_ca asks clients for certificates, but no endpoint speaks TLS: nobody is asked"
    ]
    house.speakers.parse("tls:8443")
    assert warned(house.speakers) == []
