"""Caps, as those who have them meet them: over sessions that race, with repeats, time-outs and failures."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from scalemgr.finance.caps import CapsOf, readCaps
from scalemgr.wire.errors import LedgerFailed

from ..helpers import Daemon, Session, WatchedLedger, fresh, token

DAY_S = 86_400
USD = {"USD": {"amount": "100", "day": "250"}}


def capped(**more: Any) -> Daemon:
    """A daemon in which crm is configured to have caps."""
    return Daemon(caps={"crm": readCaps(USD)}, **more)


def ask(daemon: Daemon, session: Session, command: str, /, **data: Any) -> dict[str, Any]:
    """The one answer to a request."""
    session.send(command, data.pop("extID", None) or fresh(), data)
    daemon.settle()
    [answer] = session.answers()
    return answer


def verdict(answer: dict[str, Any]) -> str:
    """What a request came to: booked, or the cap that refused it; anything else by its name."""
    data = answer["data"]
    return "booked" if answer["status"] == 200 else str(data.get("cap", data["error"]))


def test_told() -> None:
    """A capped caller is told which cap, what it is and what is left, with the published code of a limit."""
    daemon = capped()
    session = daemon.connect(token())
    assert verdict(ask(daemon, session, "BalanceInSync", login=1001, amount=80)) == "booked"
    answer = ask(daemon, session, "BalanceInSync", login=1001, amount=100.01)
    assert (answer["status"], answer["data"]) == (
        409,
        {
            "error": "RET_TRADE_LIMIT_REACHED",
            "message": "your cap is 100 USD at once",
            "code": 165,
            "reason": "RET_TRADE_LIMIT_REACHED",
            "cap": "amount",
            "currency": "USD",
            "limit": 100.0,
            "left": 100.0,
            "outcome": "refused",
        },
    )
    assert ask(daemon, session, "BalanceIn", login=2001, amount=1)["data"]["cap"] == "currency"


@pytest.mark.parametrize("batchMax", [1, 3, 100])
def test_racingSessions(batchMax: int) -> None:
    """However many sessions and tokens of a caller race, what they move together is within its cap, to the cent."""
    daemon = capped(batchMax=batchMax)
    sessions = [daemon.connect(token(nonce=n)) for n in range(8)]
    for n in range(40):
        session = sessions[n % 8]
        session.deposit(f"race-{n}", 9 if n % 2 else -4.5, "BalanceInSync" if n % 2 else "BalanceOutSync")
    daemon.settle()
    for _ in range(40):
        daemon.clock.advance(0)
    answers = [answer for session in sessions for answer in session.answers()]
    verdicts = Counter(map(verdict, answers))
    assert sum(verdicts.values()) == 40
    booked = [e for e in daemon.ledger.entries(0, 1000) if e.principal == "crm"]
    moved = sum(abs(e.balance) for e in booked)
    assert 25000 - 450 < moved <= 25000
    assert verdicts["day"] > 0
    assert verdicts["booked"] == sum(1 for e in booked if e.balance)


def test_replay() -> None:
    """A repeat is answered as the first was, and neither counts again nor is looked at again, tomorrow either."""
    daemon = capped()
    session = daemon.connect(token())
    first = ask(daemon, session, "BalanceInSync", extID="a", login=1001, amount=100)
    for _ in range(5):
        again = ask(daemon, session, "BalanceInSync", extID="a", login=1001, amount=100)
        assert (again.pop("replayed"), again) == (True, first)
    assert verdict(ask(daemon, session, "BalanceInSync", extID="b", login=1001, amount=100)) == "booked"
    no = ask(daemon, session, "BalanceInSync", extID="c", login=1001, amount=60)
    assert (verdict(no), no["data"]["left"]) == ("day", 50.0)
    daemon.clock.advance(DAY_S)
    again = ask(daemon, session, "BalanceInSync", extID="c", login=1001, amount=60)
    assert (again.pop("replayed"), again) == (True, no)
    assert verdict(ask(daemon, session, "BalanceInSync", extID="d", login=1001, amount=60)) == "booked"


def test_otherTokenRepeats() -> None:
    """What was asked under one token can be repeated under another with other caps: it is the same request."""
    daemon = Daemon()
    wide, narrow = daemon.connect(token()), daemon.connect(token(max_amount={"USD": 1}))
    ask(daemon, wide, "BalanceInSync", extID="a", login=1001, amount=500)
    again = ask(daemon, narrow, "BalanceInSync", extID="a", login=1001, amount=500)
    assert (again["status"], again["replayed"]) == (200, True)
    assert verdict(ask(daemon, narrow, "BalanceInSync", login=1001, amount=1.01)) == "amount"


def test_void() -> None:
    """What was withdrawn before it was booked uses nothing up."""
    daemon = capped(batchMax=1)
    session = daemon.connect(token())
    daemon.ledgerThread.held = True
    session.deposit("a", 100.0)
    daemon.clock.advance(0)
    for n in range(20):
        session.deposit(f"void-{n}", 100.0, timeout_ms=100)
    daemon.clock.pump([0.05] * 4)
    answers = session.answers()
    assert [(a["status"], a["data"]["outcome"]) for a in answers] == [(504, "void")] * 20
    daemon.ledgerThread.release()
    daemon.settle()
    assert [verdict(answer) for answer in session.answers()] == ["booked"]
    assert [verdict(ask(daemon, session, "BalanceIn", login=1001, amount=n)) for n in (100, 50, 1)] == [
        *("booked", "booked", "day")
    ]


def test_failedCommit() -> None:
    """What the ledger could not keep uses nothing up; to ask for it again books it."""
    ledger = WatchedLedger()
    daemon = capped(ledger=ledger)
    session = daemon.connect(token())
    for _ in range(3):
        ledger.failures.append(LedgerFailed("told to fail", outcome="void"))
        answer = ask(daemon, session, "BalanceIn", extID="a", login=1001, amount=100)
        assert (answer["status"], answer["data"]["outcome"]) == (500, "void")
        daemon.clock.advance(5)
    assert [
        verdict(ask(daemon, session, "BalanceIn", extID=extID, login=1001, amount=amount))
        for extID, amount in (("a", 100), ("b", 100), ("c", 50), ("d", 0.01))
    ] == ["booked", "booked", "booked", "day"]


@pytest.mark.parametrize(
    ("configured", "claims", "most", "refused"),
    [
        (None, {}, 10_000, "booked"),
        (USD, {}, 100, "amount"),
        (None, {"max_amount": {"USD": 70}}, 70, "amount"),
        (USD, {"max_amount": {"USD": 70}}, 70, "amount"),
        (USD, {"max_amount": {"USD": 700}}, 100, "amount"),
        (USD, {"max_per_day": {"USD": 60}}, 60, "day"),
        (USD, {"max_per_day": {"EUR": 60}}, 0, "currency"),
        ({"EUR": {}}, {"max_amount": {"USD": 70}}, 0, "currency"),
    ],
)
def test_configuredAndClaimed(configured: Any, claims: dict[str, Any], most: float, refused: str) -> None:
    """Of what is configured and what the token says, the smaller applies: a token never widens."""
    daemon = Daemon(caps={} if configured is None else {"crm": readCaps(configured)})
    session = daemon.connect(token(**claims))
    assert verdict(ask(daemon, session, "BalanceIn", login=1001, amount=most + 0.01)) == refused
    if most:
        assert verdict(ask(daemon, session, "BalanceIn", login=1001, amount=most)) == "booked"


def test_configuredAnew() -> None:
    """What is configured anew is in force for the next request, of a session that was there before, too."""
    caps: dict[str, CapsOf] = {}
    daemon = Daemon(caps=caps)
    session = daemon.connect(token())
    assert verdict(ask(daemon, session, "BalanceIn", login=1001, amount=500)) == "booked"
    caps["crm"] = readCaps(USD)
    assert verdict(ask(daemon, session, "BalanceIn", login=1001, amount=1)) == "day"
    del caps["crm"]
    assert verdict(ask(daemon, session, "BalanceIn", login=1001, amount=500)) == "booked"


def test_othersAreNotTold() -> None:
    """A caller is refused by its own caps only, and no event tells of a refusal."""
    daemon = capped()
    crm, psp, staff = daemon.connect(token()), daemon.connect(token("psp")), daemon.staff()
    assert [verdict(ask(daemon, crm, "BalanceIn", login=1001, amount=n)) for n in (100, 100, 100)][2] == "day"
    staff.lines()
    ask(daemon, crm, "BalanceIn", login=1001, amount=101)
    assert staff.lines() == []
    assert verdict(ask(daemon, psp, "BalanceIn", login=1001, amount=5000)) == "booked"


def test_everyCommandThatMoves() -> None:
    """Whichever command it is, and in whichever form: it is one sum."""
    daemon = Daemon(caps={"crm": readCaps({"USD": {"day": "59"}})})
    free, session = daemon.connect(token("psp")), daemon.connect(token())
    for command in ("BalanceIn", "CreditIn"):
        ask(daemon, free, command, login=1001, amount=1000, comment="x")
    pending = ask(daemon, free, "MngCreateFinanceRequest", login=1001, cmd=6, amount=8)["data"]["order"]
    order = ask(daemon, session, "BalanceIn", login=1001, amount=9)["data"]["order"]
    granted = ask(daemon, session, "CreditInSync", login=1001, amount=3, comment="x")["data"]["order"]
    steps: list[tuple[str, dict[str, Any]]] = [
        ("BalanceOutSync", {"login": 1001, "amount": -5}),
        ("CreditOut", {"login": 1001, "amount": -2, "comment": "x"}),
        ("BalanceIn", {"login": 1001, "amount": 19, "order": order}),
        ("DeleteBalanceSync", {"order": order}),
        ("DeleteCredit", {"order": granted}),
        ("MngApproveFinanceRequestSync", {"order": pending}),
    ]
    # 9 + 3, then 5, 2, 10, 19, 3 and 8 of which the last would make it 59; and nothing more.
    assert [verdict(ask(daemon, session, command, **data)) for command, data in steps] == ["booked"] * 6
    assert verdict(ask(daemon, session, "BalanceIn", login=1001, amount=0.01)) == "day"


def test_clock() -> None:
    """At midnight UTC, and not before, a new day begins."""
    daemon = capped()
    daemon.clock.advance(DAY_S - daemon.clock.seconds() % DAY_S - 0.001)
    session = daemon.connect(token())
    amounts = (100, 100, 50)
    assert [verdict(ask(daemon, session, "BalanceIn", login=1001, amount=n)) for n in amounts] == ["booked"] * 3
    assert verdict(ask(daemon, session, "BalanceIn", login=1001, amount=1)) == "day"
    daemon.clock.advance(0.002)
    assert [verdict(ask(daemon, session, "BalanceIn", login=1001, amount=n)) for n in amounts] == ["booked"] * 3
