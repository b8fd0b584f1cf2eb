"""What a client wrote as a filter, checked, as SQL conditions.

Every name comes from the columns that the caller may see, every value is bound, and is of the kind that its column
is of. C{like} is as SQLite has it, whatever the engine: C{%} stands for any characters, C{_} for one, and ASCII letters
match in either case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..finance.questions import Filter
from ..wire.errors import InvalidData
from .columns import TEXT, Column
from .dialect import Dialect

__all__ = ["CONDITIONS_MAX", "ORDERS_MAX", "TEXT_MAX", "VALUES_MAX", "Condition", "conditions", "order"]

#: How many conditions one filter may have,
CONDITIONS_MAX = 50
#: how many values one list, and all of them together,
VALUES_MAX = 1000
ALL_VALUES_MAX = 10_000
#: how many characters one text,
TEXT_MAX = 512
#: and by how many columns it may be sorted.
ORDERS_MAX = 8

#: SQL, and the values that are bound in it.
Condition = tuple[str, list[Any]]

# Given a dialect and its columns, what somebody wrote, and where.
_Make = Callable[[Dialect, Mapping[str, Column], object, str], Condition]

_OPERATORS = {"=": "=", "==": "=", "!=": "<>", ">": ">", "<": "<", ">=": ">=", "<=": "<="}


def conditions(filter: Filter, columns: Mapping[str, Column], dialect: Dialect) -> list[Condition]:
    """
    The conditions of a filter.

    @param columns: those that the caller may see, in that dialect; another one is as one that there is not.
    @raise InvalidData: that names the member that is wrong.
    """
    found = [
        make(dialect, columns, rule, f"{name}[{i}]")
        for name, make in _RULES.items()
        for i, rule in enumerate(_rules(getattr(filter, name), name))
    ]
    if len(found) > CONDITIONS_MAX:
        raise InvalidData(f"{len(found)} conditions are more than {CONDITIONS_MAX}", field="where")
    if sum(len(values) for _, values in found) > ALL_VALUES_MAX:
        raise InvalidData(f"expected at most {ALL_VALUES_MAX} values in all", field="where")
    return found


def order(filter: Filter, columns: Mapping[str, Column], key: str) -> str:
    """
    What to sort by: a total order, for the key comes last.

    @raise InvalidData: that names the member that is wrong.
    """
    terms: list[str] = []
    direction = "ASC"
    for i, (name, direction) in enumerate(_orders(filter.orderBy)):
        terms.append(f"{_column(columns, name, f'orderBy[{i}]').sql} {direction}")
    # In the direction of the last, so that an index serves all of it.
    return ", ".join([*terms, f"{key} {direction}"])


def _orders(orderBy: object) -> list[tuple[object, str]]:
    if not isinstance(orderBy, (list, tuple)):
        raise InvalidData("expected [field, direction], or a list of those", field="orderBy")
    pairs = [orderBy] if orderBy and isinstance(orderBy[0], str) else orderBy
    if len(pairs) > ORDERS_MAX:
        raise InvalidData(f"expected at most {ORDERS_MAX} fields", field="orderBy")
    orders: list[tuple[object, str]] = []
    for i, pair in enumerate(pairs):
        if not isinstance(pair, (list, tuple)) or not 1 <= len(pair) <= 2:
            raise InvalidData("expected [field, direction]", field=f"orderBy[{i}]")
        direction = pair[1] if len(pair) == 2 else "ASC"
        if not isinstance(direction, str) or direction.upper() not in ("ASC", "DESC"):
            raise InvalidData("expected the direction ASC or DESC", field=f"orderBy[{i}]")
        orders.append((pair[0], direction.upper()))
    return orders


def _rules(rules: object, name: str) -> list[Any] | tuple[Any, ...]:
    if isinstance(rules, (list, tuple)):
        return rules
    raise InvalidData("expected a list of conditions", field=name)


def _parts(rule: object, count: int, shape: str, at: str) -> list[Any] | tuple[Any, ...]:
    if isinstance(rule, (list, tuple)) and len(rule) == count:
        return rule
    raise InvalidData(f"expected {shape}", field=at)


def _column(columns: Mapping[str, Column], name: object, at: str) -> Column:
    column = columns.get(name) if isinstance(name, str) else None
    if column is None:
        # In quotes, and cut short: it is whatever somebody wrote.
        raise InvalidData(f"there is no column {str(name)[:64]!r}, or not for you", field=at)
    return column


def _value(dialect: Dialect, column: Column, value: object, at: str) -> object:
    """What to bind for a value."""
    return dialect.bound(column, _text(value, at) if column.kind == TEXT else _number(value, at))


def _text(value: object, at: str) -> str:
    if not isinstance(value, str):
        raise InvalidData("expected a text, as the column is", field=at)
    if len(value) > TEXT_MAX:
        raise InvalidData(f"expected at most {TEXT_MAX} characters", field=at)
    # Nothing that is kept has one of these in it, and not every engine takes them.
    if "\0" in value or (not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value)):
        raise InvalidData("expected text", field=at)
    return value


def _number(value: object, at: str) -> int | float:
    if type(value) is int:
        if -(2**63) <= value < 2**63:
            return value
        raise InvalidData("expected a number of at most 64 bits", field=at)
    if type(value) is float and math.isfinite(value):
        return value
    raise InvalidData("expected a finite number, as the column is", field=at)


def _where(dialect: Dialect, columns: Mapping[str, Column], rule: object, at: str) -> Condition:
    name, operator, value = _parts(rule, 3, "[field, operator, value]", at)
    column = _column(columns, name, at)
    if isinstance(operator, str) and operator.lower() == "like":
        if column.kind != TEXT:
            raise InvalidData("like is for texts", field=at)
        return dialect.like(column.sql), [_value(dialect, column, value, at)]
    sql = _OPERATORS.get(operator) if isinstance(operator, str) else None
    if sql is None:
        raise InvalidData(f"expected one of {' '.join(_OPERATORS)} like", field=at)
    return f"{column.sql} {sql} ?", [_value(dialect, column, value, at)]


def _whereNot(dialect: Dialect, columns: Mapping[str, Column], rule: object, at: str) -> Condition:
    name, value = _parts(rule, 2, "[field, value]", at)
    column = _column(columns, name, at)
    return f"{column.sql} <> ?", [_value(dialect, column, value, at)]


def _in(verb: str) -> _Make:
    def make(dialect: Dialect, columns: Mapping[str, Column], rule: object, at: str) -> Condition:
        name, values = _parts(rule, 2, "[field, [value, ...]]", at)
        column = _column(columns, name, at)
        if not isinstance(values, (list, tuple)):
            raise InvalidData("expected [field, [value, ...]]", field=at)
        if len(values) > VALUES_MAX:
            raise InvalidData(f"expected at most {VALUES_MAX} values", field=at)
        bound = [_value(dialect, column, value, at) for value in values]
        if not bound:
            return ("FALSE" if verb == "IN" else "TRUE"), []
        return f"{column.sql} {verb} ({', '.join('?' * len(bound))})", bound

    return make


def _between(verb: str) -> _Make:
    def make(dialect: Dialect, columns: Mapping[str, Column], rule: object, at: str) -> Condition:
        name, ends = _parts(rule, 2, "[field, [from, to]]", at)
        column = _column(columns, name, at)
        return f"{column.sql} {verb} ? AND ?", [
            _value(dialect, column, end, at) for end in _parts(ends, 2, "[field, [from, to]]", at)
        ]

    return make


_RULES: dict[str, _Make] = {
    "where": _where,
    "whereNot": _whereNot,
    "whereIn": _in("IN"),
    "whereNotIn": _in("NOT IN"),
    "whereBetween": _between("BETWEEN"),
    "whereNotBetween": _between("NOT BETWEEN"),
}
