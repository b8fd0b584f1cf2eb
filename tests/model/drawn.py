"""What is asked for: few requests, so that they meet; some say the same in other words, some are refused."""

from __future__ import annotations

from collections.abc import Callable

from scalemgr.wire.codes import TradeCommand

from .contents import AskFor, Content, Decide, Move, TakeBack
from .offices import Arrange, ChangeAccount, CloseAccount, CloseAccounts, OpenAccount, RemoveGroup
from .truth import BOOKED, TAKEN_BACK, Movement, Truth

#: An account that takes no money, beside those that every daemon under test has.
DISABLED = 1003
#: One that has some credit and nothing else, and one for which something is awaited and nothing else.
_CREDITED, AWAITED = 1002, 1004
#: One that is opened and closed, and the first of those that the daemon itself opens.
_SHORT, _OPENED = 3001, 5001
#: One that is never opened, and an order that is never made.
_NOBODY, _NOTHING = 9999, 99_999_999

DEPOSITS: list[Move] = [
    Move("BalanceIn", 1001, 10.0),
    Move("BalanceIn", 1001, 10.0, "Finance"),
    Move("BalanceIn", 1001, 20.5),
    Move("BalanceIn", 2001, 10.0),
    Move("BalanceIn", 2001, 7.25, "seven"),
    Move("BalanceIn", _NOBODY, 10.0),
    Move("BalanceIn", DISABLED, 10.0),
    Move("BalanceIn", 1001, 10.001),
    Move("BalanceIn", _CREDITED, 5.0),
    Move("BalanceIn", _SHORT, 10.0),
]

MOVEMENTS: list[Move] = [
    Move("BalanceOut", 1001, -5.0),
    Move("BalanceOut", 1001, -5.0, "Finance"),
    Move("BalanceOut", 1001, -12.5),
    Move("BalanceOut", 2001, -10.0),
    Move("BalanceOut", _CREDITED, -5.0),
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
    AskFor(_CREDITED, 6, 5.0),
    AskFor(DISABLED, 6, 10.0),
    AskFor(_NOBODY, 6, 10.0),
    AskFor(1001, 6, 10.001),
]

OFFICES: list[Content] = [
    OpenAccount(_SHORT, "real-new"),
    OpenAccount(_SHORT, "demo"),
    OpenAccount(_SHORT, "demo", 0),
    OpenAccount(1001, "real-eu"),
    ChangeAccount(1001, "demo", 0),
    ChangeAccount(1001, "demo", 1),
    ChangeAccount(1001, "real-eu", 1),
    ChangeAccount(_CREDITED, "real-new", 1),
    ChangeAccount(_CREDITED, "demo", 1),
    ChangeAccount(_SHORT, "demo", 1),
    CloseAccount(_SHORT),
    CloseAccount(_CREDITED),
    CloseAccount(AWAITED),
    CloseAccount(1001),
    CloseAccount(_NOBODY),
    CloseAccounts((_CREDITED, _SHORT, AWAITED, _NOBODY)),
    CloseAccounts((_NOBODY, 1001)),
    CloseAccounts((_OPENED, _CREDITED)),
    Arrange("AddGroup", "real-new", "USD"),
    Arrange("AddGroup", "real-new", "EUR", 1.0),
    Arrange("UpdateGroup", "demo", "USD", -5.0),
    Arrange("UpdateGroup", "demo", "USD", 0.0),
    Arrange("UpdateGroup", "demo", "EUR"),
    Arrange("UpdateGroup", "real-new", "EUR"),
    RemoveGroup("real-new"),
    RemoveGroup("demo"),
]

#: All that can be asked whatever has happened.
ALL: list[Content] = [*DEPOSITS, *MOVEMENTS, *REQUESTS, *OFFICES]

#: Other ones than most, for a key that has been used.
OTHERS: list[Content] = [Move("BalanceIn", 1001, 20.5), Move("CreditOut", 2001, -10.0, "bonus"), AskFor(2001, 6, 10.0)]

#: What there is to begin with, so that something can be done about it at once.
BEFORE: list[tuple[TradeCommand, int, float]] = [
    (TradeCommand.OP_BALANCE_IN, 1001, 30.0),
    (TradeCommand.OP_BALANCE_IN, 2001, 15.0),
    (TradeCommand.OP_CREDIT_IN, 1001, 10.0),
    (TradeCommand.OP_CREDIT_IN, _CREDITED, 4.0),
]
#: The same of what awaits approval.
AWAITING: list[tuple[TradeCommand, int, float]] = [
    (TradeCommand.OP_BALANCE_IN, 1001, 10.0),
    (TradeCommand.OP_BALANCE_OUT, 1001, -25.0),
    (TradeCommand.OP_BALANCE_OUT, 1001, -35.0),
    (TradeCommand.OP_CREDIT_OUT, 1001, -4.0),
    (TradeCommand.OP_BALANCE_OUT, 2001, -10.0),
    (TradeCommand.OP_BALANCE_IN, AWAITED, 5.0),
]

#: Says which movement, below this.
WHICH_MAX = 60

TAKINGS_BACK = ["DeleteBalance", "DeleteBalance", "DeleteCredit"]
DECISIONS = ["MngApproveFinanceRequest", "MngApproveFinanceRequest", "MngDeclineFinanceRequest"]
#: What excludes each other, if both is about one movement.
RIVALS = [
    ("MngApproveFinanceRequest", "MngDeclineFinanceRequest"),
    ("MngApproveFinanceRequest", "MngApproveFinanceRequest"),
    ("DeleteBalance", "DeleteBalance"),
    ("DeleteCredit", "DeleteCredit"),
]
_COMMANDS = {6: "BalanceIn", 7: "CreditIn", 8: "BalanceOut", 9: "CreditOut"}


def decision(truth: Truth, command: str, which: int) -> Content:
    """One of a request for money, mostly; it may have been decided on already."""
    order, _ = _movement(truth, which, lambda order: order in truth.requests)
    approved = command == "MngApproveFinanceRequest"
    return Decide(command, order, None if approved or which % 2 else "no")


def takingBack(truth: Truth, command: str, which: int) -> Content:
    """Of a movement of the right kind, mostly; it may have been taken back already."""
    ofCredit = command == "DeleteCredit"
    order, _ = _movement(truth, which, lambda order: truth.movements[order].ofCredit == ofCredit)
    return TakeBack(command, order)


def change(truth: Truth, which: int, other: Move | None) -> Content:
    """
    Of a movement that can be changed, mostly.

    @param other: what it is to become, if it is not to be what it may become.
    """
    order, movement = _movement(truth, which, lambda order: truth.movements[order].state in (BOOKED, TAKEN_BACK))
    if movement is None or other is not None:
        other = other or MOVEMENTS[0]
        return Move(other.command, other.login, other.amount, other.comment, order)
    comment = "other" if movement.ofCredit or which % 2 else None
    amount = (2.5, 10.0, 12.0)[which % 3] * (1 if movement.cents > 0 else -1)
    return Move(_COMMANDS[movement.cmd], movement.login, amount, comment, order)


def _movement(truth: Truth, which: int, fits: Callable[[int], bool]) -> tuple[int, Movement | None]:
    """The order of a movement, mostly one that fits and was told of lately; with it that movement, if there is one."""
    fitting = [order for order in truth.movements if fits(order)]
    orders = fitting if fitting and which % 5 else [_NOTHING, *truth.movements]
    order = orders[-1 - len(orders) * which**2 // WHICH_MAX**2]
    return order, truth.movements.get(order)
