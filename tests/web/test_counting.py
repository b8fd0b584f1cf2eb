"""What is counted is what was answered; and no label grows with what peers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from twisted.logger import LogEvent

from scalemgr.wire.codes import RetCode
from scalemgr.wire.errors import LedgerFailed, ManagerError, Refused

from ..helpers import LIMITS, Session, WatchedLedger, fresh, thirdParty, token
from .house import Windowed, summed


def late(house: Windowed, session: Session, ledger: WatchedLedger) -> None:
    """Two deposits whose time is up: one that is being committed, and one that is queued."""
    house.daemon.ledgerThread.held = True
    for _ in range(2):
        session.deposit(fresh(), timeout_ms=100)
        house.daemon.settle()
    house.clock.pump([0.05] * 4)
    house.daemon.ledgerThread.release()


def full(house: Windowed, session: Session, ledger: WatchedLedger) -> None:
    """A deposit that the disk has no room for."""
    ledger.failures = [LedgerFailed("the disk is full", outcome="void")]
    session.deposit(fresh())


DOINGS: dict[str, Callable[[Windowed, Session, WatchedLedger], None]] = {
    "deposit": lambda house, session, ledger: session.deposit(fresh()),
    "plain": lambda house, session, ledger: session.deposit(fresh(), command="BalanceIn"),
    "again": lambda house, session, ledger: session.deposit("the-same", 5.0),
    "conflict": lambda house, session, ledger: session.deposit("the-same", 6.0),
    "refused": lambda house, session, ledger: session.deposit(fresh(), login=999),
    "wrong": lambda house, session, ledger: session.send("BalanceInSync", fresh(), {"login": "x"}),
    "unknown": lambda house, session, ledger: session.send(f"No{fresh()}", fresh()),
    "noise": lambda house, session, ledger: session.sendRaw(b"{]\r\n"),
    "stranger": lambda house, session, ledger: session.send("Ping", fresh(), __token="no.such.token"),
    "ping": lambda house, session, ledger: session.send("Ping", fresh()),
    "late": late,
    "full": full,
}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(sorted(DOINGS)), max_size=25))
def test_sumsAgree(kinds: list[str]) -> None:
    """Whatever is asked, each answer is counted once, under its status; and so is what else it was: a time-out by its
    outcome, a repeat, a conflict, a refused token."""
    ledger = WatchedLedger()
    house = Windowed(ledger)
    # Else the fifth bad token would be the session's end, and what is asked after it no request.
    house.daemon.factory.limits = replace(house.daemon.factory.limits, badTokensMax=1000)
    session = house.daemon.staff()
    for kind in ["again", *kinds]:
        DOINGS[kind](house, session, ledger)
        house.daemon.settle()
        house.clock.pump([0.1] * 3)
    answers = session.answers()
    found = house.metrics()
    byStatus: Counter[str] = Counter()
    for (name, labels), value in found.items():
        if name == "scalemgr_requests_total":
            byStatus[labels[1]] += int(value)
    # The first was the session's hello.
    assert byStatus == Counter(["200", *(str(answer["status"]) for answer in answers)])
    timed = summed(found, "scalemgr_request_seconds_count") + summed(found, "scalemgr_wait_seconds_count")
    assert timed == len(answers) + 1
    outcomes = Counter(answer["data"]["outcome"] for answer in answers if answer["status"] == 504)
    for outcome in ("void", "pending"):
        assert found["scalemgr_timeouts_total", (outcome,)] == outcomes[outcome]
    assert found["scalemgr_replays_total", ()] == sum(answer.get("replayed", False) for answer in answers)
    reasons = Counter(answer["data"].get("reason") for answer in answers)
    assert found["scalemgr_conflicts_total", ()] == reasons["RET_ERR_DUPLICATE"]
    assert found["scalemgr_refused_tokens_total", ()] == kinds.count("stranger")
    assert found["scalemgr_commit_failures_total", ()] == kinds.count("full")
    assert found["scalemgr_log_seq", ()] == ledger.book.seq
    assert (found["scalemgr_waiters", ()], found["scalemgr_queue", ()]) == (0, 0)
    committed = sum(len(batch) for batch in ledger.batches[1:])
    assert found["scalemgr_batch_requests_sum", ()] == committed
    assert found["scalemgr_batch_requests_bucket", ("+Inf",)] == sum(1 for batch in ledger.batches[1:] if batch)
    house.close()


def test_unknownCommandsAreOne() -> None:
    """Ten thousand commands that there are not, from a peer and from strangers, are one label and no more memory."""
    house = Windowed()
    session = house.daemon.staff()
    session.send("Nonsense", 1)
    session.sendRaw(b"noise\r\n")
    before = house.metrics().keys()
    for n in range(10_000):
        session.send(f'Unknown{n}"\\\n', n)
    found = house.metrics()
    assert found.keys() == before
    assert found["scalemgr_requests_total", ("invalid", "404")] == 10_001
    assert found["scalemgr_requests_total", ("invalid", "400")] == 1
    assert list(house.counting.series) == ["Ping", ""]
    house.close()


def test_statusesOfPluginsAreBounded(failures: list[LogEvent]) -> None:
    """A plugin whose statuses are anything at all has only so many: those that are none are a failure of it."""
    statuses = iter([200, 299, 7, 10**9, *range(10_000, 10_100)])
    house = Windowed(also=[thirdParty(lambda context: {"__status": next(statuses)})])
    session = house.daemon.staff()
    for n in range(104):
        session.send("ThirdParty", n)
    found = house.metrics()
    of = {
        labels[1]: value
        for (name, labels), value in found.items()
        if labels[:1] == ("ThirdParty",) and "_total" in name
    }
    assert of == {"200": 1, "299": 1, "500": 102}
    assert len(failures) == 102
    failures.clear()
    house.close()


def test_refusalsOfPluginsAreBounded(failures: list[LogEvent]) -> None:
    """Nor has one that refuses with statuses that are none more than one of them."""
    statuses = iter([404, 599, 600, 99, *range(10_000, 10_100)])

    def refuse(context: Any) -> Any:
        raise ManagerError("no", status=next(statuses))

    house = Windowed(also=[thirdParty(refuse)])
    session = house.daemon.staff()
    for n in range(104):
        session.send("ThirdParty", n)
    assert house.counting.series["ThirdParty"].statuses == {404: 1, 599: 1, 500: 102}
    assert len(failures) == 102
    failures.clear()
    house.close()


def test_refusalsWithoutARequest() -> None:
    """What a session refuses by itself is counted, too: an extID in use under its command, a line that is too long, and
    one that has no end."""
    house = Windowed()
    session = house.daemon.staff()
    house.daemon.ledgerThread.held = True
    session.deposit("one", 10.0, idempotency_key="a")
    session.deposit("one", 10.0, idempotency_key="b")
    session.sendRaw(b"x" * 70_000)
    found = house.metrics()
    assert found["scalemgr_requests_total", ("BalanceInSync", "409")] == 1
    assert found["scalemgr_requests_total", ("invalid", "400")] == 1
    assert found["scalemgr_conflicts_total", ()] == 1
    house.daemon.ledgerThread.release()
    house.close()


def test_questionsThatAreLate() -> None:
    """A question that is answered with 504 is a time-out whose outcome is none of money's."""

    def late(context: Any) -> Any:
        raise ManagerError("too late", status=504, outcome="whatever")

    house = Windowed(also=[thirdParty(late)])
    session = house.daemon.staff()
    session.send("ThirdParty", 1)
    assert house.metrics()["scalemgr_timeouts_total", ("question",)] == 1
    house.close()


def test_caps() -> None:
    """A deposit that a cap forbids is counted by the cap, once however often it is repeated; what a plugin calls a cap
    is not."""

    def refuse(context: Any) -> Any:
        raise Refused("no", RetCode.RET_TRADE_LIMIT_REACHED, cap=next(said))

    said = iter(["moon", ["amount"], None])
    house = Windowed(also=[thirdParty(refuse)])
    capped = house.daemon.connect(token("psp", max_amount={"USD": 10}, max_per_day={"USD": 15}))
    other = house.daemon.connect(token("eur", max_amount={"EUR": 10}))
    for session, key, amount in (
        (capped, "a", 10.01),
        (capped, "a", 10.01),
        (capped, "b", 10.0),
        (capped, "c", 10.0),
        (capped, "d", 10.0),
        (other, "e", 1.0),
    ):
        session.deposit(key, amount)
        house.daemon.settle()
    assert [answer["status"] for answer in capped.answers()] == [409, 409, 200, 409, 409]
    for n in range(3):
        other.send("ThirdParty", n)
    found = house.metrics()
    assert {labels: value for (name, labels), value in found.items() if name == "scalemgr_capped_total"} == {
        ("amount",): 1,
        ("day",): 2,
        ("currency",): 1,
    }
    house.close()


def test_waitingAndAnsweringAreApart() -> None:
    """How long a deposit waited for its event is in the one histogram, how long a refusal of it took in the other."""
    house = Windowed()
    session = house.daemon.staff()
    house.daemon.ledgerThread.held = True
    session.deposit(fresh())
    house.daemon.settle()
    house.clock.advance(0.75)
    assert house.metrics()["scalemgr_oldest_waiter_seconds", ()] == 0.75
    house.daemon.ledgerThread.release()
    house.daemon.settle()
    session.deposit(fresh(), amount="x")
    found = house.metrics()
    assert found["scalemgr_wait_seconds_bucket", ("BalanceInSync", "0.5")] == 0
    assert found["scalemgr_wait_seconds_bucket", ("BalanceInSync", "1.0")] == 1
    assert found["scalemgr_wait_seconds_sum", ("BalanceInSync",)] == 0.75
    assert found["scalemgr_request_seconds_bucket", ("BalanceInSync", "0.00025")] == 1
    assert found["scalemgr_commit_seconds_sum", ()] == 0.75
    house.close()


def test_doors() -> None:
    """Connections that are one too many are counted, and so is what waits for sessions that do not read, and those of
    them that are cut off."""
    house = Windowed(limits=replace(LIMITS, sessionsMax=2, bufferBytesMax=2000))
    session, listener = house.daemon.staff(), house.daemon.staff()
    house.daemon.connect()
    listener.protocol.peerReads(False)
    session.deposit(fresh())
    house.daemon.settle()
    assert house.metrics()["scalemgr_unread_bytes", ()] == house.daemon.factory.unread.bytes > 0
    for _ in range(10):
        session.deposit(fresh())
        house.daemon.settle()
    found = house.metrics()
    assert found["scalemgr_connections_refused_total", ("sessions",)] == 1
    assert found["scalemgr_slow_readers_total", ()] == 1
    assert found["scalemgr_sessions", ()] == 2
    listener.lose()
    other = house.daemon.staff()
    house.daemon.factory.unread.add(other.protocol, LIMITS.unreadBytesMax + 1)
    assert house.metrics()["scalemgr_slow_readers_total", ()] == 2
    other.lose()
    found = house.metrics()
    assert (found["scalemgr_sessions", ()], found["scalemgr_unread_bytes", ()]) == (1, 0)
    house.close()


def test_whenTheFirstTokenEnds() -> None:
    """It is told of all sessions that are open when the first of their tokens ends; nothing, if none does; and one that
    shows another stands on that."""
    house = Windowed()
    name = "scalemgr_token_expires_seconds", ()
    house.daemon.connect()
    house.daemon.staff()
    assert name not in house.metrics()
    soon, later = (house.daemon.connect(token(exp=house.clock.seconds() + seconds)) for seconds in (60, 600))
    for session in (later, soon):
        session.send("Ping", 1)
    assert house.metrics()[name] == 60
    house.clock.advance(10)
    assert house.metrics()[name] == 50
    soon.send("Ping", 2, __token=token(exp=house.clock.seconds() + 300))
    assert house.metrics()[name] == 300
    house.clock.advance(310)
    assert house.metrics()[name] == -10
    soon.lose()
    assert house.metrics()[name] == 280
    later.lose()
    assert name not in house.metrics()
    house.close()


COUNTERS = """requests timeouts replays conflicts commit_failures events connections_refused slow_readers rate_limited
capped refused_tokens projector_restarts"""
HISTOGRAMS = "request_seconds wait_seconds batch_requests commit_seconds"
GAUGES = """waiters oldest_waiter_seconds queue ledger_away log_seq views_behind sessions unread_bytes ledger_bytes
ledger_free_bytes certificate_expires_seconds token_expires_seconds draining ready info"""


def test_everySeriesIsThere() -> None:
    """A page has all the series that dashboards and alerts are made of, each with a type and words of help."""
    house = Windowed(certificateExpires=lambda: house.clock.seconds() + 60)
    session = house.daemon.connect(token(exp=house.clock.seconds() + 60))
    session.deposit(fresh())
    # An entry of the log that nobody is told of.
    session.deposit(fresh(), amount=-1000.0, command="BalanceOutSync")
    house.daemon.settle()
    assert sorted(answer["status"] for answer in session.answers()) == [200, 409]
    families = {f.name: f for f in text_string_to_metric_families(house.ask("/metrics").text)}
    ours = {name: family.type for name, family in families.items() if name.startswith("scalemgr_")}
    assert ours == {
        f"scalemgr_{name}": kind
        for kind, names in (("counter", COUNTERS), ("histogram", HISTOGRAMS), ("gauge", GAUGES))
        for name in names.split()
    }
    assert all(families[name].documentation.endswith(".") for name in ours)
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info"} <= families.keys()
    [info] = families["scalemgr_info"].samples
    assert info.labels["epoch"] == house.daemon.ledger.epoch
    assert house.metrics()["scalemgr_certificate_expires_seconds", ()] == 60
    # A deposit is two events; nobody else than the session listens.
    assert house.metrics()["scalemgr_events_total", ()] == 2
    house.close()
