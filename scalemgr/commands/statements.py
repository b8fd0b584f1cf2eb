"""Statements: every movement of money on an account, with what was there after it."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ..finance.questions import StatementQuery
from ..interfaces import About, IContext
from ..wire.codes import RetCode
from ..wire.errors import InvalidData, Refused
from .answers import StatementSaid
from .base import READERS, command
from .filters import Limit
from .params import SAFE_INTEGER, Login, UnixTime

__all__ = ["getStatement"]

_Seq = Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]


class GetStatement(Struct, frozen=True, rename={"from_": "from"}):
    """Of which account, and of which movements, by when they were booked."""

    login: Login
    from_: Annotated[UnixTime, Meta(description="unix seconds; 0: from the first")] = 0
    to: Annotated[UnixTime, Meta(description="unix seconds, inclusive; 0: to the last")] = 0
    limit: Limit | None = None
    after_seq: Annotated[_Seq, Meta(description="a further page: what follows the last seq of the one before")] = 0
    as_of: Annotated[_Seq, Meta(description="as it was at this entry: the seq of the first page; 0: as it is")] = 0
    newest_first: Annotated[bool, Meta(description="the rows from the last movement to the first")] = False


@command(
    "GetStatement",
    roles=READERS,
    flags=("see_accounts_balance", "see_trades"),
    about=About(StatementSaid, (RetCode.RET_USER_NOT_FOUND,), beyond="all of it"),
)
async def getStatement(context: IContext, params: GetStatement) -> dict[str, Any]:
    """
    The movements on an account, in the order of the log, between what it had before and what it had after.

    opening, closing and count are of all movements from the first that was booked at C{from} or later to the last that
    was booked at C{to} or earlier; C{rows} are a page of them. Opening and all amounts make closing. With C{after_seq}
    (the last row's seq) and C{as_of} (the first page's seq), further pages belong to the same statement, whatever was
    booked meanwhile. With C{newest_first} a page begins with the latest movement, and further ones go back from it.
    """
    if params.to and params.to < params.from_:
        raise InvalidData("expected it after from", field="to")
    query = StatementQuery(
        login=params.login,
        fromS=params.from_,
        toS=params.to or None,
        afterSeq=params.after_seq,
        asOf=params.as_of or None,
        limit=params.limit,
        newestFirst=params.newest_first,
    )
    found = await context.statement(query)
    if found is None:
        raise Refused(f"login {params.login} does not exist, or not for you", RetCode.RET_USER_NOT_FOUND)
    return {
        "login": found.login,
        "group": found.group,
        "currency": found.currency,
        "from": params.from_,
        "to": params.to,
        "seq": found.seq,
        "opening_balance": found.opening[0],
        "opening_credit": found.opening[1],
        "closing_balance": found.closing[0],
        "closing_credit": found.closing[1],
        "structure": found.structure,
        "rows": found.rows,
        "count": found.count,
    }
