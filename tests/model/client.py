"""A client of the model test: it asks, and holds each line that comes against the model."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from scalemgr.finance.records import Entry

from ..helpers import Daemon, Session
from .model import EVENTS, Model
from .requests import MASKS, TOKENS, Answer, Asked, Scope

_ANSWER = re.compile(rb'\{"extID":("[^"]*"|null),"status":(\d+)(,"replayed":true)?,"data":(\{.*\})\}\r\n')


class Client:
    """
    A session, seen from its other end.

    @ivar cursor: the last entry of the log up to which it has had all events that it may see and has chosen.
    @ivar chosen: the events that it has chosen; C{None}: it never has.
    @ivar replaying: does it catch up?
    @ivar stalled: does it not read?
    @ivar cutOff: has it been told that it reads too slowly, and that this is the end?
    """

    def __init__(self, daemon: Daemon, model: Model, principal: str) -> None:
        self.principal = principal
        self._daemon = daemon
        self._model = model
        self._waiting: defaultdict[str, list[Asked]] = defaultdict(list)
        self._questions: dict[str, Callable[[Answer], None]] = {}
        self._count = 0
        self.replaying = self.stalled = self.cutOff = False
        self.cursor = daemon.ledger.book.seq
        self.chosen: frozenset[str] | None = None
        # Those chosen in the middle of a replay: nobody knows from where on they come, until something comes.
        self._begun: frozenset[str] = frozenset()
        self._session: Session = daemon.connect(TOKENS[principal])
        self.ping()
        self.mask = MASKS[principal]

    # -- asking -----------------------------------------------------------------------------------------

    def ask(self, asked: Asked, byExtID: bool, timeoutMs: int | None) -> None:
        """
        Ask for something, its key as the extID or beside one that is nobody else's.

        Under one extID, or none, all that is under way asks for the same, or nobody could tell the answers apart;
        nor could they in two forms, if something has to be looked up first, because nobody knows when it was.
        """
        content, key = asked.content, asked.scope[1]
        data = content.data()
        if timeoutMs is not None:
            data["timeout_ms"] = timeoutMs
        extID = key
        others = [
            each
            for each in self._waiting[json.dumps(key)]
            if each.content.said() != content.said() or (content.looksUp and each.sync != asked.sync)
        ]
        if key is not None and (others or not byExtID):
            extID = self._newExtID()
            data["idempotency_key"] = key
        self._waiting[json.dumps(extID)].append(asked)
        self._model.attempts[asked.scope].append(asked)
        self._session.send(asked.command, extID, data)
        # What is said at once is said to this one.
        self.read(asked)

    def waits(self, scope: Scope) -> list[Asked]:
        """What it still waits for under this key."""
        return [asked for waiting in self._waiting.values() for asked in waiting if asked.scope == scope]

    def question(self, key: str, byExtID: bool) -> None:
        """Ask what became of a key."""
        scope = self.principal, key
        question = self._model.question(scope, self._daemon.ledger.book.seq)
        slow = self._daemon.readerThread.held
        waiting = [a for a in self.waits(scope) if not a.content.looksUp and not a.content.malformed()]

        def answered(answer: Answer) -> None:
            if (slow or self._daemon.readerThread.held) and answer.data.get("reason") == "RET_ERR_TIMEOUT":
                return  # Nobody can say for the time being.
            assert answer.status == 200, answer
            now = self._daemon.clock.seconds()
            open = any(asked.state == "open" and asked.until > now for asked in waiting)
            self._model.told(question, answer.data, answer.text, open=open)

        self._ask("GetRequest", {"extID" if byExtID else "idempotency_key": key}, answered)

    def choose(self, command: str, names: frozenset[str]) -> None:
        """Ask for other events from now on."""

        def answered(answer: Answer) -> None:
            assert answer.status == 200, answer
            before, events = self.events, names & EVENTS
            if command == "SubscribeAll":
                self.chosen = None
            elif command == "UnsubscribeAll":
                self.chosen = frozenset()
            elif events and command == "Unsubscribe":
                self.chosen = before - events
            elif events:
                self.chosen = events | (self.chosen or frozenset())
            self._checkChosen(answer)
            if self.replaying:
                self._begun = (self._begun & self.events) | (self.events - before)
            elif self.events != before:
                missing = self._model.visible(self.cursor, self.mask, before)
                assert missing is None or missing > answer.data["seq"], f"{missing} was not sent before {answer}"
                self.cursor = answer.data["seq"]

        self._ask(command, {} if command.endswith("All") else {"chanels": sorted(names)}, answered)

    @property
    def events(self) -> frozenset[str]:
        """Those that it has chosen."""
        return EVENTS if self.chosen is None else self.chosen

    def _checkChosen(self, answer: Answer) -> None:
        told = [name for name in answer.data["chanels"] if name in EVENTS]
        assert told == sorted(self.events), f"chosen are {self.events}, but {answer}"

    def subscribe(self, after: int, epoch: str, names: frozenset[str]) -> None:
        """Ask for all events after one, and then for what comes, these events among others that were chosen."""
        replaying, head = self.replaying, self._daemon.ledger.book.seq
        possible = epoch == self._daemon.ledger.epoch and after <= head

        def answered(answer: Answer) -> None:
            if answer.status == 409:
                assert replaying, f"nothing is being replayed, but {answer}"
            elif answer.status == 410:
                assert not possible, f"{after} of {head}, but {answer}"
                assert answer.data["error"] == "RESYNC_REQUIRED"
                assert (answer.data["epoch"], answer.data["seq"]) == (self._daemon.ledger.epoch, head)
            else:
                assert answer.status == 200, answer
                assert possible, f"{after} of {head}, but {answer}"
                assert not self.replaying, f"something is being replayed, but {answer}"
                self.cursor, self.replaying, self._begun = after, True, frozenset()
                if names & EVENTS:
                    self.chosen = (names & EVENTS) | (self.chosen or frozenset())
                self._checkChosen(answer)

        self._ask("Subscribe", {"chanels": sorted(names), "from_seq": after, "epoch": epoch}, answered)

    def ping(self) -> None:
        """Ask where the log is."""
        expected = {
            "time": self._daemon.clock.seconds(),
            "epoch": self._daemon.ledger.epoch,
            "seq": self._daemon.ledger.book.seq,
        }

        def answered(answer: Answer) -> None:
            assert answer.status == 200, answer
            assert answer.data == expected, answer

        self._ask("Ping", {}, answered)

    def _ask(self, command: str, data: dict[str, Any], answered: Callable[[Answer], None]) -> None:
        extID = self._newExtID()
        self._questions[json.dumps(extID)] = answered
        self._session.send(command, extID, data)

    def _newExtID(self) -> str:
        self._count += 1
        return f"request-{self._count}"

    # -- coming and going -------------------------------------------------------------------------------

    def stall(self, stalled: bool) -> None:
        """Read no more, or again."""
        if stalled != self.stalled:
            self.stalled = stalled
            producer: Any = self._session.transport.producer
            producer.pauseProducing() if stalled else producer.resumeProducing()

    def lose(self) -> None:
        """The connection breaks. What it was waiting for goes its way."""
        self._session.lose()
        for waiting in self._waiting.values():
            for asked in waiting:
                asked.state = "lost"

    # -- hearing ----------------------------------------------------------------------------------------

    def read(self, last: Asked | None = None) -> None:
        """
        Hold all that has come against the model.

        @param last: what an answer must be to, if all else was read before it was asked.
        """
        for line in self._session.raw().splitlines(keepends=True):
            assert not self.cutOff, f"it was said to be the last line, but then {line!r}"
            found = _ANSWER.fullmatch(line)
            if found is None:
                self._hear(line)
            else:
                extID, status, replayed, text = found.groups()
                answer = Answer(extID.decode(), int(status), replayed is not None, text, json.loads(text))
                self._answered(answer, last)
        assert self._session.transport.disconnecting == self.cutOff, "the session was closed"

    def _answered(self, answer: Answer, last: Asked | None) -> None:
        if answer.extID in self._questions:
            assert not answer.replayed, answer
            self._questions.pop(answer.extID)(answer)
            return
        waiting = self._waiting.get(answer.extID, [])
        # All that wait under one extID ask for the same; they differ in the form of the answer.
        fitting = [asked for asked in waiting if answer.status != 200 or asked.sync == ("profit" in answer.data)]
        assert fitting, f"nobody waits for {answer}; only {waiting}"
        asked = fitting[0]
        if last is not None:
            asked = last
        elif answer.status == 504 or answer.data.get("reason") == "RET_ERR_TIMEOUT":
            # The time of one of them is up.
            asked = min(fitting, key=lambda each: each.until)
        waiting.remove(asked)
        self._model.answered(asked, answer)

    def _hear(self, line: bytes) -> None:
        message = json.loads(line)
        if message["event"] == "replay:done":
            self._replayed(message["data"])
            return
        if message["event"] == "lagged":
            self._lagged(message["data"]["seq"])
            return
        seq = self._missing()
        if message["event"] in self._begun and self.cursor < message["seq"] < (seq or math.inf):
            assert self._model.visible(message["seq"] - 1, self.mask, self._begun) == message["seq"], line
            seq = message["seq"]
        self._begun = frozenset()
        assert seq is not None, f"after {self.cursor} there is nothing to hear, but {line!r}"
        assert line == self._model.lines[seq - 1], f"after {self.cursor} comes {seq}, but {line!r}"
        entry = self._model.entries[seq - 1]
        scope = entry.principal, entry.key
        # Not if the first asker has had its answer, that nobody knew; then it is not the event of those who repeat.
        waiting = [] if any(a.state == "pending" for a in self._model.attempts[scope]) else self.waits(scope)
        # Nor if its time is up, and it is being found out what can be said; then it is another attempt's.
        now = self._daemon.clock.seconds()
        late = [a for a in waiting if entry.key is not None and a.until > now and self._isOf(entry, a)]
        assert not late or self.replaying, f"{line!r} comes before the answer to {late}"
        self.cursor = seq

    def _isOf(self, entry: Entry, asked: Asked) -> bool:
        """Is it the outcome of this, as far as anybody knows? What is looked up first may not have come to it yet."""
        return not asked.content.looksUp and asked.content.said() in self._model.causes[asked.scope]

    def _replayed(self, data: dict[str, Any]) -> None:
        assert self.replaying, f"nothing was being replayed, but {data}"
        assert data["epoch"] == self._daemon.ledger.epoch, data
        assert self.cursor <= data["seq"] <= self._daemon.ledger.book.seq, data
        missing = self._missing()
        assert missing is None or missing > data["seq"], f"{data}, but {missing} was not sent"
        self.replaying, self._begun, self.cursor = False, frozenset(), data["seq"]

    def _lagged(self, seq: int) -> None:
        assert self.stalled, "it reads, and is said to lag"
        missing = self._missing(), self._missing(seq)
        assert missing[0] == missing[1], f"it has all up to {self.cursor}, but is said to have all up to {seq}"
        self.cutOff = True

    def _missing(self, after: int | None = None) -> int | None:
        """What must come next, after an entry up to which it has had all."""
        return self._model.visible(self.cursor if after is None else after, self.mask, self.events - self._begun)

    # -- what must be -----------------------------------------------------------------------------------

    def checkLive(self) -> None:
        """Who is not catching up and reads has every event of the book."""
        missing = self._missing()
        if not (self.replaying or self.stalled) and missing is not None:
            assert missing > self._daemon.ledger.book.seq, f"{missing} was not sent, only what is up to {self.cursor}"

    def checkRest(self) -> None:
        """Everything is answered, everything was heard, and the session holds nothing back."""
        protocol = self._session.protocol
        assert not any(self._waiting.values()), f"not answered: {dict(self._waiting)}"
        assert not self._questions, f"not answered: {list(self._questions)}"
        assert not self.replaying, "the replay does not end"
        assert not protocol._inFlight._named, "the session waits for answers that were sent"
        assert protocol._inFlight.count == 0, "the session has lost count of its answers"
        assert not protocol._in.waiting
        assert not protocol._out._pile
