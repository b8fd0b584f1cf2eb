"""What must be true, given the log and all that was said.

The model predicts nothing that depends on when a batch is taken. It reads the log, asks each entry whether it is
what must become of a request where it stands, remembers every answer, and holds each against all others: what was
promised once is held for ever. What must come when nothing is in the way is asked for in L{tests.model.rest}.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from scalemgr.finance.book import Book
from scalemgr.finance.masks import Mask
from scalemgr.finance.records import BALANCE_EVENT, GROUP_EVENT, REFUSAL, TRADE_EVENT, USER_EVENT, Entry
from scalemgr.wire.messages import event

from .caps import fits
from .contents import Content
from .nameless import Nameless
from .requests import MASKS, Answer, Asked, Scope
from .truth import Truth

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
    The log, and what was said of it.

    @ivar lines: each entry of the log as its event's line; C{None} for those that are not broadcast.
    @ivar outcomes: the entry of each key.
    @ivar causes: what it may be the outcome of, by what is said; what was answered leaves one of them.
    @ivar attempts: all that was ever asked under a key.
    """

    def __init__(self) -> None:
        self.truth = Truth()
        self.book = Book()
        self.entries: list[Entry] = []
        self.lines: list[bytes | None] = []
        self.outcomes: dict[Scope, Entry] = {}
        self.causes: dict[Scope, dict[Hashable, Content]] = {}
        self.attempts: defaultdict[Scope, list[Asked]] = defaultdict(list)
        self._nameless: defaultdict[str, Nameless] = defaultdict(Nameless)
        self._void: set[int] = set()
        self._said: dict[tuple[Scope, bool], bytes] = {}
        self._first: set[Scope] = set()

    # -- the log ----------------------------------------------------------------------------------------

    def learn(self, entries: Sequence[Entry]) -> None:
        """The log has grown by these."""
        for entry in entries:
            assert entry.seq == len(self.entries) + 1, f"entry {entry.seq} follows entry {len(self.entries)}"
            if entry.principal != "system" and not self.truth.isFurther():
                self._learnOutcome(entry)
            self.truth.learn(entry)
            self.book.apply(entry)
            self.entries.append(entry)
            told = entry.event in EVENTS
            self.lines.append(event(entry.event, entry.type, entry.data, entry.seq, entry.time_ms) if told else None)
        self.truth.checkWhole()

    def _learnOutcome(self, entry: Entry) -> None:
        scope = entry.principal, entry.key
        if entry.event == TRADE_EVENT and entry.order not in self.truth.movements:
            assert entry.order not in self._void, f"order {entry.order} was said to be void, and is {entry}"
        live = [asked for asked in self.attempts[scope] if asked.mayApply()]
        could = [asked for asked in live if fits(asked.content, entry, self.truth, MASKS[entry.principal])]
        assert could, f"nobody asked for {entry}, or it was said to be void, or must not be: {self.attempts[scope]}"
        if entry.key is None:
            self._nameless[entry.principal].learn(entry, could)
            return
        assert scope not in self.outcomes, f"{scope} has two outcomes: {self.outcomes[scope]} and {entry}"
        self.outcomes[scope] = entry
        self.causes[scope] = {asked.content.said(): asked.content for asked in could}

    def visible(self, after: int, mask: Mask, events: frozenset[str]) -> int | None:
        """The number of the first event after C{after} that somebody with this mask sees who has chosen these."""
        for entry, line in zip(self.entries[after:], self.lines[after:], strict=True):
            if line is not None and entry.event in events and mask.covers(entry.group):
                return entry.seq
        return None

    def checkBook(self, book: Book) -> None:
        """Compare what the ledger believes with the fold of its log, and with what its events tell."""
        if book.seq < self.book.seq:
            return  # It is in doubt of the rest.
        assert book.seq == self.book.seq, f"the book is at {book.seq}, the log at {self.book.seq}"
        assert (book.accounts, book.groups) == (self.book.accounts, self.book.groups)
        assert (book.turnover.days, book.turnover.sums) == (self.book.turnover.days, self.book.turnover.sums)
        self.truth.checkBook(book)

    def contentOf(self, scope: Scope) -> Content | None:
        """What the outcome of a key is the outcome of, if that can be told."""
        causes = list(self.causes[scope].values())
        return causes[0] if len(causes) == 1 else None

    # -- what is said -----------------------------------------------------------------------------------

    def answered(self, asked: Asked, answer: Answer) -> None:
        """Hold an answer to a request against the log and all that was said before."""
        error = answer.data.get("error")
        if answer.status in (500, 504) and "outcome" in answer.data:
            self._failed(asked, answer)
        elif answer.status == 500:
            # The order that it names could not be looked up in time, and so it was not taken.
            assert asked.content.looksUp, f"{asked} was answered {answer}"
            assert answer.data["reason"] in ("RET_ERR_TIMEOUT", "RET_ERR_DISK"), f"{asked} was answered {answer}"
            asked.state = "nothing"
        elif error == "RET_ERR_DUPLICATE":
            self._conflict(asked, answer)
        elif answer.status == 429:
            asked.state = "overload"
        elif error == "INVALID_DATA":
            assert asked.content.malformed(), f"{asked} was answered {answer}"
            asked.state = "nothing"
        elif error == "RET_NOT_ENOUGH_RIGHTS":
            assert asked.content.forbidden(MASKS[asked.scope[0]]), f"{asked} was answered {answer}"
            asked.state = "nothing"
        elif asked.scope[1] is None:
            assert not answer.replayed, f"{asked} has no key, and was replayed"
            asked.state = "known"
            self._nameless[asked.scope[0]].told(asked, answer)
        else:
            self._known(asked, answer)
        if asked.scope[1] is None:
            self._nameless[asked.scope[0]].check()

    def _known(self, asked: Asked, answer: Answer) -> None:
        """It is done, or refused, for ever."""
        scope, said = asked.scope, asked.content.said()
        entry = self.outcomes.get(scope)
        assert entry is not None, f"{asked} was answered {answer}, which the log does not know"
        assert said in self.causes[scope], f"{asked} has the outcome of another request: {self.causes[scope]}"
        self.causes[scope] = {said: asked.content}
        assert answer.tells(entry, asked), f"{asked} was answered {answer}, but it is {entry}"
        asked.state = "known"
        before = self._said.setdefault((scope, asked.sync), answer.text)
        assert before == answer.text, f"{asked} was answered {answer}, and before {before!r}"
        if not answer.replayed:
            assert scope not in self._first, f"{asked} was answered as if it were the first time: {answer}"
            self._first.add(scope)
        else:
            assert len(self.attempts[scope]) > 1, f"{asked} was asked once, and replayed"

    def _conflict(self, asked: Asked, answer: Answer) -> None:
        """Its key is another request's."""
        asked.state = "nothing"
        entry = self.outcomes.get(asked.scope)
        assert asked.scope[1] is not None, f"{asked} has no key, and was answered {answer}"
        assert entry is not None, f"{asked} was answered {answer}, but its key is nobody's"
        assert answer.data["order"] == entry.order, f"{answer} names another order than {entry}"
        self.causes[asked.scope].pop(asked.content.said(), None)
        assert self.causes[asked.scope], f"{asked} is {entry}, and was answered {answer}"

    def _failed(self, asked: Asked, answer: Answer) -> None:
        assert answer.status == 504 or asked.troubled, f"nothing is wrong with the ledger, but {asked}: {answer}"
        asked.state = outcome = answer.data["outcome"]
        assert outcome in ("void", "pending")
        if outcome == "void":
            entry = self.outcomes.get(asked.scope)
            assert entry is None, f"{asked} was said to be void, and is {entry}"
            order = answer.data.get("order", 0)
            if order and order != asked.content.names:
                made = self.truth.movements.get(order)
                assert made is None, f"order {order} was said to be void, and is {made}"
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
            assert (entry.event == REFUSAL) == (state == "refused"), f"{scope} is said to be {state}, and is {entry}"
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
