"""A book and a request in, an entry or a refusal out: the only place that decides.

L{settleBatch} works a batch off in order, on a draft of the book, so each request sees what those before
it did. Nothing here does I/O, reads a clock or draws a random number: the caller says what time it is and
which trades and keys the batch names. What comes out is not true until the ledger has committed it.

A request whose key was used before is not decided again. If it is the same request, what became of the first
is what becomes of it; if it is another one, it is refused. A refusal by a business rule is an entry of the
log, as a booking is: so it repeats, and a late repeat cannot turn a no into a yes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

import ujson
from msgspec import Struct

from ..wire.errors import DuplicateRequest, ManagerError, Refused
from ..wire.messages import encode
from . import settle_accounts, settle_money
from .book import Book, Draft
from .desk import Desk, Rule
from .records import DELETED, KEYS_FORGOTTEN, REFUSAL, Entry, FinanceTrade
from .requests import ForgetKeys, KeyName, Request, fingerprint

__all__ = ["Outcome", "Replay", "alike", "refusalOf", "settleBatch"]


class Replay(Struct, frozen=True):
    """A repeat: what became of the first is what becomes of it."""

    entry: Entry


#: What became of a request: an entry of the log (a booking, or a refusal), that of an earlier request, or the
#: reason why there is none. Anything but a L{ManagerError} is a bug of ours; it hurts the one request only.
Outcome = Union[Entry, Replay, Exception]


def settleBatch(
    book: Book,
    trades: Mapping[int, FinanceTrade],
    known: Mapping[KeyName, Entry],
    requests: Sequence[Request],
    nowMs: int,
    profiles: Mapping[int, dict[str, Any]] | None = None,
) -> tuple[list[Outcome], Draft]:
    """
    Decide a batch.

    @param book: what is true before it. It is not changed.
    @param trades: every existing trade that a request of the batch is about, by order.
    @param known: the entry of every key that a request of the batch has and an earlier one used.
    @param nowMs: the time of the batch, in milliseconds since 1970.
    @param profiles: the profile of every account that a request of the batch changes, by login.
    @return: one outcome a request, and the book as it will be once its C{entries} are committed.
    """
    draft = Draft(book)
    desk = Desk(draft, trades, profiles or {}, nowMs)
    outcomes: list[Outcome] = []
    keyed: dict[KeyName, Entry] = {}
    for request in requests:
        try:
            name = request.cause.name
            first = None if name is None else keyed.get(name) or known.get(name)
            if first is not None and first.seq > draft.forgotten:
                outcomes.append(alike(first, request))
                continue
            entry = _settle(desk, request)
        except Exception as e:
            outcomes.append(e)
            continue
        outcomes.append(entry)
        if name is not None:
            keyed[name] = entry
    return outcomes, draft


def alike(first: Entry, request: Request) -> Replay:
    """
    The outcome of a request whose key has an entry.

    @raise DuplicateRequest: if it is another request than the first.
    """
    if first.fingerprint != fingerprint(request):
        raise DuplicateRequest("this key was used for another request; nothing was done", order=first.order)
    return Replay(first)


def refusalOf(entry: Entry) -> ManagerError | None:
    """The refusal that an entry is, as it was raised; C{None} if it is none."""
    if entry.event != REFUSAL:
        return None
    refusal = ManagerError.fromData(ujson.loads(entry.data))
    if entry.record is not None:
        refusal.status = ujson.loads(entry.record)["status"]
    return refusal


def _settle(desk: Desk, request: Request) -> Entry:
    """Decide one request, and fold what comes of it into the draft."""
    try:
        effect = _RULES[type(request)](desk, request)
    except Refused as e:
        # So that the caller knows that this answer is for good.
        e.details["outcome"] = "refused"
        login = getattr(request, "login", 0)
        # Of no group: it is nobody's event.
        effect = desk.entry(
            request,
            REFUSAL,
            int(e.code),
            "",
            encode(e.data()),
            login=login,
            order=request.existing,
            # Where it is not that of the code.
            record=None if e.status == e.code.status else encode({"status": e.status}),
        )
    entries = effect if isinstance(effect, list) else [effect]
    desk.keep(entries)
    return entries[0]


def _forgetKeys(desk: Desk, request: ForgetKeys) -> Entry:
    book = desk.book
    if 0 < request.upTo <= book.forgotten:
        # Whoever else writes the log forgets, too.
        raise DuplicateRequest(f"the keys up to entry {book.forgotten} are forgotten already; nothing was done")
    if not 0 < request.upTo <= book.seq:
        raise ValueError(f"keys up to entry {request.upTo} cannot be forgotten")
    data = encode({"up_to": request.upTo})
    return desk.entry(request, KEYS_FORGOTTEN, DELETED, "", data)


_RULES: dict[type[Request], Rule] = {
    **settle_money.RULES,
    **settle_accounts.RULES,
    ForgetKeys: _forgetKeys,
}
