"""A server that answers lines as a test wants it: C{python -m tests.bench.scripted MODE}."""

from __future__ import annotations

import sys

import ujson
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver


class Scripted(LineReceiver):
    """Answers in batches, backwards and with events in between; and, as asked, something wrong now and then."""

    mode = ""

    def connectionMade(self) -> None:
        self.number = 0
        self.waiting: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        request = ujson.loads(line)
        self.number += 1
        wrong = self.mode if self.number == 20 else ""
        answer = {"extID": request["extID"], "status": 500 if wrong == "status" else 200, "data": {}}
        if wrong == "extID":
            answer["extID"] += "0000001"
        if wrong == "replayed":
            answer = {"extID": answer["extID"], "status": 200, "replayed": True, "data": {}}
        if wrong == "close":
            self.transport.abortConnection()
        if wrong != "silence":
            self.waiting.append(ujson.dumps(answer).encode("ascii"))
        if not reactor.getDelayedCalls():
            reactor.callLater(0.001, self.answerAll)

    def answerAll(self) -> None:
        waiting, self.waiting = self.waiting, []
        for line in reversed(waiting):
            self.sendLine(b'{"event":"trade:event","type":0,"data":{},"seq":1,"time":1.5}')
            self.sendLine(line)


def main() -> None:
    """Serve until killed."""
    Scripted.mode = sys.argv[1]
    port = reactor.listenTCP(0, Factory.forProtocol(Scripted), interface="127.0.0.1")
    print(f"listening on tcp 127.0.0.1:{port.getHost().port}", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
