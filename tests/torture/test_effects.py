"""An entry is told to be the effect of what was asked for, and an answer to be about it: of every kind of wish."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from .asked import UNKNOWN_ORDERS
from .effects import isEffectOf
from .history import Entry
from .journal import Sent
from .scripted import Script

#: What is asked for, the order that it names, and the state in which the plain form accepts it.
KINDS: list[tuple[str, int, int]] = [
    ("BalanceIn", 0, 10),
    ("BalanceIn", 11, 11),
    ("DeleteBalance", 11, 12),
    ("MngCreateFinanceRequest", 0, 17),
    ("MngApproveFinanceRequest", 12, 10),
    ("MngDeclineFinanceRequest", 12, 18),
]
IDS = [f"{command}-{order}" for command, order, _ in KINDS]


def wish(script: Script, command: str, order: int, **more: Any) -> int:
    """An attempt at it, with an amount where it takes one."""
    if command.startswith("MngCreate"):
        more = {"cmd": 6, **more}
    if command.startswith(("BalanceIn", "MngCreate")):
        return script.ask(200, command, order=order, **more)
    return script.askOf(order, command, **more)


def effects(script: Script) -> list[Entry]:
    """One entry for each of the kinds, of key k, in their order."""
    script.book(100, "first", order=11)
    script.book(50, "second", order=12, state=17)
    return [
        script.book(200, order=21),
        script.book(200, order=11, type=1, change=100),
        script.book(100, order=11, type=2, state=6, change=-100),
        script.book(200, order=22, state=17),
        script.book(50, order=12, type=1),
        script.book(50, order=12, type=1, state=18),
    ]


def sentOf(script: Script, n: int) -> Sent:
    record = script.records[n]
    assert isinstance(record, Sent)
    return record


@pytest.mark.parametrize("at", range(len(KINDS)), ids=IDS)
def test_theOneEffect(at: int) -> None:
    """Of entries of all kinds only one is the effect of a wish; the Sync form asks for the same."""
    script = Script()
    made = effects(script)
    command, order, _ = KINDS[at]
    for form in (command, f"{command}Sync"):
        sent = sentOf(script, wish(script, form, order))
        assert [isEffectOf(entry, sent) for entry in made] == [n == at for n in range(len(KINDS))]


@pytest.mark.parametrize("at", range(len(KINDS)), ids=IDS)
def test_answers(at: int) -> None:
    """An answer tells of the entry in the plain form, in all that it says, and in the Sync form byte for byte."""
    command, order, state = KINDS[at]
    script = Script()
    entry = effects(script)[at]
    script.log[:] = [entry]
    script.accepted(wish(script, command, order), entry, state)
    script.tell(wish(script, f"{command}Sync", order), 200, entry.data, replayed=True)
    assert script.wrong() == []
    for more in ({"state": state + 1}, {"order": 1}, {"login": 1}, {"cmd": 9}, {"amount": 7}, {"balance_version": 9}):
        odd = Script()
        odd.log = script.log
        wish(odd, command, order)
        odd.accepted(1, entry, **{"state": state, **more})
        assert any("told " in wrong for wrong in odd.wrong()), more


def test_comments() -> None:
    """A comment is that of the entry; none is the default of a new one, and any of one that is changed or declined."""
    script = Script()
    new = script.book(200, order=21)
    changed = script.book(200, order=11, type=1, comment="why")
    declined = script.book(50, order=12, type=1, state=18, comment="why")
    for entry, command, order, right in (
        (new, "BalanceIn", 0, {None: True, "Finance": True, "why": False}),
        (changed, "BalanceIn", 11, {None: True, "why": True, "other": False}),
        (declined, "MngDeclineFinanceRequest", 12, {None: True, "why": True, "other": False}),
    ):
        for comment, is_ in right.items():
            sent = sentOf(script, wish(script, command, order, comment=comment))
            assert isEffectOf(entry, sent) is is_


def test_orderThatNobodyHas() -> None:
    """A change of what does not exist is a new movement, with another number."""
    script = Script()
    order = UNKNOWN_ORDERS[0]
    sent = sentOf(script, script.ask(200, order=order))
    assert isEffectOf(script.book(200), sent)
    assert not isEffectOf(script.book(200, order=order), sent)


def test_otherEntries() -> None:
    """A refusal is no effect, nor an entry whose columns say something else than its data, nor another cmd's."""
    script = Script()
    entry = script.book(200)
    sent = sentOf(script, script.ask(200))
    assert isEffectOf(entry, sent)
    for other in (
        script.refuse(),
        replace(entry, order=99),
        replace(entry, login=99),
        script.book(200, cmd=7),
        script.book(201),
    ):
        assert not isEffectOf(other, sent)
    credit = script.book(100, order=31, type=2, state=6, cmd=7)
    assert isEffectOf(credit, sentOf(script, script.askOf(31, "DeleteCredit")))
    assert not isEffectOf(credit, sentOf(script, script.askOf(31, "DeleteBalance")))
