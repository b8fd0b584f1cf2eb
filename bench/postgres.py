"""
PostgreSQL doing the same: a deposit, the balance and an event, in one transaction.

On a server that is there already: 127.0.0.1:5432 as postgres, unless PGHOST, PGPORT and PGUSER say otherwise. It gets a
database of its own, which is dropped afterwards. The server cannot be pinned from here; pgbench is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .processes import BenchFailed, run, start, stop

__all__ = ["Postgres", "unavailable"]

_ACCOUNTS = 10_000
_SCHEMA = f"""
CREATE TABLE account (login int PRIMARY KEY, balance bigint NOT NULL, version bigint NOT NULL);
CREATE TABLE deposit (number bigserial PRIMARY KEY, login int NOT NULL, amount bigint NOT NULL, comment text NOT NULL,
    booked timestamptz NOT NULL DEFAULT now());
CREATE TABLE event (seq bigserial PRIMARY KEY, name text NOT NULL, data text NOT NULL);
INSERT INTO account SELECT 1000 + n, 0, 0 FROM generate_series(1, {_ACCOUNTS}) n;
"""
_PICK = rf"""\set login random(1001, {1000 + _ACCOUNTS})
\set amount random(100, 99999)
"""
# A colon right before a letter or a digit would be a variable of pgbench, inside of a text, too.
_DATA = (
    """'{"login": ' || CAST(:login AS int) || ',"cmd": 6,"state": 3,"profit": ' || CAST(:amount AS int)"""
    """ || ',"comment":"Payment gateway deposit"}'"""
)

#: What pgbench runs, by name.
_SCRIPTS = {
    "statements": f"""{_PICK}BEGIN;
INSERT INTO deposit (login, amount, comment) VALUES (:login, :amount, 'Payment gateway deposit');
UPDATE account SET balance = balance + :amount, version = version + 1 WHERE login = :login;
INSERT INTO event (name, data) VALUES ('trade-event', {_DATA});
COMMIT;
""",
    "cte": f"""{_PICK}WITH booked AS (
    INSERT INTO deposit (login, amount, comment) VALUES (:login, :amount, 'Payment gateway deposit')
), added AS (
    UPDATE account SET balance = balance + :amount, version = version + 1 WHERE login = :login
)
INSERT INTO event (name, data) VALUES ('trade-event', {_DATA});
""",
}


def _server() -> list[str]:
    host, port = os.environ.get("PGHOST", "127.0.0.1"), os.environ.get("PGPORT", "5432")
    return ["-h", host, "-p", port, "-U", os.environ.get("PGUSER", "postgres")]


def unavailable() -> str | None:
    """Why there is nothing to measure, or C{None}."""
    if not shutil.which("psql") or not shutil.which("pgbench"):
        return "psql and pgbench are not on this machine"
    asked = subprocess.run(
        ["psql", *_server(), "-w", "-Atc", "SHOW synchronous_commit; SHOW fsync", "postgres"],
        capture_output=True,
        text=True,
    )
    if asked.returncode:
        return f"no PostgreSQL answers: {asked.stderr.strip()[:120]}"
    if asked.stdout.split() != ["on", "on"]:
        return "PostgreSQL there does not wait for the disk (synchronous_commit, fsync): nothing to compare with"
    return None


class Postgres:
    """
    A database.

    @param folder: for the scripts.
    @param core: for pgbench.
    @param server: how psql and pgbench are told which server, if not that of the environment.
    """

    def __init__(self, folder: Path, core: int | None, server: Sequence[str] | None = None) -> None:
        self._server = list(server) if server is not None else _server()
        self._folder = folder
        self._core = core
        self._name = f"scalemgr_bench_{os.getpid()}"
        # The client count that was best, once all were tried.
        self.best: dict[str, int] = {}

    @contextmanager
    def database(self) -> Iterator[None]:
        """Made, and dropped."""
        try:
            self._psql("postgres", f"CREATE DATABASE {self._name}")
            self._psql(self._name, _SCHEMA)
            for script, text in _SCRIPTS.items():
                (self._folder / f"{script}.sql").write_text(text, "utf-8")
            yield
        finally:
            self._psql("postgres", f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")

    def _psql(self, database: str, sql: str) -> None:
        command = ["psql", *self._server, "-w", "-q", "-v", "ON_ERROR_STOP=1", database]
        run(command, input=sql)

    def measure(self, script: str, counts: tuple[int, ...], seconds: int) -> float:
        """Transactions a second, at the best client count: found the first time, then kept."""
        if script in self.best:
            return self.rate(script, self.best[script], seconds)
        rates = {clients: self.rate(script, clients, seconds) for clients in counts}
        self.best[script] = max(rates, key=rates.__getitem__)
        return rates[self.best[script]]

    def rate(self, script: str, clients: int, seconds: int) -> float:
        """Transactions a second, of so many clients."""
        words = ["-n", "-M", "prepared", "-c", str(clients), "-T", str(seconds)]
        words += ["-f", str(self._folder / f"{script}.sql")]
        process = start(
            ["pgbench", *self._server, *words, self._name],
            self._core,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            said, complaints = process.communicate(timeout=seconds + 60)
        finally:
            stop(process)
        found = re.search(r"^tps = ([0-9.]+)", said, re.MULTILINE)
        failed = re.search(r"number of failed transactions: (\d+)", said)
        if process.returncode or found is None or (failed and int(failed.group(1))):
            raise BenchFailed(f"pgbench failed: {complaints[-500:]}")
        return float(found.group(1))
