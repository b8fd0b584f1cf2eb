"""What PostgreSQL's SQL is, where it is not SQLite's, so that both answer alike: the same rows, in the same order.

JSON is put together as text, so that what is stored stays as it is, byte by byte: C{json_build_array} has spaces
between its parts, C{jsonb} has an order of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from ..columns import TEXT, Column, tables
from ..dialect import Dialect

__all__ = ["POSTGRES", "TABLES"]


class PostgresDialect:
    """PostgreSQL's."""

    steers = False

    def power(self, digits: int) -> str:
        # Else it would be a numeric, and the quotient no double.
        return f"1e{digits}::float8"

    def text(self, record: str, name: str, *, surely: bool = False) -> str:
        found = f"({record}::json ->> '{name}')"
        return f"""({found if surely else f"coalesce({found}, '')"} COLLATE "C")"""

    def member(self, record: str, name: str, *, surely: bool = False) -> str:
        found = f"({record}::json -> '{name}')::text"
        return found if surely else f"coalesce({found}, '\"\"')"

    def number(self, record: str, name: str, otherwise: str = "0") -> str:
        return f"coalesce(({record}::json ->> '{name}')::numeric, {otherwise})"

    def stored(self, text: str) -> str:
        return f"coalesce({text}, 'null')"

    def replaced(self, record: str, name: str, number: str) -> str:
        # In its place, as SQLite does.
        member = f"to_json(key)::text || ':' || CASE key WHEN '{name}' THEN {_double(number)} ELSE value::text END"
        each = f"json_each({record}::json) WITH ORDINALITY AS member(key, value, n)"
        made = f"(SELECT '{{' || string_agg({member}, ',' ORDER BY n) || '}}' FROM {each})"
        return f"CASE WHEN {record}::json ->> '{name}' IS NULL THEN {record} ELSE {made} END"

    def wide(self, number: str, minor: str) -> str:
        return ""

    def finished(self, column: Column) -> Column:
        if column.shown:
            return column
        if column.kind == TEXT:
            return replace(column, shown=f"to_json({column.sql})::text")
        return replace(column, shown=_double(column.sql) if column.real else f"({column.sql})::text")

    def like(self, text: str) -> str:
        # In "C" only ASCII has cases.
        return f"""lower({text} COLLATE "C") LIKE lower(?::text COLLATE "C") ESCAPE ''"""

    def among(self, thing: str, values: Sequence[int | str]) -> tuple[str, list[Any]]:
        return f"{thing} = ANY(?)", [list(values)]

    def bound(self, column: Column, value: Any) -> Any:
        if column.kind == TEXT:
            return value
        if column.real:
            # No money is so large that it would be another number as a double.
            return float(value)
        if isinstance(value, float):
            # A whole number that was compared with a double would be made one.
            return int(value) if value.is_integer() and abs(value) < 2**63 else Decimal(value)
        return value

    def passing(self, condition: str) -> str:
        return condition

    def gathered(self, thing: str) -> str:
        return f"coalesce(json_agg({thing})::text, '[]')"

    def array(self, parts: Sequence[str]) -> str:
        inner = " || ',' || ".join(f"({part})" for part in parts) or "''"
        return f"'[' || {inner} || ']'"

    def object(self, members: Mapping[str, str]) -> str:
        inner = " || ',' || ".join(f"""'"{name}":' || ({part})""" for name, part in members.items()) or "''"
        return f"'{{' || {inner} || '}}'"

    def page(self, row: str, found: str, rows: str, key: str, joined: str = "") -> str:
        # The keys in an array, for of that the order is kept.
        return (
            f"SELECT page.n, {row} AS row FROM unnest(ARRAY({found})) WITH ORDINALITY AS page(id, n)"
            f" JOIN {rows} ON {key} = page.id {joined}"
        )


def _double(number: str) -> str:
    """A double as JSON: the shortest that is read as the same, and never like a whole number."""
    return f"CASE WHEN {number} = trunc({number}) THEN trunc({number})::bigint::text || '.0' ELSE ({number})::text END"


#: The one that there is,
POSTGRES: Dialect = PostgresDialect()
#: and the tables in it.
TABLES = tables(POSTGRES)
