"""The checks of keys find what they are for, and nothing where nothing is wrong."""

from __future__ import annotations

import re

import pytest

from .scripted import Script


@pytest.fixture
def script() -> Script:
    return Script()


def assertFound(script: Script, pattern: str) -> None:
    """Something is wrong, and one sentence says this."""
    wrong = script.wrong()
    assert any(re.search(pattern, sentence) for sentence in wrong), wrong


def test_nothingWrong(script: Script) -> None:
    """A key with a void, a pending, a repeat, a refused rival and true states gives no discrepancy."""
    script.unsure(script.ask(), "void", order=10)
    script.unsure(script.ask(), "pending", order=11)
    entry = script.book()
    script.done(script.ask(), entry, replayed=True)
    script.done(script.ask(), entry, replayed=True)
    script.accepted(script.ask(command="BalanceIn"), entry)
    script.tell(script.ask(), 503, {"error": "RET_ERR_SHUTDOWN"})
    script.duplicate(script.ask(200), entry.order)
    question = script.ask(command="GetRequest")
    script.tell(question, 200, f'{{"state":"done","order":{entry.order},"data":{entry.data}}}')
    script.ask()
    assert script.wrong() == []


def test_refusedAlikeIsRight(script: Script) -> None:
    """A key that was refused, and refused again in the same words, gives no discrepancy."""
    no = script.refuse()
    script.refused(script.ask())
    script.refused(script.ask(), replayed=True)
    script.tell(script.ask(command="GetRequest"), 200, f'{{"state":"refused","order":0,"data":{no.data}}}')
    script.duplicate(script.ask(200), 0)
    assert script.wrong() == []


def test_refusedTwice(script: Script) -> None:
    """Two refusals of one key are found."""
    script.refuse()
    script.refuse()
    script.refused(script.ask())
    assertFound(script, "refused 2 times, as entries")


def test_refusalLost(script: Script) -> None:
    """A refusal that was told and is not in the log is found."""
    script.refused(script.ask())
    assertFound(script, "401 refused, and the log has no refusal")


def test_refusalInOtherWords(script: Script) -> None:
    """A refusal that was told in other words than the log has is found, also without any that everybody may know."""
    no = script.refuse(reason="RET_TRADE_NO_MONEY")
    script.tell(script.ask(-100, "BalanceOut"), 409, no.data)
    assert script.wrong() == []
    script.tell(script.ask(-100, "BalanceOutSync"), 409, no.data.replace('"no"', '"never"'), replayed=True)
    assertFound(script, "told .*never.*, entry 1 says")
    script.refused(script.ask(-100, "BalanceOut"), replayed=True)
    assertFound(script, "told .*ADD_BALANCE_ERROR.*, entry 1 says")


def test_appliedTwice(script: Script) -> None:
    """Two entries of one key are found."""
    script.done(script.ask(), script.book())
    script.book()
    assertFound(script, "applied 2 times, as entries")


def test_notWhatWasAsked(script: Script) -> None:
    """An entry with an amount that nobody asked for under its key is found."""
    script.done(script.ask(100), script.book(101))
    assertFound(script, "is not what anybody asked for")


def test_appliedAndRefused(script: Script) -> None:
    """A key that has an effect and a refusal is found."""
    script.refuse()
    script.done(script.ask(), script.book())
    assertFound(script, "applied as entry 2, and refused as entry 1")


def test_lost(script: Script) -> None:
    """A 200 that the log does not have is found."""
    entry = script.book()
    script.log.clear()
    script.done(script.ask(), entry)
    assertFound(script, "lost: client-0 #1 BalanceInSync")


@pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])
def test_otherData(script: Script, command: str) -> None:
    """A 200 with other data than the entry has is found, in either form."""
    entry = script.book()
    script.accepted(script.ask(command=command), entry, order=entry.order + 1)
    assertFound(script, "told .*, entry 1 says")


def test_repeatDiffers(script: Script) -> None:
    """A repeat that is not the same byte for byte is found."""
    entry = script.book()
    script.done(script.ask(), entry)
    script.tell(script.ask(), 200, entry.data.replace(":", ": "), replayed=True)
    assertFound(script, "an earlier one")


def test_refusalDiffers(script: Script) -> None:
    """A refusal that is repeated in other words is found."""
    script.refuse()
    script.refused(script.ask())
    script.refused(script.ask(), replayed=True, message="never")
    assertFound(script, "an earlier one")


def test_twoFirsts(script: Script) -> None:
    """A repeat that does not say that it is one is found."""
    entry = script.book()
    script.done(script.ask(), entry)
    script.done(script.ask(), entry)
    assertFound(script, "more than one answer claims to be the first")


@pytest.mark.parametrize("outcome", ["void", "refused", "duplicate"])
def test_contradicted(script: Script, outcome: str) -> None:
    """An answer that denies an earlier 200 is found."""
    entry = script.book()
    script.done(script.ask(), entry)
    later = script.ask()
    if outcome == "void":
        script.unsure(later, "void")
    elif outcome == "refused":
        script.refused(later)
    else:
        script.duplicate(later, entry.order)
    assertFound(script, "asked for the same after")


def test_otherContentDone(script: Script) -> None:
    """A 200 for another amount under a key that is used is found."""
    script.done(script.ask(), script.book())
    script.done(script.ask(200), script.book(200))
    assertFound(script, "asked for something else after")


def test_refusalWithdrawn(script: Script) -> None:
    """A yes after a no is found."""
    script.refused(script.ask())
    script.done(script.ask(), script.book())
    assertFound(script, "200 done, asked for the same after")


@pytest.mark.parametrize("state", ["unknown", "queued", "pending", "refused"])
def test_stateContradicts(script: Script, state: str) -> None:
    """GetRequest that does not know what was answered already is found."""
    script.done(script.ask(), script.book())
    script.tell(script.ask(command="GetRequest"), 200, {"state": state})
    assertFound(script, f"'{state}', asked after")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"state": "done", "order": 11, "data": {}}, "'done', .* which the log does not have"),
        ({"state": "refused"}, "'refused', and it is booked"),
        ({"state": "perhaps"}, "which is no state"),
    ],
)
def test_stateUntrue(script: Script, told: dict[str, object], sentence: str) -> None:
    """GetRequest that says what is not so is found, also before there was an answer."""
    script.tell(script.ask(command="GetRequest"), 200, told)
    script.done(script.ask(), script.book())
    assertFound(script, sentence)


def test_duplicateOfNothing(script: Script) -> None:
    """A 409 for a key that the log does not have is found."""
    script.duplicate(script.ask(200), 11)
    assertFound(script, "the log has nothing under that key")


def test_duplicateNamesAnother(script: Script) -> None:
    """A 409 with another order than the first one's is found, unless that one was only under way."""
    entry = script.book()
    script.duplicate(script.ask(200), entry.order + 1)
    first = script.ask()
    script.done(first, entry)
    assert script.wrong() == []
    script.duplicate(script.ask(200), entry.order + 1)
    assertFound(script, "names order 12, the log has 11")


def test_duplicateOfItself(script: Script) -> None:
    """A 409 for what was booked is found."""
    script.duplicate(script.ask(), script.book().order)
    assertFound(script, "it is what was booked as entry 1")


@pytest.mark.parametrize("status", [200, 400, 401, 404, 409, 500, 504])
def test_oddAnswer(script: Script, status: int) -> None:
    """An answer that the protocol does not have is found: also a 500 or a 504 without an outcome."""
    entry = script.book()
    script.done(script.ask(), entry)
    script.tell(script.ask(), status, {"error": "SOMETHING"})
    assertFound(script, f"{status} odd")


def test_noOrder(script: Script) -> None:
    """A 504 that does not say which order it is about is found."""
    script.unsure(script.ask(), "pending", order=0)
    script.done(script.ask(), script.book())
    assertFound(script, "names no order")


def test_neverCertain(script: Script) -> None:
    """A key that nobody got a certain answer for is found."""
    script.unsure(script.ask(), "pending")
    assertFound(script, "never answered for certain, in 1 attempts")


def test_bookedInSilence(script: Script) -> None:
    """An effect is found whose asker was never told, when another one was."""
    script.ask(200)
    script.refused(script.ask(100))
    script.book(200)
    assertFound(script, "whoever asked for it was not told")


def test_voidDenies(script: Script) -> None:
    """A void is found for what was asked after the deposit was begun, and only then."""
    entry = script.book()
    script.unsure(script.ask(ms=entry.time_ms), "void")
    script.done(script.ask(), entry, replayed=True)
    assert script.wrong() == []
    script.unsure(script.ask(ms=entry.time_ms + 5), "void")
    assertFound(script, "504 void, asked 5 ms after entry 1 was begun")


@pytest.mark.parametrize("state", ["unknown", "queued"])
def test_stateDenies(script: Script, state: str) -> None:
    """GetRequest that does not know of a deposit that was begun is found, also before anybody was told."""
    entry = script.book()
    script.tell(script.ask(command="GetRequest", ms=entry.time_ms + 5), 200, {"state": state})
    script.done(script.ask(), entry, replayed=True)
    assertFound(script, "200 state, asked 5 ms after entry 1 was begun")


@pytest.mark.parametrize("status", [500, 504])
def test_voidApplied(script: Script, status: int) -> None:
    """A void whose order is in the log is found."""
    entry = script.book()
    script.unsure(script.ask(), "void", order=entry.order, status=status)
    script.done(script.ask(), entry)
    assertFound(script, "order 11 is void, and the log has it as entry 1")


def test_refusalUntrue(script: Script) -> None:
    """GetRequest that tells of another refusal than the log has is found."""
    script.refuse()
    script.refused(script.ask())
    script.tell(script.ask(command="GetRequest"), 200, {"state": "refused", "order": 0, "data": {}})
    assertFound(script, "'refused', .* which the log does not have")


def test_voidCaused(script: Script) -> None:
    """An entry that only attempts can have caused that were said to be void is found, though none has its number."""
    entry = script.book()
    script.unsure(script.ask(), "void", order=99)
    script.done(script.ask(ms=entry.time_ms + 1), entry, replayed=True)
    assertFound(script, "void, and applied as entry 1: client-0 #1")


def test_voidDeletion(script: Script) -> None:
    """A deletion that was void and then done names one order both times; one that was void only, and done, is found."""
    made = script.move(key="a")
    script.done(script.ask(key="a"), made)
    script.unsure(script.askOf(made.order, "DeleteBalanceSync", "b"), "void", order=made.order)
    gone = script.takeBack(made.order, "b")
    script.done(script.askOf(made.order, "DeleteBalanceSync", "b", ms=gone.time_ms), gone)
    assert script.wrong() == []
    del script.records[-2:]
    assertFound(script, "key crm/b: void, and applied as entry 3")


def test_lookedUp(script: Script) -> None:
    """A change whose order could not be looked up was told nothing; of a deposit that is no answer."""
    script.tell(script.ask(order=11), 500, {"error": "RET_ERR_DISK"})
    assert not any("odd" in wrong for wrong in script.wrong())
    script.tell(script.ask(), 500, {"error": "RET_ERR_DISK"})
    assertFound(script, "500 odd")


def test_keysOfTwoPrincipals(script: Script) -> None:
    """The same key of another principal is another key."""
    script.done(script.ask(), script.book())
    script.book(principal="gateway")
    stranger = "key gateway/k: entry 2 is not what anybody asked for"
    assert script.wrong()[0].startswith(stranger)
    assert all(sentence.startswith("key gateway/k: ") for sentence in script.wrong())
