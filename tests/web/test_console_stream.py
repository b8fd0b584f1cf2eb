"""What an open console is told, and how much of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from twisted.logger import LogEvent

from scalemgr.finance.records import BROADCAST, Entry
from scalemgr.web.listener import EVENTS_A_TICK, LOOK_BACK, ROWS, UNREAD_S_MAX, Wanted
from scalemgr.web.stream import LISTENERS_MAX, TICK_S
from scalemgr.wire.errors import LedgerFailed

from ..helpers import NOW_MS, booked, token
from .consoles import Listening, Message
from .house import Windowed


@pytest.fixture
def house() -> Iterator[Windowed]:
    """A daemon with a console; nothing is left of it afterwards."""
    made = Windowed()
    yield made
    made.close()


def deposits(house: Windowed, count: int, login: int = 1001) -> None:
    """So many, each an entry and the balance after it."""
    session = house.daemon.staff()
    for _ in range(count):
        session.deposit(login=login)
    house.daemon.settle()
    session.lose()


def named(messages: list[Message], event: str) -> list[Message]:
    return [message for message in messages if message.event == event]


def bearer(**claims: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**claims)}"}


def test_firstWhoThenHowThenWhat(house: Windowed) -> None:
    """A page is told who looks, the last hour, how things are, and the latest entries, before anything happens."""
    house.clock.pump([1, 1])
    page = Listening(house)
    assert page.status == 200
    assert page.headers["content-type"] == "text/event-stream"
    assert page.headers["cache-control"] == "no-store"
    hello, history, status, *entries = page.heard()
    assert hello.data == {"id": "operator", "role": "ADMIN", "all": True, "audit": True, "local": True}
    assert history.event == "history"
    assert len(history.data["minute"]["rows"]) == 2
    assert status.event == "status"
    assert status.data["seq"] == 5
    assert [message.data["seq"] for message in entries] == [1, 2, 3, 4, 5]
    page.lose()


def test_entriesAreTheLinesOfSessions(house: Windowed) -> None:
    """A deposit comes at once, as the very event that sessions are sent, with its place as the id."""
    page = Listening(house)
    page.heard()
    session = house.daemon.staff()
    session.lines()
    booked(house.daemon, session, comment="it's <b>\u202e")
    told = named(page.heard(), "entry")
    assert [message.id for message in told] == ["6", "7"]
    assert [message.data["event"] for message in told] == ["trade:event", "balance:event"]
    assert told[0].data["data"]["comment"] == "it's <b>\u202e"
    page.lose()


def test_statusOnceASecond(house: Windowed) -> None:
    """While somebody listens there is a status a second, with the row that the history has got; else nothing ticks."""
    before = len(house.clock.getDelayedCalls())
    page = Listening(house)
    page.heard()
    house.clock.pump([TICK_S] * 10)
    told = named(page.heard(), "status")
    assert len(told) == 10
    assert all(message.data["rows"]["minute"] for message in told)
    assert [bool(message.data["rows"]["hour"]) for message in told].count(True) == 1
    page.lose()
    assert len(house.clock.getDelayedCalls()) == before
    assert not house.daemon.events._readers


def test_filter(house: Windowed) -> None:
    """A filter by login, order or both is the server's: of before and of what comes, nothing else is sent."""
    deposits(house, 2)
    pages = [Listening(house, query) for query in ("?login=1001", "?login=1002", "?order=2", "?login=1002&order=2")]
    assert [page.entries() for page in pages] == [[3, 6, 7, 8, 9], [4], [8], []]
    deposits(house, 1, login=1002)
    assert [page.entries() for page in pages] == [[], [10, 11], [], []]
    for page in pages:
        page.lose()


def test_filterIsByNumberNotByText() -> None:
    """An account whose number begins like another's, or is mentioned in a comment, is not the other."""
    lines = [
        b'{"event":"x","data":{"login":10012},"seq":1}',
        b'{"event":"x","data":{"comment":"\\"login\\":1001","login":5},"seq":2}',
        b'{"event":"x","data":{"group":{"login":1001},"login":5},"seq":3}',
        b'{"event":"x","data":{"login":1001},"seq":4}',
    ]
    assert Wanted(login=1001).of(b"".join(line + b"\r\n" for line in lines)) == lines[3:]


def test_badFilterIsRefused(house: Windowed) -> None:
    """What is no number is no filter: it says so, and nothing is opened."""
    for query in ("?login=abc", "?order=-1", "?after=1.5", "?login=1234567890123456"):
        answer = house.ask(f"/stream{query}")
        assert answer.status == 400
        assert "expected a number of at most 15 digits" in answer.text


def test_comesBack(house: Windowed) -> None:
    """Who comes back is sent exactly what it has missed: by the browser's memory, else by the page's."""
    deposits(house, 3)
    for headers, query in (({"Last_Event_ID": "8"}, ""), ({}, "?after=8"), ({"Last_Event_ID": "8"}, "?after=2")):
        page = Listening(house, query, **headers)
        assert page.entries() == [9, 10, 11]
        page.lose()
    page = Listening(house, "?after=11")
    assert page.entries() == []
    page.lose()


def test_cannotHaveSeenWhatIsNot(house: Windowed) -> None:
    """A page that comes from another log, or says nonsense, begins anew."""
    for after in ("999", "x", "9" * 30):
        page = Listening(house, Last_Event_ID=after)
        assert page.entries() == [1, 2, 3, 4, 5]
        page.lose()


def test_whatCannotBeMadeUpForIsSaid(house: Windowed) -> None:
    """Of what was missed, as much is sent as a page has rows; that there was more before is said."""
    deposits(house, LOOK_BACK)
    head = house.daemon.events.head
    page = Listening(house, "?after=5")
    messages = page.heard()
    [gap] = named(messages, "gap")
    assert gap.data == {"from": 6, "to": head - LOOK_BACK}
    assert [message.data["seq"] for message in named(messages, "entry")] == list(range(head - ROWS + 1, head + 1))
    page.lose()


def test_meanwhileNothingIsLost(house: Windowed) -> None:
    """What happens while the log is being read for a page comes after that, once and in order."""
    house.daemon.replayThread.held = True
    page = Listening(house)
    deposits(house, 2)
    assert page.entries() == []
    house.daemon.replayThread.release()
    assert page.entries() == list(range(1, 10))
    deposits(house, 1)
    assert page.entries() == [10, 11]
    page.lose()


def test_goneWhileTheLogIsRead(house: Windowed) -> None:
    """A browser that goes while the log is being read for it is forgotten."""
    house.daemon.replayThread.held = True
    page = Listening(house)
    page.lose()
    house.daemon.replayThread.release()
    deposits(house, 1)
    assert page.heard()[0].event == "hello"


@pytest.mark.parametrize("error", [OSError("gone"), LedgerFailed("the log cannot be read now")])
def test_logThatCannotBeRead(
    house: Windowed, failures: list[LogEvent], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """If the log cannot be read that is logged and said, and what comes is sent all the same. Without a traceback if it
    is only away."""

    def unread(after: int, limit: int) -> list[Entry]:
        raise error

    monkeypatch.setattr(house.daemon.ledger, "entries", unread)
    page = Listening(house)
    [gap] = named(page.heard(), "gap")
    assert gap.data == {"from": 1, "to": 5}
    deposits(house, 1)
    assert page.entries() == [6, 7]
    page.lose()
    if isinstance(error, OSError):
        assert "from entry 0 on" in str(failures.pop()["log_format"]).replace("{seq}", "0")
    assert failures == []


@pytest.mark.parametrize("query", ["", "?login=1001"])
def test_tooManyAreCounted(house: Windowed, query: str) -> None:
    """Of a burst the first and the latest are sent, in order, and the number of those between them."""
    page = Listening(house, query)
    page.heard()
    deposits(house, 100)
    first, last = 6, 205
    assert page.entries() == list(range(first, first + EVENTS_A_TICK))
    deposits(house, 1)
    assert page.entries() == []
    house.clock.advance(TICK_S)
    more, *entries, status = page.heard()
    assert (more.event, more.data) == ("more", {"count": 202 - 2 * EVENTS_A_TICK})
    assert [message.data["seq"] for message in entries] == list(range(last + 3 - EVENTS_A_TICK, last + 3))
    assert (status.event, status.id) == ("status", str(last + 2))
    deposits(house, 1)
    assert page.entries() == [last + 3, last + 4]
    page.lose()


@pytest.mark.parametrize("count", range(EVENTS_A_TICK - 2, 2 * EVENTS_A_TICK + 3))
def test_noneIsForgotten(house: Windowed, count: int) -> None:
    """However many events come at once, each is either sent or counted, and none twice."""
    page = Listening(house)
    page.heard()
    line = b'{"event":"trade:event","type":0,"data":{"login":1},"seq":%d,"time":1.0}\r\n'
    [listener] = house.eyes._listeners._open
    listener.deliver(b"".join(line % seq for seq in range(6, 6 + count)), 5 + count)
    listener.deliver(line % (6 + count), 6 + count)
    house.clock.advance(TICK_S)
    messages = page.heard()
    sent = [message.data["seq"] for message in named(messages, "entry")]
    left = sum(message.data["count"] for message in named(messages, "more"))
    assert sent == sorted(set(sent))
    assert sent[-1] == 6 + count
    assert len(sent) + left == count + 1
    page.lose()


def test_tooLongIsCounted(house: Windowed, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that is too long for a page is counted, and not sent; nor is it when a page looks back."""
    page = Listening(house)
    page.heard()
    monkeypatch.setattr("scalemgr.web.listener.LINE_BYTES_MAX", 240)
    session = house.daemon.staff()
    booked(house.daemon, session, comment="x" * 200)
    assert page.entries() == [7]
    house.clock.advance(TICK_S)
    assert named(page.heard(), "more")[0].data == {"count": 1}
    other = Listening(house)
    assert other.entries() == [1, 2, 3, 4, 5, 7]
    other.lose()
    page.lose()


def test_whoDoesNotReadGetsANumber(house: Windowed) -> None:
    """While a browser does not take what it was sent nothing is added to it; then it is told how much it missed."""
    page = Listening(house)
    page.heard()
    producer = page.visitor.transport.producer
    producer.pauseProducing()
    deposits(house, 100)
    house.clock.pump([TICK_S] * 5)
    assert page.heard() == []
    producer.resumeProducing()
    house.clock.advance(TICK_S)
    more, *entries, status = page.heard()
    assert more.data == {"count": 200 - EVENTS_A_TICK}
    assert [message.data["seq"] for message in entries] == list(range(206 - EVENTS_A_TICK, 206))
    assert status.event == "status"
    page.lose()


def test_nothingOvertakes(house: Windowed) -> None:
    """What comes when a browser reads again is sent after what had to wait, even if that is not sent yet."""
    page = Listening(house)
    page.heard()
    producer = page.visitor.transport.producer
    producer.pauseProducing()
    deposits(house, 2)
    producer.resumeProducing()
    deposits(house, 2)
    house.clock.advance(TICK_S)
    assert page.entries() == list(range(6, 14))
    page.lose()


def test_whoNeverReadsIsLetGo(house: Windowed) -> None:
    """A browser that takes nothing for a minute is cut off, and its place is free."""
    page = Listening(house)
    page.visitor.transport.producer.pauseProducing()
    house.clock.pump([TICK_S] * int(UNREAD_S_MAX / TICK_S))
    assert not page.isOver
    house.clock.pump([TICK_S] * 2)
    assert page.isOver
    page.lose()


def test_bounded(house: Windowed) -> None:
    """One page too many is told to come again later, and has a place when another has left."""
    pages = [Listening(house) for _ in range(LISTENERS_MAX)]
    refused = house.ask("/stream")
    assert refused.status == 503
    assert refused.headers["retry-after"] == "10"
    pages.pop().lose()
    pages.append(Listening(house))
    assert pages[-1].status == 200
    for page in pages:
        page.lose()


def test_maskAndFlags(house: Windowed) -> None:
    """A page is sent what its token may see, live and of before: not other groups, not what was withheld."""
    house.eyes.guard.isLocal = False
    european = Listening(house, **bearer(groups="real-*"))
    poor = Listening(house, **bearer(see_accounts_balance=0))
    assert european.entries() == [2, 5]
    assert poor.entries() == [1, 2, 3, 4, 5]
    deposits(house, 1)
    deposits(house, 1, login=2001)
    assert european.entries() == [8, 9]
    assert poor.entries() == []
    european.lose()
    poor.lose()
    assert {"trade:event", "balance:event"} < BROADCAST


def test_whoDoesNotSeeAllIsToldNumbers(house: Windowed) -> None:
    """Who the others are, what they wait for and where the ledger is, is for who may see every group."""
    house.eyes.guard.isLocal = False
    house.daemon.ledgerThread.held = True
    session = house.daemon.staff()
    session.deposit()
    house.daemon.settle()
    pages = [Listening(house, **bearer()), Listening(house, **bearer(groups="real-*"))]
    for _ in range(2):
        whole, part = (named(page.heard(), "status")[-1].data for page in pages)
        assert [one["principal"] for one in whole["sessions"]["listed"]] == ["crm"]
        assert [one["order"] for one in whole["waiters"]["oldest"]] == [1]
        assert (whole["ledger"]["folder"], part["ledger"]["folder"]) == ("/somewhere", "")
        assert part["sessions"]["listed"] == part["waiters"]["oldest"] == []
        assert any(check["why"] for check in whole["checks"])
        assert not any(check["why"] for check in part["checks"])
        assert (part["sessions"]["count"], part["waiters"]["count"]) == (1, 1)
        house.clock.advance(TICK_S)
    house.daemon.ledgerThread.release()
    house.daemon.settle()
    for page in pages:
        page.lose()


def test_endsWithItsToken(house: Windowed) -> None:
    """When the token's time is up the stream ends, and there is no other without a new one."""
    house.eyes.guard.isLocal = False
    headers = bearer(exp=house.clock.seconds() + 5)
    page = Listening(house, **headers)
    house.clock.pump([TICK_S] * 4)
    page.heard()
    house.clock.pump([TICK_S] * 2)
    deposits(house, 1)
    assert page.visitor.transport.value() == b"0\r\n\r\n"
    page.lose()
    assert house.ask("/stream", headers=headers).status == 401


def test_nothingAfterItsToken(house: Windowed) -> None:
    """From the moment on that a token is revoked, or its time is up, a page is sent no event more: it is ended then,
    not at the next tick."""
    house.eyes.guard.isLocal = False
    soon = NOW_MS // 1000 + 1
    revoked, late, other = (Listening(house, **bearer(**of)) for of in ({"jti": "stolen"}, {"exp": soon}, {}))
    for page in (revoked, late, other):
        page.heard()
    keys = house.daemon.auth._keys
    assert keys is not None
    house.daemon.auth.renew(replace(keys, revoked=frozenset({"stolen"})))
    deposits(house, 1)
    assert revoked.visitor.transport.value() == b"0\r\n\r\n"
    assert len(late.entries()) == 2
    house.clock.advance(TICK_S * 0.9)
    deposits(house, 1)
    assert late.visitor.transport.value() == b"0\r\n\r\n"
    assert len(other.entries()) == 4
    for page in (revoked, late, other):
        page.lose()


def test_strangersHearNothing(house: Windowed) -> None:
    """Without a token, with a bad one, or as the user of an account, there is no stream of anybody's events."""
    house.eyes.guard.isLocal = False
    assert house.ask("/stream").status == 401
    assert house.ask("/stream", headers={"Authorization": "Bearer x"}).status == 401
    assert house.ask("/stream", headers=bearer(role="user", login=1001)).status == 403


def test_trouble(house: Windowed, failures: list[LogEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    """If it cannot be found out how things are, that is logged; events come all the same, and the next status."""
    page = Listening(house)
    page.heard()
    with monkeypatch.context() as patch:
        patch.setattr(house.eyes.status, "brief", None)
        house.clock.advance(TICK_S)
        deposits(house, 1)
        other = Listening(house)
    assert page.entries() == [6, 7]
    house.clock.advance(TICK_S)
    assert [message.event for message in page.heard()] == ["status"]
    assert len(failures) == 2
    failures.clear()
    page.lose()
    other.lose()


def test_endsWithTheDaemon() -> None:
    """When the daemon stops each stream is brought to its end."""
    house = Windowed()
    pages = [Listening(house), Listening(house)]
    for page in pages:
        page.heard()
    done: list[None] = []
    house.eyes.stop().addCallback(done.append)
    for page in pages:
        assert page.visitor.transport.value() == b"0\r\n\r\n"
        page.lose()
    assert done == [None]
