"""What else the core sees to: dead peers, tokens, and time."""

from __future__ import annotations

import gc
from random import Random
from typing import Any

import pytest

from scalemgr.client.asking import Asked
from scalemgr.client.errors import OutcomeUnknown, Refused, Unreachable
from scalemgr.client.patience import Redialing, backoffS
from scalemgr.client.session import ClientSession, Event, Reply, WireError

from .wires import Wire

DENIED: dict[str, Any] = {"error": "PERMISSION_DENIED", "message": "the token has expired"}


def test_quietPeerIsAskedAndKept() -> None:
    """A peer that answers a Ping is alive, however little it says."""
    wire = Wire()
    wire.connect()
    wire.sent()
    for _ in range(5):
        wire.advance(10)
        (ping,) = wire.sent()
        assert ping["command"] == "Ping"
        wire.answer(ping)
        assert not wire.core.isBroken


def test_answeredAreLetGo() -> None:
    """One request that is not answered for long does not keep all that were answered since in memory."""
    wire = Wire()
    wire.connect()
    wire.ask("slow", deadlineS=86400)
    wire.requests()
    for n in range(3000):
        wire.ask(n, "GetGroups", {}, deadlineS=86400)
        wire.answer(wire.request())
    gc.collect()
    assert sum(isinstance(each, Asked) for each in gc.get_objects()) < 2000


def test_wokenForAReason() -> None:
    """When it wants to be woken it has something to do then, however seconds are rounded."""
    wire = Wire()
    # Ten more is a little less than ten later.
    wire.now = 1022.9000000000002
    wire.connect()
    wire.sent()
    wakeAt = wire.core.wakeAt
    assert wakeAt is not None
    wire.now = wakeAt
    wire.core.woken(wakeAt)
    wire.turn()
    assert [line["command"] for line in wire.sent()] == ["Ping"]


def test_deadPeerIsGivenUp() -> None:
    """One that does not is hung up on; what was under way is sent to the next."""
    wire = Wire()
    wire.connect()
    wire.ask(deadlineS=100)
    wire.advance(19.9)
    assert not wire.core.isBroken
    wire.advance(0.2)
    assert "nothing for 20 s" in wire.core.isBroken
    assert wire.core.toSend(wire.now) == b""
    wire.lose(wire.core.isBroken)
    wire.sent()
    wire.connect()
    assert not wire.core.isBroken
    assert len(wire.requests()) == 1


def test_busyPeerIsNotAsked() -> None:
    """Whoever says something need not be asked whether it is there."""
    wire = Wire()
    wire.follow(fromSeq=0)
    wire.connect()
    for seq in range(1, 10):
        wire.advance(9)
        wire.event(seq)
    assert [line["command"] for line in wire.sent()] == ["Subscribe"]


def test_tokenIsRenewed() -> None:
    """A token that is no longer accepted is replaced, and what it was refused for is sent with the new one."""
    wire = Wire(renewsToken=True)
    wire.connect("one")
    wire.ask("a")
    wire.ask("b")
    first, second = wire.requests()
    wire.answer(first, 401, **DENIED)
    assert wire.core.tokenWanted
    wire.core.renew("two", wire.now)
    wire.turn()
    again = wire.request()
    assert (again["__token"], again["data"]) == ("two", first["data"])
    # This one was refused with the old one, and is simply sent again.
    wire.answer(second, 401, **DENIED)
    assert not wire.core.tokenWanted
    assert wire.request()["__token"] == "two"


def test_tokenThatIsNeverAccepted() -> None:
    """It is not asked for again and again."""
    wire = Wire(renewsToken=True)
    wire.connect("one")
    wire.ask()
    for token in ("two", "three"):
        wire.answer(wire.request(), 401, **DENIED)
        wire.core.renew(token, wire.now)
        wire.turn()
    wire.answer(wire.request(), 401, **DENIED)
    assert isinstance(wire.told["it"], Refused)


@pytest.mark.parametrize("how", ["same", "failed"])
def test_noOtherToken(how: str) -> None:
    """If there is no other, the caller is told that it was refused."""
    wire = Wire(renewsToken=True)
    wire.connect("one")
    wire.ask()
    wire.answer(wire.request(), 401, **DENIED)
    if how == "same":
        wire.core.renew("one", wire.now)
    else:
        wire.core.notRenewed("it could not be fetched", wire.now)
    wire.turn()
    refused = wire.told["it"]
    assert isinstance(refused, Refused)
    assert refused.status == 401
    assert not wire.core.tokenWanted


def test_tokenOfAnotherConnection() -> None:
    """If the connection breaks meanwhile, the next one's token does."""
    wire = Wire(renewsToken=True)
    wire.connect("one")
    wire.ask()
    wire.answer(wire.request(), 401, **DENIED)
    wire.lose()
    wire.core.renew("two", wire.now)
    wire.connect("three")
    assert wire.request()["__token"] == "three"


def test_oneTokenOnly() -> None:
    """Who has but one token is told at once; with a doubt from before, that it is not known."""
    wire = Wire()
    wire.connect("one")
    wire.ask("a")
    wire.answer(wire.request(), 401, **DENIED)
    assert isinstance(wire.told["a"], Refused)
    wire.ask("b")
    wire.lose()
    wire.sent()
    wire.connect("one")
    wire.answer(wire.request(), 401, **DENIED)
    assert isinstance(wire.told["b"], OutcomeUnknown)


def test_tokensAreInNoText() -> None:
    """No error and no repr shows a token."""
    wire = Wire()
    wire.connect("secret-token")
    asked = wire.ask()
    wire.answer(wire.request(), 401, **DENIED)
    assert (
        "secret-token" not in f"{wire.told['it']!r} {wire.told['it']} {asked!r} {wire.core!r} {vars(wire.told['it'])}"
    )


def test_shortConnectionsAreFailures() -> None:
    """Connections that end at once are further and further apart; one that lasted is followed by another soon."""
    redialing = Redialing(Random(1))
    waits = []
    for now in range(8):
        redialing.connected(now)
        waits.append(redialing.afterS(now + 0.5))
    assert waits == sorted(waits)
    assert waits[-1] > 3
    redialing.connected(10)
    assert redialing.afterS(11) <= 0.05


def test_backoffHasJitterAndABound() -> None:
    """Each wait is between half and all of what it may be, which doubles up to a bound."""
    random = Random(1)
    for attempts in range(1, 100):
        longest = min(30.0, 0.05 * 2 ** (attempts - 1))
        found = [backoffS(attempts, random) for _ in range(20)]
        assert all(longest / 2 <= wait <= longest for wait in found)
        assert len(set(found)) > 1


LINES = [
    b'{"extID":"a","status":200,"replayed":true,"data":{"text":"\\u0027"}}\r\n',
    b"\r\n",
    b'{"event":"trade:event","type":0,"data":{},"seq":7,"time":1.5}\r\n',
    b'{"extID":1,"status":409,"data":{}}\n',
]
MESSAGES = [
    Reply("a", 200, {"text": "'"}, LINES[0].decode().rstrip(), True),
    Event("trade:event", 0, {}, 7, LINES[2].decode().rstrip(), 1.5),
    Reply(1, 409, {}, LINES[3].decode().rstrip()),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_chunksOfAnySize(size: int) -> None:
    """However the bytes come, the messages are the same."""
    session = ClientSession()
    text = b"".join(LINES)
    heard = [m for at in range(0, len(text), size) for m in session.receive(text[at : at + size])]
    assert heard == MESSAGES


def test_lineHasABound() -> None:
    """A line that never ends is given up at the bound."""
    session = ClientSession(lineBytesMax=10)
    session.receive(b"x" * 10)
    with pytest.raises(WireError, match="more than 10 bytes"):
        session.receive(b"x")


def test_nothingIsSentToNobody() -> None:
    """Before a peer has said anything that belongs to the protocol it is sent no request: then none was taken."""
    wire = Wire(hint="; is it one?")
    wire.ask(deadlineS=5)
    wire.connect(isGreeted=False)
    assert [line["command"] for line in wire.sent()] == ["UnsubscribeAll"]
    wire.say({"extID": None, "status": 503, "data": {"error": "RET_BUSY", "message": "go away"}})
    wire.lose("reset")
    wire.connect(isGreeted=False)
    wire.core.received(b"\x15\x03\x03\x00\x02\x02\x46", wire.now)
    wire.lose("reset")
    assert wire.requests() == []
    wire.advance(5)
    assert isinstance(wire.told["it"], Unreachable)
    assert "reset; is it one?" in str(wire.told["it"])


def test_whatWillNotGoAway() -> None:
    """For a reason that will not go away who waits is told at once, unless it may be booked; later ones may try."""
    wire = Wire()
    wire.ask("doubtful")
    wire.connect()
    wire.requests()
    wire.lose()
    wire.ask("waits")
    wire.core.lost("it is another server", isFinal=True)
    wire.turn()
    assert list(wire.told) == ["waits"]
    assert isinstance(wire.told["waits"], Unreachable)
    assert "another server" in str(wire.told["waits"])
    wire.ask("later")
    wire.connect()
    assert len(wire.requests()) == 2


def test_refusedTokenIsShownOnce() -> None:
    """A token that is refused for the first line is not shown with each request that waits."""
    wire = Wire(renewsToken=True)
    wire.ask("a")
    wire.connect("one", isGreeted=False)
    (first,) = wire.sent()
    wire.answer(first, 401, **DENIED)
    assert wire.core.tokenWanted
    assert wire.requests() == []
    wire.core.renew("two", wire.now)
    wire.turn()
    wire.answer(wire.request())
    assert isinstance(wire.told["a"], Reply)
    plain = Wire()
    plain.ask("b")
    plain.connect("one", isGreeted=False)
    plain.answer(plain.sent()[0], 401, **DENIED)
    assert isinstance(plain.told["b"], Refused)
    assert plain.requests() == []
