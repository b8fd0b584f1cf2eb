"""Groups and accounts as they are settled: who may make them, which login they get, what is kept and what is told."""

from __future__ import annotations

import json

import pytest

from scalemgr.finance.book import Book
from scalemgr.finance.masks import Mask
from scalemgr.finance.records import GROUP_EVENT, USER_EVENT, Account, Group
from scalemgr.finance.requests import Cause
from scalemgr.finance.settle import settleBatch
from scalemgr.wire.codes import EventRecordType
from scalemgr.wire.messages import encode

from .books import EU, KEYED, NOW, NOW_MS, booked, deposit, makeBook, newAccount, newGroup, refused, settleOne, told

# -- groups -------------------------------------------------------------------------------------------


def vip() -> Group:
    """The group C{vip} in USD, of which nothing else was said; of what is known of it, the order plays no part."""
    return Group("vip", "USD", 2, 0, 0, encode({"group": "vip", "currency": "USD", "digits": 2}))


def test_newGroup() -> None:
    """A group is one entry: what is told is all but lists, and its floor, what is kept is all that was said."""
    request = newGroup("vip", cause=KEYED, currency="KWD", digits=3, margin_call=50, symbols=["EURUSD"])
    [outcome], draft = settleBatch(Book(), {}, {}, [request], NOW_MS)
    entry = booked(outcome)
    assert draft.entries == [entry]
    assert (entry.seq, entry.event, entry.type) == (1, GROUP_EVENT, EventRecordType.EV_RECORD_ADD)
    assert (entry.group, entry.login, entry.order, entry.balance, entry.credit) == ("vip", 0, 0, 0, 0)
    assert (entry.principal, entry.key, entry.time_ms) == ("crm", "key-1", NOW_MS)
    told = {"group": "vip", "currency": "KWD", "digits": 3, "margin_call": 50}
    assert json.loads(entry.data) == {**told, "floor": 0.0}
    assert entry.record is not None
    assert json.loads(entry.record) == {**told, "symbols": ["EURUSD"]}


def test_fieldsCannotForgeAGroup() -> None:
    """What else is said of a group does not replace its name, currency or decimals."""
    request = newGroup("vip")
    request.fields.update(group="other", currency="EUR", digits=5)
    [outcome], draft = settleBatch(Book(), {}, {}, [request], NOW_MS)
    assert draft.groups == {"vip": vip()}
    assert json.loads(booked(outcome).data) == {"group": "vip", "currency": "USD", "digits": 2, "floor": 0.0}


def test_groupIsMadeOnce() -> None:
    """A name that is taken is refused, by the book and by the same batch, and the group stays as it was."""
    error = refused(settleOne(makeBook(), newGroup("demo", currency="EUR")))
    assert (error.status, error.code.name) == (409, "RET_DUPLICATE_RECORD")
    outcomes, draft = settleBatch(Book(), {}, {}, [newGroup("vip"), newGroup("vip", currency="EUR")], NOW_MS)
    assert refused(outcomes[1]).code.name == "RET_DUPLICATE_RECORD"
    assert draft.groups == {"vip": vip()}


@pytest.mark.parametrize("name", ["vip", "demo"])
def test_groupOutsideTheMaskIsRefused(name: str) -> None:
    """Nobody makes groups outside of the own mask, nor learns there which names are taken."""
    error = refused(settleOne(makeBook(), newGroup(name, cause=EU)))
    assert (error.status, error.code.name) == (403, "RET_NOT_ENOUGH_RIGHTS")
    assert error.message == f"the group '{name}' is outside your group mask"


def test_groupInsideTheMaskIsMade() -> None:
    """A mask with a star lets its holder make groups that do not exist yet."""
    assert booked(settleOne(Book(), newGroup("eu-1", cause=Cause("x", Mask("eu-*"))))).group == "eu-1"


# -- accounts -----------------------------------------------------------------------------------------


def test_newAccount() -> None:
    """An account is one entry, told with the published members and kept with its whole profile."""
    request = newAccount(5000, "real-eu", enable=0, name="O'Brien", leverage=100, email="a@b", hash="$argon2id$h")
    [outcome], draft = settleBatch(makeBook(), {}, {}, [request], NOW_MS)
    entry = booked(outcome)
    assert draft.entries == [entry]
    assert (entry.seq, entry.event, entry.type) == (1, USER_EVENT, EventRecordType.EV_RECORD_ADD)
    assert (entry.group, entry.login, entry.order, entry.balance, entry.credit) == ("real-eu", 5000, 0, 0, 0)
    assert json.loads(entry.data) == {
        "login": 5000,
        "name": "O'Brien",
        "group": "real-eu",
        "leverage": 100,
        "currency": "EUR",
        "enable": 0,
        "update_time": NOW,
    }
    assert entry.record is not None
    assert json.loads(entry.record) == {
        "login": 5000,
        "group": "real-eu",
        "enable": 0,
        "name": "O'Brien",
        "leverage": 100,
        "email": "a@b",
        "regdate": NOW,
        "update_time": NOW,
        "password_hash": "$argon2id$h",
    }


@pytest.mark.parametrize("fields", [{}, {"password_hash": "forged"}])
def test_passwordIsNeverTold(fields: dict[str, str]) -> None:
    """The hash of a password is kept beside the event and is in nothing that is sent or condensed."""
    entry = booked(settleOne(makeBook(), newAccount(5000, hash="$argon2id$secret", **fields)))
    assert entry.record is not None
    assert json.loads(entry.record)["password_hash"] == "$argon2id$secret"
    assert "argon2" not in entry.data
    assert "hash" not in entry.data


def test_fieldsCannotForgeAnAccount() -> None:
    """What else is said of an account does not replace its login, group, switch or times."""
    forged = {"group": "real-eu", "login": 1, "enable": 0, "regdate": 1, "update_time": 1}
    request = newAccount(5000)
    request.fields.update(forged)
    entry = booked(settleOne(makeBook(), request))
    assert entry.record is not None
    kept, told = json.loads(entry.record), json.loads(entry.data)
    assert (kept["login"], kept["group"], kept["enable"], kept["regdate"]) == (5000, "demo", 1, NOW)
    assert (told["login"], told["group"], told["enable"], told["update_time"]) == (5000, "demo", 1, NOW)


def test_loginsAreAssigned() -> None:
    """Logins are assigned from 1001 up without a gap, past those that are taken in the book or the batch."""
    taken = makeBook(Account(1002, "demo"), Account(1003, "demo"), Account(7, "demo"))
    requests = [newAccount(), newAccount(), newAccount(1006), newAccount(), newAccount(), newAccount(1008)]
    outcomes, draft = settleBatch(taken, {}, {}, requests, NOW_MS)
    assert [booked(o).login for o in outcomes] == [1001, 1004, 1006, 1005, 1007, 1008]
    assert draft.nextLogin == 1009


def test_refusedAccountTakesNoLogin() -> None:
    """The login that a refused request would have got goes to the next one."""
    outcomes, _ = settleBatch(makeBook(), {}, {}, [newAccount(group="nowhere"), newAccount()], NOW_MS)
    assert refused(outcomes[0]).code.name == "RET_GROUP_NOT_FOUND"
    assert booked(outcomes[1]).login == 1003


def test_loginIsTakenOnce() -> None:
    """A login that exists, in the book or the batch, is refused, and its account stays as it was."""
    book = makeBook(Account(1001, "demo", 1, 500, 0, 3))
    outcomes, draft = settleBatch(book, {}, {}, [newAccount(1001), newAccount(9), newAccount(9, "yen")], NOW_MS)
    for outcome in (outcomes[0], outcomes[2]):
        error = refused(outcome)
        assert (error.status, error.code.name) == (409, "RET_USR_LOGIN_EXIST")
    assert draft.account(1001) == Account(1001, "demo", 1, 500, 0, 3)
    assert draft.account(9) == Account(9, "demo")


@pytest.mark.parametrize("login", [0, 5000, 1001])
def test_groupOutsideTheMaskIsLikeUnknown(login: int) -> None:
    """A group outside the caller's mask is answered exactly as one that does not exist, whatever the login."""
    without = Book()
    outside = settleOne(makeBook(), newAccount(login, "demo", cause=EU))
    assert told(outside) == told(settleOne(without, newAccount(login, "demo", cause=EU)))
    error = refused(outside)
    assert (error.status, error.code.name) == (404, "RET_GROUP_NOT_FOUND")


def test_wholeBrokerageInOneBatch() -> None:
    """A group, an account in it and money on that account can be asked for in one batch, in that order."""
    requests = [newGroup("vip"), newAccount(0, "vip"), deposit(250, 1001), deposit(5, 1002)]
    outcomes, draft = settleBatch(Book(), {}, {}, requests, NOW_MS)
    assert [booked(o).seq for o in outcomes[:3]] == [1, 2, 3]
    # Entry 4 is the balance:event of the deposit.
    assert (refused(outcomes[3]).code.name, draft.seq) == ("RET_USER_NOT_FOUND", 5)
    assert draft.account(1001) == Account(1001, "vip", 1, 25000, 0, 1)
