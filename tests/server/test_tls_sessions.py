"""Sessions behind TLS: who they speak for, and how they begin and end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from twisted.internet.interfaces import IPushProducer
from twisted.logger import capturedLogs

from scalemgr.finance.masks import Mask
from scalemgr.server.auth import Principal
from scalemgr.server.bearers import Bearer, Bearers
from scalemgr.server.leaving import LINGER_S
from scalemgr.wire.codes import SessionType

from ..certificates import clientContext
from ..helpers import LIMITS, inShort, ofDeposits, token
from .secure import AUTHORITY, Doorway, SecureSession, speaker, texts

CRM = Bearer(subject="CN=crm,O=Example", id="crm", role="manager")
DAY = 86400.0


@pytest.fixture
def doorway(tmp_path: Path) -> Doorway:
    return Doorway(tmp_path)


def enter(doorway: Doorway, *entries: Bearer, days: tuple[float, float] = (-1, 30)) -> SecureSession:
    """A session with a good certificate, of these entries."""
    doorway.daemon.factory.setBearers(Bearers(entries))
    return doorway.connect(doorway.context(AUTHORITY.client(days=days)))


def ask(session: SecureSession, command: str = "Ping", **more: object) -> int:
    """The status of the answer to a request."""
    session.send(command, "x", **more)
    [answer] = session.answers()
    return int(answer["status"])


def deposit(session: SecureSession, key: str, login: int = 1001) -> int:
    """The status of a deposit of 10."""
    return ask(session, "BalanceInSync", data={"login": login, "amount": 10, "idempotency_key": key})


# -- who ------------------------------------------------------------------------------------------------


def test_certificateInsteadOfToken(doorway: Doorway) -> None:
    """Whose certificate an entry names books without a token, under the name of the entry, and hears of it."""
    session = enter(doorway, CRM)
    session.send("BalanceInSync", "a", {"login": 1001, "amount": 10})
    lines = session.lines()
    assert inShort(lines) == ["a", *ofDeposits(6)]
    assert lines[0]["status"] == 200
    assert doorway.daemon.ledger.entries(5, 10)[0].principal == "crm"
    # It is not asked for a token later, either.
    doorway.daemon.clock.advance(LIMITS.authSeconds)
    assert ask(session) == 200


def test_boundsOfTheEntry(doorway: Doorway) -> None:
    """What the entry's mask does not cover does not exist for its bearer, and what it withholds cannot be done."""
    entry = Bearer(subject=CRM.subject, id="crm", role="manager", groups="demo", without=["set_accounts"])
    session = enter(doorway, entry)
    assert deposit(session, "a") == 200
    assert deposit(session, "b", 2001) == 401
    assert ask(session, "AddGroup", data={"group": "demo2", "currency": "USD"}) == 403


def test_nobodysCertificate(doorway: Doorway) -> None:
    """A certificate for another name opens the door and no more: without a token there is 401, and the log tells whose
    it is; with one the session is the token's."""
    session = enter(doorway, replace(CRM, subject="CN=somebody-else,O=Example"))
    with capturedLogs() as logged:
        session.send("Ping", "x")
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["message"]) == (401, "a valid __token is needed")
    assert texts(logged) == [
        "session 1 from 192.168.1.1: a valid __token is needed; its certificate, CN=crm,O=Example, issued by "
        "CN=Test CA, is of none of [[tls.clients]]"
    ]
    assert ask(session, __token=token("office")) == 200
    assert session.protocol.principal is not None
    assert session.protocol.principal.id == "office"


def test_certificateThatCannotBeRead(doorway: Doorway) -> None:
    """A certificate that OpenSSL takes and we cannot read ends the session, with a line in the log."""

    class Odd:
        def to_cryptography(self) -> None:
            raise ValueError("invalid version")

    session = SecureSession(doorway.daemon, doorway.door, doorway.context(AUTHORITY.client()))
    session.wrapper.getPeerCertificate = Odd
    with capturedLogs() as logged:
        session.pump()
    assert session.isLost
    assert texts(logged) == [
        "session 1 from 192.168.1.1: the certificate that it has shown cannot be read: invalid version"
    ]


def test_tokenOfTheSame(doorway: Doorway) -> None:
    """A token of the certificate's own id is taken, and from then on counts: here it may do less."""
    session = enter(doorway, CRM)
    assert ask(session, __token=token("crm", "user", login=1001)) == 200
    assert deposit(session, "a") == 401


def test_tokenOfAnother(doorway: Doorway) -> None:
    """A token of somebody else is refused with its reason in the log, whatever it may do, and costs its own request
    only; the session stays the certificate's."""
    session = enter(doorway, CRM)
    with capturedLogs() as logged:
        assert ask(session, __token=token("boss", "admin")) == 401
    assert texts(logged) == [
        "session 1 from 192.168.1.1: a token is refused: it is of 'boss', and the certificate of the session is of crm"
    ]
    assert deposit(session, "a") == 200
    assert doorway.daemon.ledger.entries(5, 10)[0].principal == "crm"


def test_untilItEnds(doorway: Doorway) -> None:
    """What a certificate gave ends with it, though the connection lives; a token gives it again."""
    session = enter(doorway, CRM, days=(-1, 0.5))
    listening = doorway.daemon.staff()
    assert ask(session) == 200
    doorway.daemon.clock.advance(DAY / 2 + 1)
    session.send("Ping", "x")
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["message"]) == (401, "the certificate has expired")
    listening.deposit("a")
    session.pump()
    assert session.lines() == [{"event": "token:expired", "data": {"seq": 5}}]
    session.send("Ping", "y", __token=token("crm"))
    assert inShort(session.lines()) == [*ofDeposits(6), "y"]


# -- other entries --------------------------------------------------------------------------------------


def test_entryTakenOut(doorway: Doorway) -> None:
    """Without its entry a certificate gives nothing any more, at once and in open sessions, which go on: no events, and
    401, until there is a token. Sessions of others are as they were."""
    session, other = enter(doorway, CRM), doorway.daemon.staff()
    assert doorway.daemon.factory.setBearers(Bearers([replace(CRM, subject="CN=another")])) == 1
    session.pump()
    assert session.lines() == [{"event": "token:expired", "data": {"seq": 5}}]
    assert ask(session) == 401
    other.deposit("a")
    session.pump()
    assert session.lines() == []
    assert not session.isLost
    assert ask(session, __token=token("anybody")) == 200


def test_entryTakenOutAfterAToken(doorway: Doorway) -> None:
    """A session that has shown a token since stays the token's, and may show another one."""
    session = enter(doorway, CRM)
    assert ask(session, __token=token("crm")) == 200
    assert doorway.daemon.factory.setBearers(Bearers()) == 0
    assert deposit(session, "a") == 200
    assert ask(session, __token=token("other")) == 200


def test_entryPutIn(doorway: Doorway) -> None:
    """A session whose certificate was nobody's is somebody's as soon as there is an entry; one of a token is not."""
    session = enter(doorway)
    other = doorway.connect(doorway.context(AUTHORITY.client()))
    assert ask(other, __token=token("office")) == 200
    assert ask(session) == 401
    doorway.daemon.factory.setBearers(Bearers([CRM]))
    assert deposit(session, "a") == 200
    assert other.protocol.principal is not None
    assert other.protocol.principal.id == "office"


def test_entryChanged(doorway: Doorway) -> None:
    """A changed entry counts at once, in open sessions too: for what may be done, and for what is heard."""
    session, other = enter(doorway, CRM), doorway.daemon.staff()
    doorway.daemon.factory.setBearers(Bearers([replace(CRM, groups="real-*")]))
    assert deposit(session, "a") == 401
    other.deposit("b")
    session.pump()
    assert session.lines() == []
    assert session.protocol.principal is not None
    assert session.protocol.principal.mask == Mask("real-*")


def test_entryUnchanged(doorway: Doorway) -> None:
    """The same entries again change nothing: no session is told anything, or misses an event."""
    session = enter(doorway, CRM)
    before = session.protocol.principal
    assert doorway.daemon.factory.setBearers(Bearers([CRM, replace(CRM, subject="CN=more", id="more")])) == 0
    session.pump()
    assert session.protocol.principal is before
    assert session.lines() == []


def test_otherCertificateForTheServer(doorway: Doorway, tmp_path: Path) -> None:
    """A new certificate is for the connections to come; those that there are go on with what they have."""
    first = enter(doorway, CRM)
    other = speaker(tmp_path, AUTHORITY, doorway.terms, time.time())
    doorway.door.loaded = other.loaded
    second = enter(doorway, CRM)
    assert first.certificate != second.certificate
    assert (ask(first), ask(second)) == (200, 200)


# -- begin ----------------------------------------------------------------------------------------------


def test_eventsBeforeTheHandshakeIsOver(tmp_path: Path) -> None:
    """In a demo, where everybody is somebody at once, what happens during a handshake is not written into it: that
    would stop the reading of what is yet to come of it, for ever. The session hears what comes after it."""
    doorway = Doorway(tmp_path, required=False, anonymous=Principal("demo", SessionType.SESSION_MANAGER))
    listening = doorway.daemon.staff()
    session = SecureSession(doorway.daemon, doorway.door, clientContext(doorway.authority))
    listening.deposit("a")
    doorway.daemon.settle()
    session.pump()
    assert session.failed == ""
    listening.deposit("b")
    session.pump()
    assert inShort(session.lines()) == ofDeposits(8, before=10)
    assert ask(session) == 200


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"], ids=["nothing", "half a hello"])
@pytest.mark.parametrize("isDemo", [False, True])
def test_slowHandshake(tmp_path: Path, first: bytes, isDemo: bool) -> None:
    """A peer that connects and does not get on with its handshake gives up its place when it should have shown a token,
    and hears nothing; the log tells."""
    anonymous = Principal("demo", SessionType.SESSION_MANAGER) if isDemo else None
    doorway = Doorway(tmp_path, anonymous=anonymous)
    session = SecureSession(doorway.daemon, doorway.door, doorway.context())
    if first:
        session.wrapper.dataReceived(first)
    doorway.daemon.clock.advance(LIMITS.authSeconds - 1)
    assert not session.wire.aborted
    with capturedLogs() as logged:
        doorway.daemon.clock.advance(1)
    assert session.wire.aborted
    assert session.wire.value() == b""
    assert texts(logged) == ["session 1 from 192.168.1.1: its TLS handshake is not over after 30 seconds"]
    session.pump()
    assert (doorway.daemon.factory.sessions(), doorway.daemon.factory.refused["handshake"]) == (0, 1)


def test_handshakeAndTokenShareTheirTime(tmp_path: Path) -> None:
    """A handshake does not win a peer more time to show a token."""
    doorway = Doorway(tmp_path, required=False)
    session = SecureSession(doorway.daemon, doorway.door, doorway.context())
    doorway.daemon.clock.advance(LIMITS.authSeconds - 1)
    session.pump()
    assert session.lines() == []
    doorway.daemon.clock.advance(1)
    session.pump()
    [line] = session.lines()
    assert line["data"]["message"] == "no valid __token within 30 seconds"


def test_tooManySessions(tmp_path: Path) -> None:
    """A handshake under way has its place among the sessions. One more is let go of before it costs a handshake."""
    doorway = Doorway(tmp_path, required=False, limits=replace(LIMITS, sessionsMax=1))
    first = SecureSession(doorway.daemon, doorway.door, doorway.context())
    second = doorway.connect(doorway.context())
    assert second.isLost
    assert second.heard == b""
    first.pump()
    assert ask(first, __token=token()) == 200
    first.leave()
    assert ask(doorway.connect(doorway.context()), __token=token()) == 200


def test_whoLeavesInItsHandshakeIsNotTold(doorway: Doorway) -> None:
    """Whoever connects and leaves again, as those do that look whether a port is open, is not worth a line."""
    session = SecureSession(doorway.daemon, doorway.door, doorway.context())
    with capturedLogs() as logged:
        session.wire.disconnecting = True
        session.pump()
    assert texts(logged) == []
    assert (doorway.daemon.factory.sessions(), doorway.daemon.factory.refused["handshake"]) == (0, 0)


# -- end ------------------------------------------------------------------------------------------------


def test_stop(doorway: Doorway) -> None:
    """A stop ends handshakes at once, and sessions when they have their answers; nobody waits for more than a peer's
    leave."""
    shaking = SecureSession(doorway.daemon, doorway.door, doorway.context())
    session = enter(doorway, CRM)
    doorway.daemon.ledgerThread.held = True
    session.send("BalanceInSync", "a", {"login": 1001, "amount": 10})
    finished: list[None] = []
    doorway.daemon.factory.finish().addCallback(finished.append)
    shaking.pump()
    assert (shaking.isLost, session.isLost) == (True, False)
    doorway.daemon.ledgerThread.release()
    session.pump()
    assert [answer["status"] for answer in session.answers()] == [200]
    assert finished == []
    session.leave()
    assert finished == [None]


def test_peerThatDoesNotLeave(doorway: Doorway) -> None:
    """A peer that is told to leave and does not is cut off after a while."""
    session = enter(doorway, CRM)
    doorway.daemon.factory.finish()
    session.pump()
    assert not session.isLost
    doorway.daemon.clock.advance(LINGER_S)
    session.pump()
    assert session.isLost
    assert doorway.daemon.factory.sessions() == 0


def test_lastWord(doorway: Doorway) -> None:
    """Whoever is shown the door over TLS hears why, whole."""
    session = enter(doorway, CRM)
    session.sendRaw(b"x" * (LIMITS.lineBytesMax + 2))
    assert session.lines()[-1]["data"]["message"] == "a line may have at most 65536 bytes"
    session.leave()
    assert doorway.daemon.factory.sessions() == 0


def test_peerThatDoesNotRead(doorway: Doorway) -> None:
    """While a peer does not read it is not read either, and what happens waits for it, whole and in order."""
    session, other = enter(doorway, CRM), doorway.daemon.staff()
    producer: IPushProducer = session.wire.producer
    producer.pauseProducing()
    session.send("Ping", "x")
    for key in "abc":
        other.deposit(key)
    session.pump()
    assert (session.lines(), session.wire.producerState) == ([], "paused")
    producer.resumeProducing()
    session.pump()
    assert inShort(session.lines()) == [*ofDeposits(6, 3), "x"]
