"""A daemon with a site, and somebody who asks it: no reactor, no sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from scalemgr.interfaces import ILedger, Storage
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.web.counting import Counting
from scalemgr.web.disk import Disk
from scalemgr.web.eyes import Eyes
from scalemgr.web.seen import Seen, noCertificate

from ..helpers import Daemon, Threads

Samples = dict[tuple[str, tuple[str, ...]], float]


class Answer(NamedTuple):
    """What a page said; the names of headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def parsed(data: bytes) -> list[Answer]:
    """The answers in what was sent; each says how long it is."""
    answers = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        answers.append(Answer(int(first.split()[1]), headers, data[:length]))
        data = data[length:]
    return answers


class Visitor:
    """A connection to the site."""

    def __init__(self, house: Windowed, peer: str = "127.0.0.1") -> None:
        address = IPv4Address("TCP", peer, 40_000)
        self._clock = house.clock
        self.channel = house.eyes.site.buildProtocol(address)
        self.transport = StringTransport(peerAddress=address)
        self.channel.makeConnection(self.transport)

    def say(self, data: bytes) -> None:
        """Bytes, as they are; and each request that they are gets its turn."""
        self.channel.dataReceived(data)
        self._clock.advance(0)

    def answers(self) -> list[Answer]:
        """What it was sent since it was last asked, but for HEAD."""
        value = self.transport.value()
        self.transport.clear()
        return parsed(value)

    def lose(self) -> None:
        """The connection breaks."""
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        self.channel.connectionLost(Failure(ConnectionDone()))


class Kept(MemoryLedger):
    """A ledger whose disk is as a test says."""

    kept = Storage("/somewhere", {"log.db": 4096}, 10**12)

    def storage(self) -> Storage:
        return self.kept


class Windowed:
    """
    A daemon, and its site on an address of this machine's own.

    @ivar helper: the thread in which the disk is looked at.
    """

    def __init__(
        self,
        ledger: ILedger | None = None,
        certificateExpires: Callable[[], float | None] = noCertificate,
        **more: Any,
    ) -> None:
        self.counting = Counting(lambda: self.daemon.clock.seconds())
        self.daemon = daemon = Daemon(ledger=ledger or Kept(), watcher=self.counting, **more)
        self.clock = daemon.clock
        self.helper = Threads()
        disk = Disk(daemon.clock, daemon.clock, daemon.ledger, self.helper)
        self.eyes = Eyes(
            Seen(
                daemon.clock,
                daemon.dispatcher,
                daemon.auth,
                daemon.factory,
                self.counting,
                disk,
                certificateExpires,
            )
        )
        self.eyes.guard.isLocal = True
        self.eyes.start()

    def ask(self, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """One request on a connection of its own."""
        visitor = Visitor(self)
        named = {"Host": "127.0.0.1:8081", **(headers or {})}
        if body:
            named["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        visitor.say(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        value = visitor.transport.value()
        visitor.lose()
        if method == "HEAD":
            head, _, rest = value.decode().partition("\r\n\r\n")
            assert rest == ""
            [answer] = parsed(f"{head}\r\n\r\n".encode())
            return answer
        [answer] = parsed(value)
        return answer

    def metrics(self) -> Samples:
        """What C{/metrics} says: values by name and by the values of the labels, in the order of their names."""
        return samples(self.ask("/metrics").text)

    def close(self) -> None:
        """The end."""
        done: list[Any] = []
        self.eyes.stop().addBoth(done.append)
        self.clock.advance(1)
        assert done == [None]


def samples(text: str) -> Samples:
    """What a page of metrics says."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def summed(samples: Samples, name: str) -> float:
    """All values of a name together."""
    return sum(value for (of, _), value in samples.items() if of == name)
