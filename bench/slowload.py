"""
The load generator where there is no C compiler: the options and the report of C{load.c}, and what it checks, less
C{--rate}. It may well be slower than what it loads, so its figures are lower bounds; the table says so.
"""

from __future__ import annotations

import argparse
import json
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from typing import Any

__all__ = ["main"]

_COMMANDS = {
    "deposit": "BalanceInSync",
    "deposit-plain": "BalanceIn",
    "replay": "BalanceInSync",
    "refusal": "BalanceOutSync",
    "account": "GetAccountByLogin",
    "echo": "BalanceInSync",
    "subscribe": "",
    "catchup": "",
}
_EVENTS = ["trade:event", "balance:event", "user:event", "group:event"]
_PATIENCE_S = 10.0


class _Connection:
    def __init__(self, socket: socket.socket) -> None:
        self.socket = socket
        self.rest = b""
        self.out = b""
        self.seq = 0
        self.closed = False


class Load:
    """One run. What is counted is named as in the report."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._kind = options.kind
        self._isReader = options.kind in ("subscribe", "catchup")
        self._selector = selectors.DefaultSelector()
        self._connections: list[_Connection] = []
        self._slots = options.connections * options.in_flight
        self._rounds = -(-options.keys // self._slots)
        self._turns: list[int] = [0] * self._slots
        # By number, of what is under way.
        self._sent: dict[int, float] = {}
        self._latencies: list[float] = []
        self._sending = self._booking = False
        self._window = (float("inf"), float("inf"))
        self._firstEvent = self._lastEvent = 0.0
        self._done = False
        self.statuses: Counter[int] = Counter()
        self.replayed = self.wrong = self.strays = self.closed = self.unordered = 0
        self.events = self.eventBytes = 0
        self.example = ""
        self.stopped = False
        prefix = options.prefix
        self._head = f'{{"command":"{_COMMANDS[options.kind]}","extID":"{prefix}-'
        comment = "" if options.kind == "account" else ',"comment":"Payment gateway deposit"'
        self._tail = f'{comment}}},"__token":"{options.token}"}}\r\n'

    # -- out --------------------------------------------------------------------------------------------

    def _line(self, number: int) -> bytes:
        """The same number always makes the same line: a repeat must be one."""
        mixed = (number + 1) * 0x9E3779B97F4A7C15 >> 7 & 0xFFFFFFFF
        login = self._options.first_login + mixed % self._options.logins
        cents = 100 + mixed % 99_900 if self._kind != "refusal" else -9_000_000_000 - mixed % 99_900
        amount = "" if self._kind == "account" else f',"amount":{cents / 100:.2f}'
        return f'{self._head}{number}","data":{{"login":{login}{amount}{self._tail}'.encode("ascii")

    def _next(self, slot: int, now: float) -> bytes:
        turn = self._turns[slot]
        self._turns[slot] += 1
        number = (turn % self._rounds if self._kind == "replay" else turn) * self._slots + slot
        self._sent[number] = now
        return self._line(number)

    def _flush(self, connection: _Connection) -> None:
        try:
            sent = connection.socket.send(connection.out) if connection.out else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        connection.out = connection.out[sent:]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.out else 0)
        self._selector.modify(connection.socket, wanted, connection)

    def _close(self, connection: _Connection) -> None:
        self.closed += 1
        connection.closed = True
        self._selector.unregister(connection.socket)
        connection.socket.close()

    # -- in ---------------------------------------------------------------------------------------------

    def _turn(self, timeout: float) -> int:
        ready = self._selector.select(timeout)
        for key, mask in ready:
            connection: _Connection = key.data
            if mask & selectors.EVENT_READ:
                self._read(connection)
            if not connection.closed:
                self._flush(connection)
        return len(ready)

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        now = time.monotonic()
        *lines, connection.rest = (connection.rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b'{"event":'):
                self._event(connection, line, now)
            elif self._isReader:
                if b'"status":200' not in line:
                    self._isWrong(line)
            else:
                self._answer(connection, line, now)

    def _isWrong(self, line: bytes) -> None:
        self.wrong += 1
        self.example = self.example or line.decode("ascii", "replace").strip()

    def _answer(self, connection: _Connection, line: bytes, now: float) -> None:
        answer = json.loads(line)
        prefix, _, number = str(answer.get("extID")).rpartition("-")
        sent = self._sent.pop(int(number), None) if prefix == self._options.prefix and number.isdigit() else None
        if sent is None:
            self.strays += 1
            self.example = self.example or line.decode("ascii", "replace").strip()
            return
        status = 200 if self._kind == "echo" else answer.get("status", 0)
        again = answer.get("replayed") is True
        self.statuses[status] += 1
        self.replayed += again
        expected = 409 if self._kind == "refusal" else 200
        # While keys are booked it may be either: an earlier load may have booked them.
        if status != expected or (again != (self._kind == "replay") and not self._booking):
            self._isWrong(line)
        if self._window[0] <= now < self._window[1]:
            self._latencies.append(now - sent)
        slot = int(number) % self._slots
        if self._sending and not (self._booking and self._turns[slot] >= self._rounds):
            connection.out += self._next(slot, now)

    def _event(self, connection: _Connection, line: bytes, now: float) -> None:
        self._lastEvent = now
        if line.startswith(b'{"event":"replay:done"'):
            self._done = True
            return
        self.events += 1
        self.eventBytes += len(line) + 1
        self._firstEvent = self._firstEvent or now
        if self._isReader:
            seq = int(line.rpartition(b',"seq":')[2].partition(b",")[0] or 0)
            self.unordered += seq <= connection.seq
            connection.seq = seq

    # -- all --------------------------------------------------------------------------------------------

    def run(self) -> int:
        """The load, and the report; the exit status."""
        for _ in range(self._options.connections):
            self._open()
        print("ready", file=sys.stderr, flush=True)
        begin = time.monotonic()
        if self._isReader:
            self._runReader(begin + self._options.seconds)
        else:
            self._runClosed()
        return self._report(begin)

    def _open(self) -> None:
        connection = _Connection(socket.create_connection(("127.0.0.1", self._options.port), 20))
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._kind != "echo":
            command = "SubscribeAll" if self._kind == "subscribe" else "UnsubscribeAll"
            hello = {"command": command, "extID": "hello-0", "data": {}, "__token": self._options.token}
            connection.socket.sendall(json.dumps(hello).encode("ascii") + b"\r\n")
            while True:
                *lines, connection.rest = (connection.rest + connection.socket.recv(65536)).split(b"\n")
                if any(b'"hello-0"' in line for line in lines):
                    break
        connection.socket.setblocking(False)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._connections.append(connection)

    def _startAll(self) -> None:
        now = time.monotonic()
        for i, connection in enumerate(self._connections):
            first = i * self._options.in_flight
            connection.out = b"".join(self._next(first + j, now) for j in range(self._options.in_flight))
            self._flush(connection)

    def _runClosed(self) -> None:
        self._sending = True
        if self._kind == "replay":
            self._booking = True
            self._startAll()
            while self.statuses.total() < self._rounds * self._slots and not self.closed and not self.stopped:
                self._turn(0.1)
            self._booking = False
        start = time.monotonic() + self._options.warmup
        self._window = start, start + self._options.seconds
        self._startAll()
        while (now := time.monotonic()) < self._window[1] and not self.stopped and not self.closed:
            self._turn(min(0.1, self._window[1] - now))
        self._sending = False
        end = time.monotonic() + _PATIENCE_S
        while self._sent and time.monotonic() < end and not self.closed and not self.strays:
            self._turn(0.05)

    def _runReader(self, end: float) -> None:
        if self._kind == "catchup":
            data = {"chanels": _EVENTS, "from_seq": 0}
            ask = {"command": "Subscribe", "extID": "catchup-0", "data": data, "__token": self._options.token}
            self._connections[0].out = json.dumps(ask).encode("ascii") + b"\r\n"
            self._flush(self._connections[0])
        while not self._done and time.monotonic() < end and not self.stopped and not self.closed:
            self._turn(0.1)
        self.wrong += self._kind == "catchup" and not self._done
        # What was sent before it was told to stop is on its way.
        patience = time.monotonic() + _PATIENCE_S
        while self._kind == "subscribe" and time.monotonic() < patience and not self.closed and self._turn(0.1):
            pass

    def _report(self, begin: float) -> int:
        answers, seconds = len(self._latencies), self._options.seconds
        if self._isReader:
            answers = 0
            seconds = self._lastEvent - (begin if self._kind == "catchup" else self._firstEvent)
        errors = self.strays + len(self._sent) + self.closed + self.unordered
        counted = self.events if self._isReader else answers
        ok = not self.wrong and not errors and (self._kind == "subscribe" or counted > 0)
        ordered = sorted(self._latencies) or [0.0]
        report: dict[str, Any] = {
            "kind": self._kind,
            "connections": self._options.connections,
            "in_flight": self._options.in_flight,
            "ok": ok,
            "seconds": round(seconds, 3),
            "answers": answers,
            "timed": len(self._latencies),
            "rate": counted / seconds if seconds > 0 else 0.0,
            **{f"p{n}": round(ordered[int(n / 100 * (len(ordered) - 1))] * 1e6, 1) for n in (50, 90, 99)},
            "max": round(ordered[-1] * 1e6, 1),
            "total": self.statuses.total(),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "replayed": self.replayed,
            "wrong": self.wrong,
            "errors": errors,
            "strays": self.strays,
            "unanswered": len(self._sent),
            "closed": self.closed,
            "unordered": self.unordered,
            "events": self.events,
            "event_bytes": self.eventBytes,
            "rate_asked": 0.0,
            "example": self.example,
        }
        print(json.dumps(report))
        return 0 if ok else 1


def main() -> int:
    """@return: the exit status, as of C{load.c}."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name, kind, default in (
        ("port", int, None),
        ("connections", int, 1),
        ("in-flight", int, 1),
        ("seconds", float, 3.0),
        ("warmup", float, 0.5),
        ("rate", float, 0.0),
        ("token", str, ""),
        ("logins", int, 10_000),
        ("first-login", int, 1001),
        ("prefix", str, f"s{time.time_ns():x}"),
        ("keys", int, 10_000),
    ):
        parser.add_argument(f"--{name}", type=kind, default=default, required=default is None)
    parser.add_argument("--kind", choices=list(_COMMANDS), default="deposit")
    options = parser.parse_args()
    if options.rate:
        parser.error("a fixed rate takes the generator in C: no compiler was found")
    load = Load(options)

    def stop(number: int, frame: object) -> None:
        load.stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return load.run()


if __name__ == "__main__":
    sys.exit(main())
