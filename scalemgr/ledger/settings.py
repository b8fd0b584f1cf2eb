"""What can be set about a ledger: the section C{[ledger]} of the configuration."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["LedgerSettings"]

_Seconds = Annotated[float, Meta(gt=0, le=600)]


class LedgerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    Which ledger, and how it is talked to. All but C{url} is for PostgreSQL.

    @ivar url: C{sqlite:FOLDER}, C{memory:}, or a connection string of PostgreSQL.
    @ivar read_url: where tables and statements are read; empty: where the views are.
    @ivar views_url: where the views are; empty: beside the log.
    @ivar notify: is every batch told to the other gateways at once? Else they find it when they poll.
    @ivar poll_seconds: how often the log is looked at for what others wrote, if nobody says so.
    @ivar connect_seconds: how long it may take to connect to one host.
    @ivar statement_seconds: how long one statement may take.
    @ivar lock_seconds: how long a commit may wait for those of the others.
    """

    url: str = "sqlite:ledger"
    read_url: str = ""
    views_url: str = ""
    notify: bool = True
    poll_seconds: _Seconds = 1.0
    connect_seconds: _Seconds = 3.0
    statement_seconds: _Seconds = 10.0
    lock_seconds: _Seconds = 5.0
