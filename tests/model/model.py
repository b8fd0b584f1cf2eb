"""What must be true, given the log and all that was said.

The model predicts nothing that depends on when a batch is taken. It reads the log, remembers every answer,
and holds each against all others: what was promised once is held for ever. What must come when nothing is
in the way is asked for in L{tests.model.rest}.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from scalemgr.finance.book import Book
from scalemgr.finance.masks import Mask
from scalemgr.finance.records import BALANCE_EVENT, GROUP_EVENT, TRADE_EVENT, USER_EVENT, Entry
from scalemgr.wire.codes import EventRecordType
from scalemgr.wire.messages import event

from ..helpers import balanceEvent
from .requests import Answer, Asked, Content, Scope

#: The events that there are.
EVENTS = frozenset({TRADE_EVENT, USER_EVENT, GROUP_EVENT, BALANCE_EVENT})


class Question(NamedTuple):
    """
    What was so when somebody asked what became of a key.

    @ivar inLog: was it in the log?
    @ivar known: and known to the daemon?
    @ivar void: the orders that had been said to be void.
    """

    scope: Scope
    inLog: bool
    known: bool
    void: frozenset[int]


class Model:
    """
    The truth, and what was said of it.

    @ivar lines: each entry of the log as its event's line; C{None} for those that are not broadcast.
    @ivar outcomes: the entry of each key.
    @ivar contents: what that entry is the outcome of, where an answer has told.
    @ivar attempts: all that was ever asked under a key.
    """

    def __init__(self) -> None:
        self.book = Book()
        self.entries: list[Entry] = []
        self.lines: list[bytes | None] = []
        self.outcomes: dict[Scope, Entry] = {}
        self.contents: dict[Scope, Content] = {}
        self.attempts: defaultdict[Scope, list[Asked]] = defaultdict(list)
        self._made: dict[int, Entry] = {}
        self._latest: dict[int, Entry] = {}
        self._void: set[int] = set()
        self._said: dict[tuple[Scope, bool], bytes] = {}
        self._first: set[Scope] = set()
        self._conflicts: defaultdict[Scope, list[tuple[Content, int]]] = defaultdict(list)

    # -- the log ----------------------------------------------------------------------------------------

    def learn(self, entries: Sequence[Entry]) -> None:
        """The log has grown by these; no entry that moves money is without its balance:event, not for a moment."""
        due: Entry | None = None
        for entry in entries:
            assert entry.seq == len(self.entries) + 1, f"entry {entry.seq} follows entry {len(self.entries)}"
            self.book.apply(entry)
            if due is not None or entry.event == BALANCE_EVENT:
                assert entry == due, f"{due} should be there, and {entry} is"
            due = balanceEvent(self.book, entry)
            self.entries.append(entry)
            told = entry.event in EVENTS
            self.lines.append(event(entry.event, entry.type, entry.data, entry.seq, entry.time_ms) if told else None)
            if entry.principal != "system" and entry.event != BALANCE_EVENT:
                self._learnOutcome(entry)
        assert due is None, f"{due} is missing"

    def _learnOutcome(self, entry: Entry) -> None:
        scope = entry.principal, entry.key
        if entry.key is not None:
            assert scope not in self.outcomes, f"{scope} has two outcomes: {self.outcomes[scope]} and {entry}"
            self.outcomes[scope] = entry
        if entry.event == TRADE_EVENT:
            self._latest[entry.order] = entry
            if entry.type == EventRecordType.EV_RECORD_ADD:
                assert entry.order not in self._made, f"order {entry.order} was made twice"
                assert entry.order not in self._void, f"order {entry.order} was said to be void, and is {entry}"
                self._made[entry.order] = entry
        for content, order in self._conflicts.pop(scope, ()):
            self._checkConflict(entry, content, order)
        causes = [a for a in self.attempts[scope] if a.mayApply() and a.content.booked(entry)]
        assert causes, f"nobody asked for {entry}, or it was said to be void: {self.attempts[scope]}"
        if entry.key is None:
            causes[0].state = "known"

    def visible(self, after: int, mask: Mask, events: frozenset[str]) -> int | None:
        """The number of the first event after C{after} that somebody with this mask sees who has chosen these."""
        for entry, line in zip(self.entries[after:], self.lines[after:], strict=True):
            if line is not None and entry.event in events and mask.covers(entry.group):
                return entry.seq
        return None

    def checkBook(self, book: Book) -> None:
        """Compare what the ledger believes with the fold of its log, and that with plain arithmetic."""
        if book.seq < self.book.seq:
            return  # It is in doubt of the rest.
        assert book.seq == self.book.seq, f"the book is at {book.seq}, the log at {self.book.seq}"
        assert (book.accounts, book.groups) == (self.book.accounts, self.book.groups)
        sums: defaultdict[int, int] = defaultdict(int)
        for entry in self._latest.values():
            sums[entry.login] += entry.trade().profit
        assert sums.items() <= {login: account.balance for login, account in book.accounts.items()}.items()

    def contentOf(self, scope: Scope) -> Content | None:
        """What the outcome of a key is the outcome of, if that can be told."""
        entry = self.outcomes[scope]
        asked = [a.content for a in self.attempts[scope] if a.content.booked(entry)]
        if scope not in self.contents and len({content.said() for content in asked}) == 1:
            return asked[0]
        return self.contents.get(scope)

    def orders(self) -> list[int]:
        """Those of all deposits."""
        return list(self._made)

    # -- what is said -----------------------------------------------------------------------------------

    def answered(self, asked: Asked, answer: Answer) -> None:
        """Hold an answer to a deposit against the log and all that was said before."""
        if answer.status == 200:
            self._known(asked, answer, booked=True)
        elif answer.status == 500 and "outcome" not in answer.data:
            # The order that it names could not be looked up in time, and so it was not taken.
            assert asked.content.order, f"{asked} was answered {answer}"
            assert answer.data["reason"] in ("RET_ERR_TIMEOUT", "RET_ERR_DISK"), f"{asked} was answered {answer}"
            asked.state = "nothing"
        elif answer.status in (500, 504):
            self._failed(asked, answer)
        elif answer.data["error"] == "RET_ERR_DUPLICATE":
            asked.state = "nothing"
            assert asked.scope[1] is not None, f"{asked} has no key, and was answered {answer}"
            known = self.outcomes.get(asked.scope)
            if known is None:
                self._conflicts[asked.scope].append((asked.content, answer.data["order"]))
            else:
                assert answer.data["order"] == known.order, f"{answer} names another order than {known}"
                self._checkConflict(known, asked.content, answer.data["order"])
        elif answer.status == 429:
            asked.state = "overload"
        elif answer.data["error"] == "INVALID_DATA":
            assert asked.content.malformed(), f"{asked} was answered {answer}"
            asked.state = "nothing"
        else:
            self._known(asked, answer, booked=False)

    def _known(self, asked: Asked, answer: Answer, *, booked: bool) -> None:
        """It is done, or refused, for ever."""
        scope = asked.scope
        entry = self._made.get(answer.data["order"]) if booked and scope[1] is None else self.outcomes.get(scope)
        if booked or scope[1] is not None:
            assert entry is not None, f"{asked} was answered {answer}, which the log does not know"
            assert (entry.event == TRADE_EVENT) == booked, f"{asked} was answered {answer}, but it is {entry}"
            assert asked.content.booked(entry), f"{asked} was answered {answer}, but it is {entry}"
            if booked:
                assert answer.data["order"] == entry.order, f"{answer} names another order than {entry}"
                assert not asked.sync or answer.text == entry.data.encode("ascii"), f"{answer} is not {entry}"
        asked.state = "known"
        if scope[1] is None:
            assert not answer.replayed, f"{asked} has no key, and was replayed"
            return
        content = self.contents.setdefault(scope, asked.content)
        assert content.said() == asked.content.said(), f"{asked} has the outcome of another request: {content}"
        said = self._said.setdefault((scope, asked.sync), answer.text)
        assert said == answer.text, f"{asked} was answered {answer}, and before {said!r}"
        if not answer.replayed:
            assert scope not in self._first, f"{asked} was answered as if it were the first time: {answer}"
            self._first.add(scope)
        else:
            assert len(self.attempts[scope]) > 1, f"{asked} was asked once, and replayed"

    def _failed(self, asked: Asked, answer: Answer) -> None:
        assert answer.status == 504 or asked.troubled, f"nothing is wrong with the ledger, but {asked}: {answer}"
        asked.state = outcome = answer.data["outcome"]
        assert outcome in ("void", "pending")
        if outcome == "void":
            entry = self.outcomes.get(asked.scope)
            assert entry is None, f"{asked} was said to be void, and is {entry}"
            order = answer.data["order"]
            if order != asked.content.order:
                assert order not in self._made, f"order {order} was said to be void, and is {self._made[order]}"
                self._void.add(order)

    def _checkConflict(self, entry: Entry, content: Content, order: int) -> None:
        """Somebody with this content was told that its key is another request's, of this order."""
        if order == entry.order:
            first = self.contentOf((entry.principal, entry.key))
            assert first is None or first.said() != content.said(), f"{content} is {entry}, and was answered 409"
        elif order not in self._made:
            self._void.add(order)

    def question(self, scope: Scope, booked: int) -> Question:
        """Somebody asks what became of a key, when the book is at this entry."""
        entry = self.outcomes.get(scope)
        return Question(scope, entry is not None, entry is not None and entry.seq <= booked, frozenset(self._void))

    def told(self, question: Question, data: dict[str, Any], text: bytes, *, open: bool) -> None:
        """
        Hold the answer to the question after a key against the log.

        @param open: was somebody waiting for it all the while?
        """
        scope, state = question.scope, data["state"]
        entry = self.outcomes.get(scope)
        if state in ("done", "refused"):
            assert entry is not None, f"{scope} is said to be {state}, and is not in the log"
            assert (entry.event == TRADE_EVENT) == (state == "done"), f"{scope} is said to be {state}, and is {entry}"
            assert data["order"] == entry.order, f"{data} names another order than {entry}"
            assert state == "refused" or b'"data":' + entry.data.encode("ascii") in text, f"{data} is not {entry}"
            return
        assert not question.known, f"{scope} is said to be {state}, and was {entry} already"
        if state == "unknown":
            assert not question.inLog, f"{scope} is said to be unknown, and was {entry} already"
            assert not open, f"{scope} is said to be unknown, and somebody waits for it"
        else:
            assert state in ("queued", "pending")
            assert data["order"] not in question.void, f"{data} names an order that was said to be void"
