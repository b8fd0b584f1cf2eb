"""Who a session speaks for: by its last valid token, until that expires."""

from __future__ import annotations

import pytest
from twisted.logger import LogEvent, capturedLogs, eventAsText

from scalemgr.server.auth import Principal
from scalemgr.server.patience import STRANGER_REFUSALS_MAX
from scalemgr.wire.codes import SessionType

from ..helpers import NOW_MS, Daemon, Session, inShort, ofDeposits, thirdParty, token

NOW = NOW_MS // 1000


def ask(session: Session, **more: object) -> tuple[int, str]:
    """Ask for something that any token allows; the status, and the error or nothing."""
    session.send("Ping", "x", **more)
    [answer] = session.answers()
    return answer["status"], answer["data"].get("error", "")


def test_noToken() -> None:
    """A session that has shown no token gets 401 for everything, known or not, and lives."""
    daemon = Daemon()
    session = daemon.connect()
    before = daemon.kept()
    session.deposit("a")
    session.send("Ping", "b")
    session.send("NoSuchCommand", "c")
    session.send("Ping", "d", __token="")
    daemon.settle()
    answers = session.answers()
    assert [answer["extID"] for answer in answers] == ["a", "b", "c", "d"]
    assert {(a["status"], a["data"]["error"], a["data"]["reason"]) for a in answers} == {
        (401, "PERMISSION_DENIED", "RET_UNAUTHORIZED")
    }
    assert daemon.kept() == before
    assert ask(session, __token=token()) == (200, "")


def test_tokenOnce() -> None:
    """A session that has shown a valid token may leave it out from then on."""
    session = Daemon().connect()
    assert ask(session, __token=token()) == (200, "")
    assert ask(session) == (200, "")


def test_untilItExpires() -> None:
    """What a token gave ends with its C{exp}, though the session lives; a new token gives it again."""
    daemon = Daemon()
    session = daemon.connect()
    assert ask(session, __token=token(exp=NOW + 60)) == (200, "")
    daemon.clock.advance(59.7)
    assert ask(session) == (200, "")
    daemon.clock.advance(0.05)
    assert ask(session) == (401, "PERMISSION_DENIED")
    assert ask(session, __token=token(exp=NOW + 60)) == (401, "PERMISSION_DENIED")
    assert ask(session, __token=token(exp=NOW + 120)) == (200, "")
    assert ask(session) == (200, "")
    assert not session.transport.disconnecting


def test_expiredWhileListening() -> None:
    """A session from which an expired token took the events gets 401, and all back with a new token."""
    daemon = Daemon()
    session, asking = daemon.connect(), daemon.staff()
    assert ask(session, __token=token(exp=NOW + 1)) == (200, "")
    daemon.clock.advance(2)
    asking.deposit("a")
    daemon.settle()
    assert session.lines() == [{"event": "token:expired", "data": {"seq": 5}}]
    assert ask(session) == (401, "PERMISSION_DENIED")
    session.send("Ping", "again", __token=token(exp=NOW + 60))
    lines = session.lines()
    assert inShort(lines) == [*ofDeposits(6), "again"]
    assert lines[-1]["status"] == 200


@pytest.mark.parametrize("bad", ["x.y.z", token(exp=NOW), token(role="nobody"), token()[:-4], "x" * 8193])
def test_badTokenAfterAGoodOne(bad: str) -> None:
    """A bad token costs its own request only: the session keeps what its last valid token gave it."""
    daemon = Daemon()
    session = daemon.connect()
    assert ask(session, __token=token()) == (200, "")
    before = daemon.kept()
    session.deposit("a")
    session.send("BalanceInSync", "b", {"login": 1001, "amount": 10}, __token=bad)
    daemon.settle()
    lines = session.lines()
    assert inShort(lines) == ["b", "a", *ofDeposits(6)]
    assert [line["status"] for line in lines[:2]] == [401, 200]
    # One deposit, which is two entries.
    assert daemon.kept()[0] == before[0] + 2
    assert ask(session) == (200, "")
    assert daemon.factory.sessions() == 1


def test_lastTokenCounts() -> None:
    """A later token replaces the earlier one altogether: its role, its groups and its name."""
    daemon = Daemon()
    session = daemon.connect()
    assert ask(session, __token=token("one", "admin")) == (200, "")
    assert ask(session, __token=token("two", 0, login=1001)) == (200, "")
    session.deposit("a")
    assert [answer["status"] for answer in session.answers()] == [401]
    assert ask(session, __token=token("three", "manager", groups="real-*")) == (200, "")
    session.deposit("b")
    session.deposit("c", login=2001)
    daemon.settle()
    assert [(a["extID"], a["status"]) for a in session.answers()] == [("b", 401), ("c", 200)]
    assert daemon.ledger.entries(5, 10)[0].principal == "three"


def test_sessionsApart() -> None:
    """What one session has shown gives another nothing."""
    daemon = Daemon()
    daemon.staff()
    assert ask(daemon.connect()) == (401, "PERMISSION_DENIED")


def test_anonymous() -> None:
    """In a demo a session needs no token; one that it shows all the same counts, and a bad one is refused."""
    daemon = Daemon(anonymous=Principal("demo", SessionType.SESSION_MANAGER))
    session = daemon.connect()
    session.deposit("a")
    daemon.settle()
    assert [line["status"] for line in session.answers()] == [200]
    assert ask(session, __token="x.y.z") == (401, "PERMISSION_DENIED")
    assert ask(session, __token=token("user", 0, login=1001)) == (200, "")
    session.deposit("b")
    assert [answer["status"] for answer in session.answers()] == [401]


@pytest.mark.parametrize("role", [0, 3])
def test_clientSentAccess(role: int) -> None:
    """What a client says of its own rights is not believed, wherever it says it."""
    daemon = Daemon()
    session = daemon.connect(token(role=role, login=1001))
    for access in ({"type": 3}, {"type": 0}, 7):
        data = {"login": 1001, "amount": 10, "__access": access}
        session.send("BalanceInSync", "a", data, __access=access)
        daemon.settle()
        [answer] = session.answers()
        assert answer["status"] == (200 if role == 3 else 401)
        assert answer["data"].get("error") == (None if role == 3 else "ADD_BALANCE_ERROR")


def test_tokensAreNotTold(failures: list[LogEvent]) -> None:
    """No token, good or bad, is in any answer, event or log line, whatever goes wrong."""

    def broken(context: object) -> dict[str, object]:
        raise ZeroDivisionError

    daemon = Daemon(also=[thirdParty(broken)])
    good = token()
    bad = good[:-8] + "AAAAAAAA"
    session, listening = daemon.connect(), daemon.staff()
    with capturedLogs() as logged:
        for text in (good, bad, good.partition(".")[0], "x" * 9000):
            session.deposit("a", 1.0)
            session.send("BalanceInSync", "b", {"login": 1001, "amount": 1}, __token=text)
            session.send("ThirdParty", "c", __token=text)
            session.send("NoSuchCommand", "d", __token=text)
            session.sendRaw(b'{"__token":"%s"' % text.encode() + b"\r\n")
            daemon.settle()
    said = session.raw() + listening.raw()
    assert said.count(b'"status":500') == 1
    assert len(failures) == 1
    failures.clear()
    for text in (good, bad):
        for part in text.split("."):
            assert part.encode() not in said
            assert not any(part in eventAsText(event) + str(event) for event in logged)


def test_oldMistakesOfAKnownSession() -> None:
    """What a session got wrong while it was known is not held against it when its token has expired."""
    daemon = Daemon()
    session, asking = daemon.connect(), daemon.staff()
    assert ask(session, __token=token(exp=NOW + 1)) == (200, "")
    for _ in range(2 * STRANGER_REFUSALS_MAX):
        session.sendRaw(b"nonsense\r\n")
    daemon.clock.advance(2)
    asking.deposit("a")
    daemon.settle()
    session.lines()
    assert ask(session) == (401, "PERMISSION_DENIED")
    assert not session.transport.disconnecting
    assert ask(session, __token=token(exp=NOW + 60)) == (200, "")
