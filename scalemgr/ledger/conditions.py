"""What a client wrote as a filter, checked, as SQL conditions.

Every name comes from the columns that the caller may see, every value is bound, and is of the kind that its column
is of. C{like} is SQLite's: C{%} stands for any characters, C{_} for one, and ASCII letters match in either case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..finance.questions import Filter
from ..wire.errors import InvalidData
from .columns import TEXT, Column

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

_OPERATORS = {"=": "=", "==": "=", "!=": "<>", ">": ">", "<": "<", ">=": ">=", "<=": "<="}


def conditions(filter: Filter, columns: Mapping[str, Column]) -> list[Condition]:
    """
    The conditions of a filter.

    @param columns: those that the caller may see; another one is as one that there is not.
    @raise InvalidData: that names the member that is wrong.
    """
    found = [
        make(columns, rule, f"{name}[{i}]")
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


def _value(column: Column, value: object, at: str) -> object:
    if column.kind == TEXT:
        if not isinstance(value, str):
            raise InvalidData("expected a text, as the column is", field=at)
        if len(value) > TEXT_MAX:
            raise InvalidData(f"expected at most {TEXT_MAX} characters", field=at)
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidData("expected text", field=at)
        return value
    if type(value) is int:
        if -(2**63) <= value < 2**63:
            return value
        raise InvalidData("expected a number of at most 64 bits", field=at)
    if type(value) is float and math.isfinite(value):
        return value
    raise InvalidData("expected a finite number, as the column is", field=at)


def _where(columns: Mapping[str, Column], rule: object, at: str) -> Condition:
    name, operator, value = _parts(rule, 3, "[field, operator, value]", at)
    column = _column(columns, name, at)
    if isinstance(operator, str) and operator.lower() == "like":
        if column.kind != TEXT:
            raise InvalidData("like is for texts", field=at)
        return f"{column.sql} LIKE ?", [_value(column, value, at)]
    sql = _OPERATORS.get(operator) if isinstance(operator, str) else None
    if sql is None:
        raise InvalidData(f"expected one of {' '.join(_OPERATORS)} like", field=at)
    return f"{column.sql} {sql} ?", [_value(column, value, at)]


def _whereNot(columns: Mapping[str, Column], rule: object, at: str) -> Condition:
    name, value = _parts(rule, 2, "[field, value]", at)
    column = _column(columns, name, at)
    return f"{column.sql} <> ?", [_value(column, value, at)]


def _in(verb: str) -> Callable[[Mapping[str, Column], object, str], Condition]:
    def make(columns: Mapping[str, Column], rule: object, at: str) -> Condition:
        name, values = _parts(rule, 2, "[field, [value, ...]]", at)
        column = _column(columns, name, at)
        if not isinstance(values, (list, tuple)):
            raise InvalidData("expected [field, [value, ...]]", field=at)
        if len(values) > VALUES_MAX:
            raise InvalidData(f"expected at most {VALUES_MAX} values", field=at)
        bound = [_value(column, value, at) for value in values]
        return f"{column.sql} {verb} ({', '.join('?' * len(bound))})", bound

    return make


def _between(verb: str) -> Callable[[Mapping[str, Column], object, str], Condition]:
    def make(columns: Mapping[str, Column], rule: object, at: str) -> Condition:
        name, ends = _parts(rule, 2, "[field, [from, to]]", at)
        column = _column(columns, name, at)
        return f"{column.sql} {verb} ? AND ?", [
            _value(column, end, at) for end in _parts(ends, 2, "[field, [from, to]]", at)
        ]

    return make


_RULES: dict[str, Callable[[Mapping[str, Column], object, str], Condition]] = {
    "where": _where,
    "whereNot": _whereNot,
    "whereIn": _in("IN"),
    "whereNotIn": _in("NOT IN"),
    "whereBetween": _between("BETWEEN"),
    "whereNotBetween": _between("NOT BETWEEN"),
}
