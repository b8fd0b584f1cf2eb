"""BalanceInSync and BalanceIn, as the method page describes them, to the letter."""

from __future__ import annotations

import json

import pytest

from scalemgr.finance.records import BALANCE_EVENT, TRADE_EVENT
from scalemgr.wire.codes import EventRecordType

from ..helpers import NOW_MS, Daemon, Session, booked, inShort, onAccount, token

NOW = NOW_MS // 1000

#: The request of the page.
REQUEST = {
    "command": "BalanceInSync",
    "extID": "deposit-req-1001",
    "data": {"login": 1001, "amount": 250.0, "comment": "Payment gateway deposit"},
}
#: The C{data} of the answer on the page, with the order that a new ledger gives.
PUBLISHED = {
    "order": 1,
    "login": 1001,
    "cmd": 6,
    "state": 3,
    "profit": 250.0,
    "comment": "Payment gateway deposit",
}
#: The rest of the record (C{wire.md} 5.6).
BESIDES = {
    "symbol": "",
    "digits": 2,
    "reason": 7,
    "open_time": NOW,
    "close_time": NOW,
    "update_time": NOW,
    "balance_version": 1,
}


def asPublished(session: Session) -> None:
    session.sendRaw(json.dumps(REQUEST, indent=None).encode() + b"\r\n")


def test_published() -> None:
    """The request of the page gets the answer of the page, with every field and value, and is booked."""
    daemon = Daemon()
    session = daemon.staff()
    asPublished(session)
    assert session.raw() == b""
    daemon.settle()
    answer, event, balance = session.lines()
    assert answer == {"extID": "deposit-req-1001", "status": 200, "data": {**PUBLISHED, **BESIDES}}
    assert list(answer) == ["extID", "status", "data"]
    assert event == {
        "event": "trade:event",
        "type": EventRecordType.EV_RECORD_ADD,
        "data": answer["data"],
        "seq": 6,
        "time": NOW_MS / 1000,
    }
    assert balance == {
        "event": "balance:event",
        "type": EventRecordType.EV_RECORD_UPDATE,
        "data": onAccount(1001, 1, 25_000),
        "seq": 7,
        "time": NOW_MS / 1000,
    }
    assert (daemon.balance(1001), daemon.balance(1002), daemon.ledger.book.seq) == (25_000, 0, 7)


def test_onlyTheData() -> None:
    """The answer's C{data} is the event's, byte for byte, without the envelope around it."""
    daemon = Daemon()
    session, listening = daemon.staff(), daemon.staff()
    asPublished(session)
    daemon.settle()
    answer, event, balance, rest = session.raw().split(b"\r\n")
    data = answer.removeprefix(b'{"extID":"deposit-req-1001","status":200,"data":').removesuffix(b"}")
    assert event.startswith(b'{"event":"trade:event","type":0,"data":' + data + b',"seq":6,"time":')
    assert balance.startswith(b'{"event":"balance:event","type":1,"data":{"login":1001,"balance":250.0,')
    assert rest == b""
    assert listening.raw() == event + b"\r\n" + balance + b"\r\n"


def test_entry() -> None:
    """The log has the cause of the deposit beside its effect: who asked, and under which key."""
    daemon = Daemon()
    session = daemon.connect(token("gateway"))
    session.deposit("by extID")
    session.deposit("other", idempotency_key="its own key")
    session.deposit(None)
    session.deposit(17)
    daemon.settle()
    entries = daemon.ledger.entries(5, 10)
    assert [entry.event for entry in entries] == [TRADE_EVENT, BALANCE_EVENT] * 4
    assert {entry.principal for entry in entries} == {"gateway"}
    deposits = [entry for entry in entries if entry.event == TRADE_EVENT]
    assert [entry.key for entry in deposits] == ["by extID", "its own key", None, "17"]
    assert [entry.balance for entry in deposits] == [1000] * 4
    assert len({entry.fingerprint for entry in deposits}) == 1
    # What follows from them is nobody's request, and moves nothing.
    rest = [(entry.key, entry.fingerprint, entry.balance) for entry in entries if entry.event == BALANCE_EVENT]
    assert rest == [(None, None, 0)] * 4


def test_defaults() -> None:
    """Without a comment it is the published one; without times it is now."""
    daemon = Daemon()
    data = booked(daemon, daemon.staff(), comment=None)
    assert (data["comment"], data["open_time"], data["close_time"]) == ("Finance", NOW, NOW)


@pytest.mark.parametrize(
    ("given", "times"),
    [
        ({"open_time": 100}, (100, 100)),
        ({"close_time": 200}, (200, 200)),
        ({"open_time": 100, "close_time": 200}, (100, 200)),
        ({"close_time": NOW + 100}, (NOW, NOW + 100)),
        ({"open_time": 0, "close_time": 0}, (NOW, NOW)),
        ({"open_time": None, "close_time": None}, (NOW, NOW)),
    ],
)
def test_times(given: dict[str, int], times: tuple[int, int]) -> None:
    """The times that a caller gives are kept; C{update_time} is always the server's."""
    daemon = Daemon()
    data = booked(daemon, daemon.staff(), **given)
    assert (data["open_time"], data["close_time"], data["update_time"]) == (*times, NOW)


def test_closeBeforeOpen() -> None:
    """A transaction that would close before it opens is refused, and nothing is booked."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit("x", open_time=200, close_time=199)
    daemon.settle()
    [answer] = session.lines()
    assert (answer["status"], answer["data"]["reason"]) == (400, "RET_TRADE_BAD_CLOSE_TIME")
    assert daemon.balance() == 0


def test_ordersAndVersions() -> None:
    """Each new transaction has an order of its own and the account's next version."""
    daemon = Daemon()
    session = daemon.staff()
    made = [booked(daemon, session, str(i), i + 1) for i in range(4)]
    assert [data["order"] for data in made] == [1, 2, 3, 4]
    assert [data["balance_version"] for data in made] == [1, 2, 3, 4]
    assert daemon.balance() == 1000


# -- BalanceIn ----------------------------------------------------------------------------------------


def test_balanceIn() -> None:
    """BalanceIn answers with what was accepted, as published, and the events follow."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit("x", 250.0, "BalanceIn", comment="c")
    daemon.settle()
    answer, event, balance = session.lines()
    accepted = {"accepted": True, "order": 1, "state": 10, "login": 1001, "cmd": 6, "amount": 250.0}
    assert answer == {"extID": "x", "status": 200, "data": {**accepted, "balance_version": 1}}
    assert (event["data"]["order"], event["data"]["state"], event["data"]["profit"]) == (1, 3, 250.0)
    assert inShort([balance]) == ["7:250"]
    session.deposit("y", 300.0, "BalanceIn", order=1)
    daemon.settle()
    answer, event, balance = session.lines()
    assert answer["data"] == {**accepted, "state": 11, "amount": 300.0, "balance_version": 2}
    assert (event["event"], event["type"]) == ("trade:event", EventRecordType.EV_RECORD_UPDATE)
    assert inShort([balance]) == ["9:300"]


def test_acceptedMeansDurable() -> None:
    """BalanceIn is not answered before its commit is done, and then tells only what is in the log."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("x", 250.0, "BalanceIn")
    daemon.settle()
    daemon.clock.advance(4)
    assert session.raw() == b""
    daemon.ledgerThread.release()
    daemon.settle()
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["accepted"]) == (200, True)
    assert daemon.ledger.entries(5, 2)[0].order == answer["data"]["order"]
