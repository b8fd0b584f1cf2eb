"""Bad input: each kind is answered with what is wrong, changes nothing, and costs nobody else anything."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace
from twisted.logger import LogEvent

from ..helpers import LIMITS, Daemon, Session
from .badlines import GOOD, commanded, data, envelope, member, roomy


class Case(NamedTuple):
    """
    One bad line.

    @ivar field: what the answer says is wrong, or C{None}: it names no field.
    @ivar extID: what the answer is matched by.
    """

    name: str
    line: bytes
    field: str | None = None
    extID: Any = "x"
    status: int = 400
    error: str = "INVALID_DATA"


CASES = [
    # The line.
    Case("not JSON", b"nonsense", extID=None),
    Case("half of a line", data("{" + GOOD)),
    # Whose answer would it be?
    Case("two on a line", data("{%s}" % GOOD) * 2, extID=None),
    Case("something behind it", data("{%s}" % GOOD) + b" x"),
    Case("a comma too many", b'{"command":"BalanceInSync","extID":"x","data":{%s},}' % GOOD.encode()),
    Case("apostrophes", data("{%s}" % GOOD).replace(b'"', b"'"), extID=None),
    Case("a list", b"[" + data("{%s}" % GOOD) + b"]"),
    Case("an empty list", b"[]", extID=None),
    Case("a number", b"7", extID=None),
    Case("a string", b'"Ping"', extID=None),
    Case("null", b"null", extID=None),
    Case("not UTF-8", member("comment", '"?"').replace(b"?", b"\xff\xfe")),
    Case("a surrogate as UTF-8", member("comment", '"?"').replace(b"?", b"\xed\xa0\x80")),
    Case("a byte order mark", b"\xef\xbb\xbf" + data("{%s}" % GOOD)),
    Case("NUL as a line", b"\x00", extID=None),
    Case("NUL in a string", member("comment", '"a\x00b"')),
    Case("NUL, escaped", member("comment", r'"a\u0000b"')),
    Case("a raw tab", member("comment", '"a\tb"')),
    Case("nested objects", data('{%s,"x":%s1%s}' % (GOOD, '{"x":' * 40, "}" * 40))),
    Case("nested lists", data('{%s,"x":%s%s}' % (GOOD, "[" * 100_000, "]" * 100_000))),
    Case("only brackets", b"[" * 100_000, extID=None),
    Case("a member twice", data('{%s,"amount":1000}' % GOOD)),
    Case("a member twice, escaped", data(r'{%s,"\u0061mount":1000}' % GOOD)),
    Case("data twice", b'{"command":"BalanceInSync","extID":"x","data":{%s},"data":{}}' % GOOD.encode()),
    # Its command.
    Case("no command", commanded(""), "command"),
    Case("command empty", commanded('"command":"",'), "command"),
    Case("command null", commanded('"command":null,'), "command"),
    Case("command a number", commanded('"command":7,'), "command"),
    Case("command a list", commanded('"command":["BalanceInSync"],'), "command"),
    Case("command of 129", commanded('"command":"%s",' % ("x" * 129)), "command"),
    Case("command of 10 kB", commanded('"command":"%s",' % ("x" * 10_240)), "command"),
    Case("command unknown", commanded('"command":"%s",' % ("x" * 128)), None, status=404, error="RET_INVALID_METHOD"),
    # Its data.
    Case("no data", b'{"command":"BalanceInSync","extID":"x"}', "login"),
    Case("data null", data("null"), "login"),
    Case("data a list", data("[1001,10]"), "data"),
    Case("data a string", data('"x"'), "data"),
    Case("data a number", data("7"), "data"),
    Case("data empty", data("{}"), "login"),
    # Its extID.
    Case("extID an object", envelope(',"extID":{"x":1}'), "extID", None),
    Case("extID a list", envelope(',"extID":["x"]'), "extID", None),
    Case("extID true", envelope(',"extID":true'), "extID", None),
    Case("extID NaN", envelope(',"extID":NaN'), extID=None),
    # Not JSON at all, so no member is named.
    *(Case(f"amount {n}", member("amount", n)) for n in ("NaN", "Infinity", "-Infinity")),
    Case("login NaN", member("login", "NaN")),
    Case("extID 1e400", envelope(',"extID":1e400'), "extID", None),
    Case("extID of 201", envelope(',"extID":"%s"' % ("x" * 201)), "extID", None),
    Case("extID of 202 bytes", envelope(',"extID":"%s"' % ("é" * 101)), "extID", None),
    Case("token a number", envelope(',"extID":"x","__token":7'), "__token"),
    # The amount.
    Case("no amount", data('{"login":1001}'), "amount"),
    *(
        Case(f"amount {value}", member("amount", value), "amount")
        for value in (
            *("0", "0.0", "-0", "-10", "-0.01", '"10"', '"x"', "true", "null", "[10]", "{}"),
            *("1e400", "-1e400", "1e-400", "0.001", "10.001", "59.9700000001"),
            *("1000000000000000", "1e15", "10000000000000", "123456789012345678", "0.1234567890123456"),
        )
    ),
    # The login.
    Case("no login", data('{"amount":10}'), "login"),
    *(
        Case(f"login {value}", member("login", value), "login")
        for value in (
            *("0", "-1", "9223372036854775808", "9223372036854775807", "9007199254740992", "18446744073709552617"),
            *("1001.5", '"1001"', "true", "null", "[1001]", "1e400"),
        )
    ),
    Case("login unknown", member("login", "999"), None, status=401, error="ADD_BALANCE_ERROR"),
    # The comment.
    Case("comment of 100 kB", member("comment", '"%s"' % ("x" * 102_400)), "comment"),
    Case("comment of 513", member("comment", '"%s"' % ("x" * 513)), "comment"),
    Case("comment a number", member("comment", "7"), "comment"),
    Case("comment an object", member("comment", "{}"), "comment"),
    Case("comment half a pair", member("comment", r'"a\ud800b"')),
    Case("comment half a pair at the end", member("comment", r'"\udc00"')),
    Case("comment a pair reversed", member("comment", r'"\ude00\ud83d"')),
    # The rest.
    Case("order negative", member("order", "-1"), "order"),
    Case("order text", member("order", '"1"'), "order"),
    Case("order too great", member("order", "9007199254740992"), "order"),
    Case("open_time negative", member("open_time", "-1"), "open_time"),
    Case("open_time a fraction", member("open_time", "1.5"), "open_time"),
    Case("close_time too late", member("close_time", "253402300800"), "close_time"),
    Case("timeout_ms text", member("timeout_ms", '"5000"'), "timeout_ms"),
    Case("timeout_ms 0", member("timeout_ms", "0"), "timeout_ms"),
    Case("timeout_ms too small", member("timeout_ms", "99"), "timeout_ms"),
    Case("timeout_ms too great", member("timeout_ms", "25001"), "timeout_ms"),
    Case("idempotency_key empty", member("idempotency_key", '""'), "idempotency_key"),
    Case("idempotency_key of 201", member("idempotency_key", '"%s"' % ("x" * 201)), "idempotency_key"),
    Case("idempotency_key of 202 bytes", member("idempotency_key", '"%s"' % ("é" * 101)), "idempotency_key"),
    Case("idempotency_key a number", member("idempotency_key", "7"), "idempotency_key"),
]


def assertAlive(session: Session) -> None:
    session.send("Ping", "alive")
    assert [(answer["extID"], answer["status"]) for answer in session.lines()] == [("alive", 200)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad(case: Case, failures: list[LogEvent]) -> None:
    """A bad line is answered with its status, error and field; nothing changes, and the session answers on."""
    daemon = roomy()
    session, listening = daemon.staff(), daemon.staff()
    before = daemon.kept()
    session.sendRaw(case.line + b"\r\n")
    daemon.settle()
    [answer] = session.lines()
    told = answer["data"]
    assert (answer["extID"], answer["status"], told["error"], told.get("field")) == (
        case.extID,
        case.status,
        case.error,
        case.field,
    )
    assert isinstance(told["message"], str)
    assert len(told["message"]) < 400
    assert daemon.kept() == before
    assert listening.raw() == b""
    assert failures == []
    assertAlive(session)


def test_eachCaseIsOtherwiseGood() -> None:
    """What the table takes for good is good: it is the one bad thing that is refused."""
    for line in (data("{%s}" % GOOD), member("login", "1001"), envelope(',"extID":"x"'), member("comment", '"?"')):
        daemon = roomy()
        session = daemon.staff()
        session.sendRaw(line + b"\r\n")
        daemon.settle()
        assert [answer["status"] for answer in session.answers()] == [200]


def test_allOnOneSession() -> None:
    """All of it at once, between good requests, costs the good ones nothing."""
    daemon = roomy()
    session = daemon.staff()
    for i, case in enumerate(CASES):
        session.sendRaw(case.line + b"\r\n")
        session.deposit(f"good {i}", 0.01)
        daemon.settle()
    good = [a for a in session.answers() if str(a["extID"]).startswith("good")]
    assert [answer["status"] for answer in good] == [200] * len(CASES)
    assert daemon.balance() == len(CASES)


def test_overlongLine() -> None:
    """The one bad line after which the session ends is one that is too long; others do not notice."""
    daemon = Daemon(limits=replace(LIMITS, lineBytesMax=1000))
    session, other = daemon.staff(), daemon.staff()
    before = daemon.kept()
    session.sendRaw(member("comment", '"%s"' % ("x" * 1000)) + b"\r\n")
    daemon.settle()
    [answer] = session.lines()
    assert (answer["extID"], answer["status"], answer["data"]["error"]) == (None, 400, "INVALID_DATA")
    assert session.transport.disconnecting
    assert daemon.kept() == before
    assertAlive(other)
