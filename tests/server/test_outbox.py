"""What is said in one go leaves in one write, in the order in which it was said, and none of it is lost."""

from __future__ import annotations

import pytest
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent

from scalemgr.server.outbox import Outbox

from ..helpers import Daemon, Session, inShort, ofDeposits


class Counted(StringTransport):
    """A transport that counts what it is handed."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


def counted(session: Session) -> Counted:
    """A session's transport is one that counts, from here on."""
    session.transport = session.protocol.transport = transport = Counted()
    return transport


def test_oneWriteABatch() -> None:
    """All answers of a batch, and its events, leave for a session in one write, the answers first."""
    daemon = Daemon()
    session, listening = daemon.staff(), daemon.staff()
    transport, heard = counted(session), counted(listening)
    for extID in "abc":
        session.deposit(extID)
    daemon.settle()
    assert (transport.writes, heard.writes) == (1, 1)
    said = inShort(session.lines())
    assert said[:3] == ["a", "b", "c"]
    assert said[3:] == inShort(listening.lines()) == ofDeposits(6, 3)


def test_oneWriteAChunk() -> None:
    """The answers to what came in one chunk leave in one write, refused lines among them."""
    daemon = Daemon()
    session = daemon.staff()
    transport = counted(session)
    session.sendRaw(b'{"command":"Ping","extID":1}\r\nnonsense\r\n{"command":"Ping","extID":2}\r\n')
    assert transport.writes == 1
    assert [(line["extID"], line["status"]) for line in session.answers()] == [(1, 200), (None, 400), (2, 200)]


def test_muchDoesNotGather() -> None:
    """What is more than 64 KiB does not wait for the rest, so what gathers is bounded whatever is asked for."""
    daemon = Daemon()
    session = daemon.staff()
    transport = counted(session)
    session.sendRaw(b"".join(b'{"command":"Ping","extID":"%0180d"}\r\n' % n for n in range(1000)))
    assert 3 < transport.writes < 10
    assert [int(answer["extID"]) for answer in session.answers()] == list(range(1000))


def test_leavesBeforeTheEnd() -> None:
    """What was said before a session is closed is said: the last line of a chunk ends it."""
    daemon = Daemon()
    session = daemon.staff()
    session.sendRaw(b'{"command":"Ping","extID":1}\r\n' + b"x" * 70_000 + b"\r\n")
    assert [(line["extID"], line["status"]) for line in session.answers()] == [(1, 200), (None, 400)]
    assert session.transport.disconnecting


class Speaker:
    """Somebody who has something to say; and, in doing so, may do something else."""

    def __init__(self, said: list[str], name: str, error: Exception | None = None) -> None:
        self._said = said
        self._name = name
        self._error = error

    def flush(self) -> None:
        self._said.append(self._name)
        if self._error is not None:
            raise self._error


def test_within() -> None:
    """What is said within a go within a go leaves at the end of the outer one, each once, first come first."""
    outbox, said = Outbox(), list[str]()
    one, other = Speaker(said, "one"), Speaker(said, "other")
    with outbox:
        outbox.add(one)
        with outbox:
            outbox.add(other)
            outbox.add(one)
        assert outbox.isOpen
        assert said == []
    assert not outbox.isOpen
    assert said == ["one", "other"]


def test_oneThatFails(failures: list[LogEvent]) -> None:
    """One that cannot say what it has keeps no other from it, nor does a go that fails."""
    outbox, said = Outbox(), list[str]()
    with pytest.raises(ZeroDivisionError), outbox:
        outbox.add(Speaker(said, "one", OSError("broken")))
        outbox.add(Speaker(said, "other"))
        raise ZeroDivisionError
    assert said == ["one", "other"]
    assert [str(event["log_failure"].value) for event in failures] == ["broken"]
    failures.clear()
