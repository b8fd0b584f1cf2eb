"""The live end of the log: who gets which events, as the same bytes, whatever others do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.logger import LogEvent
from zope.interface import implementer

from scalemgr.finance.channels import Audit, Interest
from scalemgr.finance.masks import EVERYTHING, Mask
from scalemgr.finance.records import BROADCAST, GROUP_EVENT, REFUSAL, TRADE_EVENT, USER_EVENT, Entry
from scalemgr.interfaces import IEventReader
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.runtime.eventlog import EventLog
from scalemgr.wire.messages import Json

from ..helpers import NOW_MS, Daemon, Threads, inShort, ofDeposits, token


@implementer(IEventReader)
class Reader:
    """Remembers what it was sent."""

    def __init__(
        self, mask: str, also: Callable[[], object] = lambda: None, events: frozenset[str] = BROADCAST
    ) -> None:
        self.interest = Interest(Mask(mask), events)
        self.also = also
        self.pieces: list[tuple[bytes, int]] = []

    def deliver(self, lines: bytes, seq: int) -> None:
        self.pieces.append((lines, seq))
        self.also()

    def seqs(self) -> list[int]:
        return [json.loads(line)["seq"] for lines, _ in self.pieces for line in lines.splitlines()]


def entry(seq: int, group: str = "demo", event: str = TRADE_EVENT) -> Entry:
    data = Json('{"order":%d,"profit":10.0}' % seq)
    return Entry(seq, NOW_MS, event, 0, group, 1001, seq, 1000, 0, "crm", "key", b"f", data, Json('{"x":1}'))


MIXED = [entry(7), entry(8, "real-eu"), entry(9, "real-us"), entry(10)]


def attached(*readers: Reader) -> EventLog:
    events = EventLog(MemoryLedger(), Threads())
    for reader in readers:
        events.attach(reader)
    return events


@pytest.mark.parametrize(
    ("mask", "seqs"),
    [
        ("*", [7, 8, 9, 10]),
        ("demo", [7, 10]),
        ("real-*", [8, 9]),
        ("real-*,!real-us", [8]),
        ("*,!demo", [8, 9]),
        ("other", []),
    ],
)
def test_mask(mask: str, seqs: list[int]) -> None:
    """A reader gets exactly the events of the groups that its mask covers, in the order of the log."""
    reader = Reader(mask)
    attached(reader).publish(MIXED)
    assert reader.seqs() == seqs


def test_onePieceABatch() -> None:
    """A batch is one piece, with the number of the last event that is in it for this reader."""
    everything, some, none = Reader("*"), Reader("real-*"), Reader("other")
    attached(everything, some, none).publish(MIXED)
    assert [seq for _, seq in everything.pieces] == [10]
    assert [seq for _, seq in some.pieces] == [9]
    assert none.pieces == []


def test_sameBytesForTheSameMask() -> None:
    """Readers with one mask get the very same bytes, and one with a wider mask gets the same lines."""
    one, two, wide = Reader("demo"), Reader("demo"), Reader("*")
    attached(one, wide, two).publish(MIXED)
    assert one.pieces == two.pieces
    assert set(one.pieces[0][0].splitlines()) < set(wide.pieces[0][0].splitlines())


def test_events() -> None:
    """A reader gets exactly the events that it is interested in, and nobody what is no event."""
    log = [entry(7), entry(8, event=USER_EVENT), entry(9, event=REFUSAL), entry(10, "real", GROUP_EVENT), entry(11)]
    trades, others = Reader("*", events=frozenset({TRADE_EVENT})), Reader("*", events=BROADCAST - {TRADE_EVENT})
    narrow, nothing = Reader("demo", events=frozenset({GROUP_EVENT, USER_EVENT})), Reader("*", events=frozenset())
    everything = Reader("*")
    attached(trades, others, narrow, nothing, everything).publish(log)
    assert [r.seqs() for r in (trades, others, narrow, everything)] == [[7, 11], [8, 10], [8], [7, 8, 10, 11]]
    assert nothing.pieces == []


def test_sameInterestSharesBytes() -> None:
    """Readers with one interest are told in one piece that is made once; others with the same mask in their own."""
    events = frozenset({TRADE_EVENT, GROUP_EVENT})
    one, two = Reader("demo", events=events), Reader("demo", events=frozenset([GROUP_EVENT, TRADE_EVENT]))
    wide = Reader("demo")
    attached(one, wide, two).publish([entry(7), entry(8, event=USER_EVENT)])
    assert one.pieces[0][0] is two.pieces[0][0]
    assert (one.seqs(), wide.seqs()) == ([7], [7, 8])


def test_line() -> None:
    """An event has the published members and its place and time in the log, and nothing else that is kept."""
    reader = Reader("*")
    attached(reader).publish([entry(7)])
    [(line, _)] = reader.pieces
    assert line.endswith(b"\r\n")
    assert json.loads(line) == {
        "event": "trade:event",
        "type": 0,
        "data": {"order": 7, "profit": 10.0},
        "seq": 7,
        "time": 1763836800.25,
    }


def fail() -> None:
    raise RuntimeError("a broken reader")


def test_brokenReader(failures: list[LogEvent]) -> None:
    """A reader that fails costs the others nothing, whether they come before or after it; it is logged."""
    readers = [Reader("*"), Reader("*", fail), Reader("*"), Reader("demo")]
    events = attached(*readers)
    events.publish(MIXED)
    events.publish([entry(11)])
    assert [reader.seqs() for reader in (readers[0], readers[2])] == [[7, 8, 9, 10, 11]] * 2
    assert readers[3].seqs() == [7, 10, 11]
    assert [event["log_failure"].type for event in failures] == [RuntimeError] * 2
    failures.clear()


def test_detach() -> None:
    """Who has left gets nothing more, and those with the same mask still do."""
    gone, stays = Reader("demo"), Reader("demo")
    events = attached(gone, stays)
    events.detach(gone)
    events.publish(MIXED)
    assert (gone.seqs(), stays.seqs()) == ([], [7, 10])
    events.detach(stays)
    events.publish(MIXED)
    assert stays.seqs() == [7, 10]


def test_leavingWhileServed() -> None:
    """A reader that leaves upon an event gets no other, and nobody misses one."""
    events = EventLog(MemoryLedger(), Threads())
    leaving = Reader("*", lambda: events.detach(leaving))
    stays = [Reader("*"), Reader("*"), Reader("demo")]
    for reader in (stays[0], leaving, stays[1], stays[2]):
        events.attach(reader)
    events.publish(MIXED[:1])
    events.publish(MIXED[3:])
    assert leaving.seqs() == [7]
    assert [reader.seqs() for reader in stays] == [[7, 10]] * 3


# -- in the daemon --------------------------------------------------------------------------------------


def listening(daemon: Daemon, **claims: Any) -> Any:
    session = daemon.connect(token(**claims))
    session.send("Ping", "hello")
    assert [answer["status"] for answer in session.answers()] == [200]
    return session


def test_whoGetsEvents() -> None:
    """Managers, dealers and admins get events of their groups; other roles and strangers get none."""
    daemon = Daemon()
    staff = [listening(daemon, role=role) for role in (1, 2, 3)]
    narrow = listening(daemon, groups="real-*")
    others = [listening(daemon, role=role, login=1001) for role in (0, 4, 5, 9, 10, 11)]
    stranger = daemon.connect()
    asking = daemon.staff()
    asking.deposit("a")
    asking.deposit("b", login=2001)
    daemon.settle()
    assert [inShort(session.lines()) for session in staff] == [[*ofDeposits(6), *ofDeposits(8)]] * 3
    assert inShort(narrow.lines()) == ofDeposits(8)
    assert [session.raw() for session in (*others, stranger)] == [b""] * 7


def test_everyEventOnceWithoutAGap() -> None:
    """Over many batches a reader of everything gets each entry of the log once, numbered without a gap."""
    daemon = Daemon(batchMax=3)
    reader, asking = daemon.staff(), daemon.staff()
    for i in range(20):
        asking.deposit(str(i))
        if i % 4 == 0:
            daemon.settle()
    daemon.settle()
    assert inShort(reader.lines()) == ofDeposits(6, 20)


def test_expired() -> None:
    """A session whose token has expired gets no events, and, when it shows a new one, first those that it missed."""
    daemon = Daemon()
    now = NOW_MS / 1000
    brief = listening(daemon, exp=int(now) + 60)
    asking = daemon.staff()
    daemon.clock.advance(59.7)
    asking.deposit("a")
    daemon.settle()
    assert inShort(brief.lines()) == ofDeposits(6)
    daemon.clock.advance(0.1)
    asking.deposit("b")
    daemon.settle()
    assert brief.lines() == [{"event": "token:expired", "data": {"seq": 7}}]
    asking.deposit("b2")
    daemon.settle()
    assert brief.raw() == b""
    brief.token = token(exp=int(now) + 120)
    brief.send("Ping", "again")
    asking.deposit("c")
    daemon.settle()
    assert inShort(brief.lines()) == [*ofDeposits(8, 2, before=10), "again", *ofDeposits(12, before=30)]


def test_narrowerToken() -> None:
    """Events follow the session's latest token: with a narrower mask it gets fewer, as a plain user none."""
    daemon = Daemon()
    session, asking = daemon.staff(), daemon.staff()
    for i, claims in enumerate([{"groups": "real-*"}, {"role": 0, "login": 1001}, {"groups": "demo"}]):
        session.token = token(**claims)
        session.send("Ping", "x")
        assert [answer["status"] for answer in session.lines()] == [200]
        asking.deposit(f"{i}a")
        asking.deposit(f"{i}b", login=2001)
        daemon.settle()
        assert inShort(session.lines()) == [ofDeposits(8), [], ofDeposits(14, before=20)][i]


def test_refusalsAreForAuditsOnly() -> None:
    """What was refused is told to who audits, in its place and with who asked; to nobody else, nor counted as told."""
    audit, all, some = Reader("*"), Reader("*"), Reader("demo,")
    audit.interest = Audit(EVERYTHING)
    refused = replace(entry(8, "", REFUSAL), data=Json('{"reason":"RET_X"}'), key=None)
    entries = [entry(7), refused, entry(9, "real-eu")]
    events = attached(audit, all, some)
    events.publish(entries)
    events.publish([replace(refused, seq=10)])
    assert [reader.seqs() for reader in (audit, all, some)] == [[7, 8, 9, 10], [7, 9], [7]]
    assert events.told == 2
    assert json.loads(audit.pieces[-1][0])["data"] == {
        "login": 1001,
        "order": 8,
        "principal": "crm",
        "key": None,
        "refusal": {"reason": "RET_X"},
    }
    events.detach(audit)
    events.publish([replace(refused, seq=11)])
    assert [reader.seqs() for reader in (audit, all, some)] == [[7, 8, 9, 10], [7, 9], [7]]
