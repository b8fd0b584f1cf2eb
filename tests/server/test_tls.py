"""Handshakes, good and bad: real ones, of OpenSSL with Python's ssl."""

from __future__ import annotations

import ssl
from pathlib import Path
from random import Random

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from scalemgr.server.tls import Files, Terms, load

from ..certificates import Authority, clientContext
from ..helpers import LIMITS, token
from .secure import AUTHORITY, Doorway, SecureSession, speaker

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
OTHER = Authority("CN=Other CA")
BETWEEN = Authority("CN=Between", OTHER)
OLD = (-3.0, -1.0)


@pytest.fixture
def doorway(tmp_path: Path) -> Doorway:
    return Doorway(tmp_path)


def assertWorks(session: SecureSession) -> None:
    """It is heard, and answered."""
    session.send("Ping", "a", __token=token())
    assert [answer["status"] for answer in session.answers()] == [200]


def assertNothingHeard(doorway: Doorway, session: SecureSession) -> None:
    """It is gone, and nothing of it is left."""
    assert session.isLost
    assert session.lines() == []
    assert doorway.daemon.factory.sessions() == 0
    doorway.daemon.clock.advance(1000)


@pytest.mark.parametrize("version", VERSIONS)
def test_goodCertificate(doorway: Doorway, version: ssl.TLSVersion) -> None:
    """Who shows a certificate of the authority gets in, and nothing is logged about it."""
    session = doorway.connect(doorway.context(AUTHORITY.client(), version))
    assertWorks(session)
    assert doorway.said == []


BAD = {
    "has expired": AUTHORITY.client(days=OLD),
    "is not valid yet": AUTHORITY.client(days=(1, 2)),
    "is of an authority that is not in client_ca": OTHER.client(),
    "is signed by itself, and is not in client_ca": OTHER.own,
    "is not made for clients (extended key usage)": AUTHORITY.client(usage=ExtendedKeyUsageOID.SERVER_AUTH),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("why", BAD)
def test_badCertificate(doorway: Doorway, why: str, version: ssl.TLSVersion) -> None:
    """A bad certificate is refused with its reason and its subject in the log, and the peer is told nothing at all: it
    hears what it would hear before it has shown anything, and then no more."""
    shown = BAD[why]
    session = doorway.connect(doorway.context(shown, version))
    assertNothingHeard(doorway, session)
    subject = shown.certificate.subject.rfc4514_string()
    [said] = doorway.said
    assert said.startswith("session 1 from 192.168.1.1: the TLS handshake failed: the client's certificate ")
    assert f"{why}: {subject}, issued by " in said
    # No alert, in clear or encrypted: the client's own TLS found nothing to complain of.
    assert session.failed == ""


@pytest.mark.parametrize("version", VERSIONS)
def test_silenceIsTheSameForAll(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """A peer cannot tell by what it hears why its certificate was refused: the records are the same in kind."""
    heard = set()
    for bad in (AUTHORITY.client(days=OLD), OTHER.client(), AUTHORITY.client(usage=ExtendedKeyUsageOID.SERVER_AUTH)):
        doorway = Doorway(tmp_path)
        session = doorway.connect(doorway.context(bad, version))
        heard.add(tuple(kinds(session.heard)))
    assert len(heard) == 1


def kinds(records: bytes) -> list[int]:
    """The content types of TLS records: 21 would be an alert, 22 is the handshake, 23 all that is encrypted."""
    found = []
    while records:
        found.append(records[0])
        records = records[5 + int.from_bytes(records[3:5]) :]
    return found


def test_badOneThatLeadsUp(doorway: Doorway, tmp_path: Path) -> None:
    """A certificate whose own authority is shown with it, but not trusted, is refused just so."""
    client = BETWEEN.client()
    file = tmp_path / "chain.pem"
    file.write_bytes(client.pem() + client.keyPem() + BETWEEN.own.pem() + OTHER.own.pem())
    session = doorway.connect(clientContext(doorway.authority, file))
    assertNothingHeard(doorway, session)
    assert "is of an authority that is not in client_ca, at one that leads up to its authority" in doorway.said[0]


def test_authorityWithoutItsOwn(doorway: Doorway, tmp_path: Path) -> None:
    """An authority in client_ca is trusted without the one that signed it, and that one's others are not."""
    BETWEEN.write(tmp_path / "between.pem")
    terms = Terms(tmp_path / "between.pem", True)
    doorway.door = speaker(tmp_path, AUTHORITY, terms, doorway.daemon.clock.seconds())
    assertWorks(doorway.connect(doorway.context(BETWEEN.client())))
    assert doorway.connect(doorway.context(OTHER.client())).isLost


@pytest.mark.parametrize("version", VERSIONS)
def test_noCertificate(doorway: Doorway, version: ssl.TLSVersion) -> None:
    """Who shows none where one is required does not get in; that one is wanted is no secret."""
    session = doorway.connect(doorway.context(None, version))
    assertNothingHeard(doorway, session)
    assert doorway.said == [
        "session 1 from 192.168.1.1: the TLS handshake failed: the client has shown no certificate, and one is required"
    ]


def test_optional(tmp_path: Path) -> None:
    """Where a certificate is optional, who shows none gets in with a token; who shows a bad one does not."""
    doorway = Doorway(tmp_path, required=False)
    assertWorks(doorway.connect(doorway.context()))
    assertWorks(doorway.connect(doorway.context(AUTHORITY.client())))
    assert doorway.connect(doorway.context(AUTHORITY.client(days=OLD))).isLost


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:.*TLSv1.*deprecated:DeprecationWarning")
def test_oldVersions(doorway: Doorway, tmp_path: Path, version: ssl.TLSVersion) -> None:
    """TLS 1.0 and 1.1 are refused, also to who has a good certificate."""
    if not getattr(ssl, f"HAS_{version.name}"):
        pytest.skip(f"this Python's OpenSSL cannot offer {version.name}")
    file = AUTHORITY.client().write(tmp_path / "client.pem")
    # OpenSSL's own level of security, and the ciphers, would refuse them, too: here nothing but the version does.
    doorway.door.loaded.context.set_cipher_list(b"ALL:@SECLEVEL=0")
    session = doorway.connect(clientContext(doorway.authority, file, version))
    # It did offer it, so it was not this machine's own OpenSSL that refused.
    assert session.offered == version
    assertNothingHeard(doorway, session)
    assert doorway.said == [
        "session 1 from 192.168.1.1: the TLS handshake failed: the client offers no version of TLS from 1.2 on"
    ]


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"])
def test_weakCiphers(doorway: Doorway, ciphers: str) -> None:
    """Without forward secrecy, or with a cipher that is not authenticated as a whole, there is no TLS 1.2."""
    context = doorway.context(AUTHORITY.client(), ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(ciphers)
    assertNothingHeard(doorway, doorway.connect(context))
    assert "the client offers no cipher with forward secrecy" in doorway.said[0]


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "what came in is HTTP, and not TLS"),
        (b'{"command":"Ping","extID":1}\r\n', "what came in is not TLS"),
    ],
)
def test_noTls(doorway: Doorway, first: bytes, why: str) -> None:
    """Whoever speaks something else is let go of, and nothing of it is taken for a request."""
    assertNothingHeard(doorway, doorway.connect(doorway.context(), first))
    assert doorway.said == [f"session 1 from 192.168.1.1: the TLS handshake failed: {why}"]


def test_clientThatDoesNotBelieveUs(doorway: Doorway, tmp_path: Path) -> None:
    """A client that does not take the server's certificate, for it is of another authority, says so; it is logged."""
    session = doorway.connect(clientContext(OTHER.write(tmp_path / "other.pem")))
    assert "CERTIFICATE_VERIFY_FAILED" in session.failed
    assertNothingHeard(doorway, session)
    assert doorway.said[0].endswith("the client does not know the authority of this server's certificate")


def test_clientThatFindsUsExpired(doorway: Doorway, tmp_path: Path) -> None:
    """So is it of one that has expired, which the operator has been warned of."""
    file = AUTHORITY.server(days=OLD).write(tmp_path / "old.pem")
    loaded = load(Files(file, file), doorway.terms, doorway.daemon.clock.seconds())
    assert "has expired" in loaded.warnings[0]
    doorway.door.loaded = loaded
    assertNothingHeard(doorway, doorway.connect(doorway.context(AUTHORITY.client())))
    assert doorway.said[0].endswith("the client finds that this server's certificate has expired")


def test_garbledHandshakes(doorway: Doorway) -> None:
    """Whatever is wrong with what a peer sends in its handshake, it is let go of, and no failure of ours is logged."""
    chance = Random(1)
    context = doorway.context(AUTHORITY.client())

    def garble(data: bytes) -> bytes:
        garbled = bytearray(data)
        for place in chance.sample(range(len(data)), chance.randint(1, 3)):
            garbled[place] ^= chance.randrange(1, 256)
        return bytes(garbled)

    for _ in range(300):
        session = SecureSession(doorway.daemon, doorway.door, context, garble=garble).pump()
        if not session.isLost:
            # It waits for more.
            doorway.daemon.clock.advance(LIMITS.authSeconds)
            session.pump()
        assert session.lines() == []
    assert doorway.daemon.factory.sessions() == 0


def test_scannersDoNotFloodTheLog(doorway: Doorway) -> None:
    """Of hundreds of failed handshakes in one second a few get a line, and how many did not is told afterwards."""
    for _ in range(200):
        doorway.connect(doorway.context(), b"x\r\n" * 10)
    assert len(doorway.said) == 10
    doorway.daemon.clock.advance(1)
    doorway.connect(doorway.context(), b"x\r\n" * 10)
    assert doorway.daemon.factory.refused["handshake"] == 201
    assert "(and 190 other lines about strangers left out)" in doorway.said[-1]


def test_goodOnesAfterBadOnes(doorway: Doorway) -> None:
    """What was wrong with one connection is not held against the next."""
    for bad in BAD.values():
        doorway.connect(doorway.context(bad))
    assertWorks(doorway.connect(doorway.context(AUTHORITY.client())))


@pytest.mark.parametrize("version", VERSIONS)
def test_nothingIsResumed(doorway: Doorway, version: ssl.TLSVersion) -> None:
    """A client cannot come back on the strength of an earlier handshake: its certificate is looked at each time."""
    context = doorway.context(AUTHORITY.client(), version)
    first = doorway.connect(context)
    assertWorks(first)
    again = doorway.connect(context, resuming=first.session)
    assertWorks(again)
    assert not again.isResumed
