"""Accounts and groups: their effects, their answers and their refusals are told apart, and what is wrong is found."""

from __future__ import annotations

from typing import Any

import pytest

from .asked import UNKNOWN_LOGINS
from .check_books import checkBooks
from .effects import isEffectOf
from .history import Entry
from .journal import Sent
from .scripted import Script

NOBODY = UNKNOWN_LOGINS[0]
MONEY, HAS = "RET_USR_HAS_TRADES", {2001: "", 1001: "RET_USR_HAS_TRADES", NOBODY: "RET_USER_NOT_FOUND"}

#: What is asked for.
WISHES: list[tuple[str, dict[str, Any]]] = [
    ("AddGroup", {"name": "office-1", "mark": 7}),
    ("UpdateGroup", {"name": "office-0", "mark": 8}),
    ("DeleteGroup", {"name": "office-0"}),
    ("MngAddAccount", {"name": "real-usd", "mark": 9}),
    ("MngDeleteAccount", {"login": 2001}),
    ("DeleteUsersList", {"logins": tuple(HAS)}),
]
IDS = [command for command, _ in WISHES]


@pytest.fixture
def script() -> Script:
    """Two groups; an account with money, one with nothing, one with a request that awaits approval."""
    script = Script()
    script.group("real-usd", None)
    script.group("office-0", None)
    script.open()
    script.open(2001)
    script.move(key="m")
    return script


def ask(script: Script, at: int, **more: Any) -> int:
    command, wanted = WISHES[at]
    return script.ask(0, command, **{"login": 0, **wanted, **more})


def effect(script: Script, at: int) -> Entry:
    """The entry that is what was asked for, with what follows it."""
    if at == len(WISHES) - 1:
        entry = script.closeList(HAS)
        script.close(2001, None)
        return entry
    return (
        lambda: script.group("office-1", mark=7),
        lambda: script.group("office-0", mark=8, type=1),
        lambda: script.group("office-0", type=2),
        lambda: script.open(3001, "k", mark=9),
        lambda: script.close(2001),
    )[at]()


def answer(entry: Entry, at: int) -> tuple[int, str]:
    """What is said of it."""
    if at in (0, 1):
        return 200, entry.data
    if at == 3:
        return 200, '{"login":3001,"group":"real-usd","leverage":100,"currency":"USD","update_time":1}'
    return (207, entry.data) if at == 5 else (200, '{"data":"OK"}')


@pytest.mark.parametrize("at", range(len(WISHES)), ids=IDS)
def test_nothingWrong(script: Script, at: int) -> None:
    """Each wish has its effect and its answer, and nothing is wrong."""
    entry = effect(script, at)
    script.done(script.ask(key="m"), script.log[4])
    script.tell(ask(script, at), *answer(entry, at))
    assert script.wrong() == []
    assert checkBooks(script.log, script.keys()) == []


@pytest.mark.parametrize("at", range(len(WISHES)), ids=IDS)
def test_effects(script: Script, at: int) -> None:
    """Of entries of all kinds only one is the effect of a wish, and none is that of another mark, name or login."""
    made = [effect(script, n) for n in range(len(WISHES))]
    others = [{"name": "other"}, {"mark": 1}] if at in (0, 1, 3) else [{"name": "x", "login": 7, "logins": (7,)}]
    for other in ({}, *others):
        sent = script.records[ask(script, at, **other)]
        assert isinstance(sent, Sent)
        assert [isEffectOf(entry, sent) for entry in made] == [n == at and not other for n in range(len(WISHES))]


@pytest.mark.parametrize("at", range(len(WISHES)), ids=IDS)
def test_otherAnswer(script: Script, at: int) -> None:
    """An answer that says anything else is found."""
    entry = effect(script, at)
    status, said = answer(entry, at)
    script.tell(ask(script, at), status, said[:-1] + ',"login":77,"rows":[],"data":"NO"}')
    assert any("told " in sentence for sentence in script.wrong())


@pytest.mark.parametrize(
    ("at", "more", "reason"),
    [
        (0, {"name": "office-0"}, "RET_DUPLICATE_RECORD"),
        (0, {}, ""),
        (1, {"name": "new"}, ""),
        (2, {"name": "office-1"}, "RET_GROUP_NOT_FOUND"),
        (2, {"name": "real-usd"}, "RET_GROUP_USE_BY_USER"),
        (2, {}, ""),
        (3, {"name": "office-1"}, "RET_GROUP_NOT_FOUND"),
        (3, {}, ""),
        (4, {"login": NOBODY}, "RET_USER_NOT_FOUND"),
        (4, {"login": 1001}, MONEY),
        (4, {}, ""),
        (5, {}, ""),
    ],
)
def test_refusals(script: Script, at: int, more: dict[str, Any], reason: str) -> None:
    """A refusal with the reason that there was is right; one with another reason is found."""
    ask(script, at, **more)
    script.refuse(reason=reason or "RET_GROUP_NOT_FOUND")
    found = checkBooks(script.log, script.keys())
    assert found == ([] if reason else [f"entry {len(script.log)} refuses with RET_GROUP_NOT_FOUND, and [''] is right"])
    script.log.pop()
    script.refuse(reason="RET_ACCOUNT_DISABLED")
    assert len(checkBooks(script.log, script.keys())) == 1


def test_closedWithMoney(script: Script) -> None:
    """An account that is closed although money is on it is found."""
    ask(script, 4, login=1001)
    script.close(1001)
    assert any(f"was to be refused with {MONEY}" in sentence for sentence in checkBooks(script.log, script.keys()))


def test_pendingBlocks(script: Script) -> None:
    """While a request awaits approval its account is not closed; when it is declined, it may be."""
    ask(script, 4, key="a", login=1001)
    script.takeBack(script.log[4].order, "t")
    request = script.request(-5, "r")
    script.refuse("a", MONEY)
    assert checkBooks(script.log, script.keys()) == []
    script.decline(request.order, "d")
    ask(script, 4, key="b", login=1001)
    script.close(1001, "b")
    assert checkBooks(script.log, script.keys()) == []


def test_goneIsGone(script: Script) -> None:
    """On an account that is closed nothing moves, and nobody gets its login again."""
    script.takeBack(script.log[4].order, "t")
    ask(script, 4, key="c", login=1001)
    script.close(1001, "c")
    script.ask(100)
    script.askOf(script.log[4].order, "DeleteBalance", "d")
    script.refuse("k", "RET_USER_NOT_FOUND")
    script.refuse("d", "RET_NOT_FOUND")
    assert checkBooks(script.log, script.keys()) == []
    script.open(1001)
    assert checkBooks(script.log, script.keys()) == [f"entry {len(script.log)} opens login 1001 again"]


@pytest.mark.parametrize("said", [{**HAS, 1001: ""}, {**HAS, 2001: MONEY}, {**HAS, NOBODY: MONEY}])
def test_listIsWrong(script: Script, said: dict[int, str]) -> None:
    """A list that closes what cannot be closed, or not what can be, or says another reason, is found."""
    script.closeList(said)
    for login, reason in said.items():
        if not reason:
            script.close(login, None)
    assert any(" cannot be closed" in sentence for sentence in checkBooks(script.log, script.keys()))


def test_listIsNotFollowed(script: Script) -> None:
    """Accounts of a list of which no event follows are found, and accounts that are closed without a wish."""
    script.closeList(HAS)
    assert checkBooks(script.log, script.keys()) == ["the log ends where login 2001 should be closed"]
    script.move(key="x")
    assert checkBooks(script.log, script.keys()) == ["entry 8 comes where login 2001 should be closed"]
    script.close(2001, None)
    assert checkBooks(script.log, script.keys())[1:] == ["entry 10 closes login 2001, which nobody asked for"]
