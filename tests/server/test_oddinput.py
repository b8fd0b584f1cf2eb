"""Odd input that is good all the same: it is booked, and comes back as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ..helpers import onAccount, token
from .badlines import GOOD, envelope, member, roomy


def booked(line: bytes) -> tuple[dict[str, Any], bytes]:
    """A line that is odd but good: the trade that it is answered with, and the bytes."""
    daemon = roomy()
    session = daemon.staff()
    session.sendRaw(line + b"\r\n")
    daemon.settle()
    raw = session.raw()
    answer, event, balance = (json.loads(part) for part in raw.split(b"\r\n")[:-1])
    assert answer["status"] == 200
    assert [(line["event"], line["seq"]) for line in (event, balance)] == [("trade:event", 6), ("balance:event", 7)]
    assert balance["data"] == onAccount(1001, 1, daemon.balance())
    assert event["data"] == answer["data"]
    stored = daemon.ledger.trade(answer["data"]["order"])
    assert stored is not None
    assert stored[0].data() == answer["data"]
    assert daemon.balance() == round(answer["data"]["profit"] * 100)
    return answer, raw


@pytest.mark.parametrize(
    ("number", "profit"),
    [
        ("59.970000000000006", 59.97),
        ("0.01", 0.01),
        ("1e2", 100.0),
        ("250", 250.0),
        ("250.000", 250.0),
        ("9999999999999.99", 9999999999999.99),
        ("0.30000000000000004", 0.3),
    ],
)
def test_amountsThatAreGood(number: str, profit: float) -> None:
    """A number is read at the precision that a double guarantees, and booked to the cent."""
    assert booked(member("amount", number))[0]["data"]["profit"] == profit


@pytest.mark.parametrize(
    "comment",
    [
        "",
        'quotes " and \\ and "',
        "O'Brien's \\'x\\'",
        "two\r\nlines\tand more",
        "emoji \U0001f600 é ß 漢字",
        "a,} b, ] c,]",
        "</script> // /",
        "\x7f\u2028\ufeff",
        "x" * 512,
        "\U0001f600" * 512,
    ],
)
def test_commentsThatAreGood(comment: str) -> None:
    """A comment comes back as it was, on a line without an apostrophe, a raw line break or non-ASCII."""
    for ascii in (True, False):
        line = json.dumps({"command": "BalanceInSync", "extID": comment[:20], "data": {"login": 1001, "amount": 10}})
        request = json.loads(line)
        request["data"]["comment"] = comment
        answer, raw = booked(json.dumps(request, ensure_ascii=ascii).encode())
        assert answer["extID"] == comment[:20]
        assert answer["data"]["comment"] == comment
        assert raw.isascii()
        assert b"'" not in raw
        assert raw.count(b"\n") == raw.count(b"\r") == 3


@pytest.mark.parametrize("extID", [7, -1, 2**53, 1.5, "x", "1", "", "x" * 200, "é" * 100, None])
def test_extIDsThatAreGood(extID: Any) -> None:
    """A string or a number is echoed with its type; without an extID the answer has null."""
    text = "" if extID is None else f',"extID":{json.dumps(extID)}'
    answer = booked(envelope(text))[0]
    assert (answer["extID"], type(answer["extID"])) == (extID, type(extID))
    if extID is None:
        assert booked(envelope(',"extID":null'))[0]["extID"] is None


@pytest.mark.parametrize("service", ['{"type":3}', "null", "7", '"x"', "[]", '{"kind":"trade"}'])
@pytest.mark.parametrize("name", ["__access", "__deferred"])
def test_serviceMembers(name: str, service: str) -> None:
    """What a client calls C{__access} or C{__deferred}, outside or inside C{data}, is neither believed nor kept."""
    line = f'{{"command":"BalanceInSync","extID":"x","data":{{{GOOD},"{name}":{service}}},"{name}":{service}}}'
    _, raw = booked(line.encode())
    assert name.encode() not in raw
    stranger = roomy().connect(token(role=0, login=1001))
    stranger.sendRaw(line.replace("{", f'{{"__token":"{stranger.token}",', 1).encode() + b"\r\n")
    [refusal] = stranger.lines()
    assert (refusal["status"], refusal["data"]["reason"]) == (401, "RET_NOT_ENOUGH_RIGHTS")


def test_unknownMembers() -> None:
    """Members that nobody declared, in the envelope or in C{data}, are ignored."""
    line = f'{{"command":"BalanceInSync","extID":"x","data":{{{GOOD},"new":[1]}},"event":"x","status":7}}'
    answer, raw = booked(line.encode())
    assert answer.keys() == {"extID", "status", "data"}
    assert b"new" not in raw
