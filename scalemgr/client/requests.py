"""The requests of a client: each is sent until its answer is certain, or its caller's time is up.

A request that has a key, or is a question, is sent again after a break at once, and after a "not now" (503, 429,
504) when the server says or a while later, each time a longer one. What nobody may send twice is sent once.

With an outbox nothing is sent before it is on the disk, and what is there is asked until it is certain, whoever waits.

What a caller is told is about its key: while an earlier call with the same key is in doubt, so are those that follow,
until one of them has an answer that is about all of them: done, or refused for good.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from random import Random
from typing import Any

from .asking import Asked, Intent, Meaning, Told, meaningOf
from .declared import Kind, withoutSecrets
from .errors import ClientClosed, ClientError, NotApplied, OutcomeUnknown
from .identity import named
from .making import askedAgain, askedOf
from .patience import RequestSettings, backoffS
from .session import ClientSession, Reply

__all__ = ["Requests"]

# Between two tries of what has to wait for another answer on the same connection.
_TURN_S = 0.05
_TOKENS_MAX = 2
# The longest that a server may tell a request to wait.
_AFTER_MAX_S = 60.0
# So many that are over are kept, for the deadline that they had.
_OVER_MAX = 1000
# So many keys in doubt are remembered.
_DOUBTS_MAX = 10_000


class Requests:
    """
    All that were made and are not answered.

    @param random: where keys, extIDs and jitter come from. Each process needs a stream of its own.
    @param renewsToken: can there be another token than the first one?
    @param keeps: is there an outbox?

    @ivar tokenWanted: do some wait for another token?
    @ivar caller: whose they are (L{scalemgr.client.identity}), by the last token; C{None}: nobody knows yet.
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
        # The keys whose callers wait no longer, and have no certain answer; the last of them.
        self._doubts: dict[str, None] = {}
        self.tokenWanted = False
        self.caller: str | None = None
        self._lack = _NOBODY
        # What the outbox is to keep, what it is at, and by row what waits for it to have noted that it is over.
        self._toKeep: dict[Asked, None] = {}
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
        @raise NotApplied: if there are too many; C{OutcomeUnknown}, if an earlier call with its key is in doubt.
        @raise ClientClosed: if it is late.
        """
        if self._isClosed:
            raise ClientClosed(f"the client is closed; {command} was not sent")
        deadline = now + (self._settings.deadlineS if deadlineS is None else deadlineS)
        asked = askedOf(command, data, key, deadline, self._random, self._settings.lineBytesMax)
        if asked.key in self._doubts:
            asked.lose(_EARLIER)
        if len(self._open) >= self._settings.openMax:
            raise asked.failure(f"{len(self._open)} requests wait for their answers here already", isConnected=True)
        asked.waiter = waiter
        self._enter(asked, deadline)
        # Of a plugin's command, too, if it has a key. A password would be readable on the disk.
        if self._keeps and asked.kind is Kind.NAMED and withoutSecrets(data):
            self._toKeep[asked] = None
            self._keeping.add(asked)
        else:
            self._ready.append(asked)
        return asked

    def _enter(self, asked: Asked, deadline: float) -> None:
        self._open.add(asked)
        if len(self._deadlines) > 2 * len(self._open) + _OVER_MAX:
            # One that is open for long would keep all that were answered since.
            self._deadlines = [entry for entry in self._deadlines if not entry[2].isOver]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (deadline, next(self._numbers), asked))

    def forget(self, asked: Asked) -> None:
        """Its caller does not wait any more. What the outbox has is asked for all the same."""
        asked.waiter = None
        if asked.mayBeBooked and not asked.isOver:
            self._doubt(asked)
        if asked.row is None:
            self._remove(asked)

    def _doubt(self, asked: Asked) -> None:
        """Its caller waits no longer, and it may be booked; if it has no key, nobody can ask for it again."""
        if asked.key is not None:
            self._doubts[asked.key] = None
            if len(self._doubts) > _DOUBTS_MAX:
                del self._doubts[next(iter(self._doubts))]

    # -- the outbox ---------------------------------------------------------------------------------------

    def resume(self, intents: list[Intent], now: float) -> None:
        """Ask again what the outbox has of before. L{takeTold} tells, without a waiter."""
        deadline = now + self._settings.deadlineS
        keys = {intent.key for intent in intents}
        for asked in self._open:
            if asked.key in keys:
                asked.lose(_EARLIER)
        for intent in intents:
            asked = askedAgain(intent, deadline)
            self._doubt(asked)
            self._enter(asked, deadline)
            self._ready.append(asked)

    def takeToKeep(self) -> list[Asked]:
        """What the outbox is to keep; then L{kept} or L{notKept} is to be called with each."""
        toKeep, self._toKeep = list(self._toKeep), {}
        for asked in toKeep:
            asked.caller = self.caller
        return toKeep

    def _unkeep(self, asked: Asked) -> None:
        """The outbox was not given it yet."""
        del self._toKeep[asked]
        self._keeping.discard(asked)

    def kept(self, asked: Asked, row: int, now: float) -> None:
        """It is on the disk."""
        self._keeping.discard(asked)
        asked.row = row
        if asked.isOver:
            self._settle(row, "it was not sent: its caller did not wait", None)
        elif self._isClosed or asked.deadline is None or asked.deadline <= now:
            error = asked.failure("the outbox was too slow to keep it", isConnected=True)
            if self._isClosed or not asked.mayBeBooked:
                self._finish(asked, error)
            else:
                self._leave(asked, error)
                self._ready.append(asked)
        else:
            self._ready.append(asked)

    def notKept(self, asked: Asked, why: str) -> None:
        """It could not be put on the disk."""
        self._keeping.discard(asked)
        self._finish(
            asked, asked.failure(f"the outbox could not keep it ({why}), so it was not sent", isConnected=True)
        )

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
            told = self._settling.pop(row, None)
            if told is None:
                continue
            if why and isinstance(told.result, NotApplied):
                asked = told.asked
                reason = f"{told.result.reason}; but the outbox could not note that ({why}), so it will be asked again"
                told = Told(asked, told.waiter, OutcomeUnknown(asked.command, asked.key, reason, asked.order))
            self._told.append(told)

    def isAwaited(self, rows: Iterable[int]) -> bool:
        """Is anybody told only when the outbox has noted these?"""
        return any(self._settling.get(row) is not None for row in rows)

    @property
    def isSettling(self) -> bool:
        """Has the outbox something to do that somebody waits for?"""
        return bool(self._keeping or self._settling)

    def _settle(self, row: int, outcome: str, told: Told | None) -> None:
        self._toSettle.append((row, outcome))
        self._settling[row] = told

    # -- the connection -----------------------------------------------------------------------------------

    def dialled(self) -> None:
        """There is a connection. Whether anybody listens is not known yet."""
        self._lack = _SILENCE

    def connected(self) -> None:
        """There is a server, and a token for it."""
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

    def denied(self, reply: Reply, token: str | None, now: float) -> None:
        """The token was refused before anything was sent with it: so is all that would be."""
        ready, self._ready = self._ready, deque()
        for asked in ready:
            if not asked.isOver:
                asked.token = token
                self._isDenied(asked, reply, now)

    def giveUp(self) -> None:
        """There will be no connection: who waits for one, and has nothing in doubt, is told so."""
        for asked in list(self._open):
            if asked in self._toKeep:
                self._unkeep(asked)
            if asked not in self._keeping and not asked.mayBeBooked:
                self._finish(asked, asked.failure("no connection", isConnected=False))

    def lost(self, why: str) -> None:
        """There is no connection any more, or none could be had."""
        self._isConnected = False
        self._lack = _NOBODY
        inFlight, self._inFlight = self._inFlight, {}
        for asked in reversed(inFlight.values()):
            asked.sentAs = None
            asked.lose(f"the connection was lost: {why}")
            if asked.kind is Kind.ONCE:
                self._finish(asked, OutcomeUnknown(asked.command, None, f"{asked.why}; it cannot be sent twice"))
            else:
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
            if not self._isOurs(asked):
                self._isAnothers(asked, now)
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

    def _isOurs(self, asked: Asked) -> bool:
        """May it be sent as who we are now?"""
        if asked.caller is None or (asked.row is None and not asked.isDoubtful):
            asked.caller = self.caller
        return asked.caller == self.caller or asked.kind is not Kind.NAMED

    def _isAnothers(self, asked: Asked, now: float) -> None:
        """The token is another caller's than it was: sent as that one, it would be another request with its own key."""
        why = f"it was asked as {named(asked.caller)}, and the token is of {named(self.caller)} now"
        error = asked.failure(why, isConnected=True)
        if asked.row is not None and asked.mayBeBooked:
            self._leave(asked, error)
            self._again(asked, now)
        else:
            self._finish(asked, error)

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
        if asked in self._toKeep:
            self._unkeep(asked)
        elif asked in self._keeping:
            # It is, or will be, on the disk: only when that is taken back can its caller be told that it is nothing.
            return
        mayBeBooked = asked.mayBeBooked
        why = "no certain answer in time" if self._isConnected or mayBeBooked else self._lack
        error = asked.failure(why, isConnected=self._isConnected)
        if asked.row is not None and mayBeBooked:
            self._leave(asked, error)
        else:
            self._finish(asked, error)

    def close(self) -> None:
        """The end: who still waits is told what can be said. What is not certain stays in the outbox."""
        self._isClosed = True
        for asked in list(self._toKeep):
            self._unkeep(asked)
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
        if meaning in (Meaning.DONE, Meaning.REFUSED) and asked.key is not None:
            self._doubts.pop(asked.key, None)
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
        # Of this attempt, and of those that the server had then. One that has not arrived yet may be booked still.
        asked.isDoubtful = asked.isLost
        asked.isVoid = not asked.isLost
        asked.why = _words(reply)
        if asked.kind is Kind.NAMED and (asked.deadline is not None or asked.isLost):
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
        # At once, again and again, is what nobody means.
        if isinstance(afterMs, (int, float)) and afterMs > 0:
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
        self._doubt(asked)
        if asked.waiter is not None:
            self._told.append(Told(asked, asked.waiter, error))
        asked.waiter = asked.deadline = None

    def _finish(self, asked: Asked, result: Reply | ClientError) -> None:
        if asked.isOver:
            return
        told = Told(asked, asked.waiter, result)
        if isinstance(result, OutcomeUnknown):
            self._doubt(asked)
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


_NOBODY = "no connection in time"
_SILENCE = "the server took the connection, and has said nothing in time"
_EARLIER = "an earlier call with this key had no certain answer"

_ANSWERS: Mapping[Meaning, Callable[[Requests, Asked, Reply, float], None]] = {
    Meaning.DONE: Requests._isDone,
    Meaning.REFUSED: Requests._isWrong,
    Meaning.VOID: Requests._isVoid,
    Meaning.PENDING: Requests._isPending,
    Meaning.BUSY: Requests._isBusy,
    Meaning.DENIED: Requests._isDenied,
    Meaning.WRONG: Requests._isWrong,
}


def _words(reply: Reply) -> str:
    return f"the server said {reply.status} {reply.data.get('error')}: {reply.data.get('message')}"
