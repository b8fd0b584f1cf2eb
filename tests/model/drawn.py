"""What is asked for: few requests, so that they meet; some say the same in other words, some are refused."""

from __future__ import annotations

from .contents import AskFor, Content, Decide, Move, TakeBack
from .offices import Arrange, CloseAccount, CloseAccounts, OpenAccount, RemoveGroup
from .truth import ASKED_FOR, BOOKED, DECLINED, TAKEN_BACK, Movement, Truth

#: An account that takes no money, beside those that every daemon under test has.
DISABLED = 1003
#: One that is opened and closed, as is 1002, which nobody gives much.
_SHORT = 3001
#: One that is never opened, and an order that is never made.
_NOBODY, _NOTHING = 9999, 99_999_999

DEPOSITS: list[Content] = [
    Move("BalanceIn", 1001, 10.0),
    Move("BalanceIn", 1001, 10.0, "Finance"),
    Move("BalanceIn", 1001, 20.5),
    Move("BalanceIn", 2001, 10.0),
    Move("BalanceIn", 2001, 7.25, "seven"),
    Move("BalanceIn", _NOBODY, 10.0),
    Move("BalanceIn", DISABLED, 10.0),
    Move("BalanceIn", 1001, 10.001),
    Move("BalanceIn", 1002, 5.0),
    Move("BalanceIn", _SHORT, 10.0),
]

MOVEMENTS: list[Content] = [
    Move("BalanceOut", 1001, -5.0),
    Move("BalanceOut", 1001, -5.0, "Finance"),
    Move("BalanceOut", 1001, -12.5),
    Move("BalanceOut", 2001, -10.0),
    Move("BalanceOut", 1002, -5.0),
    Move("BalanceOut", _NOBODY, -5.001),
    Move("BalanceOut", _SHORT, -10.0),
    Move("CreditIn", 1001, 10.0, "bonus"),
    Move("CreditIn", 2001, 10.0, "bonus"),
    Move("CreditIn", 1001, 10.001, "bonus"),
    Move("CreditOut", 1001, -7.5, "bonus"),
    Move("CreditOut", 2001, -10.0, "bonus"),
]

REQUESTS: list[Content] = [
    AskFor(1001, 6, 10.0),
    AskFor(1001, 6, 10.0, "Finance"),
    AskFor(1001, 8, -10.0),
    AskFor(1001, 8, -15.0, "rent"),
    AskFor(1001, 7, 3.5),
    AskFor(1001, 9, -3.5),
    AskFor(2001, 6, 10.0),
    AskFor(2001, 8, -4.0),
    AskFor(1002, 6, 5.0),
    AskFor(DISABLED, 6, 10.0),
    AskFor(_NOBODY, 6, 10.0),
    AskFor(1001, 6, 10.001),
]

OFFICES: list[Content] = [
    OpenAccount(_SHORT, "real-new"),
    OpenAccount(_SHORT, "demo"),
    OpenAccount(_SHORT, "demo", 0),
    OpenAccount(1001, "real-eu"),
    CloseAccount(_SHORT),
    CloseAccount(1002),
    CloseAccount(1001),
    CloseAccount(_NOBODY),
    CloseAccounts((1002, _SHORT, _NOBODY)),
    CloseAccounts((_NOBODY, 1001)),
    Arrange("AddGroup", "real-new", "USD"),
    Arrange("AddGroup", "real-new", "EUR", 1.0),
    Arrange("UpdateGroup", "demo", "USD", -5.0),
    Arrange("UpdateGroup", "demo", "USD", 0.0),
    Arrange("UpdateGroup", "demo", "EUR"),
    Arrange("UpdateGroup", "real-new", "EUR"),
    RemoveGroup("real-new"),
    RemoveGroup("demo"),
]

#: Other ones than most, for a key that has been used.
OTHERS = [Move("BalanceIn", 1001, 20.5), Move("CreditOut", 2001, -10.0, "bonus"), AskFor(2001, 6, 10.0)]

#: What can be asked about a movement that there is.
ABOUT = ["change", "change", "say", "DeleteBalance", "DeleteCredit", "approve", "approve", "decline", "decline"]


def about(what: str, truth: Truth, which: int, content: Move) -> Content:
    """
    Something about a movement: mostly one of which it can be asked, or could once.

    @param content: what a change may say: of another movement perhaps, and then it is refused.
    """
    fitting = [order for order, movement in truth.movements.items() if _isFor(what, movement)]
    orders = fitting if fitting and which % 4 else [*truth.movements, _NOTHING]
    order = orders[-1 - which // 4 % len(orders)]
    movement = truth.movements.get(order)
    if what in ("DeleteBalance", "DeleteCredit"):
        return TakeBack(what, order)
    if what == "approve":
        return Decide("MngApproveFinanceRequest", order)
    if what == "decline":
        return Decide("MngDeclineFinanceRequest", order, "no" if which % 2 else None)
    if what == "change" or movement is None:
        return Move(content.command, content.login, content.amount, content.comment, order)
    command = {6: "BalanceIn", 7: "CreditIn", 8: "BalanceOut", 9: "CreditOut"}[movement.cmd]
    comment = "other" if movement.ofCredit or which % 2 else None
    sign = 1 if movement.cmd in (6, 7) else -1
    return Move(command, movement.login, sign * (2.5, 10.0, 12.0)[which % 3], comment, order)


def _isFor(what: str, movement: Movement) -> bool:
    if what in ("approve", "decline"):
        return movement.state in (ASKED_FOR, DECLINED)
    if movement.state not in (BOOKED, TAKEN_BACK):
        return False
    return what in ("change", "say") or movement.ofCredit == (what == "DeleteCredit")
