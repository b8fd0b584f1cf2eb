"""The requests of a client: each is sent until its answer is certain, or its caller's time is up.

A request that has a key, or is a question, is sent again after a break at once, and after a "not now" (503, 429,
504) when the server says or a while later, each time a longer one. What nobody may send twice is sent once.

With an outbox nothing is sent before it is on the disk, and what is there is asked until it is certain, whoever waits.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

from msgspec import Struct

from ..wire.messages import COMMAND_CHARACTERS_MAX, EXTID_BYTES_MAX, Json, encode
from .asking import Asked, Meaning, meaningOf
from .declared import CHOOSING, COMMANDS, Kind, amounts, kindOf, withoutSecrets
from .errors import BadParameters, ClientClosed, ClientError, NotApplied, OutcomeUnknown
from .session import ClientSession, Reply

__all__ = ["Intent", "RequestSettings", "Requests", "Told", "backoffS"]

# What an envelope and a token may take of a line.
_ENVELOPE_BYTES = 10_000
# Between two tries of what has to wait for another answer on the same connection.
_TURN_S = 0.05
_TOKENS_MAX = 2
# The longest that a server may tell a request to wait.
_AFTER_MAX_S = 60.0


class RequestSettings(Struct, frozen=True):
    """
    How patient a client is, and how much it takes.

    @ivar deadlineS: how long a caller waits who does not say, in seconds.
    @ivar againMaxS: the longest time between two attempts of a request, while somebody waits.
    @ivar againLaterMaxS: the same, of what only the outbox waits for.
    @ivar windowMax: requests on their way at a time. More wait here.
    @ivar openMax: requests that are not answered, in all. One more is refused.
    @ivar lineBytesMax: the longest request: as the server's C{line_bytes}.
    """

    deadlineS: float = 30.0
    againMaxS: float = 5.0
    againLaterMaxS: float = 30.0
    windowMax: int = 256
    openMax: int = 10_000
    lineBytesMax: int = 1024 * 1024


class Intent(Struct, frozen=True):
    """
    What the outbox has of a request.

    @ivar row: its place there.
    @ivar text: its C{data} as JSON.
    @ivar made: when it was put there, unix seconds.
    """

    row: int
    command: str
    key: str
    text: str
    made: float


class Told(Struct, frozen=True):
    """
    What became of a request.

    @ivar waiter: who is told; C{None}: nobody waits, but the outbox had it.
    """

    asked: Asked
    waiter: Any
    result: Reply | ClientError


def backoffS(attempts: int, random: Random, firstS: float = 0.05, mostS: float = 30.0) -> float:
    """How long to wait after so many failures (1 and up), in seconds: longer each time, with jitter."""
    longest = min(mostS, firstS * 2.0 ** min(attempts - 1, 32))
    return random.uniform(longest / 2, longest)


class Requests:
    """
    All that were made and are not answered.

    @param random: where keys, extIDs and jitter come from. Each process needs a stream of its own.
    @param renewsToken: can there be another token than the first one?
    @param keeps: is there an outbox?

    @ivar tokenWanted: do some wait for another token?
    """

    def __init__(self, settings: RequestSettings, random: Random, *, renewsToken: bool, keeps: bool) -> None:
        self._settings = settings
        self._random = random
        self._renewsToken = renewsToken
        self._keeps = keeps
        self._prefix = f"{random.getrandbits(96):024x}"
        self._numbers = count(1)
        self._isClosed = self._isConnected = False
        self._open: set[Asked] = set()
        self._ready: deque[Asked] = deque()
        self._inFlight: dict[str, Asked] = {}
        self._denied: list[Asked] = []
        self._deadlines: list[tuple[float, int, Asked]] = []
        self._later: list[tuple[float, int, Asked]] = []
        self._told: list[Told] = []
        self.tokenWanted = False
        # What the outbox is to keep, what it is at, and by row what waits for it to have noted that it is over.
        self._toKeep: list[Asked] = []
        self._keeping: set[Asked] = set()
        self._toSettle: list[tuple[int, str]] = []
        self._settling: dict[int, Told | None] = {}

    # -- what callers want --------------------------------------------------------------------------------

    def ask(
        self,
        command: str,
        data: Mapping[str, Any],
        now: float,
        *,
        key: str | None = None,
        deadlineS: float | None = None,
        waiter: Any = None,
    ) -> Asked:
        """
        A request. Whatever becomes of it comes out of L{takeTold}, once.

        @param data: its parameters.
        @param key: its C{idempotency_key}; C{None}: C{data} has it, or one is made if the command takes one.
        @param deadlineS: how long its caller waits; C{None}: as is set.
        @raise BadParameters: if it cannot be sent as it is.
        @raise NotApplied: if there are too many.
        @raise ClientClosed: if it is late.
        """
        if self._isClosed:
            raise ClientClosed(f"the client is closed; {command} was not sent")
        deadline = now + (self._settings.deadlineS if deadlineS is None else deadlineS)
        asked = self._made(command, data, key, deadline)
        if len(self._open) >= self._settings.openMax:
            raise NotApplied(command, asked.key, f"{len(self._open)} requests wait for their answers here already")
        asked.waiter = waiter
        self._enter(asked, deadline)
        # Of a plugin's command, too, if it has a key. A password would be readable on the disk.
        if self._keeps and asked.kind is Kind.NAMED and withoutSecrets(data):
            self._toKeep.append(asked)
            self._keeping.add(asked)
        else:
            self._ready.append(asked)
        return asked

    def _made(self, command: str, data: Mapping[str, Any], key: str | None, deadline: float) -> Asked:
        if type(command) is not str or not 0 < len(command) <= COMMAND_CHARACTERS_MAX:
            raise BadParameters(f"a command is a str of 1 to {COMMAND_CHARACTERS_MAX} characters, not {command!r}")
        if command in CHOOSING:
            raise BadParameters(f"{command}: which events are sent is the client's own business; use its events")
        given = data.get("idempotency_key")
        if key is not None and given not in (None, key):
            raise BadParameters(f"{command}: two keys were given, {key!r} and {given!r}; nothing was sent")
        key = given if key is None else key
        if key is not None and not _isName(key):
            raise BadParameters(f"{command}: idempotency_key: expected a str of 1 to {EXTID_BYTES_MAX} bytes")
        kind = kindOf(command, key)
        if kind is Kind.NAMED and key is None:
            key = str(UUID(int=self._random.getrandbits(128), version=4))
        exact = amounts(command, data)
        if key is not None:
            exact["idempotency_key"] = key
        try:
            text = encode(exact)
        except ValueError as e:
            raise BadParameters(f"{command}: {e}; nothing was sent") from None
        if len(text) > self._settings.lineBytesMax - _ENVELOPE_BYTES:
            raise BadParameters(f"{command}: its data of {len(text)} bytes is too long for a line; nothing was sent")
        return self._named(Asked(command, text, key, kind, deadline))

    def _named(self, asked: Asked) -> Asked:
        if asked.command not in COMMANDS:
            # Whichever of the two names it at the server, it is the same one each time.
            asked.extID = asked.key
        return asked

    def _enter(self, asked: Asked, deadline: float) -> None:
        self._open.add(asked)
        heapq.heappush(self._deadlines, (deadline, next(self._numbers), asked))

    def forget(self, asked: Asked) -> None:
        """Its caller does not wait any more. What the outbox has is asked for all the same."""
        asked.waiter = None
        if asked.row is None:
            self._remove(asked)

    # -- the outbox ---------------------------------------------------------------------------------------

    def resume(self, intents: list[Intent], now: float) -> None:
        """Ask again what the outbox has of before. L{takeTold} tells, without a waiter."""
        deadline = now + self._settings.deadlineS
        for intent in intents:
            asked = self._named(Asked(intent.command, Json(intent.text), intent.key, Kind.NAMED, deadline))
            asked.row = intent.row
            asked.isDoubtful = True
            asked.why = "it was in the outbox"
            self._enter(asked, deadline)
            self._ready.append(asked)

    def takeToKeep(self) -> list[Asked]:
        """What the outbox is to keep; then L{kept} or L{notKept} is to be called with each."""
        toKeep, self._toKeep = self._toKeep, []
        return toKeep

    def kept(self, asked: Asked, row: int, now: float) -> None:
        """It is on the disk."""
        self._keeping.discard(asked)
        asked.row = row
        if asked.isOver:
            self._settle(row, "it was not sent: its caller did not wait", None)
        elif self._isClosed or asked.deadline is None or asked.deadline <= now:
            self._finish(asked, asked.failure("the outbox was too slow to keep it", isConnected=True))
        else:
            self._ready.append(asked)

    def notKept(self, asked: Asked, why: str) -> None:
        """It could not be put on the disk."""
        self._keeping.discard(asked)
        reason = f"the outbox could not keep it ({why}), so it was not sent"
        self._finish(asked, NotApplied(asked.command, asked.key, reason))

    def takeToSettle(self) -> list[tuple[int, str]]:
        """(row, outcome) of what the outbox need not have repeated; then L{settled} is to be called with the rows."""
        toSettle, self._toSettle = self._toSettle, []
        return toSettle

    def settled(self, rows: Iterable[int], why: str = "") -> None:
        """
        The outbox has noted that these are over.

        @param why: or why it has not.
        """
        for row in rows:
            told = self._settling.pop(row)
            if told is None:
                continue
            if why and isinstance(told.result, NotApplied):
                asked = told.asked
                reason = f"{told.result.reason}; but the outbox could not note that ({why}), so it will be asked again"
                told = Told(asked, told.waiter, OutcomeUnknown(asked.command, asked.key, reason, asked.order))
            self._told.append(told)

    @property
    def isSettling(self) -> bool:
        """Has the outbox something to do that somebody waits for?"""
        return bool(self._keeping or self._settling)

    def _settle(self, row: int, outcome: str, told: Told | None) -> None:
        self._toSettle.append((row, outcome))
        self._settling[row] = told

    # -- the connection -----------------------------------------------------------------------------------

    def connected(self) -> None:
        """There is a connection, and a token for it."""
        self._isConnected = True
        self._readmit()

    def renewed(self) -> None:
        """There is another token."""
        self._readmit()

    def _readmit(self) -> None:
        self.tokenWanted = False
        denied, self._denied = self._denied, []
        self._ready.extendleft(reversed(denied))

    def notRenewed(self, why: str, now: float) -> None:
        """There is no other token."""
        self.tokenWanted = False
        denied, self._denied = self._denied, []
        message = f"the token was not accepted, and there is no other: {why}"
        for asked in denied:
            if not asked.isOver:
                self._isWrong(asked, Reply(None, 401, {"error": "PERMISSION_DENIED", "message": message}, ""), now)

    def lost(self, why: str) -> None:
        """There is no connection any more, or none could be had."""
        self._isConnected = False
        inFlight, self._inFlight = self._inFlight, {}
        for asked in reversed(inFlight.values()):
            asked.sentAs = None
            asked.why = f"the connection was lost: {why}"
            if asked.kind is Kind.ONCE:
                self._finish(asked, OutcomeUnknown(asked.command, None, f"{asked.why}; it cannot be sent twice"))
            else:
                asked.isDoubtful = True
                self._ready.appendleft(asked)
        for asked in self._open:
            if not asked.isDoubtful:
                asked.why = why

    def toSend(self, session: ClientSession, now: float) -> list[bytes]:
        """The lines that are to be written now."""
        lines = []
        while self._ready and len(self._inFlight) < self._settings.windowMax:
            asked = self._ready.popleft()
            if asked.isOver:
                continue
            extID = asked.extID or self.extID()
            if extID in self._inFlight:
                # Only of a plugin's command: the other one has to be answered first.
                self._again(asked, now, _TURN_S)
                continue
            asked.sentAs = extID
            asked.token = session.token
            self._inFlight[extID] = asked
            lines.append(session.request(asked.command, asked.data(now), extID))
        return lines

    def extID(self) -> str:
        """One that nobody ever used before: a server that gets no other name for a request takes this."""
        return f"{self._prefix}-{next(self._numbers):x}"

    # -- time ---------------------------------------------------------------------------------------------

    @property
    def wakeAt(self) -> float | None:
        """When L{woken} is to be called; C{None}: never."""
        while self._deadlines and self._deadlines[0][2].isOver:
            heapq.heappop(self._deadlines)
        return min((entries[0][0] for entries in (self._deadlines, self._later) if entries), default=None)

    def woken(self, now: float) -> None:
        """It is time."""
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][2].isOver):
            asked = heapq.heappop(self._deadlines)[2]
            if not asked.isOver:
                self._timeUp(asked)
        while self._later and self._later[0][0] <= now:
            asked = heapq.heappop(self._later)[2]
            if not asked.isOver:
                self._ready.append(asked)

    def _timeUp(self, asked: Asked) -> None:
        if asked in self._keeping:
            # It is, or will be, on the disk: only when that is taken back can its caller be told that it is nothing.
            return
        mayBeBooked = asked.mayBeBooked
        why = "no certain answer in time" if self._isConnected or mayBeBooked else "no connection in time"
        error = asked.failure(why, isConnected=self._isConnected)
        if asked.row is not None and mayBeBooked:
            self._leave(asked, error)
        else:
            self._finish(asked, error)

    def close(self) -> None:
        """The end: who still waits is told what can be said. What is not certain stays in the outbox."""
        self._isClosed = True
        for asked in list(self._open):
            if asked in self._keeping:
                continue
            error = asked.failure("the client was closed", isConnected=True)
            if asked.waiter is not None or not asked.mayBeBooked:
                self._finish(asked, error)
            else:
                self._remove(asked)

    # -- answers ------------------------------------------------------------------------------------------

    def takeTold(self) -> list[Told]:
        """What became of requests since this was last asked."""
        told, self._told = self._told, []
        return told

    def answered(self, reply: Reply, token: str | None, now: float) -> None:
        """
        An answer came; nobody may wait for it any more.

        @param token: what is shown now.
        """
        asked = self._inFlight.pop(str(reply.extID), None)
        if asked is None:
            return
        asked.sentAs = None
        meaning = meaningOf(reply)
        if meaning is Meaning.DENIED and asked.token != token:
            self._ready.append(asked)
        else:
            _ANSWERS[meaning](self, asked, reply, now)

    def _isDone(self, asked: Asked, reply: Reply, now: float) -> None:
        self._finish(asked, reply)

    def _isWrong(self, asked: Asked, reply: Reply, now: float) -> None:
        error = asked.refusal(reply)
        if asked.row is not None and isinstance(error, OutcomeUnknown):
            # What is wrong may be mended.
            self._leave(asked, error)
            self._again(asked, now)
        else:
            self._finish(asked, error)

    def _isVoid(self, asked: Asked, reply: Reply, now: float) -> None:
        asked.isDoubtful = False
        asked.why = _words(reply)
        if asked.kind is Kind.NAMED and asked.deadline is not None:
            self._again(asked, now)
        else:
            self._finish(asked, asked.failure("the server withdrew it", isConnected=True))

    def _isPending(self, asked: Asked, reply: Reply, now: float) -> None:
        order = reply.data.get("order")
        if type(order) is int:
            asked.order = order
        if asked.kind is Kind.QUESTION:
            self._finish(asked, asked.refusal(reply))
            return
        asked.isDoubtful = True
        asked.why = _words(reply)
        if asked.kind is Kind.ONCE:
            self._finish(asked, asked.failure("it cannot be sent twice", isConnected=True))
        else:
            self._again(asked, now)

    def _isBusy(self, asked: Asked, reply: Reply, now: float) -> None:
        asked.why = _words(reply)
        afterMs = reply.data.get("retry_after_ms")
        if isinstance(afterMs, (int, float)) and afterMs >= 0:
            self._again(asked, now, min(afterMs / 1000, _AFTER_MAX_S))
        else:
            self._again(asked, now)

    def _isDenied(self, asked: Asked, reply: Reply, now: float) -> None:
        asked.why = _words(reply)
        if self._renewsToken and asked.denials < _TOKENS_MAX:
            asked.denials += 1
            self._denied.append(asked)
            self.tokenWanted = True
        else:
            self._isWrong(asked, reply, now)

    def _again(self, asked: Asked, now: float, afterS: float | None = None) -> None:
        """Ask once more, after a while; jittered also where the server has named one, for it has named it to many."""
        asked.attempts += 1
        if afterS is None:
            mostS = self._settings.againMaxS if asked.deadline is not None else self._settings.againLaterMaxS
            afterS = backoffS(asked.attempts, self._random, mostS=mostS)
        else:
            afterS *= self._random.uniform(1.0, 1.25)
        heapq.heappush(self._later, (now + afterS, next(self._numbers), asked))

    def _leave(self, asked: Asked, error: ClientError) -> None:
        """Its caller is told that it is not known, and waits no longer; the outbox does."""
        if asked.waiter is not None:
            self._told.append(Told(asked, asked.waiter, error))
        asked.waiter = asked.deadline = None

    def _finish(self, asked: Asked, result: Reply | ClientError) -> None:
        if asked.isOver:
            return
        told = Told(asked, asked.waiter, result)
        if asked.row is None:
            self._told.append(told)
        elif isinstance(result, Reply):
            # If that is not noted, to ask again does no harm.
            self._told.append(told)
            self._settle(asked.row, str(result.status), None)
        elif isinstance(result, OutcomeUnknown):
            self._told.append(told)
        else:
            # It must not be sent after all, by whoever opens the outbox next: so first that, and then this.
            self._settle(asked.row, str(result), told)
        self._remove(asked)

    def _remove(self, asked: Asked) -> None:
        asked.isOver = True
        self._open.discard(asked)
        if asked.sentAs is not None:
            # A late answer is nobody's, and does not count as being on its way.
            self._inFlight.pop(asked.sentAs, None)


_ANSWERS: Mapping[Meaning, Callable[[Requests, Asked, Reply, float], None]] = {
    Meaning.DONE: Requests._isDone,
    Meaning.REFUSED: Requests._isWrong,
    Meaning.VOID: Requests._isVoid,
    Meaning.PENDING: Requests._isPending,
    Meaning.BUSY: Requests._isBusy,
    Meaning.DENIED: Requests._isDenied,
    Meaning.WRONG: Requests._isWrong,
}


def _isName(key: object) -> bool:
    try:
        return type(key) is str and 0 < len(key.encode("utf-8")) <= EXTID_BYTES_MAX
    except UnicodeEncodeError:
        return False


def _words(reply: Reply) -> str:
    return f"the server said {reply.status} {reply.data.get('error')}: {reply.data.get('message')}"
