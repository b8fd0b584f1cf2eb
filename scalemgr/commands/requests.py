"""What became of a request?"""

from __future__ import annotations

from typing import Any

import ujson
from msgspec import Struct

from ..interfaces import About, IContext
from .answers import RequestState
from .base import command
from .params import IdempotencyKey

__all__ = ["getRequest"]


class GetRequest(Struct, frozen=True):
    """Which request: by its C{idempotency_key}, or, if it had none, by its C{extID}."""

    idempotency_key: IdempotencyKey | None = None
    extID: str | int | float | None = None


@command("GetRequest", about=About(RequestState, beyond="all of it"))
async def getRequest(context: IContext, params: GetRequest) -> dict[str, Any]:
    """How far a request of yours is: unknown, queued, pending, done or refused."""
    asked = await context.asked(params.idempotency_key, params.extID)
    answer: dict[str, Any] = {"state": asked.state, "order": asked.order}
    if asked.data is not None:
        answer["data"] = ujson.loads(asked.data)
    return answer
