"""The demo: what C{--demo} puts into a ledger, and who may use it.

A group C{demo} in USD with the accounts 1001 to 1003, and a manager who needs no token, so that the
published request works as it is printed. For a machine of one's own only.
"""

from __future__ import annotations

from .finance.masks import EVERYTHING
from .finance.requests import AddAccount, AddGroup, Cause, Request
from .interfaces import ILedger
from .server.auth import Principal
from .wire.codes import SessionType

__all__ = ["ACCOUNTS", "ANONYMOUS", "EXAMPLE", "provide"]

#: Who a session of a demo is, without a token.
ANONYMOUS = Principal("demo", SessionType.SESSION_MANAGER)
#: The accounts of a demo.
ACCOUNTS = (1001, 1002, 1003)
#: The request of the published page, on one line.
EXAMPLE = (
    '{"command": "BalanceInSync", "extID": "deposit-req-1001", '
    '"data": {"login": 1001, "amount": 250.0, "comment": "Payment gateway deposit"}}'
)

_GROUP = "demo"
_CAUSE = Cause("demo", EVERYTHING)


def provide(ledger: ILedger, nowMs: int) -> None:
    """
    Add what a demo needs and the ledger lacks.

    @param ledger: open, and not serving yet.
    """
    missing: list[Request] = []
    if ledger.book.group(_GROUP) is None:
        missing.append(AddGroup(_CAUSE, _GROUP, "USD", 2, {}))
    missing += [
        AddAccount(_CAUSE, login, _GROUP, 1, {"name": f"Demo {login}", "leverage": 100, "email": ""}, "")
        for login in ACCOUNTS
        if ledger.book.account(login) is None
    ]
    if missing:
        for outcome in ledger.commit(missing, nowMs):
            if isinstance(outcome, Exception):
                raise outcome
