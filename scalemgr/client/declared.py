"""What is known of the commands before anything is asked: their parameters, their answers, and how often they may be.

All of it comes from the declarations that the server itself is made of; a command of somebody's plugin is not among
them, and can still be asked with C{call}.
"""

from __future__ import annotations

import builtins
import difflib
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from functools import cache
from types import ModuleType
from typing import Any, get_args

import msgspec
from msgspec import Struct

from ..commands import accounts, approvals, corrections, finance, groups, lists, requests, statements, streaming, trades
from ..commands.base import Command
from ..commands.params import NegativeAmount, SignedAmount, convert
from ..finance.money import readDecimal
from ..wire.errors import InvalidData
from .errors import BadParameters, UnexpectedAnswer
from .session import Reply

__all__ = ["CHOOSING", "COMMANDS", "Kind", "amounts", "answer", "kindOf", "parameters", "suggestion", "withoutSecrets"]

_MODULES: tuple[ModuleType, ...] = (
    finance,
    corrections,
    approvals,
    accounts,
    groups,
    lists,
    trades,
    statements,
    requests,
    streaming,
)

#: Every command that scalemgr declares, by each of its names.
COMMANDS: Mapping[str, Command] = {
    name: command
    for module in _MODULES
    for command in vars(module).values()
    if isinstance(command, Command)
    for name in (command.name, *command.aliases)
}

#: They change nothing but what a session is sent, and that is the client's own business: C{events()}.
CHOOSING = frozenset({"Subscribe", "SubscribeAll", "Unsubscribe", "UnsubscribeAll"})

_SECRETS = frozenset({"password"})


class Kind(Enum):
    """How often a request may be sent."""

    #: As often as it takes: its key sees that it is applied once.
    NAMED = "named"
    #: As often as it takes: it changes nothing.
    QUESTION = "question"
    #: Once: nobody knows what a second one would do.
    ONCE = "once"


def kindOf(command: str, key: str | None) -> Kind:
    """
    How often a request may be sent.

    @param key: its name, if its caller has given one. A command that is known to be named by one is C{NAMED} without,
        too: it will be given one.
    """
    declared = COMMANDS.get(command)
    if declared is None:
        return Kind.ONCE if key is None else Kind.NAMED
    # C{GetRequest} takes a key, too, but only to ask about it: what changes something causes an event.
    takesKey = "idempotency_key" in declared.params.__struct_fields__
    return Kind.NAMED if takesKey and declared.about.events else Kind.QUESTION


def suggestion(name: str) -> str:
    """What somebody may have meant who asked for a command that there is not, as the end of a sentence."""
    callable = [known for known in COMMANDS if known not in CHOOSING]
    folded = {known.lower(): known for known in callable}
    similar = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"; did you mean {folded[similar[0]]}?" if similar else ""


def parameters(command: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """
    What a caller gave by name as C{data}, checked as the server will check it.

    @raise BadParameters: naming the member that is wrong.
    """
    params = COMMANDS[command].params
    names = dict(zip(params.__struct_fields__, params.__struct_encode_fields__, strict=True))
    for name in given:
        if name not in names:
            similar = difflib.get_close_matches(name, names, n=1)
            meant = f"; did you mean {similar[0]}?" if similar else f"; it takes {', '.join(names)}"
            raise BadParameters(f"{command} takes no {name}{meant}")
    # What is None is left out, here as in the declarations.
    data = amounts(command, {names[name]: value for name, value in given.items() if value is not None})
    try:
        convert(data, params)
    except InvalidData as e:
        raise BadParameters(f"{command}: {e.message}; nothing was sent") from None
    return data


def amounts(command: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """
    C{data} with each amount as the number of the wire that is exactly it.

    @raise BadParameters: if there is none.
    """
    exact = dict(data)
    declared = COMMANDS.get(command)
    if declared is None:
        return exact
    for name in _amountFields(declared.params, SignedAmount):
        if exact.get(name) is not None:
            try:
                number = exact[name] = _number(exact[name])
                if number > 0 and name in _amountFields(declared.params, NegativeAmount):
                    raise ValueError(f"what goes out is negative: -{str(data[name]).lstrip('+')}")
            except ValueError as e:
                raise BadParameters(f"{command}: {name}: {e}; nothing was sent") from None
    return exact


@cache
def _amountFields(params: type[Struct], kind: type[SignedAmount]) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(params) if _isAmount(field.type, kind))


def _isAmount(type: Any, kind: type[SignedAmount]) -> bool:
    if isinstance(type, builtins.type):
        return issubclass(type, kind)
    return any(_isAmount(part, kind) for part in get_args(type))


# No exponents, spaces or underscores: an amount that somebody typed or a payment page sent.
_DECIMAL = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?").fullmatch


def _number(value: object) -> int | float:
    """
    An amount as a number that the server reads as exactly the same.

    @raise ValueError: if there is none: it is no number, or has more than 15 significant digits.
    """
    exact: Decimal | None = None
    if type(value) is str or isinstance(value, Decimal):
        if type(value) is str and not _DECIMAL(value):
            raise ValueError(f"expected a decimal number such as 250.00, got {value!r}")
        exact = Decimal(value)
        if not exact.is_finite():
            raise ValueError("expected a finite number")
        if exact == exact.to_integral_value() and abs(exact) < 10**15:
            number: int | float = int(exact)
        else:
            number = float(exact)
    elif type(value) is int or type(value) is float:
        number = value
    else:
        raise ValueError(f"expected an int, a Decimal, a float, or a decimal number as a str, got {value!r}")
    coefficient, decimals = readDecimal(number)
    read = Decimal(coefficient).scaleb(-decimals)
    if exact is not None and read != exact:
        raise ValueError(f"{value} cannot be sent exactly: expected at most 15 significant digits")
    return number


def answer(command: str, reply: Reply) -> Any:
    """
    What was answered, as declared.

    @raise UnexpectedAnswer: if it is something else.
    """
    declared = COMMANDS[command].about.answer
    if declared is None:
        return reply.data
    try:
        return msgspec.convert(reply.data, declared)
    except msgspec.ValidationError as e:
        raise UnexpectedAnswer(command, reply.status, reply.data, str(e)) from None


def withoutSecrets(data: Mapping[str, Any]) -> bool:
    """May this be kept on a disk?"""
    return _SECRETS.isdisjoint(data)
