"""Who has caps moves no more than they say, however it is moved; and what has no effect uses nothing up."""

from __future__ import annotations

from typing import Any

import pytest
import ujson
from msgspec.structs import replace

from scalemgr.finance.book import Book
from scalemgr.finance.caps import readCaps
from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.records import REFUSAL, Account, Entry
from scalemgr.finance.requests import BALANCE, CREDIT, Cause, Decide, Request, TakeBack, fingerprint
from scalemgr.finance.settle import Outcome, Replay, alike, settleBatch
from scalemgr.finance.turnover import DAY_MS
from scalemgr.wire.codes import TradeCommand
from scalemgr.wire.errors import InvalidData

from .books import BEFORE, NOW_MS, booked, change, deposit, makeBook, refused, settleOne
from .test_settle_approvals import PENDING, ask, decline

OUT, CREDIT_IN, CREDIT_OUT = TradeCommand.OP_BALANCE_OUT, TradeCommand.OP_CREDIT_IN, TradeCommand.OP_CREDIT_OUT


def capped(plain: Any = None, principal: str = "crm", key: str | None = None) -> Cause:
    """Somebody with caps: 100 at once and 250 a day in USD, unless it is said."""
    caps = {"USD": {"amount": "100", "day": "250"}} if plain is None else plain
    return Cause(principal, EVERYTHING, key, caps=readCaps(caps))


def rich() -> Book:
    """A book in which 1001 has much of everything."""
    return makeBook(
        Account(1001, "demo", 1, 10**6, 10**6, 1, 1), Account(2001, "real-eu", 1, 10**6), Account(3001, "coins")
    )


def settle(book: Book, *requests: Request, nowMs: int = NOW_MS, trades: Any = None) -> list[Outcome]:
    """What becomes of a batch that is committed."""
    outcomes, draft = settleBatch(book, trades or {7: BEFORE}, {}, requests, nowMs)
    book.absorb(draft)
    return outcomes


def verdicts(outcomes: list[Outcome]) -> list[Any]:
    """Of each, which is an entry, the cap that refused it, or nothing."""
    assert all(isinstance(outcome, Entry) for outcome in outcomes), outcomes
    return [told(o)["cap"] if isinstance(o, Entry) and o.event == REFUSAL else None for o in outcomes]


def deposits(*amounts: float, cause: Cause | None = None, **more: Any) -> list[Request]:
    return [deposit(amount, order=50 + n, cause=cause or capped(), **more) for n, amount in enumerate(amounts)]


def told(outcome: Outcome) -> Any:
    """What a capped caller is told, and that it is told as for any refusal of its kind."""
    error = refused(outcome)
    assert (error.status, error.code.name, error.error) == (409, "RET_TRADE_LIMIT_REACHED", "RET_TRADE_LIMIT_REACHED")
    assert error.details["outcome"] == "refused"
    return {name: error.details[name] for name in ("cap", "currency", "limit", "left")}


@pytest.mark.parametrize(
    ("cmd", "sign"),
    [(TradeCommand.OP_BALANCE_IN, 1), (OUT, -1), (CREDIT_IN, 1), (CREDIT_OUT, -1)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_atOnce(cmd: TradeCommand, sign: int) -> None:
    """To the cent of the cap is booked, a cent more is refused, in and out, of balance and of credit."""
    booked(settleOne(rich(), deposit(sign * 100, cmd=cmd, cause=capped())))
    outcome = settleOne(rich(), deposit(sign * 100.01, cmd=cmd, cause=capped()))
    assert told(outcome) == {"cap": "amount", "currency": "USD", "limit": 100.0, "left": 100.0}
    assert refused(outcome).message == "your cap is 100 USD at once"


def test_inADay() -> None:
    """In a batch each sees what those before it used up, to the cent; what is refused uses nothing up."""
    book = rich()
    outcomes = settle(book, *deposits(100, 100, 50.01, 100.01, 50, 0.01))
    assert verdicts(outcomes) == [None, None, "day", "amount", None, "day"]
    assert told(outcomes[2]) == {"cap": "day", "currency": "USD", "limit": 250.0, "left": 50.0}
    assert told(outcomes[3]) == {"cap": "amount", "currency": "USD", "limit": 100.0, "left": 50.0}
    assert told(outcomes[5])["left"] == 0
    assert refused(outcomes[2]).message == (
        "your cap is 250 USD a day (UTC), of which 200 are used up; try again tomorrow, under another idempotency key"
    )


def test_acrossBatches() -> None:
    """The next batch goes on with what the one before used up; the next day begins with nothing."""
    book = rich()
    lastMs = NOW_MS // DAY_MS * DAY_MS + DAY_MS - 1
    assert verdicts(settle(book, *deposits(100, 100), nowMs=lastMs)) == [None, None]
    assert verdicts(settle(book, *deposits(50.01), nowMs=lastMs)) == ["day"]
    assert verdicts(settle(book, *deposits(100, 100, 50, 1), nowMs=lastMs + 1)) == [None, None, None, "day"]
    assert verdicts(settle(book, *deposits(50, 1), nowMs=lastMs)) == [None, "day"]


def test_batchThatIsDropped() -> None:
    """What could not be committed uses nothing up."""
    book = rich()
    settleBatch(book, {}, {}, deposits(100, 100, 50), NOW_MS)
    assert verdicts(settle(book, *deposits(100, 100, 50, 1))) == [None, None, None, "day"]


def test_whateverMoves() -> None:
    """Changes by their difference, taking back, and what goes out: all use up of one sum."""
    book = rich()
    requests = [
        change(150, cause=capped()),  # from 100: 50
        change(120, cause=capped()),  # 30
        deposit(-60, cmd=OUT, order=60, cause=capped()),
        deposit(9, cmd=CREDIT_IN, order=61, cause=capped()),
        TakeBack(capped(), 60, BALANCE),
        TakeBack(capped(), 61, CREDIT),
        deposit(32.01, order=62, cause=capped()),
        deposit(32, order=63, cause=capped()),
    ]
    assert verdicts(settle(book, *requests)) == [None, None, None, None, None, None, "day", None]


def test_changeCountsByItsDifference() -> None:
    """A large transaction of somebody else may be changed a little; to take it back moves all of it."""
    large = replace(BEFORE, profit=50000)
    assert verdicts([settleOne(rich(), change(499, cause=capped()), large)]) == [None]
    assert told(settleOne(rich(), change(399.99, cause=capped()), large))["cap"] == "amount"
    assert told(settleOne(rich(), TakeBack(capped(), 7, BALANCE), large))["cap"] == "amount"


def test_whatMovesNothing() -> None:
    """Words can be changed when all is used up, and where nothing may be moved: no money moves."""
    for cause in (capped({"USD": {"day": 0}}), capped({})):
        booked(settleOne(rich(), change(100, cause=cause, comment="other words"), BEFORE))


def test_approval() -> None:
    """An approval counts for who approves; to decline moves nothing."""
    book = rich()
    approving = [ask(100, order=n) for n in (80, 81)]
    settle(book, *approving)
    caps = {"USD": {"day": "150"}}
    outcomes = settle(
        book,
        *(Decide(capped(caps, "boss"), n, True) for n in (80, 81)),
        trades={n: replace(PENDING, order=n) for n in (80, 81)},
    )
    assert verdicts(outcomes) == [None, "day"]
    booked(settleOne(book, decline(81, capped({}, "boss")), replace(PENDING, order=81)))
    # Who asked has used nothing up.
    assert book.turnover.of("crm", NOW_MS, "USD") == 0


def test_asking() -> None:
    """What is asked for must be within the cap on one amount and name a currency of the caps; it uses nothing up."""
    book = rich()
    requests = [ask(amount, order=90 + n, cause=capped()) for n, amount in enumerate([100, 100, 100, 100.01])]
    outcomes = settle(book, *requests, ask(1, login=2001, order=95, cause=capped()))
    assert verdicts(outcomes) == [None, None, None, "amount", "currency"]
    assert told(outcomes[3]) == {"cap": "amount", "currency": "USD", "limit": 100.0, "left": 100.0}
    assert verdicts(settle(book, *deposits(100, 100, 50))) == [None, None, None]


def test_otherCurrency() -> None:
    """In a currency that the caps do not name nothing moves, and the refusal says why."""
    outcome = settleOne(rich(), deposit(0.01, 2001, cause=capped()))
    assert told(outcome) == {"cap": "currency", "currency": "EUR", "limit": 0.0, "left": 0.0}
    assert refused(outcome).message == "you have caps, and they do not name EUR, so you may move nothing in it"
    assert told(settleOne(rich(), deposit(1, cause=capped({}))))["cap"] == "currency"


def test_eachCurrency() -> None:
    """Each currency has a sum of its own, in its own units."""
    caps = capped({"USD": {"day": "1"}, "EUR": {"day": 2}, "BTC": {"day": "0.00000003"}})
    book = rich()
    requests = [
        deposit(1, cause=caps, order=50),
        deposit(2, 2001, cause=caps, order=51),
        deposit(0.00000003, 3001, cause=caps, order=52),
        deposit(0.01, cause=caps, order=53),
        deposit(0.01, 2001, cause=caps, order=54),
        deposit(0.00000001, 3001, cause=caps, order=55),
    ]
    assert verdicts(settle(book, *requests)) == [None, None, None, "day", "day", "day"]


def test_capFinerThanTheCurrency() -> None:
    """A cap between two amounts admits the smaller."""
    caps = capped({"USD": {"amount": "1.005"}})
    assert verdicts([settleOne(rich(), deposit(amount, cause=caps)) for amount in (1, 1.01)]) == [None, "amount"]


def test_callersAreApart() -> None:
    """What one has used up is no concern of another's; what it moved under other caps, or without any, is its own."""
    book = rich()
    settle(book, *deposits(100, 100, 50))
    assert verdicts(settle(book, *deposits(100, cause=capped(principal="psp")))) == [None]
    settle(book, *deposits(100_000, cause=Cause("free", EVERYTHING)))
    assert verdicts(settle(book, *deposits(0.01, cause=capped(principal="free")))) == ["day"]


def test_loweredBelowWhatIsUsedUp() -> None:
    """If the cap is lowered below what is used up, nothing is left, and not less than nothing."""
    book = rich()
    settle(book, *deposits(100, 100))
    [outcome] = settle(book, *deposits(1, cause=capped({"USD": {"amount": "5", "day": "150"}})))
    assert told(outcome) == {"cap": "day", "currency": "USD", "limit": 150.0, "left": 0.0}
    [outcome] = settle(book, *deposits(6, cause=capped({"USD": {"amount": "5", "day": "150"}})))
    assert told(outcome)["left"] == 0


def test_moreThanADayAtOnce() -> None:
    """Of what would be too much on any day it is not said to try again."""
    assert "again" not in refused(settleOne(rich(), deposit(251, cause=capped({"USD": {"day": 250}})))).message


def test_noWayToProbe() -> None:
    """Whoever has caps does not learn by asking for much what is on an account."""
    poor = makeBook(Account(1001, "demo", 1, 100))
    outcome = settleOne(poor, deposit(-5000, cmd=OUT, cause=capped()))
    assert told(outcome)["cap"] == "amount"
    assert refused(settleOne(poor, deposit(-50, cmd=OUT, cause=capped()))).code.name == "RET_TRADE_NO_MONEY"


def test_malformedIsNotCapped() -> None:
    """What is malformed is said to be, and is no entry: its key can be used again."""
    assert isinstance(settleOne(rich(), deposit(100.001, cause=capped())), InvalidData)


def test_replay() -> None:
    """A repeat is not checked and does not count again: not what was booked, and not what was refused."""
    book = rich()
    first, second = deposits(100, cause=capped(key="a"))[0], deposits(101, cause=capped(key="b"))[0]
    outcomes = settle(book, first, *[first] * 5, second, second)
    assert [isinstance(o, Replay) for o in outcomes] == [False, *[True] * 5, False, True]
    entry, refusal = outcomes[0], outcomes[6]
    assert isinstance(entry, Entry)
    assert isinstance(refusal, Entry)
    known = {("crm", "a"): entry, ("crm", "b"): refusal}
    # Tomorrow, with other caps: the same again.
    wide, narrow = capped({"USD": {}}, key="b"), capped({}, key="a")
    later = [replace(first, cause=narrow), replace(second, cause=wide)]
    assert settleBatch(book, {}, known, later, NOW_MS + DAY_MS)[0] == [Replay(entry), Replay(refusal)]
    assert book.turnover.of("crm", NOW_MS, "USD") == 100 * 10**12


def test_capsAreNoPartOfWhatIsAsked() -> None:
    """The same request under a token with other caps is the same request."""
    [one] = deposits(100, cause=capped(key="a"))
    other = replace(one, cause=Cause("crm", EVERYTHING, "a"))
    assert fingerprint(one) == fingerprint(other)
    entry = settleOne(rich(), one)
    assert isinstance(entry, Entry)
    assert alike(entry, other) == Replay(entry)


def test_refusalIsKept() -> None:
    """A refusal is in the log with all that was told, is nobody's event, and moves nothing."""
    outcomes, draft = settleBatch(rich(), {}, {}, deposits(101), NOW_MS)
    [entry] = draft.entries
    assert outcomes == [entry]
    assert (entry.group, entry.balance, entry.credit, entry.record) == ("", 0, 0, None)
    assert ujson.loads(entry.data)["cap"] == "amount"
    assert draft.turnover.sums == {}


def test_withoutCaps() -> None:
    """Who has no caps moves what it likes."""
    book = rich()
    free = Cause("crm", EVERYTHING)
    assert verdicts(settle(book, *deposits(*[10**6] * 5, cause=free))) == [None] * 5
