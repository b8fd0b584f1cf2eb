"""A core with a clock to turn by hand: against a peer that is scripted, and against a whole daemon in memory."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from scalemgr.client.asking import Asked, Told
from scalemgr.client.core import Core
from scalemgr.client.errors import ClientError
from scalemgr.client.following import EVENTS, Follower
from scalemgr.client.patience import RequestSettings
from scalemgr.client.session import Event, Reply

from ..helpers import Daemon, Session, token

#: What the client says of its own accord.
OWN = ("UnsubscribeAll", "Subscribe", "Ping")


class Wire:
    """
    A core, and a peer that says what it is told to.

    @ivar told: what became of what was asked, by waiter.
    @ivar outcomes: what became of what nobody waited for.
    """

    def __init__(self, settings: RequestSettings | None = None, **more: Any) -> None:
        self.now = 1000.0
        self.core = Core(settings or RequestSettings(), Random(7), **more)
        self.told: dict[Any, Reply | ClientError] = {}
        self.outcomes: list[Told] = []
        self.tellings = 0
        self._unread: list[dict[str, Any]] = []

    def ask(self, waiter: Any = "it", command: str = "BalanceInSync", data: Any = None, **more: Any) -> Asked:
        """Ask, by default for a deposit."""
        data = {"login": 1001, "amount": 250} if data is None else data
        asked = self.core.requests.ask(command, data, self.now, waiter=waiter, **more)
        self.turn()
        return asked

    def follow(
        self, fromSeq: int | None = None, epoch: str | None = None, queuedMax: int = 100, **more: Any
    ) -> Follower:
        """Ask for the events."""
        follower = Follower(EVENTS, fromSeq, epoch, queuedMax, **more)
        self.core.follow(follower)
        self.turn()
        return follower

    def connect(self, token: str | None = None, *, isGreeted: bool = True) -> None:
        """There is a connection, and the peer has said something, if it is not silent."""
        self.core.connected(token, self.now)
        self.turn()
        if isGreeted:
            self.say({"extID": "nobody's", "status": 200, "data": {}})

    def lose(self, why: str = "reset") -> None:
        """There is none."""
        self.core.lost(why)
        self.turn()

    def turn(self) -> None:
        """Do what a driver does."""
        sent = self.core.toSend(self.now)
        self._unread += [json.loads(line) for line in sent.splitlines()]
        for told in self.core.requests.takeTold():
            if told.waiter is None:
                self.outcomes.append(told)
            else:
                assert told.waiter not in self.told, "it was told twice"
                self.told[told.waiter] = told.result

    def requests(self) -> list[dict[str, Any]]:
        """What was sent since it was last asked, but for the client's own."""
        return [line for line in self.sent() if line["command"] not in OWN]

    def sent(self) -> list[dict[str, Any]]:
        """All that was sent since it was last asked."""
        unread, self._unread = self._unread, []
        return unread

    def request(self) -> dict[str, Any]:
        """The one request that was sent."""
        (request,) = self.requests()
        return request

    def say(self, line: dict[str, Any]) -> None:
        """The peer says something."""
        self.core.received(json.dumps(line).encode() + b"\r\n", self.now)
        self.turn()

    def answer(self, request: dict[str, Any], status: int = 200, **data: Any) -> None:
        """It answers a request."""
        self.say({"extID": request["extID"], "status": status, "data": data})

    def event(self, seq: int, **data: Any) -> None:
        """It tells an event."""
        self.say({"event": "trade:event", "type": 0, "data": data, "seq": seq, "time": 1.5})

    def advance(self, seconds: float) -> None:
        """Time goes by; it is woken whenever it wants to be."""
        end = self.now + seconds
        for _ in range(10_000):
            wakeAt = self.core.wakeAt
            if wakeAt is None or wakeAt > end:
                break
            self.now = max(self.now, wakeAt)
            self.core.woken(self.now)
            self.turn()
        else:
            raise AssertionError("it never wants to sleep")
        self.now = end
        self.core.woken(end)
        self.turn()

    def nextRequest(self, withinS: float = 10.0) -> dict[str, Any]:
        """The next request, whenever it comes."""
        for _ in range(int(withinS * 100)):
            found = self.requests()
            if found:
                assert len(found) == 1
                return found[0]
            self.advance(0.01)
        raise AssertionError("nothing is sent")


class Joined(Wire):
    """
    A core, and a daemon in memory, joined by bytes that can be cut anywhere.

    @ivar daemon: the daemon.
    """

    def __init__(self, daemon: Daemon | None = None, **more: Any) -> None:
        super().__init__(**more)
        self.daemon = daemon or Daemon()
        self.session: Session | None = None
        # How many bytes may go each way until the connection breaks; None: any number.
        self.upMax: int | None = None
        self.downMax: int | None = None

    def join(self) -> None:
        """Connect to the daemon."""
        self.session = self.daemon.connect()
        self.core.connected(token(), self.now)
        self.pump()

    def part(self) -> None:
        """Break the connection."""
        if self.session is not None:
            self.session.lose()
        self.session = None
        self.lose()

    def pump(self) -> None:
        """Let bytes go both ways until there are no more, or the connection is cut."""
        for _ in range(100):
            if self.session is None:
                return
            up = self.core.toSend(self.now)
            if not self._pass(up, self.session.sendRaw, "upMax"):
                return
            self.daemon.settle()
            down = self.session.raw()
            if not self._pass(down, lambda data: self.core.received(data, self.now), "downMax"):
                return
            self.turn_()
            if not up and not down:
                return
        raise AssertionError("they never fall silent")

    def turn(self) -> None:
        if self.session is None:
            super().turn()
        else:
            self.pump()

    def turn_(self) -> None:
        """Tell what there is to tell."""
        for told in self.core.requests.takeTold():
            if told.waiter is None:
                self.outcomes.append(told)
            else:
                assert told.waiter not in self.told, "it was told twice"
                self.told[told.waiter] = told.result

    def _pass(self, data: bytes, to: Any, bound: str) -> bool:
        left: int | None = getattr(self, bound)
        if left is None or len(data) <= left:
            if left is not None:
                setattr(self, bound, left - len(data))
            if data:
                to(data)
            return True
        setattr(self, bound, None)
        to(data[:left])
        self.daemon.settle()
        self.part()
        return False


def seqs(follower: Follower) -> list[int]:
    """The events that were queued, by their place in the log."""
    taken = follower.take()
    assert all(isinstance(item, Event) for item in taken), taken
    return [item.seq for item in taken if isinstance(item, Event) and item.seq is not None]
