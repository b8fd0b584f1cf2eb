"""What each answer means for a request, and what its caller is told: docs/promises.md, line by line."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.client.asking import SERVER_TIMEOUT_LEAST_MS, SERVER_TIMEOUT_S
from scalemgr.client.errors import (
    BadParameters,
    ClientClosed,
    ClientError,
    NotApplied,
    OutcomeUnknown,
    Refused,
    ResyncRequired,
    Unanswered,
    Unreachable,
)
from scalemgr.client.patience import RequestSettings
from scalemgr.client.session import Reply
from scalemgr.runtime.waiters import TimeoutBounds
from scalemgr.wire.codes import RetCode

from .wires import Wire

TIMEOUT: dict[str, Any] = {"error": "SYNC_TIMEOUT", "kind": "trade", "order": 7, "code": 136, "message": "late"}


def connected(**more: Any) -> Wire:
    wire = Wire(**more)
    wire.connect("token-1")
    wire.sent()
    return wire


def test_doneIsToldOnce() -> None:
    """200 is the answer; a second one to the same request is nobody's."""
    wire = connected()
    wire.ask()
    request = wire.request()
    wire.answer(request, order=7)
    wire.answer(request, order=8)
    reply = wire.told["it"]
    assert isinstance(reply, Reply)
    assert reply.data == {"order": 7}


def test_inPartIsDone() -> None:
    """207, a list in part, is an answer too."""
    wire = connected()
    wire.ask(command="DeleteUsersList", data={"logins": [1, 2]})
    wire.answer(wire.request(), 207, deleted=1, failed=1)
    assert isinstance(wire.told["it"], Reply)


def test_moneyAlwaysHasAKey() -> None:
    """A command that takes a key has one, its own for each call, and the token with it."""
    wire = connected()
    wire.ask("a")
    wire.ask("b")
    wire.ask("c", "AddGroup", {"group": "g", "currency": "USD"})
    sent = wire.requests()
    keys = [request["data"]["idempotency_key"] for request in sent]
    assert len(set(keys)) == 3
    assert all(len(key) == 36 for key in keys)
    assert [request["__token"] for request in sent] == ["token-1"] * 3
    assert len({request["extID"] for request in sent}) == 3


def test_questionsHaveNone() -> None:
    """A question has no key."""
    wire = connected()
    wire.ask(command="GetAccountByLogin", data={"login": 1001})
    assert "idempotency_key" not in wire.request()["data"]


def test_aboutAKey() -> None:
    """To ask how far a request is, is a question: its key is that request's, and none is made for it."""
    wire = connected()
    wire.ask("a", "GetRequest", {"extID": "7"})
    wire.ask("b", "GetRequest", {"idempotency_key": "k"})
    assert [request["data"] for request in wire.requests()] == [{"extID": "7"}, {"idempotency_key": "k"}]
    wire.lose()
    wire.advance(60)
    assert isinstance(wire.told["a"], Unreachable)


@pytest.mark.parametrize("how", ["argument", "data"])
def test_givenKeyIsUsed(how: str) -> None:
    """A key that the caller gives is the one that is sent, and the one that errors name."""
    wire = connected()
    if how == "argument":
        wire.ask(key="payment-4711")
    else:
        wire.ask(data={"login": 1001, "amount": 1, "idempotency_key": "payment-4711"})
    request = wire.request()
    assert request["data"]["idempotency_key"] == "payment-4711"
    wire.answer(request, 409, error="RET_TRADE_NO_MONEY", code=134, outcome="refused", message="no money")
    refused = wire.told["it"]
    assert isinstance(refused, Refused)
    assert refused.key == "payment-4711"
    assert "payment-4711" in str(refused)


@pytest.mark.parametrize("key", ["", "x" * 201, "\ud800", 7])
def test_badKeyIsRefusedHere(key: Any) -> None:
    """A key that the server would not take is not sent."""
    wire = connected()
    with pytest.raises(BadParameters):
        wire.ask(key=key)
    assert wire.requests() == []


def test_twoKeysAreRefused() -> None:
    """Two different keys for one call are a mistake."""
    wire = connected()
    with pytest.raises(BadParameters, match="two keys"):
        wire.ask(data={"login": 1, "amount": 1, "idempotency_key": "a"}, key="b")


def test_refusalIsFinal() -> None:
    """A refusal is raised with all that it says, and not repeated."""
    wire = connected()
    wire.ask(key="k")
    data = {"error": "ADD_BALANCE_ERROR", "code": 133, "reason": "RET_USER_NOT_FOUND", "message": "no", "order": 3}
    wire.answer(wire.request(), 401, outcome="refused", **data)
    refused = wire.told["it"]
    assert isinstance(refused, Refused)
    assert (refused.status, refused.error, refused.code, refused.order, refused.outcome, refused.message) == (
        401,
        "ADD_BALANCE_ERROR",
        133,
        3,
        "refused",
        "no",
    )
    wire.advance(60)
    assert wire.requests() == []


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (504, {**TIMEOUT, "outcome": "pending"}),
        (500, {"error": "RET_ERR_DISK", "outcome": "pending"}),
        (500, {"error": "RET_ERROR", "reference": "E1"}),
        (502, {}),
        (504, {**TIMEOUT, "outcome": "void"}),
        (500, {"error": "RET_ERR_DISK", "outcome": "void"}),
        (503, {"error": "RET_ERR_SHUTDOWN"}),
        (503, {"error": "RET_ERR_NOSERVICE"}),
        (429, {"error": "RET_TRADE_TOO_MANY_REQ"}),
        (409, {"error": "RET_ERR_DUPLICATE", "code": int(RetCode.RET_ERR_DUPLICATE)}),
    ],
)
def test_repeatedWithTheSameKeyUntilCertain(status: int, data: dict[str, Any]) -> None:
    """After whatever is not certain, or not taken, the same request is sent again, with another extID."""
    wire = connected()
    wire.ask()
    first = wire.request()
    wire.answer(first, status, **data)
    assert wire.requests() == []
    second = wire.nextRequest()
    assert second["data"] == first["data"]
    assert second["extID"] != first["extID"]
    wire.answer(second, 200, order=7)
    assert isinstance(wire.told["it"], Reply)


def test_repeatsAreFurtherAndFurtherApart() -> None:
    """Who is told "not now" again and again asks less and less often, up to a bound."""
    wire = connected()
    wire.ask(deadlineS=1000)
    gaps = []
    for _ in range(14):
        request = wire.nextRequest()
        wire.answer(request, 503, error="RET_ERR_SHUTDOWN")
        before = wire.now
        wakeAt = wire.core.requests.wakeAt
        assert wakeAt is not None
        gaps.append(wakeAt - before)
    assert all(0.025 * 2**n <= gap <= 0.05 * 2**n for n, gap in enumerate(gaps[:7]))
    assert all(2.5 <= gap <= 5.0 for gap in gaps[8:])


def test_retryAfterIsHonoured() -> None:
    """A server that says when is asked then, and not before."""
    wire = connected()
    wire.ask()
    wire.answer(wire.request(), 429, error="RET_TRADE_TOO_MANY_REQ", retry_after_ms=2000)
    wire.advance(1.99)
    assert wire.requests() == []
    wire.advance(0.6)
    assert len(wire.requests()) == 1


@pytest.mark.parametrize("afterMs", [0, -1, "soon", None, [], float("nan")])
def test_retryAfterNothing(afterMs: Any) -> None:
    """A server that names no time that could be waited for is not asked at once, again and again."""
    wire = connected()
    wire.ask()
    wire.answer(wire.request(), 429, error="RET_TRADE_TOO_MANY_REQ", retry_after_ms=afterMs)
    assert wire.requests() == []
    wire.advance(1)
    assert len(wire.requests()) == 1


def test_pendingUntilTheTimeIsUp() -> None:
    """If it stays uncertain, the caller is told that it is not known, with the key, the order and what to do."""
    wire = connected()
    wire.ask(key="k", deadlineS=3)
    wire.answer(wire.request(), 504, **TIMEOUT, outcome="pending")
    wire.nextRequest()
    wire.advance(3)
    unknown = wire.told["it"]
    assert isinstance(unknown, OutcomeUnknown)
    assert (unknown.key, unknown.order, unknown.command) == ("k", 7, "BalanceInSync")
    assert 'ask again with idempotency_key="k"' in str(unknown)


def test_voidUntilTheTimeIsUp() -> None:
    """If each attempt was withdrawn, the caller is told that nothing was applied."""
    wire = connected()
    wire.ask(deadlineS=3)
    while "it" not in wire.told:
        for request in wire.requests():
            wire.answer(request, 504, **TIMEOUT, outcome="void")
        wire.advance(0.1)
    assert type(wire.told["it"]) is NotApplied


def test_voidAfterPendingIsVoid() -> None:
    """Void says that nothing was booked under the key: earlier doubts are gone."""
    wire = connected()
    wire.ask(deadlineS=3)
    wire.answer(wire.request(), 504, **TIMEOUT, outcome="pending")
    wire.answer(wire.nextRequest(), 504, **TIMEOUT, outcome="void")
    wire.lose()
    wire.advance(3)
    assert isinstance(wire.told["it"], NotApplied)


def test_whatIsKnownOfTheKey() -> None:
    """That a call was not taken says nothing of an earlier one with its key; that the server withdrew it does."""
    untaken = Wire()
    untaken.ask(key="k", deadlineS=1)
    untaken.advance(1)
    error = untaken.told["it"]
    assert isinstance(error, Unreachable)
    assert error.outcome == "untaken"
    assert str(error).startswith("this attempt at BalanceInSync ")
    wire = connected()
    wire.ask(key="k", deadlineS=1)
    wire.answer(wire.request(), 504, outcome="void")
    wire.lose()
    wire.advance(1)
    void = wire.told["it"]
    assert isinstance(void, NotApplied)
    assert void.outcome == "void"
    assert "was not applied" in str(void)


def test_voidIsOfThen() -> None:
    """What was void, and was asked again and taken, is not void."""
    wire = connected()
    wire.ask(key="k", deadlineS=2)
    wire.answer(wire.request(), 504, outcome="void")
    wire.nextRequest()
    wire.advance(2)
    assert isinstance(wire.told["it"], OutcomeUnknown)


def test_voidIsNotOfWhatWasLost() -> None:
    """What was sent on a connection that is gone may yet arrive: that a later attempt was withdrawn is no comfort."""
    wire = connected()
    wire.ask(deadlineS=1)
    wire.request()
    wire.lose()
    wire.connect()
    wire.answer(wire.request(), 504, outcome="void")
    wire.advance(1)
    assert isinstance(wire.told["it"], OutcomeUnknown)


def test_sameKeyIsStillUnknown() -> None:
    """Who asks again as he was told, and does not get through, is not told that nothing was booked."""
    wire = Wire()
    wire.connect()
    wire.ask("first", key="k", deadlineS=1)
    forgotten = wire.ask("forgotten", key="f", deadlineS=1)
    wire.core.requests.forget(forgotten)
    wire.advance(1)
    wire.lose()
    wire.ask("second", key="k", deadlineS=1)
    wire.ask("third", key="f", deadlineS=1)
    wire.ask("other", key="o", deadlineS=1)
    wire.advance(1)
    assert [type(wire.told[each]) for each in ("first", "second", "third")] == [OutcomeUnknown] * 3
    assert isinstance(wire.told["other"], Unreachable)
    wire.connect()
    wire.requests()
    wire.ask("fourth", key="k")
    wire.answer(wire.request(), 200, order=1)
    wire.lose()
    wire.ask("fifth", key="k", deadlineS=1)
    wire.advance(1)
    assert isinstance(wire.told["fifth"], Unreachable)


def test_questionIsNeverInDoubt() -> None:
    """A question that was lost, and then is refused, books nothing."""
    wire = connected()
    wire.ask(command="GetAccountByLogin", data={"login": 1})
    wire.request()
    wire.lose()
    wire.connect()
    wire.answer(wire.request(), 404, error="RET_USER_NOT_FOUND")
    assert isinstance(wire.told["it"], Refused)


def test_busyAfterPendingIsStillUnknown() -> None:
    """503 says nothing of an earlier attempt."""
    wire = connected()
    wire.ask(deadlineS=3)
    wire.answer(wire.request(), 504, **TIMEOUT, outcome="pending")
    wire.answer(wire.nextRequest(), 503, error="RET_ERR_SHUTDOWN")
    wire.lose()
    wire.advance(3)
    assert isinstance(wire.told["it"], OutcomeUnknown)


def test_wrongAfterADoubtIsUnknown() -> None:
    """Nor does a 403 of a token that may no longer; but it is told."""
    wire = connected()
    wire.ask(key="k")
    wire.request()
    wire.lose()
    wire.connect("token-2")
    wire.answer(wire.request(), 403, error="RET_NOT_ENOUGH_RIGHTS", message="not for your role")
    unknown = wire.told["it"]
    assert isinstance(unknown, OutcomeUnknown)
    assert "not for your role" in str(unknown)


def test_keyOfAnotherRequest() -> None:
    """409 with an order: the key is another request's, so this one was never booked, whatever was in doubt."""
    wire = connected()
    wire.ask(key="k")
    wire.request()
    wire.lose()
    wire.connect()
    wire.answer(wire.request(), 409, error="RET_ERR_DUPLICATE", code=RetCode.RET_ERR_DUPLICATE, order=3)
    refused = wire.told["it"]
    assert isinstance(refused, Refused)
    assert refused.order == 3


def test_lostIsRepeatedAtOnce() -> None:
    """After a break what was under way is sent again at once, in the order in which it was asked."""
    wire = connected()
    wire.ask("a", data={"login": 1, "amount": 1})
    wire.ask("b", data={"login": 2, "amount": 2})
    before = wire.requests()
    wire.lose()
    wire.ask("c", data={"login": 3, "amount": 3})
    wire.connect()
    after = wire.requests()
    assert [r["data"]["login"] for r in after] == [1, 2, 3]
    assert [r["data"] for r in after[:2]] == [r["data"] for r in before]


def test_questionIsRepeatedAfterABreak() -> None:
    """A question is, too."""
    wire = connected()
    wire.ask(command="GetGroups", data={})
    wire.request()
    wire.lose()
    wire.connect()
    wire.answer(wire.request(), rows=[])
    assert isinstance(wire.told["it"], Reply)


def test_unknownCommandIsSentOnce() -> None:
    """What a plugin's command does is not known, so without a key it is never sent twice."""
    wire = connected()
    wire.ask(command="AcmeWelcome", data={"login": 1})
    assert "idempotency_key" not in wire.request()["data"]
    wire.lose()
    unknown = wire.told["it"]
    assert isinstance(unknown, OutcomeUnknown)
    assert unknown.key is None
    assert "do not repeat it" in str(unknown)
    wire.connect()
    assert wire.requests() == []


def test_unknownCommandThatWasNotTakenIsSentAgain() -> None:
    """Unless the server says that it did not take it."""
    wire = connected()
    wire.ask(command="AcmeWelcome", data={"login": 1})
    wire.answer(wire.request(), 503, error="RET_ERR_SHUTDOWN")
    wire.answer(wire.nextRequest(), 200)
    assert isinstance(wire.told["it"], Reply)


def test_unknownCommandWithAKeyIsRepeated() -> None:
    """With a key it is repeated, and named by it whichever of the two the server goes by."""
    wire = connected()
    wire.ask(command="AcmeWelcome", data={"login": 1}, key="k")
    first = wire.request()
    assert (first["extID"], first["data"]["idempotency_key"]) == ("k", "k")
    wire.lose()
    wire.connect()
    again = wire.request()
    assert (again["extID"], again["data"]) == (first["extID"], first["data"])


@pytest.mark.parametrize("outcome", ["pending", "void"])
def test_unknownCommandThatTimedOut(outcome: str) -> None:
    """Its 504 is what is told."""
    wire = connected()
    wire.ask(command="AcmeWelcome", data={"login": 1})
    wire.answer(wire.request(), 504, **TIMEOUT, outcome=outcome)
    assert type(wire.told["it"]) is (OutcomeUnknown if outcome == "pending" else NotApplied)


def test_neverSentIsNotApplied() -> None:
    """Without a connection all the time nothing was sent, and the error says why."""
    wire = Wire()
    wire.ask(deadlineS=2)
    wire.lose("Connection refused")
    wire.advance(2)
    error = wire.told["it"]
    assert isinstance(error, Unreachable)
    assert "Connection refused" in str(error)


def test_sentAndNotAnsweredIsUnknown() -> None:
    """What was sent and not answered in time may have been booked; its late answer is nobody's."""
    wire = connected()
    wire.ask(deadlineS=2)
    request = wire.request()
    wire.advance(2)
    assert isinstance(wire.told["it"], OutcomeUnknown)
    wire.answer(request)


def test_questionNotAnswered() -> None:
    """A question that has no answer in time is not in doubt."""
    wire = connected()
    wire.ask(command="GetGroups", data={}, deadlineS=2)
    wire.advance(2)
    assert type(wire.told["it"]) is Unanswered


def test_questionThatFails() -> None:
    """A question that the server cannot answer is told so, not asked for ever."""
    wire = connected()
    wire.ask(command="GetGroups", data={})
    wire.answer(wire.request(), 500, error="RET_ERR_DISK", message="it takes too long")
    assert isinstance(wire.told["it"], Refused)


def test_shortDeadlineIsTheServersToo() -> None:
    """A caller who waits for less than the server would is not left in doubt: the server is told."""
    wire = connected()
    wire.ask("a", deadlineS=2)
    wire.ask("b", deadlineS=60)
    wire.ask("c", deadlineS=2, data={"login": 1, "amount": 1, "timeout_ms": 50})
    wire.ask("d", "GetGroups", {}, deadlineS=2)
    assert [r["data"].get("timeout_ms") for r in wire.requests()] == [1600, None, 50, None]


def test_hardlyAnyTimeLeftIsNotWrong() -> None:
    """Whoever has less time than the server can be told of is not refused for that: it is told the least that it takes,
    by the first attempt and by one that goes out shortly before the end."""
    wire = connected()
    wire.ask("a", deadlineS=0.05)
    assert wire.request()["data"]["timeout_ms"] == SERVER_TIMEOUT_LEAST_MS
    wire.ask("b", deadlineS=30)
    wire.request()
    wire.lose()
    wire.advance(29.95)
    wire.connect()
    assert wire.request()["data"]["timeout_ms"] == SERVER_TIMEOUT_LEAST_MS
    # As the server has them.
    assert (TimeoutBounds().min_ms, TimeoutBounds().default_ms) == (SERVER_TIMEOUT_LEAST_MS, 1000 * SERVER_TIMEOUT_S)


def test_windowIsKept() -> None:
    """Only so many are on their way; the next goes when one is answered. What was not sent in time was not applied."""
    wire = connected(settings=RequestSettings(windowMax=2, openMax=3))
    for n in range(3):
        wire.ask(n, deadlineS=5 + n)
    first, _second = wire.requests()
    with pytest.raises(NotApplied, match="3 requests wait"):
        wire.ask("one more")
    wire.answer(first)
    assert len(wire.requests()) == 1
    wire.ask("late", deadlineS=1)
    wire.advance(1)
    assert type(wire.told["late"]) is NotApplied


def test_lateOnesAreNotCounted() -> None:
    """What nobody waits for any more does not keep others from being sent."""
    wire = connected(settings=RequestSettings(windowMax=1))
    wire.ask("a", deadlineS=1)
    wire.ask("b", deadlineS=10)
    assert len(wire.requests()) == 1
    wire.advance(1)
    assert len(wire.requests()) == 1


def test_forgottenIsNotTold() -> None:
    """Who does not wait any more is told nothing, and what was not sent is not."""
    wire = Wire()
    wire.core.requests.forget(wire.ask())
    wire.connect()
    assert wire.requests() == []
    wire.advance(60)
    assert wire.told == {}


def test_closed() -> None:
    """A client that is closed tells each caller what can be said, and takes no more."""
    wire = connected(settings=RequestSettings(windowMax=1))
    wire.ask("sent")
    wire.ask("waiting")
    wire.core.close()
    wire.turn()
    assert isinstance(wire.told["sent"], OutcomeUnknown)
    assert type(wire.told["waiting"]) is NotApplied
    with pytest.raises(ClientClosed):
        wire.ask("late")


def test_whatTheServerSaidLastIsTheReason() -> None:
    """A connection that is ended with a line about it (too many sessions) is lost for that reason."""
    wire = connected(settings=RequestSettings(windowMax=0))
    wire.ask(deadlineS=1)
    wire.say({"extID": None, "status": 429, "data": {"error": "RET_USR_LIMIT_REACHED", "message": "too many sessions"}})
    wire.lose("the server closed the connection")
    wire.advance(1)
    error = wire.told["it"]
    assert isinstance(error, Unreachable)
    assert "too many sessions" in str(error)


@pytest.mark.parametrize(
    "line", [b"hello\r\n", b"[1]\r\n", b'{"extID": 1}\r\n', b'{"extID":1,"status":"x","data":{}}\r\n']
)
def test_notOfThisProtocol(line: bytes) -> None:
    """A peer that speaks something else is hung up on, and the request is not lost."""
    wire = connected()
    wire.ask()
    wire.request()
    wire.core.received(line, wire.now)
    assert wire.core.isBroken
    wire.lose(wire.core.isBroken)
    wire.connect()
    assert len(wire.requests()) == 1


@pytest.mark.parametrize("outcome", [[], {}, 1, None, "void?"])
def test_strangeOutcome(outcome: Any) -> None:
    """An outcome that is none says nothing, and so leaves a 504 in doubt."""
    wire = connected()
    wire.ask(deadlineS=1)
    wire.answer(wire.request(), 504, outcome=outcome)
    wire.advance(1)
    assert isinstance(wire.told["it"], OutcomeUnknown)


@pytest.mark.parametrize("strange", ["7", [], {}, True, 1.5])
def test_strangePlaces(strange: Any) -> None:
    """A place in the log that is no number is not of this protocol; where one may be missing, it is."""
    for line in ({"event": "trade:event", "seq": strange, "data": {}}, {"event": "lagged", "data": {"seq": strange}}):
        wire = connected()
        wire.follow(3, "e")
        wire.answer(wire.sent()[0], 200, seq=strange, epoch=strange)
        wire.say(line)
        assert "not a message" in wire.core.isBroken
        wire.advance(100)
    wire = connected()
    wire.follow(3, "e")
    wire.answer(wire.sent()[0], 410, seq=strange, epoch=strange)
    follower = wire.core.follower
    assert follower is not None
    (error,) = follower.take()
    assert isinstance(error, ResyncRequired)


def test_choosingIsNotForCallers() -> None:
    """The commands that choose events are the client's own."""
    for command in ("Subscribe", "SubscribeAll", "Unsubscribe", "UnsubscribeAll"):
        with pytest.raises(BadParameters, match="own business"):
            Wire().ask(command=command, data={})


def test_unsendable() -> None:
    """What is no JSON, or too long for a line, is refused before anything is sent."""
    wire = connected()
    for data in ({"login": object()}, {"login": 1, "comment": "x" * 2_000_000}, {"login": float("nan")}):
        with pytest.raises(BadParameters):
            wire.ask(data=data)
    for command in ("", "x" * 129, 7):
        with pytest.raises(BadParameters):
            wire.ask(command=command)  # type: ignore[arg-type]
    assert wire.requests() == []


def test_errorsAreOneTree() -> None:
    """Whatever is raised is a ClientError; what is certain is NotApplied, and nothing else is."""
    assert issubclass(Refused, NotApplied)
    assert issubclass(Unreachable, NotApplied)
    assert issubclass(Unanswered, NotApplied)
    assert not issubclass(OutcomeUnknown, NotApplied)
    assert all(issubclass(e, ClientError) for e in (NotApplied, OutcomeUnknown, BadParameters, ClientClosed))
