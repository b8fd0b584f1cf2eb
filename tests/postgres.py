"""PostgreSQL for the tests: a ledger's URL on a server that others use, too.

Each L{ledgerUrl} is a schema of its own, made before and dropped after, on the first of these servers that there is:

  - the one that the environment names in C{SCALEMGR_TEST_POSTGRES}, with the C{postgresql://} URL of somebody who may
    make schemas;
  - the one on this machine's port 5432, as user postgres in the database test;
  - a L{Cluster} that is started for the purpose.

Where there is none of them, a test is skipped and says what was missing; in CI it fails. For a server of one's own, see
L{tests.cluster}.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from .cluster import Cluster, ClusterFailed

__all__ = ["Cluster", "ClusterFailed", "absent", "ledgerUrl", "schema", "shared"]

_NAMED = "SCALEMGR_TEST_POSTGRES"
_USUAL = "postgresql://postgres@127.0.0.1:5432/test"
_CONNECT_S = 5
# Whoever drops a schema waits so long for those who still use it.
_DROP_S = 10


@contextmanager
def shared() -> Iterator[str]:
    """
    The URL of a server to make schemas on, for as long as the block lasts; where none can be had, see L{absent}.

    @raise psycopg.OperationalError: if the one that the environment names cannot be reached: it is wanted.
    """
    if named := os.environ.get(_NAMED):
        psycopg.connect(named, connect_timeout=_CONNECT_S).close()
        yield named
        return
    try:
        psycopg.connect(_USUAL, connect_timeout=_CONNECT_S).close()
        usual = True
    except psycopg.OperationalError:
        usual = False
    if usual:
        yield _USUAL
        return
    try:
        cluster = Cluster()
    except ClusterFailed as e:
        absent(str(e))
    with cluster:
        yield cluster.url()


def absent(why: str) -> NoReturn:
    """Skip the test that needs PostgreSQL, and say why; in CI, where there must be one, fail it."""
    if "CI" in os.environ:
        pytest.fail(f"CI must have PostgreSQL: {why}")
    pytest.skip(f"there is no PostgreSQL here: {why}; or name one in {_NAMED}")


@contextmanager
def ledgerUrl(server: str) -> Iterator[str]:
    """
    The URL of a ledger on this server that nobody else has. It is gone afterwards.

    @param server: the URL of somebody who may make schemas.
    @raise psycopg.errors.LockNotAvailable: at the end, if somebody is still at work in it.
    """
    with schema(server) as name:
        parts = urlsplit(server)
        query = "&".join(filter(None, [parts.query, f"options=-csearch_path%3D{name}"]))
        yield urlunsplit(parts._replace(query=query))


@contextmanager
def schema(server: str) -> Iterator[str]:
    """The name of a new schema on this server, which is dropped afterwards."""
    name = f"scalemgr_test_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True, connect_timeout=_CONNECT_S) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    try:
        yield name
    finally:
        with psycopg.connect(server, autocommit=True, connect_timeout=_CONNECT_S) as connection:
            connection.execute(f"SET lock_timeout = '{_DROP_S}s'".encode())
            connection.execute("SET client_min_messages = warning")
            # It is gone, or it is not; whether that is on the disk already does not matter.
            connection.execute("SET synchronous_commit = off")
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
