"""Where a payment is, and who asked for it: what the console tells, and whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import LogEvent

from ..helpers import booked, token
from .house import Answer, Visitor, Windowed


@pytest.fixture
def house() -> Iterator[Windowed]:
    """A daemon with a console; nothing is left of it afterwards."""
    made = Windowed()
    yield made
    made.close()


def ask(house: Windowed, path: str, **claims: Any) -> Answer:
    """A question of somebody with such a token; without claims, of the operator."""
    return house.ask(path, headers={"Authorization": f"Bearer {token(**claims)}"} if claims else {})


def test_booked(house: Windowed) -> None:
    """What became of a payment: its order, its entry, when, on which account, and the very data of its event."""
    trade = booked(house.daemon, house.daemon.staff(), idempotency_key="payment-1001")
    answer = ask(house, "/payment?id=crm&key=payment-1001")
    assert answer.status == 200
    entry = answer.json.pop("entry")
    assert answer.json | {"entry": None} == {
        "id": "crm",
        "key": "payment-1001",
        "state": "done",
        "order": trade["order"],
        "entry": None,
    }
    [kept] = house.daemon.ledger.entries(5, 1)
    assert entry == {
        "seq": 6,
        "time": kept.time_ms / 1000,
        "event": "trade:event",
        "type": 0,
        "login": 1001,
        "data": trade,
    }


def test_refused(house: Windowed) -> None:
    """Of what was refused by a rule: that it was, by which, and which account it was about."""
    house.daemon.staff().deposit("payout 77 & more", -5.0, "BalanceOutSync")
    house.daemon.settle()
    told = ask(house, "/payment?id=crm&key=payout%2077%20%26%20more").json
    assert (told["state"], told["entry"]["login"]) == ("refused", 1001)
    assert told["entry"]["data"]["reason"] == "RET_TRADE_NO_MONEY"


def test_underWay(house: Windowed) -> None:
    """What is queued, being committed or unknown is said to be, without an entry."""
    house.daemon.ledgerThread.held = True
    session = house.daemon.staff()
    session.deposit("first")
    house.daemon.settle()
    session.deposit("second")

    def state(key: str) -> tuple[str, bool]:
        told = ask(house, f"/payment?id=crm&key={key}").json
        return told["state"], told["entry"] is None

    assert [state(key) for key in ("first", "second", "third")] == [
        ("pending", True),
        ("queued", True),
        ("unknown", True),
    ]
    house.daemon.ledgerThread.release()
    house.daemon.settle()
    assert [state(key) for key in ("first", "second", "third")] == [("done", False), ("done", False), ("unknown", True)]


def test_exact(house: Windowed) -> None:
    """A key is another one with a space more, or of another caller."""
    booked(house.daemon, house.daemon.staff(), idempotency_key="k")
    for query in ("id=crm&key=k%20", "id=crm&key=K", "id=other&key=k"):
        assert ask(house, f"/payment?{query}").json["state"] == "unknown"


@pytest.mark.parametrize(
    ("query", "field"), [("", "id"), ("id=crm", "key"), ("id=crm&key=" + "x" * 201, "key"), ("key=k", "id")]
)
def test_incomplete(house: Windowed, query: str, field: str) -> None:
    """A question that is none is refused, and names what is wrong with it."""
    answer = ask(house, f"/payment?{query}")
    assert (answer.status, answer.json["field"]) == (400, field)


@pytest.mark.parametrize("claims", [{"groups": "demo"}, {"see_trades": 0}, {"see_accounts": 0}])
def test_ofOthers(house: Windowed, claims: dict[str, Any]) -> None:
    """Whoever does not see all of the house is told of his own id's requests only, be there others or not."""
    house.eyes.guard.isLocal = False
    booked(house.daemon, house.daemon.staff(), idempotency_key="k")
    for key in ("k", "nothing"):
        answer = ask(house, f"/payment?id=crm&key={key}", id="other", **claims)
        assert answer.status == 403
        assert "order" not in answer.json
    assert ask(house, "/payment?id=crm&key=k", id="crm", **claims).json["state"] == "done"
    assert ask(house, "/payment?id=crm&key=k", id="other").json["state"] == "done"


def test_strangers(house: Windowed) -> None:
    """Without a token, or as the user of an account, nobody is told anything."""
    house.eyes.guard.isLocal = False
    for path in ("/payment?id=crm&key=k", "/entry?seq=1"):
        assert house.ask(path).status == 401
        assert ask(house, path, id="crm", role="user", login=1001).status == 403


def test_whoAsked(house: Windowed) -> None:
    """An entry has who asked and the key; a balance has those of what moved it; what is not there has neither."""
    session = house.daemon.staff()
    booked(house.daemon, session, idempotency_key="payment-1001")
    for seq in (6, 7):
        assert ask(house, f"/entry?seq={seq}").json == {"seq": seq, "principal": "crm", "key": "payment-1001"}
    assert ask(house, "/entry?seq=1").json == {"seq": 1, "principal": "system", "key": None}
    for seq in (0, 8, 10**14):
        assert ask(house, f"/entry?seq={seq}").json == {"seq": seq, "principal": None, "key": None}
    assert ask(house, "/entry?seq=x").status == 400


def test_whoAskedIsNotForAll(house: Windowed) -> None:
    """Whoever does not see all of the house learns of no other's id or key, nor of what his mask or flags hide."""
    house.eyes.guard.isLocal = False
    session = house.daemon.staff()
    booked(house.daemon, session, idempotency_key="here")
    booked(house.daemon, session, login=2001, idempotency_key="there")
    session.deposit("refused", -500.0, "BalanceOutSync")
    house.daemon.settle()

    def keys(**claims: Any) -> list[str | None]:
        return [ask(house, f"/entry?seq={seq}", **claims).json["key"] for seq in (6, 7, 8, 9, 10)]

    assert keys(id="crm") == keys(id="other") == ["here", "here", "there", "there", "refused"]
    assert keys(id="crm", groups="demo") == ["here", "here", None, None, None]
    assert keys(id="crm", see_accounts_balance=0) == [None] * 5
    assert keys(id="other", groups="demo") == [None] * 5
    assert keys(id="other", see_trades=0) == [None] * 5


@pytest.mark.parametrize("path", ["/payment?id=crm&key=k", "/entry?seq=1"])
def test_ledgerThatHangs(house: Windowed, path: str) -> None:
    """A ledger that does not answer is not waited for without end: it says so, and what to do."""
    house.daemon.readerThread.held = True
    visitor = Visitor(house)
    visitor.say(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    house.clock.advance(house.daemon.waiters.seconds(None))
    [answer] = visitor.answers()
    assert answer.status >= 500
    assert "the ledger does not answer" in answer.json["message"]
    assert "ask again later" in answer.json["message"]
    house.daemon.readerThread.release()
    assert visitor.answers() == []
    visitor.lose()


def test_goneBeforeItIsFound(house: Windowed) -> None:
    """A browser that goes before it is answered is answered no more."""
    house.daemon.readerThread.held = True
    visitor = Visitor(house)
    visitor.say(b"GET /entry?seq=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    visitor.lose()
    house.daemon.readerThread.release()
    assert visitor.answers() == []


def test_whileItStops(house: Windowed) -> None:
    """While the daemon stops nothing is looked up."""
    house.daemon.dispatcher.stopping = True
    assert ask(house, "/payment?id=crm&key=k").status == ask(house, "/entry?seq=1").status == 503


def test_trouble(house: Windowed, failures: list[LogEvent]) -> None:
    """What nobody foresaw is logged, and said without saying what it was."""
    house.daemon.ledger.entries = None  # type: ignore[method-assign, assignment]
    answer = ask(house, "/entry?seq=1")
    assert (answer.status, answer.json["message"]) == (500, "it cannot be looked up; the daemon's log says why")
    assert len(failures) == 1
    failures.clear()
