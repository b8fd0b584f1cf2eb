"""Where the SQL of one engine is not that of another: so that a question is written once.

What all of them understand alike stands where it is used: comparisons, C{CASE}, C{CAST}, C{FILTER}, C{?} for a bound
value. The rest is asked of a L{Dialect}: all that has to do with JSON, and what they compare differently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import ujson

from ..finance.money import MINOR_UNITS_MAX

if TYPE_CHECKING:
    from .columns import Column

__all__ = ["SQLITE", "Dialect", "SqliteDialect"]


class Dialect(Protocol):
    """
    Takes and gives SQL. Where it says I{as JSON} it means what L{array}, L{object} and L{page} take.

    @ivar steers: does it matter to this engine how many rows there are, to be told by way of which index?
    """

    steers: bool

    def power(self, digits: int) -> str:
        """What so many digits are worth, a double."""

    def text(self, record: str, name: str, *, surely: bool = False) -> str:
        """The text of this name in a record; empty if it is missing, which it surely may not be."""

    def number(self, record: str, name: str, otherwise: str = "0") -> str:
        """The number of this name in a record; which is the other one, if it is missing."""

    def member(self, record: str, name: str, *, surely: bool = False) -> str:
        """The same as JSON, escaped as it is there."""

    def stored(self, text: str) -> str:
        """Text that is JSON, as JSON."""

    def replaced(self, record: str, name: str, number: str) -> str:
        """A record in which a number of this name, if there is one, is another one, a double; as JSON."""

    def wide(self, number: str, minor: str) -> str:
        """A double that is so many minor units, as JSON, if these may be more than one amount can be; or empty."""

    def finished(self, column: Column) -> Column:
        """A column that says what it is as JSON, if it cannot be left to L{array}."""

    def like(self, text: str) -> str:
        """Is a text like a bound one?"""

    def among(self, thing: str, values: Sequence[int | str]) -> tuple[str, list[Any]]:
        """Is something one of these, of which there may be many? With what is to be bound."""

    def bound(self, column: Column, value: Any) -> Any:
        """A value to compare a column with, so that the comparison is exact."""

    def passing(self, condition: str) -> str:
        """A condition that shall not be looked up in an index."""

    def gathered(self, thing: str) -> str:
        """All of a column, one JSON list in a text."""

    def array(self, parts: Sequence[str]) -> str:
        """A list of what is as JSON, as JSON."""

    def object(self, members: Mapping[str, str]) -> str:
        """The same by name."""

    def page(self, row: str, found: str, rows: str, key: str, joined: str = "") -> str:
        """
        A statement for all rows of a page.

        @param row: one of them, as JSON.
        @param found: a statement for their keys, in order.
        """


class SqliteDialect:
    """SQLite's."""

    steers = True

    def power(self, digits: int) -> str:
        return f"1e{digits}"

    def text(self, record: str, name: str, *, surely: bool = False) -> str:
        found = f"({record} ->> '$.{name}')"
        return found if surely else f"coalesce({found}, '')"

    def number(self, record: str, name: str, otherwise: str = "0") -> str:
        return f"coalesce({record} ->> '$.{name}', {otherwise})"

    def member(self, record: str, name: str, *, surely: bool = False) -> str:
        found = f"{record} -> '$.{name}'"
        # If it is never missing, it need not be looked at twice.
        return found if surely else f"json(coalesce({found}, '\"\"'))"

    def stored(self, text: str) -> str:
        return f"json({text})"

    def replaced(self, record: str, name: str, number: str) -> str:
        return f"iif({record} ->> '$.{name}' IS NULL, json({record}), json_set({record}, '$.{name}', {number}))"

    def wide(self, number: str, minor: str) -> str:
        """It has one digit more than SQLite prints by itself."""
        return f"iif(abs({minor}) < {MINOR_UNITS_MAX}, {number}, json(printf('%!.17g', {number})))"

    def finished(self, column: Column) -> Column:
        return column

    def like(self, text: str) -> str:
        return f"{text} LIKE ?"

    def among(self, thing: str, values: Sequence[int | str]) -> tuple[str, list[Any]]:
        bound = ujson.dumps(values, ensure_ascii=False, escape_forward_slashes=False)
        return f"{thing} IN (SELECT value FROM json_each(?))", [bound]

    def bound(self, column: Column, value: Any) -> Any:
        return value

    def passing(self, condition: str) -> str:
        return f"+{condition}"

    def gathered(self, thing: str) -> str:
        return f"json_group_array({thing})"

    def array(self, parts: Sequence[str]) -> str:
        return f"json_array({', '.join(parts)})"

    def object(self, members: Mapping[str, str]) -> str:
        return f"json_object({', '.join(f'{name!r}, {part}' for name, part in members.items())})"

    def page(self, row: str, found: str, rows: str, key: str, joined: str = "") -> str:
        return f"SELECT json_group_array({row}) FROM ({found}) AS page CROSS JOIN {rows} ON {key} = page.id {joined}"


SQLITE: Dialect = SqliteDialect()
