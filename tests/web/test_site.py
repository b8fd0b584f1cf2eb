"""How HTTP is spoken, how much of it, and with whom."""

from __future__ import annotations

import jwt
import pytest
from msgspec.structs import replace
from twisted.logger import capturedLogs, eventAsText
from twisted.web.server import NOT_DONE_YET, Request

from scalemgr.server.auth import Keys, Principal
from scalemgr.server.gate import GateRules, networks
from scalemgr.web.guard import OPERATOR
from scalemgr.web.resources import Page
from scalemgr.web.site import BODY_MAX, CONNECTIONS_MAX, NEIGHBOURS_MAX, REQUEST_S

from ..helpers import LIMITS, NOW_MS, SECRET, token
from .house import Visitor, Windowed

PAGES = ("/livez", "/readyz", "/metrics", "/status")
HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.mark.parametrize("path", PAGES)
def test_headSaysWhatGetWould(path: str) -> None:
    """HEAD has the same status and headers as GET, and no body."""
    house = Windowed()
    got, head = house.ask(path), house.ask(path, "HEAD")
    assert got.status == head.status == 200
    assert got.headers.keys() == head.headers.keys()
    assert got.headers["content-type"] == head.headers["content-type"]
    assert int(head.headers["content-length"]) > 0
    house.close()


def test_refusalsInPlainWords() -> None:
    """What there is not, and what a page does not understand, is said in words, and by no page of Twisted's."""
    house = Windowed()
    for path in ("/nothing", "/metrics/more", "/metrics/", "//", "/%2e%2e/etc/passwd", "/status%00"):
        answer = house.ask(path)
        assert (answer.status, answer.text) == (404, "There is no such page.\n")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
        answer = house.ask("/status", method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        assert answer.text == "This page understands GET, HEAD only.\n"
    house.close()


@pytest.mark.parametrize("path", ["/nothing", "/status/more", "/stream", "/status", "/login"])
def test_whatIsAskedForIsNotWrittenDown(path: str) -> None:
    """What stands in an address, such as a token that somebody has pasted there, is in no line of the log, and in no
    answer: whatever the method, and whether there is such a page or not, or not for who asks."""
    house = Windowed()
    with capturedLogs() as logged:
        for method in ("GET", "HEAD", "POST", "BREW"):
            for headers in ({"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site", **bearer("x")}, bearer("x")):
                answer = house.ask(f"{path}?token={token()}", method, headers)
                assert answer.status >= 300
                assert token() not in str(answer)
    said = [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in logged]
    assert not any("token=" in line or token() in line for line in said), said
    house.close()


@pytest.mark.parametrize(
    "kind", ["a\x0bb", "multipart/form-data", "multipart/form-data; boundary=x", "application/json"]
)
def test_oddForms(kind: str) -> None:
    """What a body says that it is, is looked at by nobody: it is answered like any other, and nothing fails."""
    house = Windowed()
    visitor = Visitor(house)
    with capturedLogs() as logged:
        head = f"POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 3\r\n\r\n"
        visitor.say(head.encode() + b"a=b")
    assert [answer.status for answer in visitor.answers()] == [405]
    assert not logged
    visitor.lose()
    house.close()


def test_noBanner() -> None:
    """No answer says what software this is; none is kept or guessed at."""
    house = Windowed()
    for answer in [*map(house.ask, (*PAGES, "/nothing")), house.ask("/status", "POST")]:
        assert "server" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    house.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8081", 200),
        ("localhost.", 200),
        ("127.0.0.1:8081", 200),
        ("127.9.9.9", 200),
        ("[::1]:8081", 200),
        ("evil.example", 421),
        ("evil.example:8081", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.168.1.1:8081", 421),
        ("[::2]", 421),
        ("0.0.0.0:8081", 421),
        ("", 421),
    ],
)
def test_host(host: str, status: int) -> None:
    """On loopback only this machine's own names are answered to: a page that made its own name lead here gets nothing,
    not even that it is alive."""
    house = Windowed()
    for path in PAGES:
        assert house.ask(path, headers={"Host": host}).status == status
    house.close()


def test_noHost() -> None:
    """A probe that is no browser and names no house is answered."""
    house = Windowed()
    visitor = Visitor(house)
    visitor.say(b"GET /readyz HTTP/1.0\r\n\r\n")
    assert [answer.status for answer in visitor.answers()] == [200]
    visitor.lose()
    house.close()


def test_elsewhereATokenIsNeeded() -> None:
    """On other addresses liveness and readiness are for all, without the reasons; the rest is for the staff of the
    whole house."""
    house = Windowed()
    house.eyes.guard.isLocal = False
    there = {"Host": "broker.example"}
    assert house.ask("/livez", headers=there).status == 200
    assert house.ask("/readyz", headers=there).text == "ready\nok  work\nok  ledger\nok  views\nok  certificate\n"
    for path in ("/metrics", "/status"):
        for headers, status in (
            ({}, 401),
            (bearer("no.such.token"), 401),
            (bearer(""), 401),
            ({"Authorization": "Basic YTpi"}, 401),
            (bearer(jwt.encode({"id": "x", "role": "admin"}, b"y" * 32, algorithm="HS256")), 401),
            (bearer(token(exp=NOW_MS // 1000)), 401),
            (bearer(token("u", "user", login=1001)), 403),
            (bearer(token("partner", groups="partner-*")), 403),
            (bearer(token()), 200),
            ({"Authorization": f"bEARER   {token('a', 'admin')}"}, 200),
        ):
            answer = house.ask(path, headers={**there, **headers})
            assert answer.status == status
            assert ("www-authenticate" in answer.headers) == (status == 401)
            assert all(word not in answer.text for word in headers.get("Authorization", "").split()[1:])
    assert "it can be written" in house.ask("/readyz", headers={**there, **bearer(token())}).text
    assert house.daemon.auth.refused == 2 * 3
    house.close()


def test_refusedTokensAreLogged() -> None:
    """Why a token is refused is in the log with from where it came, and not in the answer; the token is in neither, and
    a flood of them is a few lines."""
    house = Windowed()
    revoked = token("thief", exp=NOW_MS // 1000 - 1)
    with capturedLogs() as logged:
        assert house.ask("/status", headers=bearer(revoked)).text == "This needs a token: Authorization: Bearer ...\n"
        for n in range(100):
            assert house.ask("/status", headers=bearer(f"forged\u00ff{n}")).status == 401
    lines = [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in logged]
    assert lines[0].startswith("the site refused a token from 127.0.0.1: it has expired (of 'thief'")
    assert len(lines) == 10
    assert not any(revoked in line or "forged" in line for line in lines)
    house.close()


class Cookies:
    """Gave one cookie."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    def principal(self, cookie: str) -> Principal | None:
        return self._principal if cookie == "given" else None


def test_cookies() -> None:
    """Who has a cookie is who he was when he got it, as long as what he was believed for is believed."""
    house = Windowed()
    auth = house.daemon.auth
    guard = house.eyes.guard
    setattr(guard, "_cookies", Cookies(auth.principal(token("crm"))))
    guard.isLocal = False
    assert house.ask("/status", headers={"Cookie": "other=1; scalemgr=given"}).status == 200
    assert house.ask("/status", headers={"Cookie": "scalemgr=guessed"}).status == 401
    assert house.ask("/status", headers={"Cookie": "scalemgr=given", **bearer("no.such.token")}).status == 401
    auth.renew(Keys("HS256", [b"another secret, which is long enough"]))
    assert house.ask("/status", headers={"Cookie": "scalemgr=given"}).status == 401
    house.close()


def test_proxyIsNobody() -> None:
    """Who comes through a proxy on this machine is not the operator, and needs a token."""
    house = Windowed()
    said = ("Forwarded", "X-Forwarded-For", "x-forwarded-proto", "X-Forwarded", "X-Real-IP", "Via", "CF-Connecting-IP")
    for name in said:
        assert house.ask("/status", headers={name: "192.0.2.1"}).status == 401
        assert house.ask("/status", headers={name: "192.0.2.1", **bearer(token())}).status == 200
    house.close()


def test_aWrongTokenIsWrongHereToo() -> None:
    """On loopback no token is needed, but one that is not believed is not overlooked."""
    house = Windowed()
    assert house.ask("/status", headers=bearer("no.such.token")).status == 401
    house.close()


def test_operatorChangesNothing() -> None:
    """Who looks without a token sees everything, and may change nothing."""
    assert OPERATOR.may("see_accounts_balance")
    assert not any(OPERATOR.may(flag) for flag in ("set_accounts", "set_accounts_balance", "approve_finance"))


@pytest.mark.parametrize("size", [BODY_MAX, BODY_MAX + 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodiesAreBounded(size: int, chunked: bool) -> None:
    """A body of more than it may have is refused as soon as that is known, and nothing more of it is taken."""
    house = Windowed()
    visitor = Visitor(house)
    if chunked:
        visitor.say(b"POST /status HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(size // 1024):
            visitor.say(b"400\r\n" + b"x" * 1024 + b"\r\n")
        visitor.say(b"%x\r\n%b\r\n" % (size % 1024, b"x" * (size % 1024)) if size % 1024 else b"")
        visitor.say(b"0\r\n\r\n")
    else:
        visitor.say(b"POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size)
        visitor.say(b"x" * size)
    assert [answer.status for answer in visitor.answers()] == [405 if size == BODY_MAX else 413]
    assert visitor.transport.disconnecting == (size > BODY_MAX)
    visitor.lose()
    house.close()


@pytest.mark.parametrize(
    "said", [b"", b"GET", HEAD, b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"]
)
def test_slowPeersAreCutOff(said: bytes) -> None:
    """A peer that drips is cut off when its time is up, however often it drips, and wherever it is in its request."""
    house = Windowed()
    visitor = Visitor(house)
    visitor.say(said)
    for _ in range(int(REQUEST_S) - 1):
        house.clock.advance(1)
        visitor.say(b"x")
    assert not visitor.transport.disconnected
    house.clock.advance(1)
    assert visitor.transport.disconnected
    visitor.lose()
    house.close()


def test_eachRequestHasItsTime() -> None:
    """A connection that goes on asking goes on being answered, one that asks no more is closed."""
    house = Windowed()
    visitor = Visitor(house)
    for _ in range(10):
        house.clock.advance(REQUEST_S - 1)
        visitor.say(HEAD + b"\r\n" + HEAD + b"\r\n")
        assert [answer.status for answer in visitor.answers()] == [200, 200]
    house.clock.advance(REQUEST_S)
    assert visitor.transport.disconnected
    visitor.lose()
    house.close()


def test_answersMayTakeTheirTime() -> None:
    """A page that goes on answering, as a stream of events does, is not cut off; what follows has its time again."""

    class Slow(Page):
        def answer(self, request: Request) -> int:
            requests.append(request)
            return NOT_DONE_YET

    requests: list[Request] = []
    house = Windowed()
    house.eyes.site.resource.putChild(b"slow", Slow())
    visitor = Visitor(house)
    visitor.say(HEAD.replace(b"livez", b"slow") + b"\r\n")
    house.clock.advance(10 * REQUEST_S)
    assert not visitor.transport.disconnected
    requests[0].finish()
    house.clock.advance(REQUEST_S)
    assert visitor.transport.disconnected
    visitor.lose()
    house.close()


def test_oneAnswerATurn() -> None:
    """However many requests come at once, on one connection and on others, each turn of the reactor answers one of
    them, and every connection comes to its turn: deposits go on in between."""
    house = Windowed()
    greedy, modest = Visitor(house), Visitor(house)
    greedy.channel.dataReceived(3 * (HEAD + b"\r\n"))
    modest.channel.dataReceived(HEAD + b"\r\n")
    answered = []
    for _ in range(5):
        answered.append((len(greedy.answers()), len(modest.answers())))
        turn(house)
    assert answered == [(1, 0), (1, 0), (0, 1), (1, 0), (0, 0)]
    greedy.lose()
    modest.lose()
    house.close()


def test_whoDoesNotReadIsNotAnsweredMore() -> None:
    """While a peer has yet to read what it was answered, its next request waits, and no other; a peer that does not go
    on reading is cut off, and one that leaves is forgotten."""
    house = Windowed()
    lazy, gone, other = Visitor(house), Visitor(house), Visitor(house)
    for visitor in (lazy, gone):
        visitor.transport.producer.pauseProducing()  # type: ignore[union-attr]
        visitor.say(HEAD + b"\r\n")
    other.say(HEAD + b"\r\n")
    assert [len(visitor.answers()) for visitor in (lazy, gone, other)] == [0, 0, 1]
    gone.lose()
    house.clock.advance(REQUEST_S - 1)
    lazy.transport.producer.resumeProducing()  # type: ignore[union-attr]
    assert [answer.status for answer in lazy.answers()] == [200]
    lazy.transport.producer.pauseProducing()  # type: ignore[union-attr]
    lazy.say(HEAD + b"\r\n")
    house.clock.advance(REQUEST_S)
    assert lazy.transport.disconnected
    for visitor in (lazy, other):
        visitor.lose()
    house.close()


def turn(house: Windowed) -> None:
    """What the reactor does in one turn: not what is asked for in it."""
    due = [call for call in house.clock.calls if call.getTime() <= house.clock.seconds()]
    house.clock.calls[:] = [call for call in house.clock.calls if call not in due]
    for call in due:
        call.called = 1
        call.func(*call.args, **call.kw)


def test_connectionsAreBounded() -> None:
    """One connection too many is closed at once; when one goes there is room for another."""
    house = Windowed()
    visitors = [Visitor(house) for _ in range(CONNECTIONS_MAX)]
    assert Visitor(house).transport.disconnected
    visitors.pop().lose()
    visitors.append(Visitor(house))
    assert not visitors[-1].transport.disconnected
    for visitor in visitors:
        visitor.lose()
    house.close()


def test_oneStrangerDoesNotKeepOthersOut() -> None:
    """On an address that others can reach, whoever holds all the connections that he can leaves room for who asks
    whether the daemon is alive; on this machine's own all have one address, and it has all the room there is."""
    house = Windowed()
    house.eyes.guard.isLocal = False
    stranger = [Visitor(house, "192.0.2.1") for _ in range(NEIGHBOURS_MAX)]
    assert Visitor(house, "192.0.2.1").transport.disconnected
    balancer = Visitor(house, "192.0.2.2")
    balancer.say(b"GET /livez HTTP/1.1\r\n\r\n")
    assert [answer.status for answer in balancer.answers()] == [200]
    stranger.pop().lose()
    stranger.append(Visitor(house, "192.0.2.1"))
    assert not stranger[-1].transport.disconnected
    for visitor in (*stranger, balancer):
        visitor.lose()
    house.close()


def test_whereNobodyMayComeFrom() -> None:
    """On an address that others can reach, who may not come in to deposit may not look either; on this machine's own
    everybody may. A proxy may look whether this is ready."""
    house = Windowed()
    house.daemon.factory.gate.rules = GateRules(networks(["10.1.0.0/16"]), proxies=networks(["10.3.0.5"]))
    for isLocal, peer, isWelcome in (
        (True, "127.0.0.1", True),
        (False, "10.1.2.3", True),
        (False, "10.2.2.3", False),
        (False, "10.3.0.5", True),
    ):
        house.eyes.guard.isLocal = isLocal
        visitor = Visitor(house, peer)
        assert visitor.transport.disconnected != isWelcome
        visitor.lose()
    house.close()


def test_endWaitsForWhoIsThere() -> None:
    """The end closes every connection, and waits for them; one that does not go is cut off."""
    house = Windowed()
    visitor = Visitor(house)
    done: list[None] = []
    house.eyes.stop().addBoth(done.append)
    assert visitor.transport.disconnecting
    assert not done
    house.clock.advance(1)
    assert visitor.transport.disconnected
    visitor.lose()
    assert done == [None]
    assert not [call for call in house.clock.getDelayedCalls() if call.active()]


def test_statusNames() -> None:
    """/status lists who is there and who waits, with ages and orders, and no token."""
    house = Windowed()
    crm = house.daemon.staff()
    house.daemon.connect()
    house.daemon.ledgerThread.held = True
    crm.deposit("a", 10.0)
    house.daemon.settle()
    house.clock.advance(0.5)
    crm.deposit("b", 10.0)
    status = house.ask("/status").json
    waiters = status["waiters"]
    assert (waiters["count"], waiters["oldest_s"]) == (2, 0.5)
    first, second = waiters["oldest"]
    assert (first["age_s"], first["kind"], first["session"], second["age_s"]) == (0.5, "trade", 1, 0.0)
    assert second["order"] == first["order"] + 1
    assert status["commit"]["under_way_s"] == 0.5
    assert [(s["number"], s["principal"], s["role"], s["in_flight"]) for s in status["sessions"]["listed"]] == [
        (1, "crm", "MANAGER", 2),
        (2, "", "", 0),
    ]
    assert status["ledger"] == {
        "folder": "/somewhere",
        "bytes": {"log.db": 4096},
        "free_bytes": 10**12,
        "refusal": "",
        "looked": NOW_MS / 1000,
        "away": "",
    }
    assert token() not in str(status)
    house.daemon.ledgerThread.release()
    house.daemon.settle()
    assert house.ask("/status").json["waiters"] == {"count": 0, "oldest_s": 0.0, "oldest": []}
    house.close()


def test_whatSessionsStandOn() -> None:
    """/status tells of each session which key its token was signed with, also if the token does not name it, which
    token that is, and when it ends; and no secret."""
    house = Windowed()
    house.daemon.auth.renew(Keys("HS256", [], named={"2027": b"x" * 32, "2026": SECRET}))
    for claims in ({"jti": "crm-1", "exp": int(house.clock.seconds()) + 60}, {}):
        house.daemon.connect(token(**claims)).send("Ping", 1)
    named = jwt.encode({"id": "crm", "role": 3}, b"x" * 32, algorithm="HS256", headers={"kid": "2027"})
    house.daemon.connect(named).send("Ping", 1)
    house.daemon.connect()
    answer = house.ask("/status")
    assert [(s["kid"], s["token_id"], s["expires"]) for s in answer.json["sessions"]["listed"]] == [
        ("2026", "crm-1", int(house.clock.seconds()) + 60),
        ("2026", "", None),
        ("2027", "", None),
        ("", "", None),
    ]
    assert "x" * 32 not in answer.text
    assert SECRET not in answer.body
    house.close()


def test_listsAreBounded() -> None:
    """Of many waiters the oldest hundred are listed, of many sessions the first thousand."""
    house = Windowed(limits=replace(LIMITS, sessionsMax=2000, inFlightMax=2000), queueMax=5000, waitersMax=5000)
    crm = house.daemon.staff()
    house.daemon.ledgerThread.held = True
    for n in range(300):
        crm.deposit(f"d{n}", timeout_ms=20_000)
        house.clock.advance(0.001)
    sessions = [house.daemon.connect() for _ in range(1100)]
    status = house.ask("/status").json
    assert (status["waiters"]["count"], len(status["waiters"]["oldest"])) == (300, 100)
    ages = [waiter["age_s"] for waiter in status["waiters"]["oldest"]]
    assert ages == sorted(ages, reverse=True)
    assert ages[0] == status["waiters"]["oldest_s"] == 0.3
    assert (status["sessions"]["count"], len(status["sessions"]["listed"])) == (1101, 1000)
    for session in sessions:
        session.lose()
    house.daemon.ledgerThread.release()
    house.daemon.settle()
    house.close()
