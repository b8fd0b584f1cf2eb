"""A key has one effect and one outcome, however often and in whatever order requests with it come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from scalemgr.finance.book import Book
from scalemgr.finance.masks import EVERYTHING, Mask
from scalemgr.finance.records import BROADCAST, KEYS_FORGOTTEN, REFUSAL, Entry
from scalemgr.finance.requests import Cause, ForgetKeys, KeyName, MoveMoney, Request, fingerprint
from scalemgr.finance.settle import Outcome, Replay, alike, refusalOf, settleBatch
from scalemgr.wire.codes import EventRecordType, RetCode, TradeCommand
from scalemgr.wire.errors import DuplicateRequest, InvalidData, ManagerError, NotPermitted
from scalemgr.wire.messages import encode

from ..helpers import wholeLog
from .books import (
    BEFORE,
    CRM,
    KEYED,
    NOW_MS,
    booked,
    change,
    contents,
    deposit,
    folded,
    makeBook,
    newAccount,
    newGroup,
    richBook,
)

#: The same key, of somebody else.
OTHER = Cause("psp", EVERYTHING, KEYED.key)


def key(name: str, principal: str = "crm") -> Cause:
    return Cause(principal, EVERYTHING, name)


def settle(book: Book, *requests: Request, known: Sequence[Entry] = ()) -> list[Outcome]:
    """What becomes of a batch; the book has its entries then."""
    names: dict[KeyName, Entry] = {(e.principal, e.key): e for e in known if e.key is not None}
    outcomes, draft = settleBatch(book, {}, names, requests, NOW_MS)
    # Whatever is repeated: the log gets the outcomes that are new, what follows from them, and nothing else.
    assert draft.entries == wholeLog(book, [outcome for outcome in outcomes if isinstance(outcome, Entry)])
    book.absorb(draft)
    return outcomes


def bookOf(*outcomes: Outcome) -> object:
    """All that a book says once these, and what follows from them, are all that its log has."""
    return contents(folded(makeBook(), wholeLog(makeBook(), map(booked, outcomes))))


def duplicate(outcome: Outcome) -> int:
    """The order of the first that a request with a used key is told."""
    assert type(outcome) is DuplicateRequest, outcome
    assert (outcome.status, outcome.code.name) == (409, "RET_ERR_DUPLICATE")
    return int(outcome.details["order"])


def refusal(outcome: Outcome) -> ManagerError:
    """A refusal that is kept in the log."""
    assert isinstance(outcome, Entry), outcome
    assert outcome.event == REFUSAL
    error = refusalOf(outcome)
    assert error is not None
    return error


# -- repeats ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [deposit(5, cause=KEYED), newGroup(cause=KEYED), newAccount(cause=KEYED)])
def test_repeatInTheSameBatch(request_: Request) -> None:
    """A repeat in the same batch is a replay of the first, and the book moves once."""
    book = makeBook()
    first, second, third = settle(book, request_, request_, request_)
    assert second == third == Replay(booked(first))
    assert contents(book) == bookOf(first)


def test_repeatOfAKnownEntry() -> None:
    """A repeat of what an earlier batch booked is a replay of that, and appends nothing."""
    book = makeBook()
    [first] = settle(book, deposit(5, cause=KEYED))
    before = contents(book)
    assert settle(book, deposit(5, order=8, cause=KEYED), known=[booked(first)]) == [Replay(booked(first))]
    assert contents(book) == before


def test_repeatsDoNotShiftWhatFollows() -> None:
    """What follows a repeat in its batch is booked as if the repeat were not there."""
    book = makeBook()
    first, _, last = settle(book, deposit(5, cause=KEYED), deposit(5, order=8, cause=KEYED), deposit(7, order=9))
    # The first is followed by its balance:event.
    assert (booked(first).seq, booked(last).seq) == (1, 3)
    assert contents(book) == bookOf(first, last)
    assert book.accounts[1001].balance == 1200


@pytest.mark.parametrize("inBatch", [True, False])
def test_anotherRequestWithAUsedKey(inBatch: bool) -> None:
    """Another request with a used key is refused with the order of the first, keeps nothing and changes nothing."""
    other, book = deposit(6, order=8, cause=KEYED), makeBook()
    if inBatch:
        first, second = settle(book, deposit(5, cause=KEYED), other)
    else:
        [first] = settle(book, deposit(5, cause=KEYED))
        [second] = settle(book, other, known=[booked(first)])
    assert duplicate(second) == 7
    assert contents(book) == bookOf(first)
    # It has not taken the key over.
    assert settle(book, deposit(5, cause=KEYED), known=[booked(first)]) == [Replay(booked(first))]


def test_keyUsedForAnotherKindOfRequest() -> None:
    """A key is used whatever it was used for: a group's key is no good for a deposit."""
    book = makeBook()
    _, second, third = settle(book, newGroup(cause=KEYED), deposit(5, cause=KEYED), newAccount(cause=KEYED))
    assert (duplicate(second), duplicate(third), book.seq) == (0, 0, 1)


@pytest.mark.parametrize("cause", [OTHER, key("key-2"), key("Key-1"), key("key-1 "), CRM])
def test_otherKey(cause: Cause) -> None:
    """The key of another principal, one that is spelled otherwise, and none at all are other keys: both are booked."""
    book = makeBook()
    first, second = settle(book, deposit(5, cause=KEYED), deposit(5, order=8, cause=cause))
    assert [booked(first).order, booked(second).order] == [7, 8]
    assert book.accounts[1001].balance == 1000


def test_withoutAKeyNothingRepeats() -> None:
    """Without a key, the same request is decided anew, whether it was booked or refused."""
    requests = deposit(5), deposit(5, order=8), deposit(5, 1003), newAccount(1003), deposit(5, 1003, order=9)
    first, second, third, _, fourth = settle(makeBook(), *requests)
    assert [booked(outcome).order for outcome in (first, second, fourth)] == [7, 8, 9]
    assert refusal(third).code == RetCode.RET_USER_NOT_FOUND


def test_narrowerMaskSinceTheFirst() -> None:
    """A repeat is not decided again: what its caller may touch by now plays no part."""
    [first] = settle(book := makeBook(), deposit(5, cause=KEYED))
    narrow = Cause(KEYED.principal, Mask("real-eu"), KEYED.key)
    assert settle(book, deposit(5, cause=narrow), known=[booked(first)]) == [Replay(booked(first))]


def test_alike() -> None:
    """Outside a batch, too, a repeat is a replay and another request a duplicate that names the first's order."""
    [first] = settle(makeBook(), deposit(5, cause=KEYED))
    assert alike(booked(first), deposit(5, order=99, cause=KEYED)) == Replay(booked(first))
    with pytest.raises(DuplicateRequest) as caught:
        alike(booked(first), deposit(5, order=99, comment="x", cause=KEYED))
    assert caught.value.details == {"order": 7}


# -- refusals are entries -----------------------------------------------------------------------------

REFUSED: dict[str, tuple[Request, Book, RetCode, int, int]] = {
    "unknown login": (deposit(5, 4711), makeBook(), RetCode.RET_USER_NOT_FOUND, 4711, 0),
    "disabled": (deposit(5), richBook(enable=0), RetCode.RET_ACCOUNT_DISABLED, 1001, 0),
    "no money": (change(50), richBook(100), RetCode.RET_TRADE_NO_MONEY, 1001, 7),
    "other kind": (deposit(5, cmd=TradeCommand.OP_BUY), richBook(), RetCode.RET_TRADE_INCORRECT_CMD, 1001, 0),
    "no such order": (change(5, order=9), richBook(), RetCode.RET_NOT_FOUND, 1001, 9),
    "strict": (deposit(5, named=9, strict=True), richBook(), RetCode.RET_NOT_FOUND, 1001, 0),
    "group exists": (newGroup("demo"), makeBook(), RetCode.RET_DUPLICATE_RECORD, 0, 0),
    "no such group": (newAccount(group="none"), makeBook(), RetCode.RET_GROUP_NOT_FOUND, 0, 0),
    "login exists": (newAccount(1001), makeBook(), RetCode.RET_USR_LOGIN_EXIST, 1001, 0),
}


@pytest.mark.parametrize("cause", [CRM, KEYED], ids=["unkeyed", "keyed"])
@pytest.mark.parametrize("why", REFUSED)
def test_refusalIsAnEntry(why: str, cause: Cause) -> None:
    """A refusal is an entry of nobody's event, that says who asked for what and why not, and moves nothing but seq."""
    asked, book, code, login, order = REFUSED[why]
    request = replace(asked, cause=cause)
    outcomes, draft = settleBatch(book, {7: BEFORE}, {}, [request], NOW_MS)
    [entry] = outcomes
    error = refusal(entry)
    assert isinstance(entry, Entry)
    assert error.code == entry.type == code
    assert (entry.seq, entry.time_ms, entry.event, entry.group) == (1, NOW_MS, REFUSAL, "")
    assert entry.event not in BROADCAST
    assert (entry.login, entry.order, entry.balance, entry.credit, entry.record) == (login, order, 0, 0, None)
    assert (entry.principal, entry.key, entry.fingerprint) == ("crm", cause.key, fingerprint(request))
    assert (draft.seq, draft.groups, draft.accounts) == (1, book.groups, {})
    assert (draft.nextLogin, draft.forgotten) == (book.nextLogin, 0)


def test_refusalSaysWhatWasSaid() -> None:
    """What the log keeps of a refusal is what was answered, byte for byte, its details and all."""
    [outcome], _ = settleBatch(richBook(5000), {7: BEFORE}, {}, [change(40, cause=KEYED)], NOW_MS)
    error = refusal(outcome)
    assert isinstance(outcome, Entry)
    said = {
        "error": "RET_TRADE_NO_MONEY",
        "message": "not enough money on login 1001",
        "code": RetCode.RET_TRADE_NO_MONEY,
        "reason": "RET_TRADE_NO_MONEY",
        "available": 50.0,
        "outcome": "refused",
    }
    assert error.data() == said
    assert outcome.data == encode(said) == encode(error.data())
    assert (error.status, list(error.data())) == (409, list(said))


@pytest.mark.parametrize("inBatch", [True, False])
def test_refusalRepeats(inBatch: bool) -> None:
    """A refusal repeats for its key, also when the same would be booked by now."""
    request, enabling = deposit(5, 1003, cause=KEYED), newAccount(1003)
    book = makeBook()
    if inBatch:
        first, _, second = settle(book, request, enabling, request)
    else:
        [first] = settle(book, request)
        assert isinstance(first, Entry)
        _, second = settle(book, enabling, request, known=[first])
    assert isinstance(first, Entry)
    assert refusal(first).code == RetCode.RET_USER_NOT_FOUND
    assert second == Replay(first)
    assert (book.seq, book.accounts[1003].balance) == (2, 0)


def test_anotherRequestWithTheKeyOfARefusal() -> None:
    """The key of a refusal is used: another request with it is a duplicate, of no order."""
    first, second = settle(makeBook(), deposit(5, 4711, cause=KEYED), deposit(5, cause=KEYED))
    assert refusal(first).code == RetCode.RET_USER_NOT_FOUND
    assert duplicate(second) == 0


# -- what does not use a key up -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (deposit(0.001, cause=KEYED), InvalidData),
        (deposit(-5, cause=KEYED), InvalidData),
        (deposit(5, cause=KEYED, open_time=2, close_time=1), ManagerError),
        (newGroup(cause=Cause("crm", Mask("real-eu"), "key-1")), NotPermitted),
        (MoveMoney(KEYED, TradeCommand.OP_BALANCE_IN, 1001, "no amount", 7), AttributeError),  # type: ignore[arg-type]
        (deposit(5, order=-1, cause=KEYED), ValueError),
    ],
    ids=["decimals", "negative", "times", "not permitted", "bug", "cannot be kept"],
)
def test_keyThatIsNotUsedUp(bad: Request, kind: type[Exception]) -> None:
    """What is malformed, not permitted, or a bug of ours, is no entry, and its key can be used for something good."""
    failed, good = settle(book := makeBook(), bad, deposit(9, order=8, cause=KEYED))
    assert type(failed) is kind
    assert (booked(good).order, book.seq, book.accounts[1001].balance) == (8, 2, 900)


# -- forgetting ---------------------------------------------------------------------------------------


def test_forgetKeys() -> None:
    """To forget keys is an entry of nobody's event, that says up to where."""
    [_, forget] = settle(book := makeBook(), deposit(5, cause=KEYED), ForgetKeys(CRM, 1))
    assert isinstance(forget, Entry)
    # After the deposit and its balance:event.
    assert (forget.seq, forget.event, forget.data) == (3, KEYS_FORGOTTEN, '{"up_to":1}')
    assert (forget.type, forget.group, forget.login, forget.order) == (EventRecordType.EV_RECORD_DELETE, "", 0, 0)
    assert forget.event not in BROADCAST
    assert refusalOf(forget) is None
    assert (book.seq, book.forgotten, book.accounts[1001].balance) == (3, 1, 500)


@pytest.mark.parametrize("inBatch", [True, False])
def test_forgottenKeyCountsNoMore(inBatch: bool) -> None:
    """A key that was forgotten is free, from the next request on, for the same or another; then that one counts."""
    old, new = deposit(5, cause=KEYED), deposit(6, order=8, cause=KEYED)
    book = makeBook()
    if inBatch:
        first, _, second, third, fourth = settle(book, old, ForgetKeys(CRM, 1), new, new, old)
    else:
        [first] = settle(book, old)
        settle(book, ForgetKeys(CRM, 1))
        second, third, fourth = settle(book, new, new, old, known=[booked(first)])
    # After the first one, its balance:event and the forgetting.
    assert booked(second).seq == 4
    assert third == Replay(booked(second))
    assert duplicate(fourth) == 8
    assert book.accounts[1001].balance == 1100


def test_onlyOlderKeysAreForgotten() -> None:
    """The keys of entries after the one that was forgotten up to still count."""
    book = makeBook()
    requests = [deposit(1, order=n, cause=key(str(n))) for n in (1, 2, 3)]
    first, second, third = settle(book, *requests)
    assert [booked(outcome).seq for outcome in (first, second, third)] == [1, 3, 5]
    settle(book, ForgetKeys(CRM, 4))
    known = [booked(first), booked(second), booked(third)]
    again = settle(book, *requests, known=known)
    assert [isinstance(outcome, Replay) for outcome in again] == [False, False, True]
    assert [booked(outcome).seq for outcome in again[:2]] == [8, 10]


@pytest.mark.parametrize(
    ("forgotten", "upTo", "kind"),
    [
        (0, 0, ValueError),
        (0, 7, ValueError),
        (0, -1, ValueError),
        (4, 4, DuplicateRequest),
        (4, 3, DuplicateRequest),
        (4, 8, ValueError),
    ],
)
def test_forgettingWhatCannotBe(forgotten: int, upTo: int, kind: type[Exception]) -> None:
    """Keys beyond the head cannot be forgotten: that is a bug of ours. None are forgotten twice: another gateway was
    first, and that is none. Neither is an entry."""
    book = makeBook()
    settle(book, *(deposit(1, order=n, cause=key(str(n))) for n in (1, 2, 3)))
    if forgotten:
        settle(book, ForgetKeys(CRM, forgotten))
    # Three deposits with a balance:event each, and perhaps the forgetting.
    assert book.seq == 6 + bool(forgotten)
    before = contents(book)
    [outcome] = settle(book, ForgetKeys(CRM, upTo))
    assert type(outcome) is kind
    assert (contents(book), book.forgotten) == (before, forgotten)


# -- the property -------------------------------------------------------------------------------------

asked = st.builds(
    lambda name, principal, cents, login, order: deposit(cents / 100, login, order=order, cause=key(name, principal)),
    st.sampled_from("ab"),
    st.sampled_from(["crm", "psp"]),
    st.sampled_from([100, 100, 200, 0]),
    st.sampled_from([1001, 1001, 4711]),
    st.integers(1, 99),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(asked, max_size=8), max_size=4))
def test_oneEffectAKey(batches: list[list[MoveMoney]]) -> None:
    """In whatever batches keyed requests come, each key has at most one entry, and all who repeat it get that one."""
    book, told = makeBook(), 0
    kept: dict[KeyName, Entry] = {}
    for batch in batches:
        outcomes = settle(book, *batch, known=list(kept.values()))
        for request, outcome in zip(batch, outcomes, strict=True):
            name = request.cause.name
            assert name is not None
            if isinstance(outcome, Entry):
                assert name not in kept
                kept[name] = outcome
                told += outcome.balance
            elif isinstance(outcome, Replay):
                assert outcome.entry is kept[name]
                assert outcome.entry.fingerprint == fingerprint(request)
            elif isinstance(outcome, DuplicateRequest):
                assert kept[name].fingerprint != fingerprint(request)
            else:
                assert type(outcome) is InvalidData
                assert name not in kept
    # The others are the balance:events of those that moved money, as C{settle} has seen.
    assert book.seq == len(kept) + sum(entry.balance != 0 for entry in kept.values())
    assert sum(account.balance for account in book.accounts.values()) == told
