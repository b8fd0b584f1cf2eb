"""A schema of its own, on a server that there is, or on one that is started for it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from scalemgr.ledger.postgres.server import shown, why

from .errors import Failed, Missing

__all__ = ["schema", "server"]

_NAMED = "SCALEMGR_POSTGRES"
_USUAL = "postgresql://postgres@127.0.0.1:5432/postgres"
_CONNECT_S = 5
# Those who were killed are noticed by the server soon.
_DROP_S = 10


@contextmanager
def server() -> Iterator[str]:
    """
    The URL of a server, for as long as the block lasts.

    @raise Missing: if there is none, and none can be started.
    """
    if named := os.environ.get(_NAMED):
        if "://" not in named:
            raise Missing(f"{_NAMED} is to be the URL of a database, such as {_USUAL}")
        if trouble := _trouble(named):
            raise Missing(f"PostgreSQL at {shown(named)}, which {_NAMED} names, cannot be used: {trouble}")
        yield named
    elif not _trouble(_USUAL):
        yield _USUAL
    else:
        with _own() as own:
            yield own


def _trouble(url: str) -> str:
    """Why no ledger can be there; empty: one can."""
    try:
        with psycopg.connect(url, connect_timeout=_CONNECT_S) as connection:
            encoding = connection.info.parameter_status("server_encoding")
            return "" if encoding == "UTF8" else f"its encoding is {encoding}, and not UTF8"
    except psycopg.Error as e:
        return why(e)


@contextmanager
def _own() -> Iterator[str]:
    """A server that is started, and is gone with its folder afterwards. The tests have the same."""
    from tests.cluster import Cluster, ClusterFailed

    try:
        cluster = Cluster()
    except ClusterFailed as e:
        raise Missing(
            f"there is no PostgreSQL here: none on 127.0.0.1:5432 lets user postgres in, and none can be started, "
            f"for {e}; install one, or name one in {_NAMED}"
        ) from None
    with cluster:
        yield cluster.url()


@contextmanager
def schema(url: str) -> Iterator[tuple[str, str]]:
    """
    Where a ledger can be that nobody else has; it is dropped afterwards.

    @param url: of a server.
    @return: the ledger's URL; and what that is, for people.
    @raise Failed: if it cannot be made.
    """
    name = f"scalemgr_cluster_{secrets.token_hex(4)}"
    made = sql.Identifier(name)
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_S) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(made))
            version = connection.info.parameter_status("server_version") or "?"
    except psycopg.Error as e:
        raise Failed(f"no schema can be made at {shown(url)}: {why(e)}") from None
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, f"options=-csearch_path%3D{name}"]))
    try:
        yield urlunsplit(parts._replace(query=query)), f"PostgreSQL {version.split()[0]}, {shown(url)}, schema {name}"
    finally:
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_S) as connection:
                connection.execute(f"SET lock_timeout = '{_DROP_S}s'".encode())
                connection.execute("SET client_min_messages = warning")
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(made))
        except psycopg.Error as e:
            # Whatever ends it is to be told, too.
            print(f"cluster-demo: the schema {name} is left behind, drop it: {why(e)}", file=sys.stderr)
