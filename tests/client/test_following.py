"""Each event once and in order, whatever happens to connections, tokens and logs."""

from __future__ import annotations

import pytest

from scalemgr.client.errors import ClientClosed, ClientError, Refused, ResyncRequired
from scalemgr.client.following import EVENTS
from scalemgr.finance.records import BROADCAST

from .wires import Wire, seqs


def chosen(wire: Wire) -> list[str]:
    """What of events was said since this was last asked."""
    return [line["command"] for line in wire.sent() if line["command"] in ("Subscribe", "UnsubscribeAll")]


def test_allEventsAreKnown() -> None:
    """The events that are followed by default are all that there are."""
    assert set(EVENTS) == BROADCAST


def test_whoFollowsNoneIsSentNone() -> None:
    """A connection begins with that: a session that says nothing would be sent everything."""
    wire = Wire()
    wire.connect()
    wire.ask()
    assert [line["command"] for line in wire.sent()] == ["UnsubscribeAll", "BalanceInSync"]
    wire.event(1)


def test_fromNowOn() -> None:
    """Without from_seq events count from the answer on; after a break it goes on from the last one."""
    wire = Wire()
    follower = wire.follow()
    wire.connect()
    (subscribe,) = wire.sent()
    assert subscribe["data"] == {"chanels": list(EVENTS)}
    wire.event(5)
    wire.answer(subscribe, epoch="e", seq=5)
    wire.event(7)
    assert seqs(follower) == [7]
    wire.lose()
    wire.connect()
    (again,) = wire.sent()
    assert again["data"] == {"chanels": list(EVENTS), "from_seq": 7, "epoch": "e"}


def test_nothingLiveMeansFromTheAnswer() -> None:
    """If no event has come before the break, it goes on from where the log was when it began."""
    wire = Wire()
    wire.follow()
    wire.connect()
    wire.answer(wire.sent()[0], epoch="e", seq=5)
    wire.lose()
    wire.connect()
    assert wire.sent()[0]["data"]["from_seq"] == 5


def test_resumedWithoutGapOrRepeat() -> None:
    """What comes before the answer comes again after it, and counts once; so does what is sent twice."""
    wire = Wire()
    follower = wire.follow(fromSeq=3, epoch="e")
    wire.connect()
    first = wire.sent()[0]
    wire.event(9)
    wire.answer(first, epoch="e", seq=9)
    for seq in (4, 6):
        wire.event(seq)
    wire.lose()
    wire.connect()
    again = wire.sent()[0]
    assert again["data"]["from_seq"] == 6
    wire.event(10)
    wire.answer(again, epoch="e", seq=10)
    for seq in (6, 9, 9, 10):
        wire.event(seq)
    assert seqs(follower) == [4, 6, 9, 10]


def test_markIsRemembered() -> None:
    """The mark at the end of a replay says how far it came: it goes on from there, and is told if that is wanted."""
    wire = Wire()
    follower = wire.follow(fromSeq=3, marks=True)
    wire.connect()
    wire.answer(wire.sent()[0], epoch="e", seq=9)
    wire.say({"event": "replay:done", "data": {"seq": 9, "epoch": "e"}})
    (mark,) = follower.take()
    assert getattr(mark, "event", None) == "replay:done"
    wire.lose()
    wire.connect()
    assert wire.sent()[0]["data"]["from_seq"] == 9


def test_anotherLog() -> None:
    """A restart with another epoch is told as such, after what came before, and not asked for again."""
    wire = Wire()
    follower = wire.follow(fromSeq=3, epoch="old")
    wire.connect()
    wire.answer(wire.sent()[0], epoch="old", seq=4)
    wire.event(4)
    wire.lose()
    wire.connect()
    wire.answer(wire.sent()[0], 410, error="RESYNC_REQUIRED", message="another log", epoch="new", seq=2)
    event, error = follower.take()
    assert getattr(event, "seq", None) == 4
    assert isinstance(error, ResyncRequired)
    assert (error.epoch, error.seq) == ("new", 2)
    assert "from_seq=2" in str(error)
    wire.lose()
    wire.connect()
    assert chosen(wire) == ["UnsubscribeAll"]
    # Then it can be followed anew.
    wire.follow(fromSeq=2, epoch="new")
    assert chosen(wire) == ["Subscribe"]


def test_notForThisToken() -> None:
    """A refusal ends it, with the refusal."""
    wire = Wire()
    follower = wire.follow()
    wire.connect()
    wire.answer(wire.sent()[0], 403, error="RET_NOT_ENOUGH_RIGHTS", message="not for your role")
    (error,) = follower.take()
    assert isinstance(error, Refused)


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_subscribedAgainLater(status: int) -> None:
    """What is refused for now is asked for again."""
    wire = Wire()
    follower = wire.follow(fromSeq=1)
    wire.connect()
    wire.answer(wire.sent()[0], status, error="x")
    wire.advance(1)
    (again,) = (line for line in wire.sent() if line["command"] == "Subscribe")
    wire.answer(again, epoch="e", seq=2)
    wire.event(2)
    assert seqs(follower) == [2]


@pytest.mark.parametrize("last", ["lagged", "replay:failed"])
def test_cutShort(last: str) -> None:
    """After a last line such as this it goes on from its own place."""
    wire = Wire()
    wire.follow(fromSeq=1)
    wire.connect()
    wire.answer(wire.sent()[0], epoch="e", seq=9)
    wire.event(2)
    wire.say({"event": last, "data": {"seq": 7}})
    wire.lose()
    wire.connect()
    assert wire.sent()[0]["data"]["from_seq"] == 2


def test_slowCallerBoundsTheQueue() -> None:
    """When the queue is full the session is told to be silent; when it is empty, to go on: no gap, no repeat."""
    wire = Wire()
    follower = wire.follow(fromSeq=0, queuedMax=3)
    wire.connect()
    wire.answer(wire.sent()[0], epoch="e", seq=9)
    for seq in range(1, 7):
        wire.event(seq)
    assert chosen(wire) == ["UnsubscribeAll"]
    assert seqs(follower) == [1, 2, 3]
    wire.turn()
    (again,) = wire.sent()
    assert again["data"]["from_seq"] == 3
    wire.event(6)
    wire.answer(again, epoch="e", seq=6)
    wire.event(4)
    assert seqs(follower) == [4]


def test_brokenWhileTheQueueIsFull() -> None:
    """The queue stays bounded across breaks."""
    wire = Wire()
    follower = wire.follow(fromSeq=0, queuedMax=2)
    for n in range(1, 5):
        wire.connect()
        wire.answer(wire.sent()[0], epoch="e", seq=9)
        for seq in range(n, n + 4):
            wire.event(seq)
        wire.lose()
    taken = seqs(follower)
    assert taken == list(range(1, len(taken) + 1))
    assert len(taken) <= 2 + 4


def test_expiredTokenIsRenewed() -> None:
    """When the token's time is up, another one is asked for and shown; the events go on."""
    wire = Wire(renewsToken=True)
    wire.follow(fromSeq=0)
    wire.connect("one")
    wire.answer(wire.sent()[0], epoch="e", seq=0)
    wire.say({"event": "token:expired", "data": {"seq": 3}})
    assert wire.core.tokenWanted
    wire.core.renew("two", wire.now)
    wire.turn()
    assert not wire.core.tokenWanted
    (shown,) = wire.sent()
    assert (shown["command"], shown["__token"]) == ("Ping", "two")


def test_expiredTokenWithoutAnother() -> None:
    """If there is no other, the caller is told, with what came before."""
    wire = Wire()
    follower = wire.follow(fromSeq=0)
    wire.connect("one")
    wire.answer(wire.sent()[0], epoch="e", seq=0)
    wire.event(1)
    wire.say({"event": "token:expired", "data": {"seq": 1}})
    _event, error = follower.take()
    assert isinstance(error, Refused)
    assert error.status == 401


def test_oneFollowerAtATime() -> None:
    """A client follows once; when that has ended, again."""
    wire = Wire()
    follower = wire.follow()
    with pytest.raises(ClientError, match="already"):
        wire.follow()
    wire.core.unfollow(follower)
    wire.follow()


def test_endedByItsCaller() -> None:
    """Who wants no more is sent no more."""
    wire = Wire()
    follower = wire.follow()
    wire.connect()
    wire.sent()
    wire.core.unfollow(follower)
    wire.turn()
    assert chosen(wire) == ["UnsubscribeAll"]


def test_closedWhileFollowing() -> None:
    """Whoever waits for events is told that the client is closed."""
    wire = Wire()
    follower = wire.follow()
    wire.core.close()
    (error,) = follower.take()
    assert isinstance(error, ClientClosed)
    with pytest.raises(ClientClosed):
        wire.follow()
