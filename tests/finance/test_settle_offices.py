"""Accounts and groups that are changed and that go: what is kept, and what stands in the way."""

from __future__ import annotations

from typing import Any

import pytest
import ujson
from msgspec.structs import replace

from scalemgr.finance import settle_accounts
from scalemgr.finance.book import Book
from scalemgr.finance.masks import Mask
from scalemgr.finance.money import readAmount
from scalemgr.finance.records import ACCOUNTS_DELETED, USER_EVENT, Account, Entry
from scalemgr.finance.requests import (
    Cause,
    DeleteAccount,
    DeleteAccounts,
    DeleteGroup,
    Request,
    UpdateAccount,
    UpdateGroup,
)
from scalemgr.finance.settle import Outcome, refusalOf, settleBatch
from scalemgr.wire.codes import EventRecordType, RetCode

from .books import CRM, EU, KEYED, NOW, NOW_MS, booked, deposit, makeBook, newAccount, newGroup, refused

PROFILE = '{"login":1001,"group":"demo","enable":1,"name":"Ann","city":"Oslo","regdate":7,"password_hash":"$x"}'


def settle(book: Book, *requests: Request) -> tuple[list[Outcome], Book, list[Entry]]:
    """What becomes of them, the book then, and what is kept."""
    outcomes, draft = settleBatch(book, {}, {}, requests, NOW_MS, {1001: ujson.loads(PROFILE)})
    book.absorb(draft)
    return outcomes, book, draft.entries


def update(login: int = 1001, group: str = "demo", enable: int = 1, cause: Cause = CRM, **fields: Any) -> UpdateAccount:
    """An account as it shall be."""
    return UpdateAccount(cause, login, group, enable, fields)


def arrange(
    name: str = "demo", currency: str = "USD", digits: int = 2, floor: Any = None, **fields: Any
) -> UpdateGroup:
    """A group as it shall be."""
    return UpdateGroup(CRM, name, currency, digits, fields, None if floor is None else readAmount(floor))


# -- accounts -----------------------------------------------------------------------------------------


def test_updated() -> None:
    """What is said is changed, what is not stays, the password's hash included; the event says what is public."""
    [outcome], book, _ = settle(makeBook(), update(name="Bea", leverage=50, enable=0))
    entry = booked(outcome)
    assert (entry.event, entry.type, entry.login) == (USER_EVENT, EventRecordType.EV_RECORD_UPDATE, 1001)
    assert ujson.loads(entry.record or "") == {
        **ujson.loads(PROFILE),
        "enable": 0,
        "name": "Bea",
        "leverage": 50,
        "update_time": NOW,
    }
    assert ujson.loads(entry.data) == {
        "login": 1001,
        "name": "Bea",
        "group": "demo",
        "leverage": 50,
        "currency": "USD",
        "enable": 0,
        "update_time": NOW,
    }
    assert book.account(1001) == Account(1001, "demo", 0)


def test_updatedTwice() -> None:
    """Two changes of one batch add up."""
    outcomes, _, _ = settle(makeBook(), update(name="Bea"), update(city="Rome"))
    record = ujson.loads(booked(outcomes[1]).record or "")
    assert (record["name"], record["city"]) == ("Bea", "Rome")


def test_changeOfWhatIsNew() -> None:
    """An account can be changed in the batch in which it is opened."""
    outcomes, _, _ = settle(makeBook(), newAccount(5000, name="New", hash="$n"), update(5000, city="Rome"))
    record = ujson.loads(booked(outcomes[1]).record or "")
    assert (record["name"], record["city"], record["password_hash"]) == ("New", "Rome", "$n")


def test_moneyStays() -> None:
    """A change of what an account is does not touch what is on it."""
    book = makeBook(Account(1001, "demo", 1, 500, 70, 9, 2))
    _, book, _ = settle(book, update(enable=0))
    assert book.account(1001) == Account(1001, "demo", 0, 500, 70, 9, 2)


def test_moved() -> None:
    """An account moves to another group of the same currency, and is counted there."""
    book = makeBook()
    settle(book, newGroup("vip"), newAccount(5000, "demo"))
    [outcome], book, _ = settle(book, update(1001, "vip"))
    assert booked(outcome).group == "vip"
    assert {name: book.groups[name].accounts for name in ("demo", "vip")} == {"demo": 0, "vip": 1}


@pytest.mark.parametrize("group", ["real-eu", "yen", "coins"])
def test_notToAnotherCurrency(group: str) -> None:
    """Moving an account must not turn its dollars into euros."""
    error = refused(settle(makeBook(), update(group=group))[0][0])
    assert (error.status, error.code) == (409, RetCode.RET_USR_DIFFERENT_CURRENCY)


def test_updateAcrossMasks() -> None:
    """Both where an account is and where it shall go must be the caller's; else it is as if they did not exist."""
    book = makeBook()
    settle(book, newGroup("real-us"))
    real, demo = Cause("r", Mask("real-*")), Cause("d", Mask("demo"))
    from_ = refused(settle(book, update(group="real-us", cause=real))[0][0])
    assert from_.data() | {"message": ""} == refused(settle(book, update(4711, cause=real))[0][0]).data() | {
        "message": ""
    }
    to = refused(settle(book, update(group="real-us", cause=demo))[0][0])
    assert to.code == RetCode.RET_GROUP_NOT_FOUND


def test_closed() -> None:
    """A closed account is gone for requests; its login is never given to anybody again."""
    outcomes, book, _ = settle(makeBook(), DeleteAccount(CRM, 1002), deposit(1, 1002), newAccount(1002), newAccount())
    entry = booked(outcomes[0])
    assert (entry.type, entry.group, entry.login) == (EventRecordType.EV_RECORD_DELETE, "demo", 1002)
    assert ujson.loads(entry.data) == {"login": 1002, "group": "demo", "update_time": NOW}
    assert refused(outcomes[1]).code == RetCode.RET_USER_NOT_FOUND
    assert refused(outcomes[2]).code == RetCode.RET_USR_LOGIN_EXIST
    assert booked(outcomes[3]).login == 1003
    assert book.account(1002) is None
    assert book.ever(1002) == Account(1002, "demo", deleted=True)


@pytest.mark.parametrize(
    ("account", "why"),
    [
        (Account(1001, "demo", 1, 1), "login 1001 has 0.01 USD of balance on it"),
        (Account(1001, "demo", 1, -5), "login 1001 has -0.05 USD of balance on it"),
        (Account(1001, "demo", 1, 0, 100), "login 1001 has 1.0 USD of credit on it"),
        (Account(1001, "demo", pending=2), "login 1001 has requests that await approval: 2"),
    ],
)
def test_notClosed(account: Account, why: str) -> None:
    """An account with money, or with requests that await approval, is not closed."""
    error = refused(settle(makeBook(account), DeleteAccount(CRM, 1001))[0][0])
    assert (error.status, error.code, error.message) == (409, RetCode.RET_USR_HAS_TRADES, why)


def test_notClosedAndNotTold() -> None:
    """Who may not see balances is not told how much is in the way."""
    book = makeBook(Account(1001, "demo", 1, 100))
    error = refused(settle(book, DeleteAccount(replace(CRM, seesBalance=False), 1001))[0][0])
    assert error.message == "login 1001 has money on it"


def test_closedByOthers() -> None:
    """An account outside the caller's groups is answered like one that does not exist."""
    error = refused(settle(makeBook(), DeleteAccount(EU, 1001))[0][0])
    assert (error.status, error.code) == (404, RetCode.RET_USER_NOT_FOUND)


def test_closedInAList() -> None:
    """Of a list each is closed that can be; the outcome says what became of each, with the key, and the events follow
    in the same commit."""
    book = makeBook(Account(1001, "demo", 1, 100), Account(1002, "demo"), Account(2001, "real-eu"))
    [outcome], book, entries = settle(book, DeleteAccounts(KEYED, (1002, 1001, 4711, 1002, 2001)))
    assert outcome is entries[0]
    assert (entries[0].event, entries[0].group, entries[0].key) == (ACCOUNTS_DELETED, "", "key-1")
    said = ujson.loads(entries[0].data)
    assert said["rows"] == [
        {"login": 1002, "deleted": True},
        {"login": 1001, "deleted": False},
        {"login": 4711, "deleted": False},
        {"login": 2001, "deleted": True},
    ]
    assert (said["matched"], said["deleted"], said["failed"]) == (3, 2, 2)
    assert [(f["login"], f["error"]) for f in said["failures"]] == [
        (1001, "RET_USR_HAS_TRADES"),
        (4711, "RET_USER_NOT_FOUND"),
    ]
    assert [(e.seq, e.event, e.type, e.login, e.group, e.key) for e in entries[1:]] == [
        (2, USER_EVENT, EventRecordType.EV_RECORD_DELETE, 1002, "demo", None),
        (3, USER_EVENT, EventRecordType.EV_RECORD_DELETE, 2001, "real-eu", None),
    ]
    assert (book.account(1002), book.account(2001)) == (None, None)


def test_noneOfAList() -> None:
    """A list of which none can be closed is refused, for good, with what stands in the way of each."""
    [outcome], book, entries = settle(makeBook(), DeleteAccounts(CRM, (7, 8)))
    assert [e.event for e in entries] == ["request:refused"]
    error = refused(outcome)
    assert (error.status, error.code) == (409, RetCode.RET_USER_NOT_FOUND)
    assert (error.details["deleted"], error.details["failed"], error.details["outcome"]) == (0, 2, "refused")
    assert len(book.accounts) == 3


# -- groups -------------------------------------------------------------------------------------------


def test_tooManyGroups(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are so many groups and no more, in a batch and after it; one that is removed makes room for another."""
    monkeypatch.setattr(settle_accounts, "GROUPS_MAX", 6)
    outcomes, book, _ = settle(makeBook(), newGroup("five"), newGroup("six"), newGroup("seven"), arrange("eight"))
    assert [refusalOf(o) is None for o in outcomes if isinstance(o, Entry)] == [True, True, False, False]
    assert refused(outcomes[2]).status == 409
    outcomes, book, _ = settle(book, newGroup("seven"), DeleteGroup(CRM, "six"), newGroup("seven"), arrange("five"))
    assert [refusalOf(o) is None for o in outcomes if isinstance(o, Entry)] == [False, True, True, True]
    assert book.countGroups() == 6


def test_arranged() -> None:
    """A group keeps what was said of it before, and its floor counts at once."""
    book = makeBook()
    settle(book, newGroup("vip", margin_call=80, secgroups=[{"sec_index": 1}]))
    [outcome], book, _ = settle(book, arrange("vip", floor=-50.5, margin_call=90))
    entry = booked(outcome)
    assert (entry.type, entry.group) == (EventRecordType.EV_RECORD_UPDATE, "vip")
    assert ujson.loads(entry.record or "") == {
        "group": "vip",
        "currency": "USD",
        "digits": 2,
        "margin_call": 90,
        "secgroups": [{"sec_index": 1}],
        "floor": -5050,
    }
    assert ujson.loads(entry.data) == {
        "group": "vip",
        "currency": "USD",
        "digits": 2,
        "margin_call": 90,
        "floor": -50.5,
    }
    assert book.groups["vip"].floor == -5050
    assert settle(book, arrange("vip"))[1].groups["vip"].floor == -5050


def test_madeByAnUpdate() -> None:
    """UpdateGroup makes a group that there is not, as published."""
    [outcome], book, _ = settle(makeBook(), arrange("new"))
    assert booked(outcome).type == EventRecordType.EV_RECORD_ADD
    assert book.groups["new"].currency == "USD"


def test_currencyStays() -> None:
    """The currency of a group with accounts cannot change; without any it can, also after the last is closed."""
    book = makeBook(Account(1, "empty"))
    settle(book, newGroup("vip"), newAccount(5000, "vip"))
    error = refused(settle(book, arrange("vip", "EUR"))[0][0])
    assert (error.status, error.code) == (409, RetCode.RET_GROUP_USE_BY_USER)
    outcomes, book, _ = settle(book, DeleteAccount(CRM, 5000), arrange("vip", "JPY", 0))
    assert [type(outcome) for outcome in outcomes] == [Entry, Entry]
    assert (book.groups["vip"].currency, book.groups["vip"].digits) == ("JPY", 0)


def test_digitsStay() -> None:
    """The digits of a group outlive a change of the configuration, for its accounts are counted in them."""
    book = makeBook()
    settle(book, newGroup("vip"), newAccount(5000, "vip"))
    _, book, _ = settle(book, arrange("vip", "USD", 4))
    assert book.groups["vip"].digits == 2


def test_finerFloor() -> None:
    """A floor with more digits than the currency is refused, and not kept."""
    outcomes, _, entries = settle(makeBook(), arrange("vip", "JPY", 0, floor=-0.5))
    assert refused(outcomes[0]).details == {"field": "floor"}
    assert entries == []


def test_removed() -> None:
    """A group without accounts is removed, and can be made anew in another currency, in the same batch, too."""
    book = makeBook()
    settle(book, newGroup("vip"))
    outcomes, book, _ = settle(
        book, DeleteGroup(CRM, "vip"), newAccount(0, "vip"), newGroup("vip", currency="EUR"), newAccount(0, "vip")
    )
    entry = booked(outcomes[0])
    assert (entry.type, entry.group) == (EventRecordType.EV_RECORD_DELETE, "vip")
    assert refused(outcomes[1]).code == RetCode.RET_GROUP_NOT_FOUND
    assert [type(outcome) for outcome in outcomes[2:]] == [Entry, Entry]
    assert (book.groups["vip"].currency, book.groups["vip"].accounts) == ("EUR", 1)
    _, book, _ = settle(book, newGroup("new"), DeleteGroup(CRM, "new"))
    assert "new" not in book.groups
    _, book, _ = settle(book, newGroup("later"))
    _, book, _ = settle(book, DeleteGroup(CRM, "later"))
    assert book.group("later") is None


def test_inUse() -> None:
    """A group with accounts is not removed, under the published name of the error."""
    book = makeBook()
    settle(book, newGroup("vip"), newAccount(0, "vip"))
    error = refused(settle(book, DeleteGroup(CRM, "vip"))[0][0])
    assert (error.status, error.error) == (409, "DELETE_GROUP_ERROR")
    assert error.message == "Group is still in use: 'vip' has accounts: 1"


@pytest.mark.parametrize("request_", [DeleteGroup(EU, "demo"), DeleteGroup(EU, "nowhere")])
def test_removedByOthers(request_: DeleteGroup) -> None:
    """A group outside the caller's mask is answered like one that does not exist."""
    error = refused(settle(makeBook(), request_)[0][0])
    assert (error.status, error.code) == (404, RetCode.RET_GROUP_NOT_FOUND)


def test_arrangedByOthers() -> None:
    """Nobody makes or changes a group outside of the own mask."""
    for request in (UpdateGroup(EU, "demo", "USD", 2, {}), UpdateGroup(EU, "nowhere", "USD", 2, {})):
        [outcome], _, entries = settle(makeBook(), request)
        assert isinstance(outcome, Exception)
        assert (refused(outcome).status, entries) == (403, [])


def test_refusalsKeepTheirStatus() -> None:
    """A refusal that is repeated from the log has the status that it had at first."""
    book = makeBook()
    settle(book, newGroup("vip"), newAccount(5000, "vip"))
    for request in (DeleteGroup(KEYED, "vip"), UpdateGroup(KEYED, "vip", "EUR", 2, {}), update(group="yen")):
        [outcome], book, _ = settle(book, request)
        assert isinstance(outcome, Entry)
        again = refusalOf(outcome)
        assert again is not None
        assert again.status == 409
