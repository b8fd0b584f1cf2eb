"""The requests of a client: each is sent until its answer is certain, or its caller's time is up.

A request that has a key, or is a question, is sent again after a break at once, and after a "not now" (503, 429,
504) when the server says or a while later, each time a longer one. What nobody may send twice is sent once.

With an outbox nothing is sent before it is on the disk, and what is there is asked until it is certain, whoever waits.

What a caller is told is about its key: while an earlier call with the same key is in doubt, so are those that follow,
until one of them has an answer that is about all of them: done, or refused for good.

Here is what happens to a request, and when. Beside it: whose turn it is to be sent (L{scalemgr.client.turns}), what an
answer leads to (C{answering}), what callers are told (C{telling}), until when they wait (C{waiting}), and what there is
for the outbox to do (C{shelf}).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from .answering import Again, Over, Step, deniedStep, stepOf, wrongStep
from .asking import Asked, Intent, Meaning, Told, meaningOf
from .declared import Kind, withoutSecrets
from .errors import ClientClosed, ClientError, OutcomeUnknown
from .identity import named
from .making import askedAgain, askedOf
from .patience import RequestSettings
from .session import ClientSession, Reply
from .shelf import Shelf
from .telling import Telling
from .turns import Turns
from .waiting import Waiting

__all__ = ["Requests"]


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
        self._isClosed = self._isConnected = False
        self._turns = Turns(settings, random)
        self._waiting = Waiting()
        self._shelf = Shelf()
        self._telling = Telling(self._shelf)
        self.tokenWanted = False
        self.caller: str | None = None
        self._lack = _NOBODY

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
        if self._telling.isInDoubt(asked):
            asked.lose(_EARLIER)
        if len(self._waiting) >= self._settings.openMax:
            raise asked.failure(f"{len(self._waiting)} requests wait for their answers here already", isConnected=True)
        asked.waiter = waiter
        self._waiting.add(asked, deadline)
        # Of a plugin's command, too, if it has a key. A password would be readable on the disk.
        if self._keeps and asked.kind is Kind.NAMED and withoutSecrets(data):
            self._shelf.keep(asked)
        else:
            self._turns.add(asked)
        return asked

    def forget(self, asked: Asked) -> None:
        """Its caller does not wait any more. What the outbox has is asked for all the same."""
        asked.waiter = None
        if asked.mayBeBooked and not asked.isOver:
            self._telling.doubt(asked)
        if asked.row is None:
            self._remove(asked)

    # -- the outbox ---------------------------------------------------------------------------------------

    def resume(self, intents: list[Intent], now: float) -> None:
        """Ask again what the outbox has of before. L{takeTold} tells, without a waiter."""
        deadline = now + self._settings.deadlineS
        keys = {intent.key for intent in intents}
        for asked in self._waiting:
            if asked.key in keys:
                asked.lose(_EARLIER)
        for intent in intents:
            asked = askedAgain(intent, deadline)
            self._telling.doubt(asked)
            self._waiting.add(asked, deadline)
            self._turns.add(asked)

    def takeToKeep(self) -> list[Asked]:
        """What the outbox is to keep; then L{kept} or L{notKept} is to be called with each."""
        toKeep = self._shelf.takeToKeep()
        for asked in toKeep:
            asked.caller = self.caller
        return toKeep

    def kept(self, asked: Asked, row: int, now: float) -> None:
        """It is on the disk."""
        self._shelf.kept(asked)
        asked.row = row
        if asked.isOver:
            self._shelf.settle(row, "it was not sent: its caller did not wait", None)
        elif self._isClosed or asked.deadline is None or asked.deadline <= now:
            error = asked.failure("the outbox was too slow to keep it", isConnected=True)
            if self._isClosed or not asked.mayBeBooked:
                self._finish(asked, error)
            else:
                self._telling.leave(asked, error)
                self._turns.add(asked)
        else:
            self._turns.add(asked)

    def notKept(self, asked: Asked, why: str) -> None:
        """It could not be put on the disk."""
        self._shelf.kept(asked)
        self._finish(
            asked, asked.failure(f"the outbox could not keep it ({why}), so it was not sent", isConnected=True)
        )

    def takeToSettle(self) -> list[tuple[int, str]]:
        """(row, outcome) of what the outbox need not have repeated; then L{settled} is to be called with the rows."""
        return self._shelf.takeToSettle()

    def settled(self, rows: Iterable[int], why: str = "") -> None:
        """
        The outbox has noted that these are over.

        @param why: or why it has not.
        """
        self._telling.settled(rows, why)

    def isAwaited(self, rows: Iterable[int]) -> bool:
        """Is anybody told only when the outbox has noted these?"""
        return self._shelf.isAwaited(rows)

    @property
    def isSettling(self) -> bool:
        """Has the outbox something to do that somebody waits for?"""
        return self._shelf.isBusy

    # -- the connection -----------------------------------------------------------------------------------

    def dialled(self) -> None:
        """There is a connection. Whether anybody listens is not known yet."""
        self._lack = _SILENCE

    def connected(self) -> None:
        """There is a server, and a token for it."""
        self._isConnected = True
        self.renewed()

    def renewed(self) -> None:
        """There is another token."""
        self.tokenWanted = False
        self._turns.readmit()

    def notRenewed(self, why: str, now: float) -> None:
        """There is no other token."""
        self.tokenWanted = False
        message = f"the token was not accepted, and there is no other: {why}"
        for asked in self._turns.takeDenied():
            reply = Reply(None, 401, {"error": "PERMISSION_DENIED", "message": message}, "")
            self._do(wrongStep(asked, reply), asked, now)

    def denied(self, reply: Reply, token: str | None, now: float) -> None:
        """The token was refused before anything was sent with it: so is all that would be."""
        for asked in self._turns.takeReady():
            asked.token = token
            self._do(deniedStep(asked, reply, renewsToken=self._renewsToken), asked, now)

    def giveUp(self) -> None:
        """There will be no connection: who waits for one, and has nothing in doubt, is told so."""
        for asked in list(self._waiting):
            if self._shelf.release(asked) and not asked.mayBeBooked:
                self._finish(asked, asked.failure("no connection", isConnected=False))

    def lost(self, why: str) -> None:
        """There is no connection any more, or none could be had."""
        self._isConnected = False
        self._lack = _NOBODY
        for asked in self._turns.lost():
            asked.lose(f"the connection was lost: {why}")
            if asked.kind is Kind.ONCE:
                self._finish(asked, OutcomeUnknown(asked.command, None, f"{asked.why}; it cannot be sent twice"))
            else:
                self._turns.addFirst(asked)
        for asked in self._waiting:
            if not asked.isDoubtful:
                asked.why = why

    def toSend(self, session: ClientSession, now: float) -> list[bytes]:
        """The lines that are to be written now."""
        lines = []
        while (asked := self._turns.next()) is not None:
            if not self._isOurs(asked):
                self._isAnothers(asked, now)
                continue
            extID = self._turns.begin(asked, session.token, now)
            if extID is not None:
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
            self._telling.leave(asked, error)
            self._turns.again(asked, now)
        else:
            self._finish(asked, error)

    def extID(self) -> str:
        """One that nobody ever used before: a server that gets no other name for a request takes this."""
        return self._turns.extID()

    # -- time ---------------------------------------------------------------------------------------------

    @property
    def wakeAt(self) -> float | None:
        """When L{woken} is to be called; C{None}: never."""
        times = (self._waiting.deadline, self._turns.wakeAt)
        return min((time for time in times if time is not None), default=None)

    def woken(self, now: float) -> None:
        """It is time."""
        for asked in self._waiting.late(now):
            self._timeUp(asked)
        self._turns.woken(now)

    def _timeUp(self, asked: Asked) -> None:
        if not self._shelf.release(asked):
            # It is, or will be, on the disk: only when that is taken back can its caller be told that it is nothing.
            return
        mayBeBooked = asked.mayBeBooked
        why = "no certain answer in time" if self._isConnected or mayBeBooked else self._lack
        error = asked.failure(why, isConnected=self._isConnected)
        if asked.row is not None and mayBeBooked:
            self._telling.leave(asked, error)
        else:
            self._finish(asked, error)

    def close(self) -> None:
        """The end: who still waits is told what can be said. What is not certain stays in the outbox."""
        self._isClosed = True
        # Also what nobody waits for any more.
        self._shelf.releaseAll()
        for asked in list(self._waiting):
            if not self._shelf.release(asked):
                continue
            error = asked.failure("the client was closed", isConnected=True)
            if asked.waiter is not None or not asked.mayBeBooked:
                self._finish(asked, error)
            else:
                self._remove(asked)

    # -- answers ------------------------------------------------------------------------------------------

    def takeTold(self) -> list[Told]:
        """What became of requests since this was last asked."""
        return self._telling.take()

    def answered(self, reply: Reply, token: str | None, now: float) -> None:
        """
        An answer came; nobody may wait for it any more.

        @param token: what is shown now.
        """
        asked = self._turns.answered(str(reply.extID))
        if asked is None:
            return
        meaning = meaningOf(reply)
        if meaning in (Meaning.DONE, Meaning.REFUSED):
            self._telling.isCertain(asked)
        if meaning is Meaning.DENIED and asked.token != token:
            self._turns.add(asked)
        else:
            self._do(stepOf(asked, meaning, reply, renewsToken=self._renewsToken), asked, now)

    def _do(self, step: Step, asked: Asked, now: float) -> None:
        """What an answer leads to."""
        if isinstance(step, Over):
            self._finish(asked, step.result)
        elif isinstance(step, Again):
            if step.left is not None:
                self._telling.leave(asked, step.left)
            self._turns.again(asked, now, step.afterS)
        else:
            self._turns.deny(asked)
            self.tokenWanted = True

    def _finish(self, asked: Asked, result: Reply | ClientError) -> None:
        if not asked.isOver:
            self._telling.finish(asked, result)
            self._remove(asked)

    def _remove(self, asked: Asked) -> None:
        self._waiting.remove(asked)
        self._turns.remove(asked)


_NOBODY = "no connection in time"
_SILENCE = "the server took the connection, and has said nothing in time"
_EARLIER = "an earlier call with this key had no certain answer"
