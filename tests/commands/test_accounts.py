"""Opening accounts, looking at them, and what becomes of a password."""

from __future__ import annotations

from typing import Any

import pytest
import ujson
from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY
from twisted.logger import LogEvent, capturedLogs, eventAsText

from scalemgr.commands import accounts

from ..helpers import NOW_MS, Daemon, Session, fresh, token

NOW = NOW_MS // 1000
PASSWORD = "correct horse battery staple"

PROFILE: dict[str, Any] = {
    "group": "demo",
    "name": "Ann O'Hara",
    "password": PASSWORD,
    "leverage": 100,
    "enable": 1,
    "email": "ann@example.com",
}


pytestmark = pytest.mark.usefixtures("cheapHash")


def opened(daemon: Daemon, session: Session | None = None, **changes: Any) -> dict[str, Any]:
    """The answer to opening an account; C{None} leaves a member out."""
    session = session or daemon.staff()
    data = {name: value for name, value in {**PROFILE, **changes}.items() if value is not None}
    session.send("MngAddAccount", fresh(), data)
    daemon.settle()
    [answer] = session.answers()
    return answer


def look(daemon: Daemon, login: int, **claims: Any) -> dict[str, Any]:
    session = daemon.connect(token(**claims))
    session.send("GetAccountByLogin", "x", {"login": login})
    [answer] = session.answers()
    return answer


# -- opening ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["MngAddAccount", "AddUser"])
def test_open(command: str) -> None:
    """An account is opened under either name of the command; the answer says what was made."""
    daemon = Daemon()
    session, listening = daemon.staff(), daemon.staff()
    session.send(command, "x", {**PROFILE, "login": 5001, "group": "real-eu"})
    daemon.settle()
    answer, event = session.lines()
    assert answer == {
        "extID": "x",
        "status": 200,
        "data": {"login": 5001, "group": "real-eu", "leverage": 100, "currency": "EUR", "update_time": NOW},
    }
    assert (event["event"], event["type"], event["data"]["login"]) == ("user:event", 0, 5001)
    assert listening.lines() == [event]
    assert daemon.balance(5001) == 0


def test_assignedLogin() -> None:
    """Without a login the server takes the lowest from 1001 up that nobody has."""
    daemon = Daemon()
    logins = [opened(daemon, login=login)["data"]["login"] for login in (None, 1004, None, None)]
    assert logins == [1003, 1004, 1005, 1006]


def test_openedInOneBatch() -> None:
    """Accounts that are opened at once get logins of their own."""
    daemon = Daemon()
    session = daemon.staff()
    for extID in "abc":
        session.send("MngAddAccount", extID, PROFILE)
    daemon.settle()
    assert [answer["data"]["login"] for answer in session.answers()] == [1003, 1004, 1005]


def test_takesMoney() -> None:
    """A new account takes a deposit, and one that is opened disabled does not."""
    daemon = Daemon()
    opened(daemon, login=3001)
    opened(daemon, login=3002, enable=0)
    session = daemon.staff()
    session.deposit("a", login=3001)
    session.deposit("b", login=3002)
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200, 403]


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"login": 1001}, 409, "RET_USR_LOGIN_EXIST"),
        ({"group": "none"}, 404, "RET_GROUP_NOT_FOUND"),
        ({"group": "Demo"}, 404, "RET_GROUP_NOT_FOUND"),
    ],
)
def test_refused(changes: dict[str, Any], status: int, reason: str) -> None:
    """A login that is taken, or a group that is not there, is refused, and nothing is made."""
    daemon = Daemon()
    before = daemon.kept()
    answer = opened(daemon, **changes)
    assert (answer["status"], answer["data"]["reason"]) == (status, reason)
    assert daemon.kept() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, None) for name in PROFILE),
        ("group", 7),
        ("name", "x" * 257),
        ("password", "12345"),
        ("password", "x" * 129),
        ("password", 123456),
        ("leverage", 0),
        ("leverage", 10_001),
        ("leverage", 1.5),
        ("enable", 2),
        ("enable", True),
        ("email", []),
        ("login", 0),
        ("login", -1),
        ("comment", "x" * 513),
        ("send_reports", 2),
        ("magic", -1),
    ],
)
def test_badField(field: str, value: object) -> None:
    """A member that is missing or wrong is refused by name, and nothing is made."""
    daemon = Daemon()
    before = daemon.kept()
    answer = opened(daemon, **{field: value})
    assert (answer["status"], answer["data"]["error"], answer["data"]["field"]) == (400, "INVALID_DATA", field)
    assert daemon.kept() == before


@pytest.mark.parametrize(("role", "status"), [(0, 403), (1, 200), (2, 403), (3, 200), (4, 403), (9, 403)])
def test_whoMayOpen(role: int, status: int) -> None:
    """Managers and admins open accounts; nobody else does."""
    daemon = Daemon()
    before = daemon.kept()
    answer = opened(daemon, daemon.connect(token(role=role, login=1001)))
    assert answer["status"] == status
    assert (daemon.kept() == before) is (status != 200)


def test_openOutsideTheMask() -> None:
    """A group outside the caller's mask is answered like one that is not there."""
    daemon = Daemon()
    answers = [
        opened(daemon, daemon.connect(token(groups="demo")), group=group)["data"]["reason"]
        for group in ("real-eu", "none")
    ]
    assert answers == ["RET_GROUP_NOT_FOUND"] * 2


def test_lostWhileHashing() -> None:
    """A session that breaks while its password is hashed still gets its account; nobody is told twice."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.helperThread.held = True
    session.send("MngAddAccount", "x", {**PROFILE, "login": 5001})
    session.lose()
    daemon.helperThread.release()
    daemon.settle()
    assert daemon.ledger.book.account(5001) is not None
    assert session.raw() == b""
    assert len(daemon.waiters) == 0


# -- looking ------------------------------------------------------------------------------------------


def test_look() -> None:
    """An account is shown with its whole profile and its money, and without its password in any form."""
    daemon = Daemon()
    opened(daemon, login=5001, city="Zürich", magic=7)
    session = daemon.staff()
    session.deposit("a", 12.34, login=5001)
    daemon.settle()
    answer = look(daemon, 5001)
    data = answer["data"]
    assert answer["status"] == 200
    kept = {name: value for name, value in PROFILE.items() if name != "password"}
    assert data.items() >= {**kept, "login": 5001, "city": "Zürich", "magic": 7, "currency": "USD"}.items()
    assert [data[name] for name in ("balance", "credit", "equity", "margin_free", "margin")] == [
        12.34,
        0,
        12.34,
        12.34,
        0,
    ]
    assert (data["regdate"], data["balance_version"]) == (NOW, 1)
    assert not [name for name in data if "password" in name and name != "enable_change_password"]


@pytest.mark.parametrize(("login", "claims"), [(999, {}), (2001, {"groups": "demo"})])
def test_lookAtNothing(login: int, claims: dict[str, Any]) -> None:
    """An account that is not there, and one outside the caller's mask, are one and the same 404."""
    answer = look(Daemon(), login, **claims)
    assert (answer["status"], answer["data"]["reason"]) == (404, "RET_USER_NOT_FOUND")
    assert answer["data"]["message"] == f"login {login} does not exist, or not for you"


def test_lookReadsWhatWasWritten() -> None:
    """A question on the heels of an answer sees what that answer said."""
    daemon = Daemon()
    session = daemon.staff()
    for i in range(3):
        session.deposit(fresh(), 1.0)
        daemon.settle()
        session.lines()
        assert look(daemon, 1001)["data"]["balance"] == i + 1


# -- passwords ----------------------------------------------------------------------------------------


def test_passwordIsKeptAsHash(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log keeps a password as an argon2 hash, salted, by the rules of RFC 9106, beside the event."""
    monkeypatch.undo()
    daemon = Daemon()
    opened(daemon, login=5001)
    [entry] = daemon.ledger.entries(5, 10)
    assert PASSWORD not in str(entry)
    record = ujson.loads(entry.record or "{}")
    hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
    assert record["password_hash"].startswith("$argon2id$")
    assert hasher.verify(record["password_hash"], PASSWORD)
    assert not hasher.check_needs_rehash(record["password_hash"])
    assert "password" not in record
    assert "hash" not in entry.data


def test_saltedEachTime() -> None:
    """One password of two accounts is two hashes."""
    daemon = Daemon()
    for login in (5001, 5002):
        opened(daemon, login=login)
    hashes = {ujson.loads(entry.record or "{}")["password_hash"] for entry in daemon.ledger.entries(5, 10)}
    assert len(hashes) == 2


def test_passwordIsNeverTold(failures: list[LogEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    """No password, nor its hash, is in any answer, event or log line, whether the account is opened or not."""
    daemon = Daemon()
    session, listening = daemon.staff(), daemon.staff()

    def send(**changes: Any) -> None:
        session.send("MngAddAccount", "x", {**PROFILE, **changes})
        daemon.settle()

    with capturedLogs() as logged:
        send(login=5001)
        send(login=5001)
        send(group="none")
        send(leverage=0)
        send(password=PASSWORD * 10)
        send(password=[PASSWORD])
        session.send("NoSuchCommand", "y", PROFILE)
        session.sendRaw(b'{"command":"MngAddAccount","data":{"password":"%s"\r\n' % PASSWORD.encode())
        session.send("GetAccountByLogin", "y", {"login": 5001})
        monkeypatch.setattr(accounts, "_HASHER", None)
        send(login=5002)
    said = session.raw() + listening.raw()
    assert said.count(b'"user:event"') == 2
    assert said.count(b'"status":') == 10
    assert len(failures) == 1
    failures.clear()
    for secret in ("horse", "argon2"):
        assert secret.encode() not in said
        assert not any(secret in eventAsText(event) for event in logged)


def test_hashingIsNotInTheReactor() -> None:
    """While a password is hashed, which is slow on purpose, other requests are answered."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.helperThread.held = True
    session.send("MngAddAccount", "slow", PROFILE)
    session.deposit("fast")
    daemon.settle()
    assert [answer["extID"] for answer in session.answers()] == ["fast"]
    daemon.helperThread.release()
    daemon.settle()
    assert [answer["extID"] for answer in session.answers()] == ["slow"]
