"""Which events a session is sent: those it has chosen, none of them lost and none repeated when it changes its mind."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.finance.channels import NAME_CHARACTERS_MAX, SYMBOLS_MAX
from scalemgr.finance.records import BALANCE_EVENT, BROADCAST, GROUP_EVENT, TRADE_EVENT
from scalemgr.runtime.replay import PAGE

from ..helpers import NOW_MS, Daemon, Session, byStatus, fresh, inShort, ofDeposits, thirdParty, token

EVENTS = sorted(BROADCAST)
#: The log of every daemon begins with two groups and three users; then come entries 6, 7, ...
POPULATED = 5


def happen(daemon: Daemon, kinds: str) -> None:
    """New entries of the log: t is a trade of 10.00, which is followed by its balance:event, g a group."""
    session = daemon.connect(token("somebody"))
    for i, kind in enumerate(kinds):
        if kind == "t":
            session.deposit(fresh())
        else:
            session.send("AddGroup", fresh(), {"group": fresh(), "currency": "USD"})
        if i % 100 == 99:
            daemon.settle()
    daemon.settle()
    assert all(line["status"] == 200 for line in session.answers())
    session.lose()


def choose(session: Session, command: str = "Subscribe", *names: str, **more: Any) -> Any:
    """Ask for it; the chanels that are answered, or what else is."""
    session.send(command, fresh(), {"chanels": names, **more} if names else more)
    lines = session.lines()
    answer = next(line for line in lines if "status" in line)
    assert lines == [answer], "something else came, too"
    return answer["data"]["chanels"] if answer["status"] == 200 else answer["status"]


def heard(session: Session) -> list[Any]:
    """What came, in short: events by number (a balance:event with the balance), marks by name, answers by status."""
    return byStatus(session.lines())


# -- live ------------------------------------------------------------------------------------------------


def test_narrowed() -> None:
    """The first event that is named narrows the session to what is named; more that are named are added."""
    daemon = Daemon()
    session = daemon.staff()
    happen(daemon, "tg")
    assert heard(session) == [*ofDeposits(6), "8"]
    assert choose(session, "Subscribe", GROUP_EVENT) == [GROUP_EVENT]
    happen(daemon, "tgt")
    assert heard(session) == ["11"]
    assert choose(session, "Subscribe", TRADE_EVENT, "user:event") == [GROUP_EVENT, TRADE_EVENT, "user:event"]
    happen(daemon, "tg")
    assert heard(session) == ["14", "16"]


def test_addedFromTheHeadOn() -> None:
    """An event that is chosen newly comes from the seq of the answer on, nothing of it from before."""
    daemon = Daemon()
    session = daemon.staff()
    choose(session, "Subscribe", GROUP_EVENT)
    happen(daemon, "tt")
    session.send("Subscribe", "more", {"chanels": [TRADE_EVENT]})
    [answer] = session.lines()
    assert answer["data"]["seq"] == 9
    happen(daemon, "t")
    assert heard(session) == ["10"]


@pytest.mark.parametrize("names", [["EURUSD"], ["EURUSD", "trade:events", "TRADE:EVENT", "request:refused", "*", ""]])
def test_symbolsOnly(names: list[str]) -> None:
    """Who names what is no event, as published clients do for quotes, goes on getting every event."""
    daemon = Daemon()
    session = daemon.staff()
    assert choose(session, "Subscribe", *names) == [*EVENTS, *names]
    assert choose(session, "Unsubscribe", names[0]) == [*EVENTS, *names[1:]]
    happen(daemon, "tg")
    session.deposit("no", -5.0)
    session.deposit("refused", 1.0, login=9999)
    daemon.settle()
    assert inShort(line for line in session.lines() if "event" in line) == [*ofDeposits(6), "8"]


def test_symbolsBesideAChoice() -> None:
    """Symbols neither widen nor narrow a choice that was made."""
    daemon = Daemon()
    session = daemon.staff()
    choose(session, "Subscribe", GROUP_EVENT, "EURUSD")
    assert choose(session, "Subscribe", "GBPUSD", "EURUSD") == [GROUP_EVENT, "EURUSD", "GBPUSD"]
    assert choose(session, "Unsubscribe", "EURUSD", "XAUUSD") == [GROUP_EVENT, "GBPUSD"]
    happen(daemon, "tg")
    assert heard(session) == ["8"]


def test_unsubscribedFromAll() -> None:
    """Who had never chosen and takes an event away gets all others, and can have it back."""
    daemon = Daemon()
    session = daemon.staff()
    rest = [name for name in EVENTS if name != TRADE_EVENT]
    assert choose(session, "Unsubscribe", TRADE_EVENT) == rest
    happen(daemon, "tg")
    assert heard(session) == ["7:10", "8"]
    assert choose(session, "Subscribe", TRADE_EVENT) == EVENTS
    happen(daemon, "tg")
    assert heard(session) == [*ofDeposits(9, before=10), "11"]


def test_unsubscribedFromEach() -> None:
    """Who has taken the last event away gets none; that is not taken for having chosen nothing."""
    daemon = Daemon()
    session = daemon.staff()
    choose(session, "Subscribe", TRADE_EVENT)
    assert choose(session, "Unsubscribe", TRADE_EVENT) == []
    assert choose(session, "Subscribe", "EURUSD") == ["EURUSD"]
    happen(daemon, "tg")
    assert heard(session) == []


def test_unsubscribeAll() -> None:
    """UnsubscribeAll leaves no events and no symbols, until Subscribe names an event."""
    daemon = Daemon()
    session = daemon.staff()
    choose(session, "Subscribe", "EURUSD")
    assert choose(session, "UnsubscribeAll") == []
    happen(daemon, "tg")
    assert heard(session) == []
    assert choose(session, "Subscribe", "EURUSD") == ["EURUSD"]
    happen(daemon, "tg")
    assert heard(session) == []
    assert choose(session, "Subscribe", TRADE_EVENT) == [TRADE_EVENT, "EURUSD"]
    happen(daemon, "tg")
    assert heard(session) == ["12"]


def test_subscribeAll() -> None:
    """SubscribeAll gives everything again, and the next event that is named narrows again, as at the beginning."""
    daemon = Daemon()
    session = daemon.staff()
    for i, command in enumerate(("UnsubscribeAll", "Subscribe")):
        choose(session, command, *["user:event", "EURUSD"] * (command == "Subscribe"))
        assert choose(session, "SubscribeAll") == EVENTS + ["EURUSD"] * (command == "Subscribe")
        happen(daemon, "tg")
        assert heard(session) == [*ofDeposits(6 + 3 * i, before=10 * i), str(8 + 3 * i)]
    assert choose(session, "Subscribe", TRADE_EVENT) == [TRADE_EVENT, "EURUSD"]


def test_answersAreNotChosen() -> None:
    """Who gets no events is answered as ever, sync commands included."""
    daemon = Daemon()
    session = daemon.staff()
    choose(session, "UnsubscribeAll")
    session.deposit("a")
    daemon.settle()
    assert heard(session) == [200]


def test_eachForItself() -> None:
    """Sessions with different choices and masks share a log, and each gets its own."""
    daemon = Daemon()
    sessions = [daemon.staff() for _ in range(3)] + [daemon.connect(token(groups="real-*"))]
    sessions[3].send("Ping", 1)
    sessions[3].lines()
    choose(sessions[0], "Subscribe", TRADE_EVENT)
    choose(sessions[1], "Subscribe", GROUP_EVENT)
    choose(sessions[3], "Subscribe", TRADE_EVENT)
    asking = daemon.staff()
    for login in (1001, 2001):
        asking.deposit(fresh(), login=login)
    daemon.settle()
    happen(daemon, "g")
    everything = [*ofDeposits(6), *ofDeposits(8), "10"]
    assert [heard(session) for session in sessions] == [["6", "8"], ["10"], everything, ["8"]]
    for session in (*sessions, asking):
        session.lose()
    assert daemon.events._readers == {}


# -- what was missed -------------------------------------------------------------------------------------


def test_narrowedReplay() -> None:
    """A replay is of what is chosen with it, and so are the live events after it; the mark comes anyhow."""
    daemon = Daemon()
    happen(daemon, "tgt")
    session = daemon.staff()
    session.send("Subscribe", 1, {"chanels": [GROUP_EVENT], "from_seq": 0})
    happen(daemon, "tg")
    assert heard(session) == [200, "1", "2", "8", "replay:done", "13"]


def test_replayOfNothing() -> None:
    """Who has chosen no event gets the mark of a replay, and nothing before it."""
    daemon = Daemon()
    happen(daemon, "t" * (PAGE + 10))
    session = daemon.staff()
    choose(session, "UnsubscribeAll")
    session.send("Subscribe", 1, {"chanels": ["EURUSD"], "from_seq": 0})
    assert heard(session) == [200, "replay:done"]


def test_symbolsOnlyReplay() -> None:
    """A replay for which only symbols are named is of everything."""
    daemon = Daemon()
    session = daemon.staff()
    session.send("Subscribe", 1, {"chanels": ["EURUSD"], "from_seq": 0})
    assert heard(session) == [200, "1", "2", "3", "4", "5", "replay:done"]


def replaying(daemon: Daemon, *names: str, fromSeq: int = 0) -> Session:
    """A session in the middle of a replay: its first page is being read."""
    session = daemon.staff()
    daemon.replayThread.held = True
    assert choose(session, "Subscribe", *names, from_seq=fromSeq) == sorted(names)
    return session


MIXED = "tg" * PAGE  # three entries a pair: a trade, its balance:event, a group


def ofMixed(after: int, until: int, *names: str) -> list[str]:
    """Of a log of C{MIXED} those of these events that come after one entry, up to another, in short."""
    every = [
        (name, said)
        for n in range(until // 3)
        for name, said in zip(
            (TRADE_EVENT, BALANCE_EVENT, GROUP_EVENT),
            (*ofDeposits(6 + 3 * n, before=10 * n), str(8 + 3 * n)),
            strict=True,
        )
    ]
    return [said for name, said in every[after - POPULATED : until - POPULATED] if name in names]


@pytest.mark.parametrize("pages", [0, 1])
def test_addedInAReplay(pages: int) -> None:
    """An event that is chosen in the middle of a replay comes from where that stands; the others come on, once."""
    daemon = Daemon()
    happen(daemon, MIXED)
    session = replaying(daemon, TRADE_EVENT, fromSeq=POPULATED)
    for _ in range(pages):
        daemon.replayThread.step()
    before = heard(session)
    assert choose(session, "Subscribe", GROUP_EVENT) == [GROUP_EVENT, TRADE_EVENT]
    stands, head = POPULATED + pages * PAGE, daemon.events.head
    daemon.replayThread.release()
    happen(daemon, "tg")
    assert before == ofMixed(POPULATED, stands, TRADE_EVENT)
    after = ofMixed(stands, head, TRADE_EVENT, GROUP_EVENT)
    live = ofMixed(head, head + 3, TRADE_EVENT, GROUP_EVENT)
    assert heard(session) == [*after, "replay:done", *live]


def test_takenAwayInAReplay() -> None:
    """An event that is taken away in the middle of a replay does not come after the answer; the others come on."""
    daemon = Daemon()
    happen(daemon, MIXED)
    session = replaying(daemon, TRADE_EVENT, GROUP_EVENT, fromSeq=POPULATED)
    daemon.replayThread.step()
    stands = POPULATED + PAGE
    assert heard(session) == ofMixed(POPULATED, stands, TRADE_EVENT, GROUP_EVENT)
    assert choose(session, "Unsubscribe", TRADE_EVENT) == [GROUP_EVENT]
    daemon.replayThread.release()
    happen(daemon, "tg")
    head = POPULATED + 3 * PAGE
    assert heard(session) == [*ofMixed(stands, head, GROUP_EVENT), "replay:done", str(head + 3)]


@pytest.mark.parametrize("change", ["Subscribe", "Unsubscribe"])
def test_changedAtTheEndOfAReplay(change: str) -> None:
    """What is held back for the end of a replay when the choice changes comes as is chosen then, once."""
    daemon = Daemon()
    session = replaying(daemon, TRADE_EVENT, *[GROUP_EVENT] * (change == "Unsubscribe"), fromSeq=POPULATED - 1)
    happen(daemon, "tg")
    choose(session, change, GROUP_EVENT)
    happen(daemon, "gt")
    daemon.replayThread.release()
    happen(daemon, "tg")
    came = heard(session)
    came.remove("replay:done")
    # Trades are 6, 10 and 12, groups 8, 9 and 14.
    assert came == (["6", "8", "9", "10", "12", "14"] if change == "Subscribe" else ["6", "10", "12"])


def test_changedAgainAndAgainInAReplay() -> None:
    """However often a choice changes in a replay, one page at a time is read, and what stays chosen is whole."""
    daemon = Daemon()
    happen(daemon, MIXED)
    session = replaying(daemon, TRADE_EVENT, fromSeq=POPULATED)
    came: list[Any] = []
    for _ in range(8):
        for command in ("Subscribe", "Unsubscribe"):
            choose(session, command, GROUP_EVENT)
        happen(daemon, "tg")
        assert daemon.replayThread.waiting() <= 1
        daemon.replayThread.step()
        came += heard(session)
    daemon.replayThread.release()
    came += heard(session)
    assert came == [*ofMixed(POPULATED, daemon.events.head, TRADE_EVENT), "replay:done"]


def test_changedWhileItDoesNotRead() -> None:
    """A choice that changes while the replay waits for its reader is in force when it goes on."""
    daemon = Daemon()
    happen(daemon, MIXED)
    session = replaying(daemon, TRADE_EVENT, fromSeq=POPULATED)
    producer: Any = session.transport.producer
    producer.pauseProducing()
    daemon.replayThread.step()
    assert daemon.replayThread.waiting() == 0
    session.send("Subscribe", "more", {"chanels": [GROUP_EVENT]})
    happen(daemon, "tg")
    producer.resumeProducing()
    daemon.replayThread.release()
    lines = session.lines()
    stands, head = POPULATED + PAGE, daemon.events.head
    before = ofMixed(POPULATED, stands, TRADE_EVENT)
    after = ofMixed(stands, head, TRADE_EVENT, GROUP_EVENT)
    assert byStatus(lines) == [*before, 200, *after, "replay:done"]
    assert lines[len(before)]["extID"] == "more"


# -- refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"from_seq": 6}, 410),
        ({"from_seq": 0, "epoch": "another"}, 410),
        ({"epoch": "another"}, 410),
        ({"from_seq": -1}, 400),
        ({"chanels": [GROUP_EVENT, "x" * (NAME_CHARACTERS_MAX + 1)], "from_seq": 0}, 400),
        ({"chanels": [GROUP_EVENT, 7]}, 400),
    ],
)
@pytest.mark.parametrize("chosen", [[], [TRADE_EVENT]])
def test_refused(data: dict[str, Any], status: int, chosen: list[str]) -> None:
    """A Subscribe that is refused changes nothing about the choice."""
    daemon = Daemon()
    session = daemon.staff()
    if chosen:
        choose(session, "Subscribe", *chosen)
    session.send("Subscribe", "refused", {"chanels": [GROUP_EVENT, "EURUSD"], **data})
    assert heard(session) == [status]
    happen(daemon, "tg")
    assert heard(session) == (["6"] if chosen else [*ofDeposits(6), "8"])
    assert choose(session, "Unsubscribe", "EURUSD") == (chosen or EVENTS)


def test_refusedInAReplay() -> None:
    """A second replay that is refused changes nothing about the choice either, and the first goes on."""
    daemon = Daemon()
    happen(daemon, "tg")
    session = replaying(daemon, TRADE_EVENT, fromSeq=POPULATED)
    assert choose(session, "Subscribe", GROUP_EVENT, from_seq=0) == 409
    daemon.replayThread.release()
    happen(daemon, "tg")
    assert heard(session) == ["6", "replay:done", "9"]
    assert choose(session, "Unsubscribe", "x") == [TRADE_EVENT]


@pytest.mark.parametrize("command", ["Subscribe", "Unsubscribe", "SubscribeAll", "UnsubscribeAll"])
def test_whoMayNot(command: str) -> None:
    """Who gets no events chooses none: 403, and without a token 401."""
    daemon = Daemon()
    assert choose(daemon.connect(token(role=0, login=1001)), command, TRADE_EVENT) == 403
    assert choose(daemon.connect(), command, TRADE_EVENT) == 401


@pytest.mark.parametrize("data", [{}, {"chanels": []}, {"chanels": "x"}, {"chanels": [7]}, {"chanels": ["x"] * 1001}])
@pytest.mark.parametrize("command", ["Subscribe", "Unsubscribe"])
def test_malformed(command: str, data: dict[str, Any]) -> None:
    """What is malformed is refused by name, and changes nothing."""
    daemon = Daemon()
    session = daemon.staff()
    session.send(command, "bad", data)
    [answer] = session.lines()
    assert (answer["status"], answer["data"]["error"]) == (400, "INVALID_DATA")
    assert answer["data"]["field"].startswith("chanels")
    assert choose(session, "Subscribe", "EURUSD") == [*EVENTS, "EURUSD"]


def test_bounds() -> None:
    """A session remembers as many symbols as it may, and no more; those past the bound are refused as a whole."""
    session = Daemon().staff()
    symbols = [f"SYMBOL-{n}" for n in range(SYMBOLS_MAX)]
    assert choose(session, "Subscribe", *symbols) == [*EVENTS, *symbols]
    session.send("Subscribe", "one more", {"chanels": [TRADE_EVENT, "SYMBOL-x"]})
    [answer] = session.lines()
    assert (answer["status"], answer["data"]["error"], answer["data"]["field"]) == (400, "INVALID_DATA", "chanels")
    assert choose(session, "Unsubscribe", *symbols[1:]) == [*EVENTS, symbols[0]]


# -- tokens ----------------------------------------------------------------------------------------------


def brief(daemon: Daemon, *names: str) -> Session:
    """A session whose token has expired, after it chose these."""
    session = daemon.connect(token(exp=NOW_MS // 1000 + 10))
    choose(session, "Subscribe", *names)
    daemon.clock.advance(20)
    return session


@pytest.mark.parametrize("held", [False, True])
def test_changedWhenTheTokenHasExpired(held: bool) -> None:
    """What was chosen before and after a token comes whole, once; if the choice comes with the new token, too."""
    daemon = Daemon()
    session = brief(daemon, TRADE_EVENT, "user:event")
    happen(daemon, "ttg")
    assert heard(session) == ["token:expired"]
    assert choose(session, "Subscribe", GROUP_EVENT) == 401
    session.token = token()
    daemon.replayThread.held = held
    session.send("Subscribe", "again", {"chanels": [GROUP_EVENT]})
    daemon.replayThread.release()
    happen(daemon, "tg")
    came = heard(session)
    came.remove(200)
    # The group of before may come, too, as long as the trades of before are on their way.
    assert came == (["6", "8", "10", "11", "13"] if held else ["6", "8", "11", "13"])


def test_takenAwayWhenTheTokenHasExpired() -> None:
    """What is taken away with the new token does not come any more; the rest comes whole."""
    daemon = Daemon()
    session = brief(daemon, TRADE_EVENT, GROUP_EVENT)
    happen(daemon, "tgt")
    session.token = token()
    daemon.replayThread.held = True
    session.send("Unsubscribe", "again", {"chanels": [TRADE_EVENT]})
    daemon.replayThread.release()
    happen(daemon, "tg")
    assert heard(session) == ["token:expired", 200, "8", "13"]


def test_notToldOfExpiryForNothing() -> None:
    """That its token has expired is said to a session when there is an event for it that it has chosen."""
    daemon = Daemon()
    session = brief(daemon, GROUP_EVENT)
    happen(daemon, "tt")
    assert heard(session) == []
    happen(daemon, "g")
    assert heard(session) == ["token:expired"]


def test_choiceOutlivesTokens() -> None:
    """A choice is the session's: another token, another mask, or none for a while do not undo it."""
    daemon = Daemon()
    session = brief(daemon, GROUP_EVENT)
    for claims in ({"groups": "demo*,fresh-*"}, {"role": 0, "login": 1001}, {}):
        session.token = token(**claims)
        session.send("Ping", fresh())
    assert heard(session) == [200] * 3
    happen(daemon, "tg")
    assert heard(session) == ["8"]


def test_staffOnlyWhateverACommandDoes() -> None:
    """A command of somebody else's that lets anybody go back lets nobody but staff have events."""
    daemon = Daemon(also=[thirdParty(lambda context: context.subscribe(0) or {}, roles=frozenset())])
    session = daemon.connect(token(role=0, login=1001))
    session.send("ThirdParty", 1)
    happen(daemon, "tg")
    assert heard(session) == [200, "replay:done"]
