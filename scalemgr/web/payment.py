"""Where is a payment, and who asked for it? What a line of the event stream and a statement do not say.

- C{/payment?id=&key=}: what became of the request that a caller named so: as C{GetRequest} tells that caller, and, of
  what is in the log, its entry::

      {"id": "crm", "key": "payment-1001", "state": "done", "order": 7,
       "entry": {"seq": 12, "time": 1763836800.25, "event": "trade:event", "type": 0, "login": 1001, "data": {...}}}

- C{/entry?seq=}: who asked for an entry, and by which key: C{{"seq": 12, "principal": "crm", "key": "payment-1001"}}.
  Both are null if that is not for who asks, and if there is no such entry.

Who may audit the house may ask about anybody's requests; others about those of their own id, and about the entries of
those, where they may see them. Both are looked up in the thread that answers C{GetRequest}, within the same time.
"""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

from ..finance.channels import Interest
from ..finance.records import BALANCE_EVENT, Entry
from ..server.auth import Principal
from ..server.context import House
from ..server.dispatch import Dispatcher
from ..wire.codes import RetCode
from ..wire.errors import InvalidData, LedgerFailed, ManagerError, NotPermitted, ShuttingDown
from ..wire.messages import EXTID_BYTES_MAX
from .data import Data, argument, number
from .guard import Guard
from .resources import saidAsJson

__all__ = ["EntryOf", "Payment"]


class _Lookup(Data):
    """Something that has to be looked up in the ledger."""

    _log = Logger()

    def __init__(self, guard: Guard, dispatcher: Dispatcher) -> None:
        super().__init__(guard)
        self._dispatcher = dispatcher

    def told(self, request: Request, principal: Principal) -> Any:
        house = self._dispatcher.house
        gone: list[object] = []
        request.notifyFinish().addBoth(gone.append)

        def answer(said: tuple[int, dict[str, Any]]) -> None:
            if not gone:
                body = saidAsJson(request, *said)
                request.setHeader(b"content-length", b"%d" % len(body))
                request.write(body)
                request.finish()

        looked = Deferred.fromCoroutine(self._look(request, principal))
        looked.addTimeout(house.waiters.seconds(None), house.clock, _late)
        looked.addErrback(self._refused, request).addCallback(answer)
        return NOT_DONE_YET

    async def _look(self, request: Request, principal: Principal) -> tuple[int, dict[str, Any]]:
        if self._dispatcher.stopping:
            raise ShuttingDown
        return 200, await self.look(request, principal, self._dispatcher.house)

    async def look(self, request: Request, principal: Principal, house: House) -> dict[str, Any]:
        """
        Look it up.

        @raise ManagerError: if it is refused, or cannot be looked up now.
        """
        raise NotImplementedError

    def _refused(self, failure: Failure, request: Request) -> tuple[int, dict[str, Any]]:
        error = failure.value
        if not isinstance(error, ManagerError):
            self._log.failure("the console cannot look up {path}", failure, path=request.path.decode("latin-1"))
            error = LedgerFailed("it cannot be looked up; the daemon's log says why")
        return error.status, error.data()


class Payment(_Lookup):
    """C{/payment}: what became of a request."""

    async def look(self, request: Request, principal: Principal, house: House) -> dict[str, Any]:
        id, key = argument(request, b"id"), argument(request, b"key")
        for field, text in (("id", id), ("key", key)):
            if not 0 < len(text.encode("utf-8")) <= EXTID_BYTES_MAX:
                raise InvalidData(f"expected 1 to {EXTID_BYTES_MAX} bytes of text", field=field)
        if id != principal.id and not self._guard.mayAudit(principal):
            raise NotPermitted("what others asked for is told to those who may see every group and every event")
        asked = await house.runtime.asked((id, key))
        entry = await _entry(house, asked.seq) if asked.seq else None
        return {
            "id": id,
            "key": key,
            "state": asked.state,
            "order": asked.order,
            "entry": None if entry is None else _told(entry),
        }


class EntryOf(_Lookup):
    """C{/entry}: who asked for what is in the log."""

    async def look(self, request: Request, principal: Principal, house: House) -> dict[str, Any]:
        try:
            seq = number(request, b"seq") or 0
        except ValueError as e:
            raise InvalidData(str(e)) from None
        cause = await _cause(house, seq) if 0 < seq <= house.events.head else None
        if cause is None or not self._mayKnow(principal, cause):
            return {"seq": seq, "principal": None, "key": None}
        return {"seq": seq, "principal": cause.principal, "key": cause.key}

    def _mayKnow(self, principal: Principal, entry: Entry) -> bool:
        if self._guard.mayAudit(principal):
            return True
        return entry.principal == principal.id and Interest(principal.mask, principal.events).covers(entry)


async def _cause(house: House, seq: int) -> Entry | None:
    """The entry; of a balance, the one before it, which it follows from."""
    entry = await _entry(house, seq)
    return await _entry(house, seq - 1) if entry is not None and entry.event == BALANCE_EVENT else entry


async def _entry(house: House, seq: int) -> Entry | None:
    entries = await house.inReader(house.ledger.entries, seq - 1, 1)
    return entries[0] if entries else None


def _told(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "time": entry.time_ms / 1000,
        "event": entry.event,
        "type": entry.type,
        "login": entry.login,
        "data": msgspec.Raw(entry.data.encode("ascii")),
    }


def _late(result: object, _: float) -> object:
    if isinstance(result, Failure) and result.check(CancelledError):
        raise LedgerFailed("the ledger does not answer in time; ask again later", RetCode.RET_ERR_TIMEOUT)
    return result
