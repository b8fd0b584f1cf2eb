"""Trading groups: what accounts have in common, above all their currency."""

from __future__ import annotations

from typing import Annotated, Any

import ujson
from msgspec import Meta, Struct

from ..finance import requests
from ..interfaces import IContext
from ..wire.codes import SessionType
from ..wire.errors import InvalidData
from .base import command
from .params import IdempotencyKey

__all__ = ["addGroup"]

#: Those who may change what accounts are, not only what is on them.
OFFICE = frozenset({SessionType.SESSION_MANAGER, SessionType.SESSION_ADMIN})

# What a mask gives a meaning to cannot be part of a name.
GroupName = Annotated[
    str, Meta(pattern=r"\A[^\s*!,\x00-\x1f\x7f]{1,64}\Z", description="1 to 64 characters, no space and none of * ! ,")
]


class AddGroup(Struct, frozen=True):
    """A group; C{currency} is an ISO 4217 code, or one that the configuration adds."""

    group: GroupName
    currency: Annotated[str, Meta(min_length=1, max_length=12)]
    idempotency_key: IdempotencyKey | None = None


@command("AddGroup", roles=OFFICE)
async def addGroup(context: IContext, params: AddGroup) -> dict[str, Any]:
    """Make a group of accounts in one currency."""
    try:
        digits = context.currencies.digits(params.currency)
    except ValueError as e:
        raise InvalidData(str(e), field="currency") from None
    cause = context.cause(params.idempotency_key)
    submission = context.submit(requests.AddGroup(cause, params.group, params.currency, digits, {}))
    entry = await context.settled(submission)
    data: dict[str, Any] = ujson.loads(entry.data)
    return data
