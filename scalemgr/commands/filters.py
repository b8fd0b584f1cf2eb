"""The parameters of tables with filters (C{wire.md} 1.5)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ..finance.questions import Filter, Table
from ..ledger.columns import TABLES
from .params import SAFE_INTEGER

__all__ = ["Filtered", "GroupMask", "Limit", "Offset", "Rules", "fields", "rows", "table"]

Rules = Annotated[list[Any], Meta(max_length=50)]
GroupMask = Annotated[
    str, Meta(min_length=1, max_length=1024, description="a group mask: names with *, several with commas, ! excludes")
]
Limit = Annotated[int, Meta(ge=1, le=SAFE_INTEGER, description="at most so many rows; without it all, or a refusal")]
Offset = Annotated[int, Meta(ge=0, le=SAFE_INTEGER, description="skip so many rows")]


class Filtered(Struct, frozen=True, kw_only=True):
    """Conditions, which all hold, what to sort by, and which part of it."""

    groupFilter: GroupMask = "*"
    limit: Limit | None = None
    offset: Offset = 0
    where: Annotated[Rules, Meta(description="[[field, operator, value], ...]: = == != > < >= <= like")] = []
    whereNot: Annotated[Rules, Meta(description="[[field, value], ...]")] = []
    whereIn: Annotated[Rules, Meta(description="[[field, [value, ...]], ...]")] = []
    whereNotIn: Annotated[Rules, Meta(description="[[field, [value, ...]], ...]")] = []
    whereBetween: Annotated[Rules, Meta(description="[[field, [from, to]], ...], both inclusive")] = []
    whereNotBetween: Annotated[Rules, Meta(description="[[field, [from, to]], ...]")] = []
    orderBy: Annotated[Rules, Meta(description="[field, direction], or a list of those; ASC or DESC")] = []

    def filter(self) -> Filter:
        """As it is asked."""
        return Filter(**{name: getattr(self, name) for name in Filter.__struct_fields__})


def fields(table: str) -> dict[str, str]:
    """What conditions on a table may name, each with its kind."""
    return {name: column.kind for name, column in TABLES[table].columns.items()}


def table(found: Table, **totals: float) -> dict[str, Any]:
    """The published table form, and as of which entry it is."""
    return {"structure": found.structure, **rows(found, **totals)}


def rows(found: Table, **totals: float) -> dict[str, Any]:
    """The same of rows that are objects."""
    return {"rows": found.rows, "count": found.count, **totals, "seq": found.seq}
