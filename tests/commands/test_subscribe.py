"""Nothing missed: what a session gets that comes back, and when it is told that it cannot have it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from scalemgr.finance.records import BROADCAST
from scalemgr.runtime.replay import PAGE

from ..helpers import LIMITS, NOW_MS, Daemon, Session, byStatus, ofDeposits, token

EVENTS = sorted(BROADCAST)
#: So many deposits are a page of entries.
PAGEFUL = PAGE // 2


def grown(daemon: Daemon, count: int, **more: Any) -> None:
    """Deposit 10.00 so many times, and look away."""
    session = daemon.staff()
    for _ in range(count):
        session.deposit(None, **more)
        if not _ % 100:
            daemon.settle()
    daemon.settle()
    session.protocol.cutOff()
    session.lose()


def resume(session: Session, fromSeq: int, extID: object = "sub", **more: Any) -> None:
    session.send("Subscribe", extID, {"chanels": EVENTS, "from_seq": fromSeq, **more})


def whole(deposits: int) -> list[str]:
    """All events of a log in short: two groups, three users, and so many deposits on one account."""
    return ["1", "2", "3", "4", "5", *ofDeposits(6, deposits)]


def test_inOrder() -> None:
    """First the answer, then what was missed, then the mark, then live events."""
    daemon = Daemon()
    grown(daemon, 2)
    session = daemon.staff()
    resume(session, 4, epoch=daemon.ledger.epoch)
    grown(daemon, 2)
    lines = session.lines()
    assert byStatus(lines) == [200, "5", *ofDeposits(6, 2), "replay:done", *ofDeposits(10, 2, before=20)]
    assert lines[0]["data"] == {"chanels": EVENTS, "epoch": daemon.ledger.epoch, "seq": 9}
    assert lines[6] == {"event": "replay:done", "data": {"seq": 9, "epoch": daemon.ledger.epoch}}


# From 1 on PAGEFUL - 2 is just a page; from 0 on it is one entry more, and PAGEFUL - 3 is one less.
@pytest.mark.parametrize("count", [0, PAGEFUL - 3, PAGEFUL - 2, 2 * PAGEFUL])
@pytest.mark.parametrize("fromSeq", [0, 1])
def test_acrossPages(count: int, fromSeq: int) -> None:
    """However long the log is, all of it comes, once."""
    daemon = Daemon()
    grown(daemon, count)
    session = daemon.staff()
    resume(session, fromSeq)
    grown(daemon, 1)
    came = byStatus(session.lines())
    assert came.index("replay:done") == 1 + 5 - fromSeq + 2 * count
    came.remove("replay:done")
    assert came == [200, *whole(count + 1)[fromSeq:]]


def test_fromTheHead() -> None:
    """Who has missed nothing gets the mark at once."""
    daemon = Daemon()
    session = daemon.staff()
    resume(session, 5)
    assert byStatus(session.lines()) == [200, "replay:done"]


def test_live() -> None:
    """Without a number there are live events only, and no mark; what is served by nobody is named, and silent."""
    daemon = Daemon()
    session = daemon.staff()
    session.send("Subscribe", "sub", {"chanels": ["EURUSD", "user:event", "trade:event"]})
    grown(daemon, 1)
    lines = session.lines()
    assert byStatus(lines) == [200, "6"]
    assert lines[0]["data"]["chanels"] == ["trade:event", "user:event", "EURUSD"]


@pytest.mark.parametrize(("fromSeq", "epoch"), [(6, None), (2**53 - 1, None), (0, "another"), (3, "")])
def test_resync(fromSeq: int, epoch: str | None) -> None:
    """Another log, or a number beyond the head, is a 410 with where the log is; live events go on."""
    daemon = Daemon()
    session = daemon.staff()
    resume(session, fromSeq, epoch=epoch)
    [answer] = session.lines()
    assert (answer["status"], answer["data"]["error"]) == (410, "RESYNC_REQUIRED")
    assert (answer["data"]["epoch"], answer["data"]["seq"]) == (daemon.ledger.epoch, 5)
    grown(daemon, 1)
    assert byStatus(session.lines()) == ofDeposits(6)


@pytest.mark.parametrize(("epoch", "status"), [("another", 410), (None, 200)])
def test_epochAlone(epoch: str | None, status: int) -> None:
    """Who names a log wants that one, also if only for what comes from now on."""
    daemon = Daemon()
    session = daemon.staff()
    session.send("Subscribe", "sub", {"chanels": ["trade:event"], "epoch": epoch or daemon.ledger.epoch})
    assert byStatus(session.lines()) == [status]
    grown(daemon, 1)
    # Who was refused has chosen nothing, and gets both events.
    assert byStatus(session.lines()) == (["6"] if status == 200 else ofDeposits(6))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"chanels": []},
        {"chanels": "trade:event"},
        {"chanels": [7]},
        {"chanels": ["trade:event"], "from_seq": -1},
        {"chanels": ["trade:event"], "from_seq": "0"},
        {"chanels": ["trade:event"], "from_seq": 1.5},
        {"chanels": ["trade:event"], "from_seq": 2**53},
        {"chanels": ["trade:event"], "from_seq": 0, "epoch": 7},
    ],
)
def test_malformed(data: dict[str, Any]) -> None:
    """What is malformed is refused, and changes nothing about what the session gets."""
    daemon = Daemon()
    session = daemon.staff()
    session.send("Subscribe", "sub", data)
    assert byStatus(session.lines()) == [400]
    grown(daemon, 1)
    assert byStatus(session.lines()) == ofDeposits(6)


def test_whoMayNot() -> None:
    """Who gets no events live gets none that were missed."""
    session = Daemon().connect(token(role=0, login=1001))
    resume(session, 0)
    assert byStatus(session.lines()) == [403]


def test_mask() -> None:
    """What was missed is what the session may see, and the numbers say nothing about the rest."""
    daemon = Daemon()
    grown(daemon, 2)
    grown(daemon, 1, login=2001)
    session = daemon.connect(token(groups="real-*"))
    resume(session, 0)
    grown(daemon, 1)
    grown(daemon, 1, login=2001)
    assert byStatus(session.lines()) == [200, "2", "5", *ofDeposits(10), "replay:done", *ofDeposits(14, before=10)]


def test_oneAtATime() -> None:
    """A second replay on a session that is still at the first is refused, and the first goes on."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.replayThread.held = True
    resume(session, 3, "one")
    resume(session, 0, "two")
    daemon.replayThread.release()
    assert byStatus(session.lines()) == [200, 409, "4", "5", "replay:done"]
    resume(session, 4, "three")
    assert byStatus(session.lines()) == [200, "5", "replay:done"]


def test_answersMeanwhile() -> None:
    """A session that is at a replay is answered as ever; its own events come once, after the answer."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.replayThread.held = True
    resume(session, 3)
    session.deposit("a")
    daemon.settle()
    assert byStatus(session.lines()) == [200, 200]
    daemon.replayThread.release()
    assert byStatus(session.lines()) == ["4", "5", "replay:done", *ofDeposits(6)]


def test_slowReader() -> None:
    """A reader that does not take the pages gets no more of them, is not cut off for it, and gets all in the end."""
    daemon = Daemon()
    grown(daemon, 3 * PAGEFUL)
    session = daemon.staff()
    producer = session.transport.producer
    daemon.replayThread.held = True
    resume(session, 0)
    producer.pauseProducing()
    daemon.replayThread.step()
    assert daemon.replayThread.waiting() == 0
    grown(daemon, 10)
    producer.resumeProducing()
    daemon.replayThread.release()
    came = byStatus(session.lines())
    came.remove("replay:done")
    assert came == [200, *whole(3 * PAGEFUL + 10)]


def test_flushThatFillsTheTransport() -> None:
    """If what has piled up fills the transport again at once, no page is read until it has left, too."""
    daemon = Daemon()
    grown(daemon, 3 * PAGEFUL)
    session = daemon.staff()
    producer, write = session.transport.producer, session.transport.write
    daemon.replayThread.held = True
    resume(session, 0)
    producer.pauseProducing()
    session.send("Ping", "piles up")

    def fill(data: bytes) -> None:
        write(data)
        producer.pauseProducing()

    session.transport.write = fill  # type: ignore[method-assign]
    producer.resumeProducing()
    daemon.replayThread.step()
    assert daemon.replayThread.waiting() == 0
    session.transport.write = write  # type: ignore[method-assign]
    producer.resumeProducing()
    daemon.replayThread.release()
    assert byStatus(session.lines())[-1] == "replay:done"


def test_laggedThenResumed() -> None:
    """A live reader that is cut off is told how far it came, and going on from there misses and repeats nothing."""
    daemon = Daemon(limits=replace(LIMITS, bufferBytesMax=2000))
    session = daemon.staff()
    session.transport.producer.pauseProducing()
    grown(daemon, 20)
    *lines, last = session.lines()
    assert last == {"event": "lagged", "data": {"seq": lines[-1]["seq"]}}
    again = daemon.staff()
    resume(again, last["data"]["seq"])
    came = [said for said in byStatus(lines) + byStatus(again.lines())[1:] if said != "replay:done"]
    assert came == ofDeposits(6, 20)


def test_laggedBeforeAnything() -> None:
    """A reader that was cut off before its first event is told where it began."""
    daemon = Daemon(limits=replace(LIMITS, bufferBytesMax=10))
    session = daemon.staff()
    session.transport.producer.pauseProducing()
    grown(daemon, 1)
    assert session.lines() == [{"event": "lagged", "data": {"seq": 5}}]


def test_halfClosedMeanwhile() -> None:
    """A peer that asks and closes its own side gets all that it asked for, with the mark, and then the end."""
    daemon = Daemon()
    grown(daemon, 2 * PAGEFUL)
    session = daemon.staff()
    daemon.replayThread.held = True
    resume(session, 0)
    session.protocol.readConnectionLost()
    daemon.replayThread.step()
    assert not session.transport.disconnecting
    daemon.replayThread.release()
    assert byStatus(session.lines()) == [200, *whole(2 * PAGEFUL), "replay:done"]
    assert session.transport.disconnecting


def test_expiresWhileHalfClosed() -> None:
    """A peer that closed its side can show no other token: when its own has expired there is nothing to wait for."""
    daemon = Daemon()
    session = daemon.connect(token(exp=NOW_MS // 1000 + 10))
    session.send("Ping", 1)
    daemon.replayThread.held = True
    resume(session, 0)
    session.protocol.readConnectionLost()
    daemon.clock.advance(20)
    daemon.replayThread.release()
    assert byStatus(session.lines()) == [200, 200, "token:expired"]
    assert session.transport.disconnecting


def test_lostMeanwhile() -> None:
    """A session that goes away in the middle leaves nothing behind."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.replayThread.held = True
    resume(session, 0)
    session.lose()
    session.lines()
    daemon.replayThread.release()
    assert session.raw() == b""
    assert daemon.events._readers == {}


def test_logCannotBeRead(failures: list[Any]) -> None:
    """If the log cannot be read the session is cut off with how far it came, instead of being left to wait."""
    daemon = Daemon()
    session = daemon.staff()

    def broken(after: int, limit: int) -> Any:
        raise OSError("gone")

    daemon.ledger.entries = broken  # type: ignore[method-assign]
    resume(session, 3)
    assert byStatus(session.lines()) == [200, "replay:failed"]
    assert session.transport.disconnecting
    failures.clear()


# -- tokens --------------------------------------------------------------------------------------------


def test_expiresMeanwhile() -> None:
    """A token that expires in the middle stops the replay; the next one goes on with it, to the mark."""
    daemon = Daemon()
    grown(daemon, 2 * PAGEFUL)
    session = daemon.connect(token(exp=NOW_MS // 1000 + 10))
    session.send("Ping", 1)
    session.lines()
    daemon.replayThread.held = True
    resume(session, 0)
    daemon.replayThread.step()
    daemon.clock.advance(20)
    daemon.replayThread.release()
    first = byStatus(session.lines())
    assert first == [200, *whole(2 * PAGEFUL)[:PAGE], "token:expired"]
    session.token = token()
    session.send("Ping", 2)
    rest = byStatus(session.lines())
    rest.remove(200)
    assert rest == [*whole(2 * PAGEFUL)[PAGE:], "replay:done"]


def test_renewedMeanwhile() -> None:
    """A new token in the middle of a replay does not begin it again, nor end it."""
    daemon = Daemon()
    grown(daemon, 2 * PAGEFUL)
    session = daemon.staff()
    daemon.replayThread.held = True
    resume(session, 0)
    daemon.replayThread.step()
    for note in range(10):
        session.token = token(note=note)
        session.send("Ping", 2)
    # The page that is on its way, and not one more for each token.
    assert daemon.replayThread.waiting() == 1
    daemon.replayThread.release()
    lines = [line for line in session.lines() if "event" in line]
    assert byStatus(lines) == [*whole(2 * PAGEFUL), "replay:done"]


def test_lesserTokenMeanwhile() -> None:
    """A token that gives no events ends the replay; a better one later begins with live events."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.replayThread.held = True
    resume(session, 0)
    session.token = token(role=0, login=1001)
    session.send("Ping", 2)
    daemon.replayThread.release()
    grown(daemon, 1)
    assert byStatus(session.lines()) == [200, 200]
    session.token = token()
    session.send("Ping", 3)
    grown(daemon, 1)
    assert byStatus(session.lines()) == [200, *ofDeposits(8, before=10)]


def test_missedWhileExpired() -> None:
    """What came between a token and its successor is sent when the successor is shown, without being asked for."""
    daemon = Daemon()
    session = daemon.connect(token(exp=NOW_MS // 1000 + 10))
    session.send("Ping", 1)
    grown(daemon, 1)
    daemon.clock.advance(20)
    grown(daemon, 3)
    assert byStatus(session.lines()) == [200, *ofDeposits(6), "token:expired"]
    session.token = token()
    session.send("Ping", 2)
    grown(daemon, 1)
    lines = byStatus(session.lines())
    lines.remove(200)
    assert lines == ofDeposits(8, 4, before=10)


def test_pingTellsWhatWasTold() -> None:
    """Ping's head is the last entry that was told: nobody is led to believe that an event was missed."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("a")
    daemon.settle()
    session.send("Ping", 1)
    daemon.ledgerThread.release()
    session.send("Ping", 2)
    daemon.settle()
    session.send("Ping", 3)
    heads = [line["data"]["seq"] for line in session.lines() if line.get("extID") in (1, 2, 3)]
    assert heads == [5, 7, 7]
