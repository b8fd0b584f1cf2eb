"""Who watches is told of every request that was answered, once, and of nothing else."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from scalemgr.interfaces import IContext, IWatcher, Told

from ..helpers import Daemon, thirdParty, token


@implementer(IWatcher)
class Watching:
    """Remembers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.all: list[Told] = []

    def seconds(self) -> float:
        return self.now

    def told(self, told: Told) -> None:
        self.all.append(told)


def short(told: Told) -> tuple[Any, ...]:
    """What a request was, and came to."""
    return told.command, told.extID, told.principal, told.login, told.order, told.status, told.replayed


def test_deposit() -> None:
    """A deposit is told when it is answered, with its account, its order and how long it took; a repeat as a repeat."""
    watching = Watching()
    daemon = Daemon(watcher=watching)
    session = daemon.staff()
    watching.all.clear()
    session.deposit("pay-1", 10.0)
    assert not watching.all
    watching.now = 1.5
    daemon.settle()
    session.deposit("pay-1", 10.0)
    daemon.settle()
    first, _ = session.answers()
    order = first["data"]["order"]
    assert [short(told) for told in watching.all] == [
        ("BalanceInSync", '"pay-1"', "crm", 1001, order, 200, False),
        ("BalanceInSync", '"pay-1"', "crm", 1001, order, 200, True),
    ]
    assert [told.seconds for told in watching.all] == [1.5, 0.0]


def test_refusals() -> None:
    """Of what is refused, the refusal is told; of a stranger no name, and of an unknown command neither."""
    watching = Watching()
    daemon = Daemon(watcher=watching)
    daemon.connect().send("Ping", "stranger")
    session = daemon.connect(token())
    session.send("Pong", "unknown")
    session.send("BalanceInSync", "wrong", {"login": "x"})
    session.deposit("nobody", 10.0, login=999)
    daemon.settle()
    assert [short(told) for told in watching.all] == [
        ("", '"stranger"', "", 0, 0, 401, False),
        ("", '"unknown"', "crm", 0, 0, 404, False),
        ("BalanceInSync", '"wrong"', "crm", 0, 0, 400, False),
        ("BalanceInSync", '"nobody"', "crm", 999, 0, 401, False),
    ]
    assert [told.error.code.name for told in watching.all if told.error is not None] == [
        "RET_UNAUTHORIZED",
        "RET_INVALID_METHOD",
        "RET_INVALID_DATA",
        "RET_USER_NOT_FOUND",
    ]


def test_later() -> None:
    """A command that takes its time is told when it is answered, be it with a bug of ours."""
    watching = Watching()
    later: Deferred[dict[str, Any]] = Deferred()
    daemon = Daemon(watcher=watching, also=[thirdParty(lambda context: later)])
    session = daemon.staff()
    watching.all.clear()
    session.send("ThirdParty", "slow")
    watching.now = 3.0
    later.callback({"__status": 202, "order": 7})
    assert [(*short(told), told.seconds) for told in watching.all] == [
        ("ThirdParty", '"slow"', "crm", 0, 7, 202, False, 3.0)
    ]


def test_linesThatAreNoRequests() -> None:
    """What a session refuses without asking anybody is told, too: a line that is no JSON, an extID in use under the
    command's own name, and the last word to a peer whose line is too long."""
    watching = Watching()
    daemon = Daemon(watcher=watching)
    session = daemon.staff()
    watching.all.clear()
    session.sendRaw(b"noise\r\n")
    session.deposit("one", idempotency_key="a")
    session.deposit("one", idempotency_key="b")
    session.sendRaw(b"x" * 100_000)
    assert [short(told) for told in watching.all] == [
        ("", "null", "crm", 0, 0, 400, False),
        ("BalanceInSync", '"one"', "crm", 0, 0, 409, False),
        ("", "null", "crm", 0, 0, 400, False),
    ]


def test_waiting() -> None:
    """Of an answer it is told whether it waited for an event: that of a sync command does, unless it is refused at
    once; no other does, however long it takes."""
    watching = Watching()

    async def later(context: IContext) -> dict[str, Any]:
        return {"__deferred": {"kind": "x", "event": "trade:event", "type": 0, "order": 77, "timeout": 100}}

    daemon = Daemon(watcher=watching, also=[thirdParty(later)])
    session = daemon.staff()
    watching.all.clear()
    session.deposit("sync")
    session.deposit("plain", command="BalanceIn")
    session.deposit("refused", login="x")
    session.send("ThirdParty", "later")
    daemon.clock.pump([0.0, 0.1, 0.1])
    assert {told.extID: (told.status, told.waited) for told in watching.all} == {
        '"sync"': (200, True),
        '"plain"': (200, False),
        '"refused"': (400, False),
        '"later"': (504, True),
    }
