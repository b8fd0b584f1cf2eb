"""
A PostgreSQL server of our own, for gateways that share a ledger on it, and for pgbench to be held against them.

It waits for the disk, as servers do by default, and is gone at the end, with its folder. Neither it nor the gateways
are pinned: two gateways, a server and two projectors are more than there are cores for mostly.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from .daemon import Daemon, House
from .ending import held
from .loads import Generator
from .machine import scratchParent
from .postgres import Postgres
from .processes import BenchFailed, python, run, start, stop

__all__ = ["Cluster", "unavailable"]

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "200",
}
_INSTALLED = Path("/usr/lib/postgresql")
_START_S = 60.0
_STOP_S = 30.0
_PREPARE_S = 600.0


def _programs() -> Path | None:
    """The folder of the programs of a server: of the newest that is installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = [path.parent for path in _INSTALLED.glob("*/bin/initdb")]
    return max(installed, key=lambda path: float(path.parent.name), default=None)


def unavailable() -> str | None:
    """Why there is nothing to measure, or C{None}."""
    if _programs() is None or not shutil.which("pgbench") or not shutil.which("psql"):
        return "no PostgreSQL server is installed, or no pgbench and psql"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


def _user() -> pwd.struct_passwd | None:
    """Who it runs as, if not as this process: it refuses to be root."""
    try:
        return pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    except KeyError:
        return None


def _freePort() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


class Cluster:
    """
    A server, a ledger on it to be copied, and gateways.

    @param scratch: for what is not the server's.
    @param generator: of the loads.
    @param accounts: that the ledger has.
    @ivar pgbench: a deposit a transaction, there.
    """

    def __init__(self, scratch: Path, generator: Generator, accounts: int) -> None:
        self._home = scratch / "cluster"
        self._home.mkdir()
        self._generator = generator
        self._accounts = accounts
        self._count = 0
        self._house = House(self._home, None)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """It runs, and has what is to be copied."""
        with held():
            # Not in the other folder, into which nobody else may look.
            folder = Path(tempfile.mkdtemp(prefix="scalemgr-bench-server-", dir=scratchParent()))
        try:
            with self._server(folder):
                server = ["-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres"]
                self.pgbench = Postgres(self._home, None, server)
                with self.pgbench.database():
                    self._prepare()
                    yield
        finally:
            with held():
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _server(self, folder: Path) -> Iterator[None]:
        programs, user = _programs(), _user()
        assert programs is not None
        who: dict[str, Any] = {"cwd": folder}
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
            who |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data = folder / "data"
        words = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        run([str(programs / "initdb"), *words, str(data)], **who)
        self._port = _freePort()
        settings = {**_SETTINGS, "port": str(self._port)}
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        with (self._home / "said").open("w") as said:
            command = [str(programs / "postgres"), "-D", str(data)]
            process = start(command, None, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, **who)
        try:
            self._await(process)
            yield
        finally:
            if process.poll() is None:
                # Not only once everybody has left.
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    pass
            stop(process)

    def _await(self, process: subprocess.Popen[str]) -> None:
        until = time.monotonic() + _START_S
        while True:
            try:
                self._sql("SELECT 1")
                return
            except psycopg.OperationalError as e:
                if process.poll() is not None or time.monotonic() > until:
                    said = (self._home / "said").read_text("utf-8", "replace")[-1000:]
                    raise BenchFailed(f"the PostgreSQL server does not start: {e}: {said}") from e
            time.sleep(0.05)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def _sql(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(self._url(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def _prepare(self) -> None:
        self._sql("CREATE DATABASE past")
        words = [self._url("past"), "--prepare", "--accounts", str(self._accounts), "--count", "0"]
        process = start(python("-m", "bench.ledgers", *words), None, stdin=subprocess.DEVNULL)
        try:
            process.wait(_PREPARE_S)
        finally:
            stop(process)
        if process.returncode:
            raise BenchFailed("a ledger on PostgreSQL could not be made")

    @contextmanager
    def gateways(self, count: int) -> Iterator[Gateways]:
        """So many, on a copy of the ledger."""
        self._count += 1
        name = f"copy{self._count}"
        self._sql(f"CREATE DATABASE {name} TEMPLATE past")
        # Else the first load pays for what the copy left to be written.
        self._sql("CHECKPOINT")
        try:
            with ExitStack() as running:
                daemons = [running.enter_context(self._house.daemon(self._url(name))) for _ in range(count)]
                for daemon in daemons:
                    told = self._generator.beside(daemon.port, "subscribe", token=daemon.token)
                    daemon.told = running.enter_context(told)
                yield Gateways(daemons, self._url(name))
        finally:
            self._sql(f"DROP DATABASE {name} WITH (FORCE)")


class Gateways:
    """
    Some that share a ledger.

    @ivar daemons: each has a subscriber, which is sent every event and checks their order.
    """

    def __init__(self, daemons: Sequence[Daemon], url: str) -> None:
        self.daemons = daemons
        self._url = url

    def commits(self) -> int:
        """How many transactions of the log there were."""
        with psycopg.connect(self._url) as connection:
            row = connection.execute("SELECT count(DISTINCT stamp) FROM page").fetchone()
        assert row is not None
        return int(row[0])
