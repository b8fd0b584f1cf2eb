"""Every bound of a session, one below, at it and one above, and what the session is told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from zope.interface import alsoProvides

from scalemgr.server.limits import Bounded
from scalemgr.wire.errors import Overloaded

from ..helpers import LIMITS, Daemon, Session, Threads, inShort, ofDeposits, token

LINE_MAX = 300


def limited(**limits: Any) -> Daemon:
    return Daemon(limits=replace(LIMITS, **limits))


def padded(length: int, extID: str = "a") -> bytes:
    """A deposit, as a line of this length without its end."""
    head = b'{"command":"BalanceInSync","extID":"%s","data":{"login":1001,"amount":10,"x":"' % extID.encode()
    return head + b"x" * (length - len(head) - 3) + b'"}}'


def answers(session: Session) -> list[tuple[Any, int]]:
    return [(answer["extID"], answer["status"]) for answer in session.answers()]


# -- length of a line ---------------------------------------------------------------------------------


def feed(session: Session, data: bytes, size: int) -> None:
    """What a transport does: it delivers nothing more once it was told to close."""
    for i in range(0, len(data), size):
        if not session.transport.disconnecting:
            session.sendRaw(data[i : i + size])


@pytest.mark.parametrize("size", [1, 64, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lineLength(end: bytes, size: int) -> None:
    """A line of the greatest length is a request; one more byte, its end not counted, ends the session with 400."""
    for length in (LINE_MAX - 1, LINE_MAX, LINE_MAX + 1):
        daemon = limited(lineBytesMax=LINE_MAX)
        session = daemon.staff()
        assert len(padded(length)) == length
        feed(session, padded(length) + end, size)
        daemon.settle()
        if length <= LINE_MAX:
            assert answers(session) == [("a", 200)]
            assert not session.transport.disconnecting
        else:
            [answer] = session.answers()
            assert (answer["extID"], answer["status"], answer["data"]["error"]) == (None, 400, "INVALID_DATA")
            assert str(LINE_MAX) in answer["data"]["message"]
            assert session.transport.disconnecting
            assert daemon.balance() == 0


@pytest.mark.parametrize("size", [1, 64, 1000])
def test_endlessLine(size: int) -> None:
    """A line that never ends is not kept for ever: past the bound it is answered, and the session ends."""
    daemon = limited(lineBytesMax=LINE_MAX)
    session = daemon.staff()
    feed(session, b"x" * (LINE_MAX + 1), size)
    assert session.raw() == b""
    feed(session, b"x" * 100, size)
    assert answers(session) == [(None, 400)]
    assert session.transport.disconnecting


def test_afterAnOverlongLine() -> None:
    """What comes behind an over-long line is not done, and what was under way is."""
    daemon = limited(lineBytesMax=LINE_MAX)
    session = daemon.staff()
    session.sendRaw(padded(200) + b"\n" + padded(LINE_MAX + 1, "b") + b"\n" + padded(200, "c") + b"\n")
    session.sendRaw(padded(200, "d") + b"\n")
    daemon.settle()
    assert answers(session) == [(None, 400)]
    assert daemon.balance() == 1000


def test_overlongLineOnTcp() -> None:
    """On TCP only our own direction is closed, so that what is still unread does not cost the peer the answer."""
    daemon = limited(lineBytesMax=LINE_MAX)
    session = daemon.staff()
    alsoProvides(session.transport, ITCPTransport)
    closed: list[bytes] = []
    session.transport.loseWriteConnection = lambda: closed.append(session.transport.value())
    session.sendRaw(b"x" * 1000)
    assert len(closed) == 1
    assert b'"status":400' in closed[0]
    assert not session.transport.disconnecting


# -- requests in flight -------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "paused"), [(2, False), (3, True), (4, True), (9, True)])
def test_inFlight(count: int, paused: bool) -> None:
    """At the bound the transport is not read any more, until an answer makes room; each line gets its answer."""
    daemon = limited(inFlightMax=3)
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.sendRaw(b"".join(padded(200, str(i)) + b"\n" for i in range(count)))
    assert session.transport.producerState == ("paused" if paused else "producing")
    daemon.settle()
    assert len(daemon.waiters) == min(count, 3)
    daemon.ledgerThread.release()
    daemon.settle()
    assert answers(session) == [(str(i), 200) for i in range(count)]
    assert session.transport.producerState == "producing"
    assert daemon.balance() == 1000 * count


@pytest.mark.parametrize("size", [1, 1000])
def test_inFlightOfAllKinds(size: int) -> None:
    """Requests with and without an extID count alike, answers at once and later make room alike."""
    daemon = limited(inFlightMax=2)
    session = daemon.staff()
    unnamed = b'{"command":"BalanceInSync","data":{"login":1001,"amount":1}}\n'
    bad = b'{"command":"BalanceInSync","data":{"login":1001,"amount":0}}\n'
    feed(session, (unnamed * 3 + bad + padded(200, "a") + b"\nnonsense\n") * 4, size)
    daemon.settle()
    assert Counter(answers(session)) == {(None, 200): 12, (None, 400): 8, ("a", 200): 4}
    assert session.transport.producerState == "producing"


@pytest.mark.parametrize("inFlightMax", [1, 2, 3])
def test_inFlightAndHalfClose(inFlightMax: int) -> None:
    """A peer that has said all and closed its direction gets all answers, also to lines that had to wait."""
    daemon = limited(inFlightMax=inFlightMax)
    session = daemon.staff()
    session.sendRaw(b"".join(padded(200, str(i)) + b"\n" for i in range(7)))
    session.protocol.readConnectionLost()
    assert not session.transport.disconnecting
    daemon.settle()
    assert answers(session) == [(str(i), 200) for i in range(7)]
    assert session.transport.disconnecting
    assert daemon.balance() == 7000


# -- sessions -----------------------------------------------------------------------------------------


def test_sessions() -> None:
    """One connection more than there may be is told so and closed; one that leaves makes room."""
    daemon = limited(sessionsMax=2)
    first, second = daemon.staff(), daemon.connect()
    tooMany = daemon.connect(token())
    [answer] = tooMany.lines()
    assert (answer["extID"], answer["status"], answer["data"]["error"]) == (None, 503, "RET_USR_LIMIT_REACHED")
    assert tooMany.transport.disconnecting
    tooMany.send("Ping", "a")
    assert tooMany.raw() == b""
    assert [s.transport.disconnecting for s in (first, second)] == [False, False]
    assert daemon.factory.sessions() == 2
    tooMany.lose()
    assert daemon.factory.sessions() == 2
    second.lose()
    third = daemon.staff()
    assert not third.transport.disconnecting


# -- time to show a token -----------------------------------------------------------------------------


def test_authSeconds() -> None:
    """A session without a valid token is told so and closed when its time is up, not before."""
    daemon = limited(authSeconds=2)
    session = daemon.connect("x.y.z")
    session.send("Ping", "a")
    daemon.clock.advance(1.999)
    assert answers(session) == [("a", 401)]
    assert not session.transport.disconnecting
    daemon.clock.advance(0.001)
    [answer] = session.lines()
    assert (answer["extID"], answer["status"], answer["data"]["error"]) == (None, 401, "PERMISSION_DENIED")
    assert session.transport.disconnecting


@pytest.mark.parametrize("authSeconds", [2, 0])
def test_authInTime(authSeconds: int) -> None:
    """A token in time, or no bound at all, lets a session live for as long as it likes."""
    daemon = limited(authSeconds=authSeconds)
    session = daemon.connect(token() if authSeconds else None)
    daemon.clock.advance(1.999)
    session.send("Ping", "a")
    daemon.clock.advance(100_000)
    assert answers(session) == [("a", 200 if authSeconds else 401)]
    assert not session.transport.disconnecting


# -- a peer that does not read --------------------------------------------------------------------------


def stall(session: Session) -> None:
    """Nothing of what is written leaves any more."""
    session.transport.producer.pauseProducing()


def eventBytes(count: int) -> int:
    """How long the events of so many deposits are."""
    daemon = Daemon()
    session, reader = daemon.staff(), daemon.staff()
    for i in range(count):
        session.deposit(str(i))
    daemon.settle()
    return len(reader.raw())


@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_slowReader(spare: int) -> None:
    """Events pile up for a reader that does not read, to the byte; past the bound it hears which was its last."""
    daemon = limited(bufferBytesMax=eventBytes(3) + spare)
    reader, asking = daemon.staff(), daemon.staff()
    stall(reader)
    for i in range(3):
        asking.deposit(str(i))
        daemon.settle()
    if spare >= 0:
        reader.transport.producer.resumeProducing()
    lines = reader.lines()
    if spare >= 0:
        assert inShort(lines) == ofDeposits(6, 3)
        assert not reader.transport.disconnecting
    else:
        # Not even the first of the two events of a deposit comes without the other.
        assert inShort(lines[:-1]) == ofDeposits(6, 2)
        assert lines[-1] == {"event": "lagged", "data": {"seq": 9}}
        assert reader.transport.disconnecting
    asking.deposit("more")
    daemon.settle()
    assert len(asking.answers()) == 4
    if spare < 0:
        assert reader.raw() == b""


def test_slowReaderIsToldTwice() -> None:
    """A transport says at each write that it is full: what piles up is counted all the same."""
    daemon = limited(bufferBytesMax=eventBytes(2))
    reader, asking = daemon.staff(), daemon.staff()
    for i in range(3):
        stall(reader)
        asking.deposit(str(i))
        daemon.settle()
    assert reader.lines()[-1] == {"event": "lagged", "data": {"seq": 9}}
    assert reader.transport.disconnecting


def test_slowReaderWhoCatchesUp() -> None:
    """Only what piles up at one time counts: a reader that reads on begins anew, and misses nothing."""
    # Just the last two deposits, whose numbers are the longest.
    daemon = limited(bufferBytesMax=eventBytes(10) - eventBytes(8))
    reader, asking = daemon.staff(), daemon.staff()
    for i in range(5):
        stall(reader)
        for j in range(2):
            asking.deposit(str(2 * i + j))
        daemon.settle()
        reader.transport.producer.resumeProducing()
    assert inShort(reader.lines()) == ofDeposits(6, 10)
    assert not reader.transport.disconnecting


def test_slowReaderIsNotRead() -> None:
    """A peer that does not read its answers is not asked for more requests; when it reads, they are answered."""
    daemon = Daemon()
    session = daemon.staff()
    stall(session)
    assert session.transport.producerState == "paused"
    session.sendRaw(padded(200, "a") + b"\n" + padded(200, "b") + b"\n")
    daemon.settle()
    assert (session.raw(), daemon.balance()) == (b"", 0)
    session.transport.producer.resumeProducing()
    daemon.settle()
    assert session.transport.producerState == "producing"
    assert answers(session) == [("a", 200), ("b", 200)]


def test_slowReaderOfAnswers() -> None:
    """Answers under way pile up like events: past the bound the session ends, and the deposits stand."""
    daemon = limited(bufferBytesMax=500)
    session = daemon.staff()
    for i in range(5):
        session.deposit(str(i))
    stall(session)
    daemon.settle()
    lines = session.lines()
    assert 0 < len(lines) < 5
    assert lines[-1] == {"event": "lagged", "data": {"seq": 5}}
    assert session.transport.disconnecting
    session.lose()
    assert daemon.balance() == 5000
    daemon.clock.pump([0.05] * 2)
    assert daemon.clock.getDelayedCalls() == []


# -- questions ----------------------------------------------------------------------------------------


def test_bounded() -> None:
    """As many calls as the bound says may wait for a thread; one more fails, and one that ends makes room."""
    threads = Threads()
    bounded = Bounded(threads, 2)
    threads.held = True
    calls: list[Deferred[Any]] = [bounded(divmod, 7, 2), bounded(divmod, 7, 0)]
    outcomes: list[Any] = []
    for call in (*calls, bounded(divmod, 1, 1)):
        call.addErrback(lambda failure: failure.type).addCallback(outcomes.append)
    assert outcomes == [Overloaded]
    threads.release()
    assert outcomes == [Overloaded, (3, 1), ZeroDivisionError]
    bounded(divmod, 9, 2).addCallback(outcomes.append)
    assert outcomes[-1] == (4, 1)
