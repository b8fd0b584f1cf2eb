"""All that a client does, without a socket, a clock, a thread or a loop: its three drivers only carry bytes.

A driver tells it what happened, each time with what its clock says (L{Core.connected}, L{Core.received},
L{Core.lost}, L{Core.woken}), and what its callers want (L{Requests.ask}, L{Core.follow}). After each of them it does
what there is to do: writes L{Core.toSend}, tells what is in L{Requests.takeTold} to those who wait, gives
C{toKeep} and C{toSettle} to the outbox, takes what the follower has, fetches a token if L{Core.tokenWanted}, hangs up
if L{Core.isBroken}, and sees that it is woken at L{Core.wakeAt}.

- Requests: L{scalemgr.client.requests}.
- Events: L{scalemgr.client.following}. A client that follows none is sent none.
- A connection begins with a line of the client's own, and no request goes before the server has said something. So
  what never was a server, or does not let this client in, was certainly sent no request.
- A peer that says nothing for a while is asked whether it is there, and given up if it does not answer.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from .asking import Meaning, meaningOf
from .errors import ClientClosed, ClientError, Refused
from .following import Follower
from .patience import RequestSettings, backoffS
from .requests import Requests
from .session import ClientSession, Event, Reply, WireError

__all__ = ["CONNECT_S", "QUIET_S", "Core"]

#: How long a connection may take to be made, TLS and all, in seconds.
CONNECT_S = 10.0

#: How long a peer may be silent before it is asked whether it is there, and again before it is given up, in seconds.
QUIET_S = 10.0

# The longest time between two attempts to subscribe on one connection.
_SUBSCRIBE_MAX_S = 5.0
_TOKENS_MAX = 2


class Core:
    """
    One client.

    @param random: where keys, extIDs and jitter come from. Each process needs a stream of its own.
    @param renewsToken: can the driver fetch another token?
    @param keeps: is there an outbox?
    @param hint: what may be the matter with a server that takes a connection and says nothing.

    @ivar requests: what was asked.
    @ivar isBroken: why the connection is of no more use; empty: it is. L{lost} is to be called.
    """

    def __init__(
        self,
        settings: RequestSettings,
        random: Random,
        *,
        renewsToken: bool = False,
        keeps: bool = False,
        quietS: float = QUIET_S,
        hint: str = "",
    ) -> None:
        self._random = random
        self._renewsToken = renewsToken
        self._quietS = quietS
        self._hint = hint
        self.requests = Requests(settings, random, renewsToken=renewsToken, keeps=keeps)
        self._session: ClientSession | None = None
        # The client's own requests, by extID.
        self._own: dict[str, Callable[[Reply, float], None]] = {}
        self._lines: list[bytes] = []
        self._follower: Follower | None = None
        self._subscribeAt: float | None = None
        self._subscriptions = 0
        self._heardAt = 0.0
        self._isPinged = self._isClosed = self._isExpired = self._isGreeted = False
        self._lastWords = ""
        self.isBroken = ""

    # -- events ---------------------------------------------------------------------------------------------

    def follow(self, follower: Follower) -> None:
        """
        Events, from now on on this and all further connections.

        @raise ClientError: if there is a follower already, or it is late.
        """
        if self._isClosed:
            raise ClientClosed("the client is closed; it has no events")
        if self._follower is not None and not self._follower.isEnded:
            raise ClientError("this client follows the events already: end that first, or use another client")
        self._follower = follower
        if self._session is not None:
            self._subscribe()

    def unfollow(self, follower: Follower) -> None:
        """No more events."""
        if self._follower is follower:
            self._follower = None
            if self._session is not None:
                self._silence()

    @property
    def follower(self) -> Follower | None:
        """Who follows the events."""
        return self._follower

    @property
    def hasEvents(self) -> bool:
        """Does the follower have something for its caller?"""
        return self._follower is not None and self._follower.hasMore

    # -- the connection ---------------------------------------------------------------------------------------

    def connected(self, token: str | None, now: float) -> None:
        """There is a connection, and this is the token for it."""
        self._session = ClientSession(token)
        self._heardAt = now
        self._isPinged = self._isExpired = self._isGreeted = False
        self.isBroken = ""
        # What a connection begins with: events from the cursor on, or none.
        if self._follower is not None and not self._follower.isEnded:
            self._subscribe()
        else:
            self._silence()
        self.requests.dialled()

    def received(self, data: bytes, now: float) -> None:
        """Bytes came."""
        if self._session is None or self.isBroken:
            return
        self._heardAt = now
        self._isPinged = False
        try:
            messages = self._session.receive(data)
        except WireError as e:
            self.isBroken = str(e)
            return
        for message in messages:
            if not self._isGreeted and isinstance(message, Reply) and message.extID is not None:
                self._greeted(message, now)
            if isinstance(message, Event):
                self._heard(message, now)
            elif (then := self._own.pop(str(message.extID), None)) is not None:
                then(message, now)
            elif message.extID is None:
                # It is about the connection, and mostly the last that is said on it.
                self._lastWords = f"{message.status} {message.data.get('error')}: {message.data.get('message')}"
            else:
                self.requests.answered(message, self._session.token, now)

    def _greeted(self, message: Reply, now: float) -> None:
        """It is a server, and it listens."""
        assert self._session is not None
        self._isGreeted = True
        self.requests.connected()
        if meaningOf(message) is Meaning.DENIED:
            # To show it again, with each request, would only be refused as often.
            self.requests.denied(message, self._session.token, now)

    def lost(self, why: str, *, isFinal: bool = False) -> None:
        """
        There is no connection any more, or none could be had.

        @param isFinal: for a reason that will not go away: who waits for the next one is told at once.
        """
        # We hung up for a reason; and what the server said last explains more than that it then hung up.
        why = self._lastWords or self.isBroken or why
        if self._session is not None and not self._isGreeted and not isFinal and not self._lastWords:
            why += self._hint
        self._session = None
        self.isBroken = self._lastWords = ""
        self._lines.clear()
        self._own.clear()
        self._subscribeAt = None
        if self._follower is not None:
            self._follower.away()
        self.requests.lost(why)
        if isFinal:
            self.requests.giveUp()

    def close(self) -> None:
        """The end."""
        self._isClosed = True
        self.requests.close()
        if self._follower is not None:
            self._follower.end(ClientClosed("the client was closed"))

    def toSend(self, now: float) -> bytes:
        """What is to be written now."""
        if self._session is None or self.isBroken:
            return b""
        if self._follower is not None and self._follower.isStarved:
            self._subscribe()
        lines, self._lines = self._lines, []
        return b"".join((*lines, *(self.requests.toSend(self._session, now) if self._isGreeted else ())))

    # -- time -------------------------------------------------------------------------------------------------

    @property
    def wakeAt(self) -> float | None:
        """When L{woken} is to be called, if nothing else happens before; C{None}: never."""
        times = [self.requests.wakeAt]
        if self._session is not None and not self.isBroken:
            times.append(self._subscribeAt)
            times.append(self._quietAt)
        return min((time for time in times if time is not None), default=None)

    def woken(self, now: float) -> None:
        """It is time, or at least may be."""
        self.requests.woken(now)
        if self._session is None or self.isBroken:
            return
        if self._subscribeAt is not None and self._subscribeAt <= now:
            self._subscribe()
        # As it is in wakeAt, to the last bit: else it would be woken again and again without a reason.
        if now < self._quietAt:
            return
        if self._isPinged:
            self.isBroken = f"the server has said nothing for {now - self._heardAt:.0f} s, not even to a Ping"
        else:
            self._isPinged = True
            self._say("Ping", {}, _nothing)

    @property
    def _quietAt(self) -> float:
        """When the peer will have been silent for too long."""
        return self._heardAt + self._quietS * (2 if self._isPinged else 1)

    # -- the token ----------------------------------------------------------------------------------------------

    @property
    def tokenWanted(self) -> bool:
        """Is another token needed? L{renew} or L{notRenewed} is to be called, some time."""
        return self._session is not None and (self.requests.tokenWanted or self._isExpired)

    def identified(self, caller: str) -> None:
        """
        Who we are with the token that was fetched now (L{scalemgr.client.identity}): to be told before it is used, by
        L{connected} or L{renew}.
        """
        self.requests.caller = caller

    def renew(self, token: str | None, now: float) -> None:
        """Here is another token."""
        if self._session is None:
            return
        if token == self._session.token:
            self.notRenewed("the same one was given again", now)
            return
        self._session.token = token
        self._isExpired = False
        self.requests.renewed()
        # Shows it, so that events go on.
        self._say("Ping", {}, _nothing)

    def notRenewed(self, why: str, now: float) -> None:
        """There is no other token."""
        if self._isExpired and self._follower is not None:
            message = f"the token has expired, and there is no other: {why}"
            self._follower.end(Refused("Subscribe", None, 401, {"error": "PERMISSION_DENIED", "message": message}))
        self._isExpired = False
        self.requests.notRenewed(why, now)

    # -- its own business -----------------------------------------------------------------------------------------

    def _heard(self, event: Event, now: float) -> None:
        if event.event == "token:expired":
            self._isExpired = True
            if not self._renewsToken:
                self.notRenewed("it is always the same", now)
        elif self._follower is not None and not self._follower.heard(event):
            self._silence()

    def _subscribe(self) -> None:
        self._subscribeAt = None
        if self._follower is not None and not self._follower.isEnded:
            self._say("Subscribe", self._follower.subscription(), self._subscribed)

    def _subscribed(self, reply: Reply, now: float) -> None:
        if self._follower is None:
            return
        if meaningOf(reply) is Meaning.DENIED and self._renewsToken and self._subscriptions < _TOKENS_MAX:
            self._isExpired = True
            self._follower.away()
        elif self._follower.subscribed(reply):
            self._subscriptions = 0
            return
        self._subscriptions += 1
        self._subscribeAt = now + backoffS(self._subscriptions, self._random, mostS=_SUBSCRIBE_MAX_S)

    def _silence(self) -> None:
        """A session is sent every event unless it says that it wants none; who is sent none anyhow is told so."""
        self._say("UnsubscribeAll", {}, _nothing)

    def _say(self, command: str, data: dict[str, Any], then: Callable[[Reply, float], None]) -> None:
        assert self._session is not None
        extID = self.requests.extID()
        self._own[extID] = then
        self._lines.append(self._session.request(command, data, extID))


def _nothing(reply: Reply, now: float) -> None:
    """That there is an answer is all that was wanted."""
