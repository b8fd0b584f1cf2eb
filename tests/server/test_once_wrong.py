"""What once went wrong: each of these was a defect that the other tests had not seen."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent

from scalemgr.finance.money import Amount
from scalemgr.finance.requests import MoveMoney
from scalemgr.runtime.waiters import TICK_S
from scalemgr.wire.codes import RetCode, TradeCommand
from scalemgr.wire.errors import Refused

from ..helpers import LIMITS, Daemon, thirdParty

SERVICE = {"kind": "trade", "event": "trade:event", "type": 0, "order": 7}


@pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])
def test_unknownOrderThatIsTheNextOne(command: str) -> None:
    """An order that does not exist makes a new transaction, also if it is the number that the server gives next."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit("x", order=1, command=command)
    daemon.settle()
    assert [a["status"] for a in session.answers()] == [200]
    assert daemon.balance() == 1000


def test_atMostOneTickLate() -> None:
    """Whatever the phase of the timer, a time-out is at most one tick late."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    daemon.clock.advance(0.04)
    session.deposit("first")
    daemon.clock.advance(0.0101)
    asked = daemon.clock.seconds()
    session.deposit("second")
    while not any(a["extID"] == "second" for a in session.answers()):
        daemon.clock.advance(0.001)
    assert 5.0 <= daemon.clock.seconds() - asked <= 5.0 + TICK_S + 0.0015


def test_clockSetBack() -> None:
    """A clock that is set back delays time-outs; none is lost."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("first", timeout_ms=25_000)
    daemon.clock.pump([0.05] * 2)
    daemon.clock.rightNow -= 10
    session.deposit("second")
    daemon.clock.pump([0.05] * 1000)
    assert sorted(a["extID"] for a in session.answers()) == ["first", "second"]


@pytest.mark.parametrize("result", [{"fine": 1, "__deferred": None}])
def test_deferredNone(result: dict[str, Any], failures: list[LogEvent]) -> None:
    """The key __deferred never reaches a client."""
    daemon = Daemon(also=[thirdParty(lambda context: result)])
    session = daemon.staff()
    session.send("ThirdParty", "x")
    assert b"__deferred" not in session.raw()
    failures.clear()


@pytest.mark.parametrize("cause", [{}, 7, "x"])
def test_malformedCause(cause: Any, failures: list[LogEvent]) -> None:
    """A cause that is none is a bug of the command: 500, nothing left behind, and time-outs go on."""
    daemon = Daemon(also=[thirdParty(lambda context: {"__deferred": {**SERVICE, "cause": cause}})])
    session = daemon.staff()
    session.send("ThirdParty", "x")
    status = [a["status"] for a in session.answers()]
    failures.clear()
    left = len(daemon.waiters)
    daemon.ledgerThread.held = True
    session.deposit("y")
    try:
        daemon.clock.pump([0.05] * 110)
    finally:
        failures.clear()
    assert (status, left) == ([500], 0)
    assert [a["status"] for a in session.answers()] == [504]


def test_commandThatIsCancelled(failures: list[LogEvent]) -> None:
    """A command that fails with CancelledError while its session lives is answered like any other bug."""

    def run(context: Any) -> Any:
        waiting: Deferred[Any] = Deferred()
        waiting.cancel()
        return waiting

    daemon = Daemon(also=[thirdParty(run)])
    session = daemon.staff()
    session.send("ThirdParty", "x")
    failures.clear()
    assert [a["status"] for a in session.answers()] == [500]


def test_halfCloseWithLinesThatWait() -> None:
    """A peer that half-closes gets all its answers, also to waiting lines that are answered at once."""
    daemon = Daemon(limits=replace(LIMITS, inFlightMax=1))
    session = daemon.staff()
    session.deposit("a")
    session.send("Ping", "b")
    session.send("Ping", "c")
    session.protocol.readConnectionLost()
    daemon.settle()
    assert [a["extID"] for a in session.answers()] == ["a", "b", "c"]


def test_lastLineWithoutAnEndBehindAnother() -> None:
    """A last line without an end gets its 400 also when something is under way."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit("a")
    session.sendRaw(b'{"command":"BalanceInSync","extID":"b"')
    session.protocol.readConnectionLost()
    daemon.settle()
    assert [(a["extID"], a["status"]) for a in session.answers()] == [("a", 200), (None, 400)]


def test_overlongLineOfAReaderThatLags() -> None:
    """To close a session twice leaves no timer behind, and says nothing after `lagged`."""
    daemon = Daemon(limits=replace(LIMITS, lineBytesMax=300, bufferBytesMax=50))
    session = daemon.staff()
    session.transport.producer.pauseProducing()
    session.sendRaw(b"x" * 1000)
    session.lose()
    daemon.settle()
    assert daemon.clock.getDelayedCalls() == []


def test_settledLate() -> None:
    """`settled` tells what became of a submission, also when it is asked after the commit."""

    async def run(context: Any) -> Any:
        order = context.reserveOrder()
        submission = context.submit(MoveMoney(context.cause(), TradeCommand.OP_BALANCE_IN, 1001, Amount(1, 0), order))
        await context.inThread(len, "")
        await context.settled(submission)
        return {"done": 1}

    daemon = Daemon(also=[thirdParty(run)])
    session = daemon.staff()
    daemon.helperThread.held = True
    session.send("ThirdParty", "x")
    daemon.settle()
    daemon.helperThread.release()
    daemon.clock.pump([0.05] * 110)
    assert daemon.balance() == 100
    assert [a["status"] for a in session.answers()] == [200]


@pytest.mark.parametrize("later", [False, True])
def test_refusalThatCannotBeTold(later: bool, failures: list[LogEvent]) -> None:
    """A refusal whose details are no JSON is a bug of the command: 500, logged, and the session lives."""

    async def soon(context: Any) -> Any:
        raise Refused("no", RetCode.RET_ERROR, until=object())

    def now(context: Any) -> Any:
        raise Refused("no", RetCode.RET_ERROR, until=object())

    daemon = Daemon(also=[thirdParty(soon if later else now)])
    session = daemon.staff()
    try:
        session.send("ThirdParty", "x")
    finally:
        failures.clear()
    assert [a["status"] for a in session.answers()] == [500]


def test_loopWhoseThreadRaises(failures: list[LogEvent]) -> None:
    """mainLoop never dies, also if the call into the ledger's thread raises instead of failing."""
    daemon = Daemon()
    session = daemon.staff()
    good = daemon.runtime._inLedger

    def bad(*args: Any) -> Any:
        daemon.runtime._inLedger = good
        raise RuntimeError("no thread")

    daemon.runtime._inLedger = bad
    session.deposit("a")
    try:
        daemon.settle()
    except RuntimeError:
        pass
    daemon.clock.pump([0.05] * 5)
    failures.clear()
    session.answers()
    session.deposit("b")
    daemon.settle()
    assert [(a["extID"], a["status"]) for a in session.answers()] == [("b", 200)]


@pytest.mark.parametrize("size", [1, 10_000])
def test_requestInFrontOfAnEndlessLine(size: int) -> None:
    """A request in front of an endless line is done, however the bytes were cut on their way."""
    daemon = Daemon(limits=replace(LIMITS, lineBytesMax=300))
    session = daemon.staff()
    data = b'{"command":"BalanceInSync","extID":"a","data":{"login":1001,"amount":10}}\r\n' + b"x" * 1000
    for i in range(0, len(data), size):
        if not session.transport.disconnecting:
            session.sendRaw(data[i : i + size])
    daemon.settle()
    assert daemon.balance() == 1000


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_signWithThePublicKey(algorithm: str, tmp_path: Any) -> None:
    """A public key cannot sign: that is a sentence for the operator, not a traceback."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from scalemgr.server.keys import KeyRefused, sign

    key = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ed25519.Ed25519PrivateKey.generate()
    path = tmp_path / "key.pub"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(KeyRefused):
        sign(algorithm, path, {"id": "crm", "role": 1})
