"""A session: lines in, lines out, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from scalemgr.server.leaving import LINGER_S

from ..helpers import Daemon, Session, thirdParty, token


def line(command: str, extID: Any = None, end: bytes = b"\r\n", **data: Any) -> bytes:
    """A request of a session that has shown its token."""
    return json.dumps({"command": command, "extID": extID, "data": data}).encode() + end


def deposit(extID: Any, amount: float = 10.0, end: bytes = b"\r\n") -> bytes:
    return line("BalanceInSync", extID, end, login=1001, amount=amount)


def answers(session: Session) -> list[tuple[Any, int]]:
    return [(answer["extID"], answer["status"]) for answer in session.answers()]


SCRIPT = b"".join(
    [
        deposit("a", 59.97),
        b"\r\n \r\n\n",
        line("BalanceIn", 7, login=2001, amount=1),
        b"not json\r\n",
        '{"command":"GetAccountByLogin","extID":"é\U0001f600","data":{"login":1001}}\r\n'.encode(),
        b'{"command":"GetTradeByOrder","extID":"x","data":{"order":\r\n',
        line("NoSuchCommand", "a"),
        deposit("a", -1),
        line("AddGroup", None, b"\n", group="vip", currency="JPY"),
        deposit("z", 0.01, b"\n"),
    ]
)


def play(script: bytes, size: int) -> bytes:
    """All that a session is sent when a script arrives in pieces of this size."""
    daemon = Daemon()
    session = daemon.staff()
    for i in range(0, len(script), size):
        session.sendRaw(script[i : i + size])
    daemon.settle()
    return session.raw()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pieces(size: int) -> None:
    """However the bytes are cut into pieces on their way, the same requests get the same bytes back."""
    whole = play(SCRIPT, len(SCRIPT))
    # Nine answers; a group:event, and of each of three deposits a trade:event and a balance:event.
    assert whole.count(b"\r\n") == 16
    assert play(SCRIPT, size) == whole


def test_lineEnds() -> None:
    """A line ends with CR LF, or with a lone LF, as people type it; both get the same answer."""
    assert play(deposit("a", end=b"\n"), 1000) == play(deposit("a"), 1000)
    assert play(deposit("a", end=b"\n") + deposit("b"), 1000).count(b"\r\n") == 6


def test_everyLineOutEndsWithCrLf() -> None:
    """What is sent ends each line with CR LF and has no other line break."""
    raw = play(SCRIPT.replace(b"\r\n", b"\n"), 1000)
    assert raw.endswith(b"\r\n")
    assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")


@pytest.mark.parametrize("blank", [b"\r\n", b"\n", b"  \r\n", b"\t\n", b"\r\r\n"])
def test_blankLines(blank: bytes) -> None:
    """A blank line is no request, and gets no answer."""
    session = Daemon().staff()
    session.sendRaw(blank * 3 + line("NoSuchCommand", "a") + blank)
    assert answers(session) == [("a", 404)]


# -- extID --------------------------------------------------------------------------------------------


def test_extIDKeepsItsType() -> None:
    """An extID comes back as it was: 1 and "1" are two, and both may be under way at once."""
    daemon = Daemon()
    session = daemon.staff()
    extIDs = [1, "1", 1.5, "1.5", -7, 2**60, "", " ", "é'\U0001f600\r\n", "null", "x" * 200]
    for extID in extIDs:
        session.deposit(extID)
    daemon.settle()
    assert answers(session) == [(extID, 200) for extID in extIDs]


def test_extIDInUse() -> None:
    """An extID that is under way cannot be used for anything else: 409, and the first still gets its answer."""
    daemon = Daemon()
    session, other = daemon.staff(), daemon.staff()
    session.deposit("a", 1.0)
    session.deposit("a", 2.0)
    session.send("Ping", "a")
    session.deposit("a", 1.0, idempotency_key="b")
    other.send("Ping", "a")
    refused = session.answers()
    assert [(a["extID"], a["status"], a["data"]["reason"]) for a in refused] == [("a", 409, "RET_ERR_DUPLICATE")] * 2
    daemon.settle()
    assert answers(session) == [("a", 200), ("a", 409)]
    assert answers(other) == [("a", 200)]
    assert daemon.balance() == 100


def test_extIDAgain() -> None:
    """A request that was malformed has not used its extID; a question may use one again and again."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit("a", -1)
    session.deposit("a")
    daemon.settle()
    assert answers(session) == [("a", 400), ("a", 200)]
    assert daemon.balance() == 1000
    for _ in range(2):
        session.send("Ping", "b")
        assert answers(session) == [("b", 200)]


def test_withoutExtID() -> None:
    """Requests without an extID are answered with null, and any number of them may be under way."""
    daemon = Daemon()
    session = daemon.staff()
    session.sendRaw(b'{"command":"BalanceInSync","data":{"login":1001,"amount":1}}\r\n' * 2)
    session.sendRaw(b'{"command":"BalanceInSync","extID":null,"data":{"login":1001,"amount":1}}\r\n')
    daemon.settle()
    assert answers(session) == [(None, 200)] * 3
    assert daemon.balance() == 300


# -- half close ---------------------------------------------------------------------------------------


def test_halfClose() -> None:
    """A peer that has said its last word gets the answers to what it asked, and then the connection is closed."""
    daemon = Daemon()
    session = daemon.staff()
    session.sendRaw(deposit("a") + deposit("b"))
    session.protocol.readConnectionLost()
    assert not session.transport.disconnecting
    daemon.settle()
    assert answers(session) == [("a", 200), ("b", 200)]
    assert session.transport.disconnecting


def test_halfCloseWithNothingUnderWay() -> None:
    """A peer that leaves with everything answered is let go at once."""
    session = Daemon().staff()
    session.protocol.readConnectionLost()
    assert session.transport.disconnecting
    assert session.raw() == b""


def test_halfCloseTwice() -> None:
    """To be told of a half close twice, as some transports do, changes nothing."""
    daemon = Daemon()
    session = daemon.staff()
    session.sendRaw(deposit("a"))
    session.protocol.readConnectionLost()
    session.protocol.readConnectionLost()
    daemon.settle()
    assert answers(session) == [("a", 200)]


@pytest.mark.parametrize("rest", [b'{"command":"Ping","extID":"a"}', b"x", b'{"command"'])
def test_lastLineWithoutAnEnd(rest: bytes) -> None:
    """A last line without an end is not taken for a whole one: 400, then the connection is closed."""
    daemon = Daemon()
    session = daemon.staff()
    session.sendRaw(deposit("a"))
    daemon.settle()
    session.raw()
    before = daemon.kept()
    session.sendRaw(rest)
    session.protocol.readConnectionLost()
    assert answers(session) == [(None, 400)]
    assert session.transport.disconnecting
    assert daemon.kept() == before


def test_lastBlankWithoutAnEnd() -> None:
    """Blanks after the last line are no line."""
    session = Daemon().staff()
    session.sendRaw(b" \r")
    session.protocol.readConnectionLost()
    assert session.raw() == b""
    assert session.transport.disconnecting


# -- the end ------------------------------------------------------------------------------------------


def test_lostConnection() -> None:
    """A connection that breaks with requests under way hurts nobody: they are finished, and nothing is written."""
    later: Deferred[dict[str, Any]] = Deferred()
    daemon = Daemon(also=[thirdParty(lambda context: later)])
    session = daemon.staff()
    session.send("ThirdParty", "x")
    session.deposit("a")
    session.deposit("b", command="BalanceIn")
    session.lose()
    daemon.settle()
    later.callback({})
    assert session.raw() == b""
    assert daemon.balance() == 2000
    assert (daemon.factory.sessions(), len(daemon.waiters)) == (0, 0)


def test_noTimerIsLeftBehind() -> None:
    """However sessions end, with or without a token, no timer of theirs outlives them."""
    daemon = Daemon()
    strangers, staff = [daemon.connect() for _ in range(3)], [daemon.staff() for _ in range(3)]
    for session in (strangers[0], staff[0]):
        session.lose()
    for session in (strangers[1], staff[1]):
        session.protocol.readConnectionLost()
        session.lose()
    for session in (strangers[2], staff[2]):
        session.sendRaw(b"x" * 100_000)
        session.lose()
    daemon.settle()
    assert daemon.clock.getDelayedCalls() == []
    assert daemon.factory.sessions() == 0


def test_linger() -> None:
    """A peer that was told to go and does not close its own end is cut off after a while."""
    daemon = Daemon()
    session = daemon.staff()
    aborted: list[float] = []
    session.transport.abortConnection = lambda: aborted.append(daemon.clock.seconds())
    session.sendRaw(b"x" * 100_000)
    assert session.transport.disconnecting
    daemon.clock.advance(LINGER_S - 0.001)
    assert aborted == []
    daemon.clock.advance(0.001)
    assert len(aborted) == 1


def test_finish() -> None:
    """A factory that finishes lets each session have its answers, closes it, and knows when all are gone."""
    daemon = Daemon()
    busy, idle = daemon.staff(), daemon.connect(token())
    busy.sendRaw(deposit("a"))
    done: list[None] = []
    daemon.factory.finish().addCallback(done.append)
    assert (busy.transport.disconnecting, idle.transport.disconnecting) == (False, True)
    busy.sendRaw(b"")
    daemon.settle()
    assert answers(busy) == [("a", 200)]
    assert busy.transport.disconnecting
    idle.lose()
    assert done == []
    busy.lose()
    assert done == [None]


def test_finishWithNobody() -> None:
    """Without sessions there is nothing to wait for."""
    done: list[None] = []
    Daemon().factory.finish().addCallback(done.append)
    assert done == [None]


def test_nothingIsHeardAfterTheEnd() -> None:
    """What a session sends after it was told to go is not done."""
    daemon = Daemon()
    session = daemon.staff()
    session.protocol.readConnectionLost()
    session.sendRaw(deposit("a"))
    daemon.settle()
    assert daemon.balance() == 0
    assert session.raw() == b""


def test_extIDInUseByADeposit() -> None:
    """A question under the extID of a deposit under way is refused, not answered beside it."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit("a", idempotency_key="k")
    session.send("GetRequest", "a", {"idempotency_key": "k"})
    daemon.settle()
    assert sorted(answers(session)) == [("a", 200), ("a", 409)]
    assert daemon.balance() == 1000
