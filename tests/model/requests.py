"""What the clients of the model test ask, and what they remember of having asked it."""

from __future__ import annotations

from typing import Any, NamedTuple

from scalemgr.finance.masks import EVERYTHING, Mask
from scalemgr.finance.records import TRADE_EVENT, Entry
from scalemgr.wire.codes import EventRecordType

from ..helpers import token

#: An idempotency key in full: whose, and which. C{None} for a request without one.
Scope = tuple[str, str | None]

#: Those who ask, and the groups that they see.
MASKS = {"crm": EVERYTHING, "psp": Mask("real-*")}
TOKENS = {id: token(id, groups=mask.text) for id, mask in MASKS.items()}

#: An account that takes no money, beside those that every daemon under test has.
DISABLED = 1003
_GROUPS = {1001: "demo", 1002: "demo", 2001: "real-eu"}


class Content(NamedTuple):
    """
    What a deposit says.

    @ivar order: the deposit that it changes, or C{None} for a new one.
    """

    login: int
    amount: float
    comment: str | None = None
    order: int | None = None

    def said(self) -> tuple[Any, ...]:
        """Equal for contents that are the same request: no comment is the default one, for a new deposit."""
        comment = "Finance" if self.comment is None and self.order is None else self.comment
        return self.login, self.amount, comment, self.order

    def malformed(self) -> bool:
        """Does it have more digits than its currency?"""
        return round(self.amount, 2) != self.amount

    def acceptable(self, mask: Mask) -> bool:
        """Is a new deposit of this content booked for somebody with this mask, if it is not malformed?"""
        return self.login in _GROUPS and mask.covers(_GROUPS[self.login])

    def booked(self, entry: Entry) -> bool:
        """Can this entry be what became of it?"""
        if entry.event != TRADE_EVENT:
            return True
        trade = entry.trade()
        return (
            (trade.login, trade.profit) == (self.login, self.amount * 100)
            and trade.comment == (self.comment or ("Finance" if self.order is None else trade.comment))
            and (entry.type == EventRecordType.EV_RECORD_ADD or entry.order == self.order)
        )


#: Few, so that they meet; some say the same in other words, some are refused, one is malformed.
CONTENTS = [
    Content(1001, 10.0),
    Content(1001, 10.0, "Finance"),
    Content(1001, 20.5),
    Content(2001, 10.0),
    Content(2001, 7.25, "seven"),
    Content(9999, 10.0),
    Content(DISABLED, 10.0),
    Content(1001, 10.001),
]


class Asked:
    """
    One deposit on its way, as the one who asked knows it.

    @ivar sync: is the trade wanted, or what was accepted?
    @ivar until: when its time is up.
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
        form = "BalanceInSync" if self.sync else "BalanceIn"
        return f"<{form} {self.scope} {tuple(self.content)} {self.state}>"

    def mayApply(self) -> bool:
        """Was nothing said that excludes an effect?"""
        return self.state in ("open", "lost", "pending")


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
