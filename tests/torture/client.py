"""A process that moves money, notes what it asks and hears, and asks again until each answer is certain.

It has two sessions with several requests under way on each. When its standard input ends, it wants nothing
new: it settles what is open, then asks for everything once more, and ends; meanwhile it says how much that is yet.
"""

from __future__ import annotations

import selectors
import sys
import time
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from .answers import CERTAIN, Answer, Kind, understand
from .holdings import Holdings
from .journal import Began, Journal, Lost, Sent, Trouble
from .session import Session
from .wishes import Mix, Wish

__all__ = ["ClientSettings", "main"]

_SESSIONS = 2
_TURN_S = 0.02
_SAY_S = 5.0


class ClientSettings(Struct):
    """
    Who a client is.

    @ivar journal: the file that it notes everything in.
    @ivar ports: the daemons that it may ask, any of them each time.
    @ivar prefix: what its keys begin with: its own among the clients of one principal.
    @ivar perTurn: how many new wishes it has in a turn of 20 ms, at most.
    """

    journal: str
    ports: list[int]
    token: str
    principal: str
    prefix: str
    share: tuple[int, int]
    logins: list[int]
    seed: int
    window: int = 16
    perTurn: int = 4


class Client:
    """The loop of one client."""

    def __init__(self, settings: ClientSettings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._random = Random(settings.seed)
        self._holdings = Holdings()
        self._mix = Mix(self._random, settings.prefix, settings.logins, settings.share, self._holdings)
        self._sessions: list[Session] = []
        # By number.
        self._open: dict[int, Wish] = {}
        self._settled: list[Wish] = []
        # The wish of each attempt that is under way; a question has none.
        self._wishes: dict[int, Wish | None] = {}
        self._numbers = 0
        self._stopping = self._reviewing = False
        self._saying = 0.0
        self._selector = selectors.DefaultSelector()
        self._selector.register(sys.stdin.buffer, selectors.EVENT_READ)

    def run(self) -> None:
        """Until everything is certain, after the standard input has ended."""
        self._journal.note(Began(self._settings.principal))
        while not self._finished():
            self._connect()
            self._send(self._choose())
            self._listen()
            self._say()
        for session in self._sessions:
            session.close()

    def _finished(self) -> bool:
        if not self._stopping or self._open or self._wishes:
            return False
        if not self._reviewing:
            self._reviewing = True
            self._open, self._settled = {wish.number: wish for wish in self._settled}, []
            for wish in self._open.values():
                wish.certain = False
                wish.due = 0.0
        return not self._open

    def _say(self) -> None:
        if self._stopping and time.monotonic() >= self._saying:
            self._saying = time.monotonic() + _SAY_S
            more = "" if self._reviewing else f", then {len(self._settled)} once more"
            sys.stderr.write(f"{len(self._open)} to settle{more}\n")

    # -- sessions ---------------------------------------------------------------------------------------

    def _connect(self) -> None:
        while len(self._sessions) < _SESSIONS:
            patience = self._random.uniform(1.5, 9)
            try:
                session = Session(self._random.choice(self._settings.ports), self._settings.token, patience)
            except OSError:
                return
            self._sessions.append(session)
            self._selector.register(session.socket, selectors.EVENT_READ, session)

    def _listen(self) -> None:
        until = time.monotonic() + _TURN_S
        while (rest := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(rest):
                if key.data is None:
                    self._selector.unregister(key.fileobj)
                    self._stopping = True
                else:
                    self._hear(key.data)
        for session in tuple(self._sessions):
            if session.silent():
                self._lose(session, "no answer came")
            elif session.waiting and self._random.random() < 0.001:
                self._lose(session, "hung up")

    def _hear(self, session: Session) -> None:
        heard, why = session.hear()
        self._journal.note(*heard)
        for one in heard:
            if isinstance(one, Trouble):
                continue
            sent = session.waiting.pop(session.answered.pop(one.n))
            self._tell(one.n, understand(sent.command, one.line, sent.changes))
        pending, session.pending = session.pending, []
        for trade in pending:
            self._holdings.hear(trade)
        if why:
            self._lose(session, why)

    def _tell(self, n: int, answer: Answer | None) -> None:
        """An attempt was answered, or never will be."""
        wish = self._wishes.pop(n)
        if wish is None:
            return
        wish.inFlight -= 1
        wish.due = time.monotonic() + self._random.uniform(0.02, 0.3)
        if answer is not None and answer.kind in CERTAIN and not wish.certain:
            wish.certain = True
            if answer.kind is Kind.DONE and not self._stopping:
                if wish.kind == "MngAddAccount":
                    self._holdings.logins.append(msgspec.json.decode(answer.data)["login"])
                self._holdings.done(wish.kind, wish.login, wish.order, wish.cmd, answer.order)
            if self._open.pop(wish.number, None) is not None:
                self._settled.append(wish)

    def _lose(self, session: Session, why: str) -> None:
        self._selector.unregister(session.socket)
        self._sessions.remove(session)
        session.close()
        if session.waiting:
            self._journal.note(Lost([sent.n for sent in session.waiting.values()], why))
        for sent in session.waiting.values():
            self._tell(sent.n, None)

    # -- what to send -----------------------------------------------------------------------------------

    def _choose(self) -> list[tuple[Session, Sent]]:
        """What is sent in this turn: what is due again, then what is new."""
        if not self._sessions:
            return []
        chosen: list[tuple[Session, Sent]] = []
        now = time.monotonic()
        room = (4 if self._reviewing else 1) * self._settings.window
        for wish in self._open.values():
            if len(self._wishes) >= room:
                break
            if not wish.inFlight and wish.due <= now:
                if self._random.random() < 0.1:
                    chosen += self._place(wish, question=True)
                chosen += self._place(wish)
        for _ in range(0 if self._stopping else self._settings.perTurn):
            if len(self._wishes) >= room or len(self._open) >= 2 * room:
                break
            chosen += self._something()
        return chosen

    def _something(self) -> list[tuple[Session, Sent]]:
        roll = self._random.random()
        if roll < 0.2 and self._settled:
            wish = self._random.choice(self._settled)
            if roll < 0.05:
                return self._place(wish, question=True)
            return self._place(self._mix.other(wish) if roll < 0.08 else wish)
        new = self._mix.wishes()
        self._open.update((wish.number, wish) for wish in new)
        return [placed for wish in new for _ in range(1 + wish.twice) for placed in self._place(wish)]

    def _place(self, wish: Wish, question: bool = False) -> list[tuple[Session, Sent]]:
        """An attempt at it, on a session that has nothing with this extID under way; none, if there is none."""
        self._numbers += 1
        sent = (self._mix.question if question else self._mix.attempt)(self._numbers, wish)
        extID = Session.extIDOf(sent)
        free = [session for session in self._sessions if extID not in session.waiting]
        if not free:
            return []
        session = self._random.choice(free)
        session.waiting[extID] = sent
        self._wishes[sent.n] = None if question else wish
        wish.inFlight += not question
        return [(session, sent)]

    def _send(self, chosen: list[tuple[Session, Sent]]) -> None:
        """Note it, then say it."""
        self._journal.note(*(sent for _, sent in chosen))
        for session in tuple(self._sessions):
            mine = [sent for to, sent in chosen if to is session]
            if mine and (why := session.send(mine)):
                self._lose(session, why)


def main(path: str) -> None:
    """Be the client that this file describes."""
    settings = msgspec.json.decode(Path(path).read_bytes(), type=ClientSettings)
    with Journal(Path(settings.journal)) as journal:
        Client(settings, journal).run()


if __name__ == "__main__":
    main(sys.argv[1])
