"""Which verbs there are. Nothing is imported here, so that help costs nothing."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["VERBS", "Verb"]


class Verb(NamedTuple):
    """
    One verb.

    @ivar module: the module of this package that knows its words,
    @ivar declare: and its function that adds them.
    @ivar help: what it does, in a line.
    @ivar example: a line for a shell. A test runs each of them.
    """

    name: str
    module: str
    help: str
    example: str
    declare: str = "declare"


VERBS = (
    Verb("demo", "demo", "start a demo daemon, make a deposit, show what went over the wire", "scalemgr demo"),
    Verb(
        "token",
        "token",
        "make a token",
        "scalemgr token --config scalemgr.toml --id crm --role manager --groups 'real-*,!real-test'",
    ),
    Verb("commands", "commands", "list every command that the daemon finds, with its package", "scalemgr commands"),
    Verb(
        "call",
        "call",
        "call any command of the daemon",
        'scalemgr call MngGetTradesByFilter limit=10 where:=\'[["login", "=", 1001]]\'',
    ),
    Verb(
        "deposit",
        "money",
        "put money on an account, once",
        "scalemgr deposit 1001 250.00 --key payment-4711 --comment 'Card payment'",
    ),
    Verb(
        "withdraw",
        "money",
        "take money off an account, once",
        "scalemgr withdraw 1001 49.90 --key payout-4712",
        "declareWithdraw",
    ),
    Verb("account", "accounts", "tell what is known of an account, and what is on it", "scalemgr account 1001"),
    Verb(
        "statement",
        "accounts",
        "list every movement of money on an account, and what was there before and after",
        "scalemgr statement 1001 --from 2026-11-01 --to 2026-11-30 --csv",
        "declareStatement",
    ),
    Verb("tail", "tail", "follow the events, each once", "scalemgr tail --from-seq 0 --login 1001 --count 2"),
    Verb("status", "status", "ask a daemon whether it is ready, and how it is", "scalemgr status"),
    Verb(
        "verify",
        "verify",
        "fold the log again and compare everything with it; may run beside the daemon",
        "scalemgr verify --ledger sqlite:/var/lib/scalemgr",
    ),
    Verb(
        "backup",
        "backup",
        "copy the ledger into a file, consistent, also while the daemon runs",
        "scalemgr backup --ledger sqlite:/var/lib/scalemgr ledger-2026-11-26.db",
    ),
    Verb(
        "restore",
        "backup",
        "make a ledger of a backup, with a new epoch",
        "scalemgr restore ledger-2026-11-26.db /var/lib/scalemgr",
        "declareRestore",
    ),
    Verb(
        "renew",
        "copy",
        "give a ledger that was put back from a backup by other means a new epoch",
        "scalemgr renew --ledger postgresql:///scalemgr",
        "declareRenew",
    ),
    Verb(
        "copy",
        "copy",
        "move a ledger to another place, as from SQLite to PostgreSQL; goes on where it was",
        "scalemgr copy --from sqlite:/var/lib/scalemgr --to postgresql:///scalemgr",
    ),
    Verb(
        "reconcile",
        "reconcile",
        "hold a payment provider's list of references, logins and amounts against the ledger",
        "scalemgr reconcile payments.csv --ledger sqlite:/var/lib/scalemgr --id crm --from 2026-11-26 --to 2026-11-26",
    ),
)
