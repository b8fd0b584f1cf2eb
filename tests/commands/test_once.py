"""Applied once: what a repeat is answered with, what is a repeat, and what names a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scalemgr.finance.records import REFUSAL
from scalemgr.interfaces import IContext

from ..helpers import NOW_MS, Daemon, Session, booked, thirdParty, token

COMMANDS = pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])


def ask(daemon: Daemon, line: str, **claims: Any) -> dict[str, Any]:
    """The answer to a line, on a session of its own; without its C{extID}."""
    session = daemon.connect(token(**claims))
    session.send("Ping", "hello")
    session.lines()
    session.sendRaw(line.encode() + b"\r\n")
    daemon.settle()
    [answer] = session.answers()
    del answer["extID"]
    return answer


def line(data: str, command: str = "BalanceInSync", extID: str = '"k"') -> str:
    return f'{{"command":"{command}","extID":{extID},"data":{data}}}'


def deposits(daemon: Daemon) -> int:
    """How many the log has."""
    return sum(entry.balance != 0 for entry in daemon.ledger.entries(0, 1000))


# -- the answer to a repeat -----------------------------------------------------------------------------


@COMMANDS
def test_repeat(command: str) -> None:
    """A repeat is answered with the first outcome, byte for byte, marked beside the status; the money moves once."""
    daemon = Daemon()
    session = daemon.staff()
    answers = []
    for _ in range(3):
        session.deposit("k", 12.34, command, comment="it's, }")
        daemon.settle()
        answers.append(session.raw().split(b"\r\n")[0])
        daemon.clock.advance(100)
    first, *repeats = answers
    assert repeats == [first.replace(b'"status":200,', b'"status":200,"replayed":true,')] * 2
    assert b"replayed" not in first
    assert daemon.balance() == 1234


def test_eachInItsOwnForm() -> None:
    """A plain and a Sync request with one key are one deposit, and each is answered in its own form."""
    daemon = Daemon()
    data = '{"login":1001,"amount":5}'
    plain = ask(daemon, line(data, "BalanceIn"))
    sync = ask(daemon, line(data))
    assert (plain["data"]["accepted"], plain["data"]["order"]) == (True, sync["data"]["order"])
    assert sync["data"]["profit"] == 5.0
    assert ask(daemon, line(data, "BalanceIn")) == {**plain, "replayed": True}
    assert sync["replayed"] is True
    assert deposits(daemon) == 1


def test_repeatOfAChange() -> None:
    """A repeat of a change says what the first change did, although the deposit was changed again since."""
    daemon = Daemon()
    session = daemon.staff()
    order = booked(daemon, session, "a", 10.0)["order"]
    first = ask(daemon, line(f'{{"login":1001,"amount":20,"order":{order}}}', "BalanceIn"))
    booked(daemon, session, "b", 30.0, order=order)
    again = ask(daemon, line(f'{{"login":1001,"amount":20,"order":{order}}}', "BalanceIn"))
    assert again == {**first, "replayed": True}
    assert (first["data"]["state"], daemon.balance()) == (11, 3000)


@COMMANDS
def test_refusalRepeats(command: str) -> None:
    """A refusal by a business rule repeats, byte for byte, though the reason for it is gone by then."""
    daemon = Daemon()
    account = daemon.ledger.book.accounts[1001]
    daemon.ledger.book.accounts[1001] = type(account)(1001, "demo", 0)
    first = ask(daemon, line('{"login":1001,"amount":5}', command))
    assert (first["status"], first["data"]["error"]) == (403, "RET_ACCOUNT_DISABLED")
    daemon.ledger.book.accounts[1001] = account
    assert ask(daemon, line('{"login":1001,"amount":5.0}', command)) == {**first, "replayed": True}
    assert deposits(daemon) == 0


def test_strictOrderRepeats() -> None:
    """That an order does not exist is such a refusal: the order may come to exist before the repeat."""
    daemon = Daemon(strictOrders=True)
    first = ask(daemon, line('{"login":1001,"amount":5,"order":77}'))
    assert (first["status"], first["data"]["reason"]) == (404, "RET_NOT_FOUND")
    assert ask(daemon, line('{"login":1001,"amount":5,"order":77}')) == {**first, "replayed": True}


@pytest.mark.parametrize(
    "bad",
    [
        '{"login":1001,"amount":-5}',
        '{"login":1001,"amount":5.001}',
        '{"login":1001,"amount":5,"timeout_ms":1}',
        '{"login":1001,"amount":5,"open_time":20,"close_time":10}',
        '{"login":"1001","amount":5}',
    ],
)
@COMMANDS
def test_malformedDoesNotCount(command: str, bad: str) -> None:
    """A request that was malformed has not used its key: put right, it is booked."""
    daemon = Daemon()
    assert ask(daemon, line(bad, command))["status"] == 400
    answer = ask(daemon, line('{"login":1001,"amount":5}', command))
    assert (answer["status"], answer.get("replayed")) == (200, None)
    assert daemon.balance() == 500


def test_forbiddenDoesNotCount() -> None:
    """Nor has one that the caller was not allowed to make."""
    daemon = Daemon()
    assert ask(daemon, line('{"login":1001,"amount":5}'), role=0, login=1001)["status"] == 401
    assert ask(daemon, line('{"login":1001,"amount":5}'))["status"] == 200


# -- what is the same request ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        '{ "amount" : 250 , "login" : 1001 }',
        '{"login":1001,"amount":2.5e2}',
        '{"login":1001,"amount":250.00}',
        '{"login":1001,"amount":250,"comment":"Finance"}',
        '{"login":1001,"amount":250,"comment":null,"order":0,"open_time":0}',
        '{"login":1001,"amount":250,"timeout_ms":9000,"unknown":7}',
        '{"login":1001,"amount":250,"idempotency_key":"k"}',
        '{"login":1001,"amount":249.99999999999997}',
    ],
)
def test_same(same: str) -> None:
    """It is the decoded request that is compared: how it is written does not matter."""
    daemon = Daemon()
    first = ask(daemon, line('{"login":1001,"amount":250.0}'))
    assert ask(daemon, line(same)) == {**first, "replayed": True}
    assert deposits(daemon) == 1


@pytest.mark.parametrize(
    "other",
    [
        '{"login":1001,"amount":250.01}',
        '{"login":1002,"amount":250}',
        '{"login":1001,"amount":250,"comment":"x"}',
        '{"login":1001,"amount":250,"comment":""}',
        '{"login":1001,"amount":250,"order":5}',
        '{"login":1001,"amount":250,"open_time":5}',
        '{"login":1001,"amount":250,"close_time":5}',
        '{"login":999,"amount":250}',
    ],
)
@COMMANDS
def test_other(command: str, other: str) -> None:
    """Another request with a used key is a 409 with the order of the first, and nothing happens."""
    daemon = Daemon()
    first = ask(daemon, line('{"login":1001,"amount":250.0}'))
    before = daemon.ledger.book.seq
    answer = ask(daemon, line(other, command))
    assert (answer["status"], answer["data"]["error"]) == (409, "RET_ERR_DUPLICATE")
    assert answer["data"]["order"] == first["data"]["order"]
    assert "replayed" not in answer
    assert daemon.ledger.book.seq == before


# -- what names a request --------------------------------------------------------------------------------


def test_keyGoesBeforeExtID() -> None:
    """The idempotency key names a request; the extID does only if there is none."""
    daemon = Daemon()
    for extID in ('"a"', '"b"', "7", "null"):
        ask(daemon, line('{"login":1001,"amount":5,"idempotency_key":"k"}', extID=extID))
    assert deposits(daemon) == 1
    ask(daemon, line('{"login":1001,"amount":5}', extID='"a"'))
    assert deposits(daemon) == 2


def test_numberAndText() -> None:
    """1, 1.0 and "1" are one key: to take two requests for one is safer than to take one for two."""
    daemon = Daemon()
    ask(daemon, line('{"login":1001,"amount":5}', extID="1"))
    assert ask(daemon, line('{"login":1001,"amount":5}', extID='"1"'))["replayed"]
    assert ask(daemon, line('{"login":1001,"amount":5}', extID="1.0"))["replayed"]
    assert ask(daemon, line('{"login":1001,"amount":5}', extID="1e300"))["status"] == 200


@pytest.mark.parametrize("extID", ["null", '""'])
def test_withoutAKey(extID: str) -> None:
    """A request without either is booked each time."""
    daemon = Daemon()
    for _ in range(2):
        assert ask(daemon, line('{"login":1001,"amount":5}', extID=extID))["status"] == 200
    assert deposits(daemon) == 2


def test_keysArePrivate() -> None:
    """A key is the caller's own: of two callers with the same one, neither hears of the other's request."""
    daemon = Daemon()
    for id in ("one", "two"):
        answer = ask(daemon, line('{"login":1001,"amount":5}'), id=id)
        assert (answer["status"], answer.get("replayed")) == (200, None)
    assert ask(daemon, line('{"login":1001,"amount":5}'), id="one", role="admin")["replayed"]


@pytest.mark.parametrize(
    ("configured", "claim", "counts"),
    [
        (False, None, 1),
        (True, None, 2),
        (False, "explicit", 2),
        (True, "explicit", 2),
        (True, "extid", 1),
    ],
)
def test_explicit(configured: bool, claim: str | None, counts: int) -> None:
    """With explicit keys, as configured or as the token says, an extID may be used again; a key still counts."""
    daemon = Daemon(explicitKeys=configured)
    claims = {} if claim is None else {"key": claim}
    for _ in range(2):
        assert ask(daemon, line('{"login":1001,"amount":5}'), **claims)["status"] == 200
    assert deposits(daemon) == counts
    for _ in range(2):
        ask(daemon, line('{"login":1001,"amount":5,"idempotency_key":"explicit"}'), **claims)
    assert deposits(daemon) == counts + 1


@pytest.mark.parametrize("claim", ["", "none", 1, True, ["explicit"]])
def test_badClaim(claim: object) -> None:
    """A token that says something else about keys is no token."""
    assert ask(Daemon(), line('{"login":1001,"amount":5}'), key=claim)["status"] == 401


@pytest.mark.parametrize(("key", "status"), [("x" * 200, 200), ("é" * 100, 200), ("x" * 201, 400), ("é" * 101, 400)])
def test_lengthOfAKey(key: str, status: int) -> None:
    """A key has at most 200 bytes."""
    daemon = Daemon()
    data = json.dumps({"login": 1001, "amount": 5, "idempotency_key": key})
    assert ask(daemon, line(data))["status"] == status


# -- accounts and groups ---------------------------------------------------------------------------------


def test_accountIsOpenedOnce() -> None:
    """A repeat of opening an account says which login the first got, though the password is hashed anew."""
    daemon = Daemon()
    data = '{"group":"demo","name":"Ann","password":"secret-1","leverage":100,"enable":1,"email":""%s}'
    first = ask(daemon, line(data % "", "AddUser"))
    assert first["status"] == 200
    assert ask(daemon, line(data % "", "MngAddAccount")) == {**first, "replayed": True}
    assert ask(daemon, line(data % ',"city":"Riga"', "AddUser"))["status"] == 409
    assert daemon.ledger.book.nextLogin == first["data"]["login"] + 1


def test_groupIsMadeOnce() -> None:
    """A repeat of making a group is told that it was made, and with another key that it exists."""
    daemon = Daemon()
    first = ask(daemon, line('{"group":"vip","currency":"USD"}', "AddGroup"))
    assert ask(daemon, line('{"group":"vip","currency":"USD"}', "AddGroup")) == {**first, "replayed": True}
    exists = ask(daemon, line('{"group":"vip","currency":"USD","idempotency_key":"other"}', "AddGroup"))
    assert (exists["status"], exists["data"]["reason"]) == (409, "RET_DUPLICATE_RECORD")
    assert [entry.event for entry in daemon.ledger.entries(6, 10)] == [REFUSAL]


# -- commands of others ----------------------------------------------------------------------------------


def test_syncPluginWithoutACause() -> None:
    """A sync command that forgot to name its cause is a repeat, too, and is not left waiting for an event."""

    def bonus(context: IContext) -> dict[str, Any]:
        from scalemgr.finance.money import Amount
        from scalemgr.finance.records import TRADE_EVENT
        from scalemgr.finance.requests import MoveMoney
        from scalemgr.wire.codes import TradeCommand

        order = context.reserveOrder()
        context.submit(MoveMoney(context.cause(), TradeCommand.OP_BALANCE_IN, 1001, Amount(1, 0), order))
        return {"__deferred": {"kind": "trade", "event": TRADE_EVENT, "type": 0, "order": order}}

    daemon = Daemon(also=[thirdParty(bonus)])
    first = ask(daemon, line("{}", "ThirdParty"))
    assert ask(daemon, line("{}", "ThirdParty")) == {**first, "replayed": True}
    assert deposits(daemon) == 1


# -- what is left of it ----------------------------------------------------------------------------------


def test_oldRepeatsAreCounted() -> None:
    """Repeats are counted, and of them those that come so late that a client seems to use its extIDs again."""
    daemon = Daemon()
    session: Session = daemon.staff()
    booked(daemon, session, "k")
    booked(daemon, session, "k")
    daemon.clock.rightNow = NOW_MS / 1000 + 3700
    booked(daemon, session, "k")
    assert (daemon.runtime.replays.total, daemon.runtime.replays.old) == (2, 1)
