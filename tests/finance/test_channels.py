"""What a session has chosen to be sent: a value, and what each request makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from scalemgr.finance.channels import NAME_CHARACTERS_MAX, NOTHING, SYMBOLS_MAX, Channels, Interest
from scalemgr.finance.masks import EVERYTHING, Mask
from scalemgr.finance.records import (
    BALANCE_EVENT,
    BROADCAST,
    GROUP_EVENT,
    KEYS_FORGOTTEN,
    REFUSAL,
    TRADE_EVENT,
    USER_EVENT,
    Entry,
)
from scalemgr.wire.errors import InvalidData
from scalemgr.wire.messages import Json

EVENTS = sorted(BROADCAST)
#: Few, so that they meet; some that are nearly an event's.
NAMES = st.lists(st.sampled_from([*EVENTS, "EURUSD", "GBPUSD", "trade:events", "TRADE:EVENT", REFUSAL, ""]), max_size=4)
REQUESTS = st.lists(st.tuples(st.sampled_from(["subscribe", "unsubscribe", "all", "none"]), NAMES), max_size=8)


def after(requests: list[tuple[str, list[str]]]) -> Channels:
    """The choice that these make."""
    channels = Channels()
    for request, names in requests:
        if request == "subscribe":
            channels = channels.subscribe(names)
        elif request == "unsubscribe":
            channels = channels.unsubscribe(names)
        else:
            channels = channels.subscribeAll() if request == "all" else NOTHING
    return channels


def test_theBeginning() -> None:
    """Who has never chosen gets everything that it may be sent, and remembers nothing."""
    assert Channels().names(BROADCAST) == EVENTS
    assert Channels().inForce(frozenset({TRADE_EVENT})) == {TRADE_EVENT}


@given(REQUESTS)
def test_events(requests: list[tuple[str, list[str]]]) -> None:
    """The events in force are what a plain table of switches says, whatever else is named."""
    on, chosen = set(EVENTS), False
    for request, names in requests:
        known = set(names) & BROADCAST
        if request == "subscribe":
            on = on | known if chosen or not known else known
            chosen = chosen or bool(known)
        elif request == "unsubscribe":
            on -= known
            chosen = chosen or bool(known)
        else:
            on = set(EVENTS) if request == "all" else set()
            chosen = request == "none"
    assert after(requests).inForce(BROADCAST) == on


@given(REQUESTS)
def test_symbols(requests: list[tuple[str, list[str]]]) -> None:
    """The symbols are those named and not taken back, each once, in the order in which they came."""
    symbols: list[str] = []
    for request, names in requests:
        if request == "subscribe":
            symbols += [n for i, n in enumerate(names) if n not in {*symbols, *BROADCAST, *names[:i]}]
        elif request == "unsubscribe":
            symbols = [n for n in symbols if n not in names]
        elif request == "none":
            symbols = []
    assert list(after(requests).symbols) == symbols


@given(REQUESTS, NAMES)
def test_symbolsNeverChooseEvents(requests: list[tuple[str, list[str]]], names: list[str]) -> None:
    """To name nothing known, in either direction, changes no event, not even whether a choice was made."""
    channels, unknown = after(requests), [name for name in names if name not in BROADCAST]
    assert channels.subscribe(unknown).events == channels.events
    assert channels.unsubscribe(unknown).events == channels.events


@given(REQUESTS, NAMES)
def test_twiceIsOnce(requests: list[tuple[str, list[str]]], names: list[str]) -> None:
    """A request that is repeated changes nothing more: a client that is not sure may ask again."""
    channels = after(requests)
    once = channels.subscribe(names)
    assert once.subscribe(names) == once
    without = channels.unsubscribe(names)
    assert without.unsubscribe(names) == without


@given(REQUESTS, st.frozensets(st.sampled_from(EVENTS)))
def test_onlyWhatIsPermitted(requests: list[tuple[str, list[str]]], permitted: frozenset[str]) -> None:
    """No choice reaches beyond what may be sent, and what is told of it is what is in force, sorted."""
    channels = after(requests)
    inForce = channels.inForce(permitted)
    assert inForce == channels.inForce(BROADCAST) & permitted
    assert channels.names(permitted) == [*sorted(inForce), *channels.symbols]


def test_permissionComesBack() -> None:
    """A choice outlives the permission: what is permitted again is sent again."""
    channels = Channels().subscribe([BALANCE_EVENT, TRADE_EVENT])
    assert channels.inForce(BROADCAST - {BALANCE_EVENT}) == {TRADE_EVENT}
    assert channels.inForce(BROADCAST) == {BALANCE_EVENT, TRADE_EVENT}


# -- bounds ----------------------------------------------------------------------------------------------


def test_manySymbols() -> None:
    """As many symbols as there may be are remembered, events not counted; one more is refused, by name."""
    full = Channels().subscribe([*(f"S{n}" for n in range(SYMBOLS_MAX)), *EVENTS])
    assert full.names(BROADCAST) == [*EVENTS, *(f"S{n}" for n in range(SYMBOLS_MAX))]
    assert full.subscribe(["S1", "S999"]) == full
    with pytest.raises(InvalidData, match="chanels: ") as caught:
        full.subscribe(["S1", "more"])
    assert caught.value.details == {"field": "chanels"}
    assert full.unsubscribe(["S1"]).subscribe(["more"]).symbols[-1] == "more"


def test_longName() -> None:
    """A name of the greatest length is taken, one longer is refused, by name; to take it back does no harm."""
    long = "€" * NAME_CHARACTERS_MAX
    assert Channels().subscribe([long]).symbols == (long,)
    with pytest.raises(InvalidData, match="chanels: ") as caught:
        Channels().subscribe(["EURUSD", long + "x"])
    assert caught.value.details == {"field": "chanels"}
    assert Channels().unsubscribe([long + "x"]) == Channels()


# -- interest --------------------------------------------------------------------------------------------


def entry(event: str, group: str) -> Entry:
    return Entry(1, 0, event, 0, group, 1001, 1, 0, 0, "crm", None, None, Json("{}"))


def test_covers() -> None:
    """An entry is covered if its group is and its event is one of those: both, not either."""
    interest = Interest(Mask("real-*"), frozenset({TRADE_EVENT, USER_EVENT}))
    covered = [
        (event, group)
        for event in (*EVENTS, REFUSAL, KEYS_FORGOTTEN)
        for group in ("real-eu", "demo")
        if interest.covers(entry(event, group))
    ]
    assert covered == [(TRADE_EVENT, "real-eu"), (USER_EVENT, "real-eu")]


@pytest.mark.parametrize("event", [REFUSAL, KEYS_FORGOTTEN, "other"])
def test_whatIsNotBroadcastInterestsNobody(event: str) -> None:
    """There is no interest in what is kept and never sent."""
    with pytest.raises(AssertionError):
        Interest(EVERYTHING, frozenset({TRADE_EVENT, event}))
    assert not Interest(EVERYTHING).covers(entry(event, "demo"))


def test_sameInterest() -> None:
    """Interests that are written alike are one key; another mask or another event makes another."""
    interest = Interest(Mask("demo"), frozenset({TRADE_EVENT, GROUP_EVENT}))
    assert len({interest, Interest(Mask("demo"), frozenset([GROUP_EVENT, TRADE_EVENT]))}) == 1
    assert len({interest, replace(interest, mask=Mask("demo,")), replace(interest, events=BROADCAST)}) == 3
