"""What all commands have in common that book something.

Each comes in two forms. The plain one answers when it is booked, with what was accepted. Its Sync form is the same
and answers with the trade: it adds C{__deferred} to what it returns, and dispatch does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ujson
from msgspec import Struct
from twisted.internet.defer import Deferred

from ..finance.records import BALANCE_EVENT, TRADE_EVENT, Entry
from ..finance.requests import Request
from ..interfaces import About, IContext, ISubmission, Refusal
from ..runtime.waiters import Awaited
from ..wire.codes import EventRecordType, RetCode, TradeState
from ..wire.errors import ADD_BALANCE_ERROR
from .answers import Accepted, Trade
from .base import STAFF, Answer, Command

__all__ = ["SEES", "Submitting", "both"]

#: The flags that it takes to be told of a trade that is there, whoever made it.
SEES = ("see_trades", "see_accounts_balance")

#: Puts what was asked into a request, and submits it; a submission, or a Deferred of one.
Submitting = Callable[[IContext, Any], "ISubmission | Deferred[ISubmission]"]


def both(
    name: str,
    params: type[Struct],
    submit: Submitting,
    does: str,
    *,
    state: TradeState,
    changed: TradeState | None = None,
    flags: tuple[str, ...],
    errors: tuple[RetCode | Refusal, ...],
    event: EventRecordType | None = None,
    moves: bool = True,
    beyond: str = "",
) -> tuple[Command, Command]:
    """
    A command in both its forms.

    @param params: what it takes; C{timeout_ms} is among it.
    @param does: what it does, as the beginning of a sentence.
    @param state: the C{TS_*} that the plain form answers with: what was accepted, not what it is by then.
    @param changed: the same, if a trade was changed; C{None}: no other.
    @param flags: the manager flags that it takes.
    @param event: the type of the event that it causes; C{None}: an C{EV_RECORD_ADD} if it makes a trade, else an
        C{EV_RECORD_UPDATE}.
    @param moves: does it move money?
    @param beyond: what is ours about it.
    """
    types = [EventRecordType.EV_RECORD_ADD] if event is None else [event]
    if changed is not None:
        types.append(EventRecordType.EV_RECORD_UPDATE)
    events = [f"{TRADE_EVENT} {' or '.join(type.name for type in types)}"]
    if moves:
        events.append(f"{BALANCE_EVENT} {EventRecordType.EV_RECORD_UPDATE.name}")

    def plain(context: IContext, params: Any) -> Answer:
        def settled(submission: ISubmission) -> Deferred[dict[str, Any]]:
            return context.settled(submission, params.timeout_ms).addCallback(_accepted, state, changed or state)

        return _then(submit(context, params), settled)

    def sync(context: IContext, params: Any) -> Answer:
        return _then(submit(context, params), _whenBooked, params.timeout_ms, event)

    plain.__doc__ = f"{does}; answers with the order once it is booked."
    sync.__doc__ = f"{does}; answers with the trade once it is booked."
    # Where it is declared is where it is from.
    plain.__module__ = sync.__module__ = params.__module__
    return (
        Command(
            name,
            plain,
            params,
            STAFF,
            denied=ADD_BALANCE_ERROR,
            flags=frozenset(flags),
            about=About(Accepted, errors, tuple(events), beyond),
        ),
        Command(
            f"{name}Sync",
            sync,
            params,
            STAFF,
            denied=ADD_BALANCE_ERROR,
            flags=frozenset(flags),
            about=About(Trade, errors, tuple(events), beyond),
        ),
    )


def _then(submitted: ISubmission | Deferred[ISubmission], then: Callable[..., Any], *args: Any) -> Answer:
    answer: Answer = submitted.addCallback(then, *args) if isinstance(submitted, Deferred) else then(submitted, *args)
    return answer


def _accepted(entry: Entry, state: TradeState, changed: TradeState) -> dict[str, Any]:
    """What is said of a booking: of a repeat, of the first one's."""
    trade = ujson.loads(entry.data)
    return {
        "accepted": True,
        "order": entry.order,
        "state": changed if entry.type == EventRecordType.EV_RECORD_UPDATE else state,
        "login": entry.login,
        "cmd": trade["cmd"],
        "amount": trade["profit"],
        "balance_version": trade["balance_version"],
    }


def _whenBooked(submission: ISubmission, timeoutMs: int | None, event: EventRecordType | None) -> dict[str, Any]:
    request: Request = submission.request
    makes = request.makes
    order = makes or request.existing
    if event is None:
        event = EventRecordType.EV_RECORD_ADD if makes else EventRecordType.EV_RECORD_UPDATE
    return {
        "accepted": True,
        "order": order,
        "__deferred": Awaited("trade", TRADE_EVENT, event, order, timeoutMs, submission),
    }
