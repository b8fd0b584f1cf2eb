"""Tokens that are not accepted: what the peer is told, which is always the same, and what the log is told."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import count
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.logger import capturedLogs, eventAsText

from scalemgr.server.auth import Authenticator
from scalemgr.server.tokens import Keys, isTokenId
from scalemgr.wire.errors import TokenRefused

from ..helpers import LIMITS, NOW_MS, SECRET, Daemon, Session, token
from .tokens import NOW, clockAtNow, forged

ONE, TWO = b"1" * 32, b"2" * 32
RSA = rsa.generate_private_key(65537, 2048)
PUBLIC = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PRIVATE = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SENTENCE = "the token is not valid here, or no longer is"


def signed(key: bytes = SECRET, kid: str | None = None, **claims: Any) -> str:
    headers = None if kid is None else {"kid": kid}
    return jwt.encode({"id": "crm", "role": "manager", **claims}, key, algorithm="HS256", headers=headers)


def whyRefused(keys: Keys, text: str) -> str:
    """The reason for the log; the peer gets the one sentence, and nothing else."""
    with pytest.raises(TokenRefused) as caught:
        Authenticator(clockAtNow(), keys).principal(text)
    data = caught.value.data()
    assert (caught.value.status, data.keys()) == (401, {"error", "message", "code", "reason"})
    assert (data["error"], data["message"], data["reason"]) == ("PERMISSION_DENIED", SENTENCE, "RET_UNAUTHORIZED")
    return caught.value.why


HS, RS = Keys("HS256", [SECRET], revoked=frozenset({"stolen"})), Keys("RS256", [PUBLIC])


@pytest.mark.parametrize(
    ("keys", "text", "why"),
    [
        (HS, forged({"alg": "none"}), "it is signed with 'none', and expected is HS256"),
        (RS, forged({"alg": "HS256"}, PUBLIC), "it is signed with 'HS256', and expected is RS256"),
        (RS, forged({"alg": "RS256"}, PUBLIC), "it is not signed with any of the keys"),
        (HS, signed(ONE), "it is not signed with any of the keys"),
        (HS, signed(exp=NOW - 1, jti="a1"), "it has expired (of 'crm', jti 'a1')"),
        (HS, signed(exp=NOW), "it has expired (of 'crm', jti '')"),
        (HS, signed(nbf=NOW + 1), "it is not valid yet (of 'crm', jti '')"),
        (HS, signed(jti="stolen"), "it is revoked (of 'crm', jti 'stolen')"),
        (HS, signed(jti="stolen", exp=NOW - 1, role="x", aud="y"), "it is revoked (of 'crm', jti 'stolen')"),
        (HS, signed(kid="other"), "no key is named 'other' (its kid)"),
        (HS, signed(aud="bank"), "its aud is 'bank', and expected is none (of 'crm', jti '')"),
        (
            replace(HS, audience="scalemgr"),
            signed(aud=["bank"]),
            "its aud is ['bank'], and expected is scalemgr (of 'crm', jti '')",
        ),
        (replace(HS, audience="scalemgr"), signed(), "its aud is None, and expected is scalemgr (of 'crm', jti '')"),
        (HS, signed(role="emperor"), "it has no known role (of 'crm', jti '')"),
        (HS, "x" * 8193, "it is longer than 8192 characters"),
        (HS, "x", "it is no JWT"),
        (HS, forged({"alg": "HS256"}, SECRET, [1]), "it is no JWT that could be read"),
    ],
    # Not the token, which is another one each time.
    ids=count(),
)
def test_reason(keys: Keys, text: str, why: str) -> None:
    """Whatever is wrong with a token, the peer is told the same, and the log what it is, with whose it is if known."""
    assert whyRefused(keys, text) == why


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_whatAStrangerSaysDoesNoHarmInTheLog(alg: str, kid: str, id: str) -> None:
    """The reason is one short line of plain ASCII, whatever a stranger puts into its token."""
    for text in (forged({"alg": alg}), forged({"alg": "HS256", "kid": kid}), signed(id=id, exp=NOW, jti="j" * 200)):
        try:
            why = whyRefused(HS, text)
        except UnicodeEncodeError:
            continue  # No half surrogate pair gets into a token.
        assert why.isascii()
        assert why.isprintable()
        assert len(why) < 200


@pytest.mark.parametrize("jti", ["#x", " x", "x ", "x\n", "x\x00", "x" * 201, "\u202ex", 7, None, True, ["stolen"], {}])
def test_jtiThatNoListCouldName(jti: object) -> None:
    """A token whose id could not be a line of the list, so that it could not be revoked, is refused."""
    assert not (isinstance(jti, str) and isTokenId(jti))
    assert whyRefused(HS, forged({"alg": "HS256"}, SECRET, {"id": "crm", "role": 1, "jti": jti})).startswith(
        "it has no usable jti"
    )


def test_jti() -> None:
    """A token with an id that is not revoked is believed, and so is one without; the longest has 200 characters."""
    auth = Authenticator(clockAtNow(), HS)
    for text in (signed(), signed(jti=""), signed(jti="fine"), signed(jti="é" * 200), signed(jti="STOLEN")):
        assert auth.principal(text).id == "crm"


# -- keys with names ----------------------------------------------------------------------------------


def test_kid() -> None:
    """A token that names its key is checked with that one only; one that names none, with each."""
    keys = Keys("HS256", [SECRET], named={"one": ONE, "two": TWO})
    auth = Authenticator(clockAtNow(), keys)
    for text in (signed(), signed(ONE), signed(TWO), signed(ONE, "one"), signed(TWO, "two")):
        assert auth.principal(text).id == "crm"
    assert whyRefused(keys, signed(TWO, "one")) == "it is not signed with the key 'one'"
    assert whyRefused(keys, signed(SECRET, "one")) == "it is not signed with the key 'one'"
    for kid in ("three", "One", "../one", "x" * 500):
        assert whyRefused(keys, signed(ONE, kid)).startswith("no key is named '")


def test_secretsAreNotShown() -> None:
    """No key is in what Python says of what knows it: that may come into a log."""
    keys = Keys("HS256", [SECRET], named={"one": ONE})
    principal = Authenticator(clockAtNow(), keys).principal(signed(jti="j"))
    for shown in (repr(keys), str(keys), repr(principal), f"{principal!s} {[principal]}"):
        assert SECRET.decode() not in shown
        assert ONE.decode() not in shown
    assert "'j'" in repr(principal)


# -- what is believed changes -------------------------------------------------------------------------


def rotated() -> Keys:
    return Keys("HS256", [SECRET], named={"one": ONE})


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (signed(jti="j"), lambda keys: replace(keys, revoked=frozenset({"j"}))),
        (signed(), lambda keys: replace(keys, keys=[])),
        (signed(ONE), lambda keys: replace(keys, named={})),
        (signed(ONE, "one"), lambda keys: replace(keys, named={"one": TWO})),
        (signed(ONE, "one"), lambda keys: replace(keys, named={"two": ONE})),
        (signed(), lambda keys: replace(keys, audience="scalemgr")),
        (signed(), lambda keys: RS),
    ],
)
def test_believedNoMore(text: str, changed: Callable[[Keys], Keys]) -> None:
    """What is revoked, or was signed with a key that is gone, is not believed any more, though it was seen before."""
    auth = Authenticator(clockAtNow(), rotated())
    principal = auth.principal(text)
    auth.renew(changed(rotated()))
    assert not auth.isBelieved(principal)
    with pytest.raises(TokenRefused):
        auth.principal(text)
    auth.renew(rotated())
    assert auth.isBelieved(auth.principal(text))


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (signed(), lambda keys: replace(keys, revoked=frozenset({"j", ""}))),
        (signed(jti="k"), lambda keys: replace(keys, revoked=frozenset({"j"}))),
        (signed(), lambda keys: replace(keys, keys=[ONE, SECRET])),
        (signed(), lambda keys: replace(keys, keys=[], named={"old": SECRET})),
        (signed(ONE, "one"), lambda keys: replace(keys, named={"two": TWO, "one": ONE})),
        (signed(ONE), lambda keys: replace(keys, named={"renamed": ONE})),
    ],
)
def test_believedStill(text: str, changed: Callable[[Keys], Keys]) -> None:
    """What a change does not concern stays believed, without being checked again."""
    auth = Authenticator(clockAtNow(), rotated())
    principal = auth.principal(text)
    keys = changed(rotated())
    auth.renew(replace(keys, revoked=keys.revoked - {""}))
    assert auth.isBelieved(principal)
    assert auth.principal(text) is principal


# -- sessions -----------------------------------------------------------------------------------------


def ping(session: Session, **more: object) -> int:
    session.send("Ping", "x", **more)
    [answer] = session.answers()
    status: int = answer["status"]
    return status


def renew(daemon: Daemon, *revoked: str) -> int:
    daemon.auth.renew(Keys("HS256", [SECRET], revoked=frozenset(revoked)))
    return daemon.factory.reconsider(daemon.auth.isBelieved)


def test_sessionOfARevokedToken() -> None:
    """A session whose token is revoked gets no more events and needs another token, and then misses nothing."""
    daemon = Daemon()
    victim, other = daemon.connect(), daemon.staff()
    assert ping(victim, __token=token(jti="stolen")) == 200
    other.deposit("a")
    daemon.settle()
    assert [line["seq"] for line in victim.lines()] == [6, 7]
    other.raw()
    assert renew(daemon, "stolen") == 1
    assert victim.lines() == [{"event": "token:expired", "data": {"seq": 7}}]
    assert other.lines() == []
    other.deposit("b")
    daemon.settle()
    assert victim.lines() == []
    assert ping(victim) == 401
    assert ping(victim, __token=token(jti="stolen")) == 401
    assert not victim.transport.disconnecting
    victim.send("Ping", "again", __token=token(jti="fresh"))
    lines = victim.lines()
    assert [line.get("seq", line.get("extID")) for line in lines] == [8, 9, "again"]
    other.raw()
    assert ping(other) == 200


def test_revokedWhileUnderWay() -> None:
    """What was taken while the token was believed is booked and answered."""
    daemon = Daemon()
    session = daemon.connect(token(jti="j"))
    assert ping(session) == 200
    session.deposit("a")
    assert renew(daemon, "j") == 1
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200]
    assert daemon.balance() == 1000


def test_revokedUserIsToldNothing() -> None:
    """A session that is sent no events is told of it with its next request."""
    daemon = Daemon()
    session = daemon.connect()
    assert ping(session, __token=token("ann", "user", login=1001, jti="j")) == 200
    assert renew(daemon, "j") == 1
    assert session.raw() == b""
    assert ping(session) == 401


def test_revokedInAReplay() -> None:
    """A replay of a session whose token is revoked stops, and goes on with the next token to its mark."""
    daemon = Daemon()
    session = daemon.connect()
    assert ping(session, __token=token(jti="j")) == 200
    daemon.replayThread.held = True
    session.send("Subscribe", "s", {"chanels": ["trade:event", "user:event", "group:event"], "from_seq": 0})
    assert [line["status"] for line in session.lines()] == [200]
    assert renew(daemon, "j") == 1
    daemon.replayThread.release()
    daemon.settle()
    assert session.lines() == [{"event": "token:expired", "data": {"seq": 0}}]
    session.send("Ping", "again", __token=token())
    daemon.settle()
    events = [line["event"] for line in session.lines() if "event" in line]
    assert len(events) == 6
    assert events[-1] == "replay:done"


# -- so many and no more ------------------------------------------------------------------------------

BAD = [forged({"alg": "none"}), signed(ONE), token(exp=1), "x.y.z", "a.b"]


@pytest.mark.parametrize("known", [False, True])
def test_fiveBadTokens(known: bool) -> None:
    """The fifth token in a row that is not accepted ends a session, known or not, and what follows is not done."""
    daemon = Daemon()
    session = daemon.staff() if known else daemon.connect()
    for n in range(4):
        session.send("Ping", n, __token=BAD[n])
    assert not session.transport.disconnecting
    assert len(session.answers()) == 4
    line = json.dumps({"command": "Ping", "extID": 4, "__token": BAD[4]}).encode() + b"\r\n"
    session.sendRaw(line * 3)
    lines = session.lines()
    assert [(line["extID"], line["status"]) for line in lines] == [(4, 401), (None, 401)]
    assert lines[1]["data"]["message"] == "too many tokens that are not valid"
    assert session.transport.disconnecting
    assert daemon.auth.refused == 5


@pytest.mark.parametrize("most", [1, 2, 7])
def test_asManyAsConfigured(most: int) -> None:
    """It is as many as are configured: one less does not end it."""
    daemon = Daemon(limits=replace(LIMITS, badTokensMax=most))
    session = daemon.connect()
    for n in range(most):
        assert not session.transport.disconnecting
        session.send("Ping", n, __token="bad")
    assert session.transport.disconnecting


def test_anotherTokenBeginsAnew() -> None:
    """An honest client whose tokens expire from time to time is never ended for it; a missing token is no bad one."""
    daemon = Daemon()
    session = daemon.connect()
    for n in range(20):
        assert ping(session, __token=token(exp=NOW_MS // 1000 - 1)) == 401
        assert ping(session, __token=token(jti=f"j{n}")) == 200
    stranger = daemon.connect()
    for _ in range(20):
        assert ping(stranger) == 401
    assert not session.transport.disconnecting
    assert not stranger.transport.disconnecting


def test_whatIsUnderWayIsAnswered() -> None:
    """A session that ends for its bad tokens gets the answers to what was taken before."""
    daemon = Daemon()
    session = daemon.connect(token())
    session.deposit("a")
    for n in range(5):
        session.send("Ping", n, __token="bad")
    assert not session.transport.disconnecting
    session.deposit("late")
    daemon.settle()
    said = [(line["extID"], line["status"]) for line in session.lines() if "extID" in line]
    assert said == [(0, 401), (1, 401), (2, 401), (3, 401), (4, 401), ("a", 200), (None, 401)]
    assert session.transport.disconnecting
    assert daemon.balance() == 1000


def test_eachReasonIsLogged() -> None:
    """Each bad token of a session gets a line with who and why, as many as end it; none has a piece of the token."""
    daemon = Daemon(keys=HS)
    session = daemon.connect()
    with capturedLogs() as logged:
        for text in (forged({"alg": "none"}), token(exp=1, jti="old"), token(jti="stolen"), "x"):
            session.send("Ping", 1, __token=text)
    said = [eventAsText(event) for event in logged]
    assert [line.partition("session 1 from ")[2] for line in said] == [
        "192.168.1.1: a token is refused: it is signed with 'none', and expected is HS256",
        "192.168.1.1: a token is refused: it has expired (of 'crm', jti 'old')",
        "192.168.1.1: a token is refused: it is revoked (of 'crm', jti 'stolen')",
        "192.168.1.1: a token is refused: it is no JWT",
    ]
    for part in token(jti="stolen").split("."):
        assert not any(part in line for line in said)
        assert not any(base64.urlsafe_b64encode(SECRET).decode() in line for line in said)


def test_logIsBoundedForASession() -> None:
    """A session that mixes good tokens with bad ones gets only so many lines."""
    daemon = Daemon()
    session = daemon.connect()
    with capturedLogs() as logged:
        for n in range(50):
            ping(session, __token="bad")
            ping(session, __token=token(jti=f"j{n}"))
            daemon.clock.advance(1)
    assert len(logged) == 5
