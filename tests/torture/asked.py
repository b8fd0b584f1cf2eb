"""What the commands ask for, written down here once more: the checks believe no table of what is tested."""

from __future__ import annotations

__all__ = [
    "APPROVE",
    "BALANCE",
    "CREATE",
    "CREDIT",
    "DECLINE",
    "MOVES",
    "NAMES",
    "OFFICE",
    "TAKES_BACK",
    "UNKNOWN_LOGINS",
    "UNKNOWN_ORDERS",
]

#: The commands that move money, each with its C{cmd}; each command here has a Sync form, too.
MOVES = {"BalanceIn": 6, "CreditIn": 7, "BalanceOut": 8, "CreditOut": 9}

#: The C{cmd}s of a balance, and those of a credit.
BALANCE = frozenset({6, 8})
CREDIT = frozenset({7, 9})

#: The commands that take a movement back, each with the C{cmd}s that it may have.
TAKES_BACK = {"DeleteBalance": BALANCE, "DeleteCredit": CREDIT}

#: The commands of requests that somebody has to approve.
CREATE = "MngCreateFinanceRequest"
APPROVE = "MngApproveFinanceRequest"
DECLINE = "MngDeclineFinanceRequest"

#: The commands of accounts and groups, which have one form only and make no trade.
OFFICE = ("AddGroup", "UpdateGroup", "DeleteGroup", "MngAddAccount", "MngDeleteAccount", "DeleteUsersList")

#: Nobody has these.
UNKNOWN_LOGINS = range(999_001, 999_010)

#: The server never comes to these.
UNKNOWN_ORDERS = range(9_000_000_001, 9_000_000_100)

#: How each kind of wish is counted: those that change a movement apart.
NAMES = {
    "BalanceIn": "deposits",
    "BalanceOut": "withdrawals",
    "CreditIn": "credits in",
    "CreditOut": "credits out",
    "change": "changes",
    "DeleteBalance": "balances taken back",
    "DeleteCredit": "credits taken back",
    CREATE: "asked for approval",
    APPROVE: "approvals",
    DECLINE: "declines",
    "AddGroup": "groups made",
    "UpdateGroup": "groups changed",
    "DeleteGroup": "groups deleted",
    "MngAddAccount": "accounts opened",
    "MngDeleteAccount": "accounts closed",
    "DeleteUsersList": "lists closed",
}
