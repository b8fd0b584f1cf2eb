"""How one uses it from Python.

::

    from scalemgr.client import Client

    with Client("tcp:127.0.0.1:8080", token="...") as client:
        trade = client.BalanceInSync(login=1001, amount="250.00", idempotency_key="payment-4711")
        print(trade.order, trade.profit)

Three ways in, one behaviour (L{scalemgr.client.core}):

- L{Client}, for scripts and web applications: C{client.BalanceInSync(...)} returns the answer. Threads may share it,
  and it may be made, or used, before a server forks. C{for event in client.events(from_seq=...)}; C{close()}.
- L{AsyncClient}, for asyncio: C{await client.BalanceInSync(...)}; C{async for event in client.events(...)};
  C{await client.close()}.
- L{ManagerClient}, for Twisted: C{ManagerClient(reactor, address, ...)} is a service; C{client.BalanceInSync(...)}
  returns a Deferred, C{client.follow(callback, from_seq=...)} calls back.

All take C{(address, token=, deadline=, ca=, certificate=, key=, hostname=, outbox=, onOutcome=)}, with an address such
as C{tls:host:8443} or C{tcp:127.0.0.1:8080} (L{scalemgr.client.address}), and connect when they are first used (or
started), and again after each break. C{token} may be what fetches one.

Every declared command is an attribute, with its parameters by name and the Struct of L{scalemgr.commands.answers} that
it answers with. C{client.call(name, data)} calls any command, with C{data} as on the wire, and gives the L{Reply}:
C{status}, C{data}, C{replayed}. Amounts are an C{int}, a C{Decimal}, a C{str} such as C{"250.00"} or a C{float}: what
cannot be sent exactly is refused, never rounded.

Whatever changes something has an C{idempotency_key}, made here unless the caller gives one, and is repeated with it
until its outcome is certain or C{deadline} seconds (30) have passed. If it is not done, one of these is raised
(L{scalemgr.client.errors}):

- L{Refused}: the server said no: C{status}, C{error}, C{code}, C{order}, C{outcome}.
- L{NotApplied} (of which L{Refused}, L{Unreachable} and L{BadParameters} are kinds): for certain nothing was booked by
  this call. L{Unreachable} comes at once if the server's certificate is not believed, or it wants another of ours: that
  does not go away by itself.
- L{OutcomeUnknown}: it may have been booked; ask again, with its C{key} and the same data.

With C{outbox=PATH} it is on the disk before the first byte is sent (but for what has a password in it), and asked until
it is certain, whoever waits, and whichever process: who opens that outbox next finishes what is unfinished.
C{onOutcome(outcome)} is told of what nobody waited for, C{client.unfinished()} says what there is. One process has an
outbox at a time; and an outbox belongs to one caller (the C{id} of the token), for so do keys: what another has begun
is not touched, and nothing is put beside it (L{NotApplied} says whose it is). A newer token of the same C{id} goes on.

Events come each once and in order, from C{from_seq} on, across breaks. Keep the C{seq} of the last that was dealt with,
and the C{epoch} (C{client.Ping().epoch}), to go on from there in the next process. L{ResyncRequired} says that the log
is another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .aio import AsyncClient
from .asking import Intent
from .blocking import Client
from .errors import (
    BadParameters,
    ClientClosed,
    ClientError,
    NotApplied,
    OutboxInUse,
    OutcomeUnknown,
    Refused,
    ResyncRequired,
    Unanswered,
    UnexpectedAnswer,
    Unreachable,
)
from .keeping import Outcome
from .session import Event, Reply

if TYPE_CHECKING:
    from .deferred import ManagerClient

__all__ = [
    "AsyncClient",
    "BadParameters",
    "Client",
    "ClientClosed",
    "ClientError",
    "Event",
    "Intent",
    "ManagerClient",
    "NotApplied",
    "OutboxInUse",
    "Outcome",
    "OutcomeUnknown",
    "Refused",
    "Reply",
    "ResyncRequired",
    "Unanswered",
    "UnexpectedAnswer",
    "Unreachable",
]


def __getattr__(name: str) -> Any:
    # Only who wants it imports what takes a reactor.
    if name == "ManagerClient":
        from .deferred import ManagerClient

        return ManagerClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
