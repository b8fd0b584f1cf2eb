"""Those who ask, and what they remember of having asked."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from scalemgr.finance.masks import EVERYTHING, Mask
from scalemgr.finance.records import REFUSAL, Entry

from ..helpers import token
from .contents import Content

#: An idempotency key in full: whose, and which. C{None} for a request without one.
Scope = tuple[str, str | None]

#: Those who ask, and the groups that they see.
MASKS = {"crm": EVERYTHING, "psp": Mask("real-*"), "till": EVERYTHING}
TOKENS = {id: token(id, groups=mask.text) for id, mask in MASKS.items()}


class Asked:
    """
    One request on its way, as the one who asked knows it.

    @ivar sync: is it the Sync form?
    @ivar until: when its time is up, at the earliest.
    @ivar troubled: may the ledger have failed since?
    @ivar state: C{open}, C{lost} with its session, or what it was answered: C{known}, C{void}, C{pending},
        C{overload} or, for any other reason, C{nothing}.
    """

    def __init__(self, scope: Scope, content: Content, sync: bool, until: float, troubled: bool) -> None:
        self.scope = scope
        self.content = content
        self.sync = sync
        self.until = until
        self.troubled = troubled
        self.state = "open"

    def __repr__(self) -> str:
        return f"<{self.command} {self.scope} {self.content} {self.state}>"

    @property
    def command(self) -> str:
        return self.content.command + ("Sync" if self.sync else "")

    def mayApply(self) -> bool:
        """Was nothing said of it, or nothing that excludes an effect?"""
        return self.state in ("open", "lost", "pending")

    def mayBe(self) -> bool:
        """Was nothing said that it had no effect?"""
        return self.mayApply() or self.state == "known"


class Answer(NamedTuple):
    """
    One line that is an answer.

    @ivar text: its C{data}, as it was sent.
    """

    extID: str
    status: int
    replayed: bool
    text: bytes
    data: dict[str, Any]

    def tells(self, entry: Entry, asked: Asked) -> bool:
        """Is it what must be answered if this entry is the outcome?"""
        if entry.event != REFUSAL:
            told = (self.status, self.data) == asked.content.told(entry, asked.sync)
            return told and (not asked.sync or self.text == entry.data.encode("ascii"))
        refusal = json.loads(entry.data)
        if self.data.get("error") == "ADD_BALANCE_ERROR":
            # As published: whoever may not touch an account is told no more.
            return self.status == 401 and self.data.items() >= {"code": entry.type, "outcome": "refused"}.items()
        return self.status >= 400 and self.data == refusal
