"""
The no-op server: what Twisted and ujson cost, with nothing behind them.

A bare C{LineReceiver} that parses each line and answers something of the size of a booked deposit, with one
C{transport.write} a line: idiomatic, and not tuned. C{python -m bench.noop [STATUS]}.
"""

from __future__ import annotations

import sys
from typing import Any

import ujson
from twisted.internet import reactor
from twisted.internet.protocol import ServerFactory
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
    """
    Answers every line.

    @ivar status: what every answer says.
    """

    status = 200
    transport: Any

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def lineReceived(self, line: bytes) -> None:
        request = ujson.loads(line)
        answer = {"extID": request["extID"], "status": self.status, "data": BOOKED}
        self.sendLine(ujson.dumps(answer).encode("ascii"))


def main() -> None:
    """Serve on a free port of loopback, and say which."""
    if len(sys.argv) > 1:
        Noop.status = int(sys.argv[1])
    factory: Any = ServerFactory.forProtocol(Noop)
    port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
    print(f"listening on tcp 127.0.0.1:{port.getHost().port}", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
