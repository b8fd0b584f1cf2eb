"""The checks of an outbox's campaign find whatever is wrong, and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from ..scripted_log import ScriptedLog
from .check import Deposit, Evidence, Leaving, check, depositsOf
from .notes import Began, Doubt, Note, Told
from .payments import Payment

PAYMENTS = [Payment("a", 1001, "100.00"), Payment("b", 1001, "100.00"), Payment("c", 1002, "59.97")]


def deposit(payment: Payment, order: int, **more: Any) -> Deposit:
    """As it is to be booked."""
    found = Deposit(payment.reference, payment.reference, order, payment.login, Decimal(payment.amount))
    return replace(found, **more)


def told(payment: Payment, order: int, **more: Any) -> Told:
    """As it is to be told."""
    return replace(Told(payment.reference, order, payment.login, float(payment.amount)), **more)


@pytest.fixture
def evidence() -> Evidence:
    """Three payments: the first client was killed when it was told of one, and had sent another."""
    a, b, c = PAYMENTS
    first: list[Note] = [Began([]), told(a, 1)]
    second: list[Note] = [Began(["b"]), told(a, 1), told(b, 2, isLate=True), Doubt("c", "no answer in time")]
    second += [told(b, 2), told(c, 3)]
    return Evidence(
        payments=PAYMENTS,
        deposits=[deposit(a, 1), deposit(b, 2), deposit(c, 3)],
        notes=[first, second],
        leavings={1: Leaving(frozenset("b"), frozenset("ab"), ["b"])},
        balances={1001: (Decimal("200.0"), 2), 1002: (Decimal("59.97"), 1), 1003: (Decimal(0), 0)},
    )


def test_nothingIsWrong(evidence: Evidence) -> None:
    """Where each payment is booked once, and everybody was told so, nothing is said."""
    assert check(evidence) == []


def doctored(name: str, index: int, *items: object) -> Callable[[Evidence], None]:
    """Evidence of which one item is not there, or others are in its place."""

    def doctor(evidence: Evidence) -> None:
        found = list(getattr(evidence, name))
        found[index : index + 1] = items
        setattr(evidence, name, found)

    return doctor


def noted(client: int, index: int, *notes: Note) -> Callable[[Evidence], None]:
    """The same of one client's notes."""

    def doctor(evidence: Evidence) -> None:
        found = [list(notes) for notes in evidence.notes]
        found[client][index : index + 1] = notes
        evidence.notes = found

    return doctor


def left(**more: Any) -> Callable[[Evidence], None]:
    """The same of what was left."""

    def doctor(evidence: Evidence) -> None:
        evidence.leavings[1] = replace(evidence.leavings[1], **more)

    return doctor


A, B, C = PAYMENTS
WRONG = [
    (doctored("deposits", 1), "b is missing: no deposit has it"),
    (doctored("deposits", 1, deposit(B, 2), deposit(B, 9)), "b was deposited 2 times, as the orders 2, 9"),
    (doctored("deposits", 2, deposit(C, 3, amount=Decimal("59.98"))), "order 3 of c is of 59.98 on login 1002, not of"),
    (doctored("deposits", 2, deposit(C, 3, login=1001)), "order 3 of c is of 59.97 on login 1001, not of 59.97 on"),
    (doctored("deposits", 2, deposit(C, 3, isDeposit=False)), "order 3 of c is no deposit"),
    (doctored("deposits", 2, deposit(C, 3, key="x")), "order 3 of c was booked under the key x"),
    (doctored("deposits", 2, deposit(C, 3), deposit(Payment("x", 1001, "1"), 4)), "order 4 of 'x' is not in the list"),
    (doctored("payments", 1), "order 2 of 'b' is not in the list"),
    (doctored("payments", 2, replace(C, amount="59.96")), "order 3 of c is of 59.97 on login 1002, not of 59.96"),
    (
        doctored("payments", 2, replace(C, amount="59.96")),
        "login 1002 has 59.97 after 1 changes, and the list comes to",
    ),
    (lambda e: e.balances.update({1001: (Decimal(200), 3)}), "login 1001 has 200 after 3 changes, and the list comes"),
    (lambda e: e.balances.update({1003: (Decimal(1), 1)}), "login 1003 has 1 after 1 changes, and the list comes to 0"),
    (lambda e: e.balances.pop(1002), "login 1002 has nothing known, and the list comes to 59.97 after 1"),
    (noted(1, 5), "no client was told of c"),
    (noted(1, 5, told(C, 4)), "client 2: c is order 4, it was told; there is none"),
    (noted(1, 5, told(C, 2)), "client 2: c is order 2, it was told; there is none"),
    (noted(1, 5, told(C, 3, profit=59.98)), "client 2: c is of 59.98 on login 1002, it was told; it is of 59.97"),
    (noted(1, 3, Doubt("c", "no money", isRefused=True)), "client 2: c was refused: no money"),
    (noted(1, 0, Began([])), "client 1 left ['b'] in the outbox, and the next one found []"),
    (noted(1, 2), "b was left in the outbox, and nobody told what became of it"),
    (left(kept=frozenset("a")), "client 1: b was booked, and was not in the outbox"),
    (left(unfinished=["b", "c"]), "client 1 left ['b', 'c'] in the outbox, and the next one found ['b']"),
    (lambda e: setattr(e, "unfinished", ["c"]), "c is in the outbox at the end, and not certain"),
]


@pytest.mark.parametrize(("doctor", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_whatIsWrongIsFound(evidence: Evidence, doctor: Callable[[Evidence], None], sentence: str) -> None:
    """Each thing that may be wrong is told, with what it is about."""
    doctor(evidence)
    assert any(wrong.startswith(sentence) for wrong in check(evidence)), check(evidence)


def test_nothingNotedAtAll(evidence: Evidence) -> None:
    """A client that was killed before it had opened its outbox is not held to have found anything."""
    evidence.notes = [evidence.notes[0], [], evidence.notes[1]]
    evidence.leavings[2] = evidence.leavings[1]
    assert check(evidence) == []


def test_notAtItsEnd(evidence: Evidence) -> None:
    """Of a campaign that did not come to its end nothing is said to be missing; what is wrong already is told."""
    doctored("payments", 3, Payment("d", 1003, "1"))(evidence)
    evidence.isWhole = False
    assert check(evidence) == []
    doctored("deposits", 1, deposit(B, 2), deposit(B, 9))(evidence)
    assert check(evidence) == ["b was deposited 2 times, as the orders 2, 9"]


def test_depositsOfALog() -> None:
    """All that has to do with money is taken from the log, and what is not a plain deposit is said not to be one."""
    script = ScriptedLog()
    script.open()
    booked = script.book(5997, "a", comment="a")
    script.book(-100, "b", comment="b")
    script.takeBack(booked.order, "c")
    script.request(100, "d")
    script.refuse("e")
    found = depositsOf(script.log)
    assert [(d.key, d.isDeposit) for d in found] == [("a", True), ("b", False), ("c", False), ("d", False)]
    assert found[0] == Deposit("a", "a", booked.order, 1001, Decimal("59.97"))
