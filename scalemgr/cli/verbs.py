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
        "reconcile",
        "reconcile",
        "hold a payment provider's list of references, logins and amounts against the ledger",
        "scalemgr reconcile payments.csv --ledger sqlite:/var/lib/scalemgr --id crm --from 2026-11-26 --to 2026-11-26",
    ),
)
