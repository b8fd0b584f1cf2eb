"""
The no-op server: what Twisted and ujson cost, with nothing behind them.

A bare C{LineReceiver} that parses each line and answers something of the size of a booked deposit, with one
C{transport.write} a line: idiomatic, and not tuned. C{python -m bench.noop [STATUS]}.
"""

from __future__ import annotations

import sys

import ujson
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver

# What a booked deposit looks like, so that an answer has about 200 bytes and more, as there.
BOOKED = {
    "order": 1234567,
    "login": 1001,
    "cmd": 6,
    "state": 3,
    "profit": 250.0,
    "comment": "Payment gateway deposit",
    "open_time": 1763836800,
    "close_time": 1763836800,
    "balance_version": 12,
}


class Noop(LineReceiver):
    """Answers every line."""

    factory: NoopFactory

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def lineReceived(self, line: bytes) -> None:
        request = ujson.loads(line)
        answer = {"extID": request["extID"], "status": self.factory.status, "data": BOOKED}
        self.sendLine(ujson.dumps(answer).encode("ascii"))


class NoopFactory(Factory):
    """
    @ivar status: what every answer says.
    """

    protocol = Noop
    noisy = False

    def __init__(self, status: int) -> None:
        self.status = status


def main() -> None:
    """Serve on a free port of loopback, and say which."""
    status = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    port = reactor.listenTCP(0, NoopFactory(status), interface="127.0.0.1")
    print(f"listening on tcp 127.0.0.1:{port.getHost().port}", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
