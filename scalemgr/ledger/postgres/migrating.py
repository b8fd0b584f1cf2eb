"""The tables on a server, brought up to date: numbered schemas, C{schema/postgres-<kind>/001.sql} and up.

They live in the first schema of the connection's C{search_path}. All that is to be applied is applied in one
transaction under one lock, so that any number of gateways may start at once.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files
from typing import Any

from psycopg import Connection

from ..errors import LedgerRefused

__all__ = ["clearAway", "demandKnown", "migrate"]

# The first half of the key is "scal".
_LOCK = b"SELECT pg_advisory_xact_lock(1935892844, hashtext(current_schema()))"


def migrate(connection: Connection[Any], kind: str, shown: str) -> None:
    """
    Bring the tables of one kind (C{"log"} or C{"views"}) up to date.

    @param shown: the server, as it is shown to people.
    @raise LedgerRefused: if they are newer than this code.
    @raise psycopg.Error: if the server does not do it.
    """
    schemas = _schemas(kind)
    if _version(connection, kind) == len(schemas):
        return
    if connection.execute("SELECT current_schema()").fetchone() == (None,):
        raise LedgerRefused(f"{shown}: there is none of the schemas of its search_path; make it with CREATE SCHEMA")
    with connection.transaction():
        connection.execute(_LOCK)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS scalemgr_schema (kind text PRIMARY KEY, version integer NOT NULL)"
        )
        version = _version(connection, kind)
        _refuseNewer(version, len(schemas), kind, shown)
        for schema in schemas[version:]:
            connection.execute(schema.encode("utf-8"))
        connection.execute(
            "INSERT INTO scalemgr_schema VALUES (%s, %s)"
            " ON CONFLICT (kind) DO UPDATE SET version = greatest(scalemgr_schema.version, excluded.version)",
            [kind, len(schemas)],
        )


def clearAway(connection: Connection[Any], kind: str, tables: Collection[str]) -> None:
    """
    If some of these tables, which are all of one kind, are missing, drop the others: to migrate then makes all anew.

    @raise psycopg.Error: if the server does not do it.
    """
    with connection.transaction():
        connection.execute(_LOCK)
        found = connection.execute("SELECT to_regclass(name) IS NULL FROM unnest(%s::text[]) AS name", [list(tables)])
        if any(isMissing for (isMissing,) in found):
            connection.execute(f"DROP TABLE IF EXISTS {', '.join(tables)}".encode())
            connection.execute("DELETE FROM scalemgr_schema WHERE kind = %s", [kind])


def demandKnown(connection: Connection[Any], kind: str, shown: str) -> None:
    """
    For who only reads: see that the tables of a kind are as this code has them.

    @raise LedgerRefused: if they are not.
    @raise psycopg.Error: if the server cannot be asked.
    """
    version, known = _version(connection, kind), len(_schemas(kind))
    _refuseNewer(version, known, kind, shown)
    if version < known:
        raise LedgerRefused(
            f"there are no {kind} tables at {shown} yet; start a daemon once to make them"
            if version == 0
            else f"{shown} has older {kind} tables; start a daemon once to upgrade them"
        )


def _refuseNewer(version: int, known: int, kind: str, shown: str) -> None:
    if version > known:
        raise LedgerRefused(
            f"{shown} has version {version} of the {kind} tables, and this scalemgr knows up to {known}; "
            "it was written by a newer one"
        )


def _version(connection: Connection[Any], kind: str) -> int:
    """Of the schema that was applied last; 0: none was."""
    (exists,) = connection.execute(
        "SELECT to_regclass(quote_ident(current_schema()) || '.scalemgr_schema')"
    ).fetchone() or (None,)
    if exists is None:
        return 0
    row = connection.execute("SELECT version FROM scalemgr_schema WHERE kind = %s", [kind]).fetchone()
    return 0 if row is None else int(row[0])


def _schemas(kind: str) -> list[str]:
    folder = files("scalemgr.ledger") / "schema" / f"postgres-{kind}"
    found = sorted((f.name, f) for f in folder.iterdir() if f.name.endswith(".sql"))
    assert [name for name, _ in found] == [f"{n:03}.sql" for n in range(1, len(found) + 1)], found
    return [f.read_text("utf-8") for _, f in found]
