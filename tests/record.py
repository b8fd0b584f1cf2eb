"""The examples of docs/protocol.md: every command, really asked and answered, on a daemon whose clock stands still.

C{python -m tests.record} (C{make docs}) writes them and the document anew; a test compares them with what is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ujson
from msgspec.structs import asdict

from scalemgr.commands.markdown import Example, document
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.wire.messages import request

from .helpers import Daemon, builtIn, token

__all__ = ["DOCUMENT", "EXAMPLES", "record", "written"]

_ROOT = Path(__file__).parent.parent
EXAMPLES = _ROOT / "scalemgr" / "commands" / "protocol" / "examples.json"
DOCUMENT = _ROOT / "docs" / "protocol.md"

_PROFILE = {"name": "Ann O'Hara", "email": "ann@example.com", "leverage": 100, "enable": 1}

#: What is asked, in order: what one makes the next ones use.
SCRIPT: list[tuple[str, dict[str, Any]]] = [
    ("Ping", {}),
    ("AddGroup", {"group": "real-usd", "currency": "USD", "margin_call": 80}),
    ("UpdateGroup", {"group": "real-usd", "currency": "USD", "margin_call": 90, "floor": 0}),
    ("AddGroup", {"group": "real-eur", "currency": "EUR"}),
    ("DeleteGroup", {"group": "real-eur"}),
    ("MngAddAccount", {"group": "real-usd", "login": 5001, "password": "change-me-1", **_PROFILE}),
    ("MngAddAccount", {"group": "real-usd", "login": 5002, "password": "change-me-2", **_PROFILE}),
    ("MngAddAccount", {"group": "real-usd", "login": 5003, "password": "change-me-3", **_PROFILE}),
    ("MngUpdateAccount", {"login": 5001, "group": "real-usd", **_PROFILE, "city": "Oslo"}),
    ("BalanceIn", {"login": 5001, "amount": 250.0}),
    ("BalanceInSync", {"login": 5001, "amount": 250.0, "comment": "Payment gateway deposit"}),
    ("BalanceOut", {"login": 5001, "amount": -20.5}),
    ("BalanceOutSync", {"login": 5001, "amount": -29.5, "comment": "Withdrawal 4711"}),
    ("BalanceOutSync", {"login": 5001, "amount": -1000}),
    ("CreditIn", {"login": 5001, "amount": 100, "comment": "Welcome"}),
    ("CreditInSync", {"login": 5001, "amount": 50, "comment": "Welcome"}),
    ("CreditOut", {"login": 5001, "amount": -10, "comment": "Unused"}),
    ("CreditOutSync", {"login": 5001, "amount": -15, "comment": "Unused"}),
    ("DeleteBalance", {"order": 1}),
    ("DeleteBalanceSync", {"order": 3}),
    ("DeleteCredit", {"order": 6}),
    ("DeleteCreditSync", {"order": 8}),
    ("MngCreateFinanceRequest", {"login": 5001, "cmd": 8, "amount": -25, "gw_uuid": "psp-77", "gw_source": "psp"}),
    ("MngCreateFinanceRequestSync", {"login": 5001, "cmd": 6, "amount": 40}),
    ("MngCreateFinanceRequest", {"login": 5001, "cmd": 6, "amount": 1}),
    ("MngCreateFinanceRequest", {"login": 5001, "cmd": 6, "amount": 2}),
    ("MngApproveFinanceRequest", {"order": 10}),
    ("MngApproveFinanceRequestSync", {"order": 11}),
    ("MngDeclineFinanceRequest", {"order": 12, "comment": "not ours"}),
    ("MngDeclineFinanceRequestSync", {"order": 13}),
    ("GetTradeByOrder", {"order": 2}),
    ("GetAccountByLogin", {"login": 5001}),
    ("GetRequest", {"extID": "example-11"}),
    ("GetStatement", {"login": 5001}),
    ("GetTradesHistoryByLogin", {"login": 5001, "from": 1763800000, "to": 1763900000}),
    ("GetTradesByGroup", {"group_mask": "real-*", "open_only": 0, "limit": 2}),
    (
        "MngGetTradesByFilter",
        {
            "groupFilter": "*",
            "tradeType": 4,
            "where": [["profit", ">", 0], ["comment", "like", "Pay%"]],
            "whereIn": [["login", [5001, 5002]]],
            "orderBy": [["update_time", "desc"]],
            "limit": 10,
            "offset": 0,
        },
    ),
    ("GetAccountsByGroup", {"group_mask": "real-usd"}),
    (
        "GetUsersByFilter",
        {"groupFilter": "*", "where": [["balance", ">=", 100]], "orderBy": ["login", "ASC"], "limit": 10, "offset": 0},
    ),
    ("GetUserBalanceList", {"logins": [5001, 5002, 4711]}),
    ("GetGroups", {}),
    ("MngDeleteAccount", {"login": 5002}),
    ("DeleteUsersList", {"logins": [5001, 5003]}),
    ("Subscribe", {"chanels": ["trade:event", "balance:event", "EURUSD"], "from_seq": 44}),
    ("Unsubscribe", {"chanels": ["balance:event"]}),
    ("UnsubscribeAll", {}),
    ("SubscribeAll", {}),
]

#: More would only be the same again.
_EXAMPLES_MAX = 2


def record() -> list[Example]:
    """Ask, and keep what comes."""
    ledger = MemoryLedger()
    ledger.epoch = "1d1f3c6e5b7f4a0c9d2e8b7a6c5d4e3f"
    daemon = Daemon(ledger=ledger)
    session = daemon.connect(token())
    made: list[Example] = []
    for n, (command, data) in enumerate(SCRIPT, 1):
        line = request(command, f"example-{n}", data)
        session.send(command, f"example-{n}", data)
        daemon.settle()
        response, *events = session.raw().decode("ascii").split("\r\n")[:-1]
        if sum(example.command == command for example in made) < _EXAMPLES_MAX:
            made.append(Example(command, line.decode("ascii").strip(), response, events))
    return made


def written(made: list[Example]) -> str:
    """The examples as they are kept."""
    rows = ",\n".join(ujson.dumps(asdict(example), escape_forward_slashes=False) for example in made)
    return f"[\n{rows}\n]\n"


if __name__ == "__main__":
    examples = record()
    EXAMPLES.write_text(written(examples), "utf-8")
    DOCUMENT.write_text(document(builtIn(), examples), "utf-8")
