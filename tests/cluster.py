"""A PostgreSQL server in a temporary folder, for one test or one campaign: it is there to be treated roughly.

It can be stopped, killed, and cut off from everybody; a standby can follow it. When the block ends whose context
manager it is, it is gone with its folder, and it does not outlive the process that started it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from .torture.daemon import freePort

__all__ = ["Cluster", "ClusterFailed", "binaries"]

_INSTALLED = Path("/usr/lib/postgresql")
_START_S = 60.0
_STOP_S = 60.0
_CONNECT_S = 5

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # A path of a temporary folder may be too long for one.
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "60",
    # A standby that lost the other one looks for it so often.
    "wal_retrieve_retry_interval": "200ms",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] %a: ",
}


class ClusterFailed(Exception):
    """It does not do what every server does; the message says what."""


class Cluster:
    """
    A server of one's own on 127.0.0.1, where everybody is trusted. It is not started yet.

    What it says is in C{said}, in its folder; L{close} takes both away.

    @param settings: what is set beside, by the names of C{postgresql.conf}.
    @param folder: an empty folder to have it in, which is handed over to it; else a temporary one.
    @param of: another one, which runs: this one is its standby, with its settings, and follows it.
    @param port: where it listens; else where nobody does.
    @ivar port: the same for as long as it exists.
    @raise ClusterFailed: if there is no PostgreSQL here, or it does not take the settings.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        folder: Path | None = None,
        of: Cluster | None = None,
        port: int | None = None,
    ) -> None:
        self._binaries = binaries()
        self._user = _user()
        self.port = freePort() if port is None else port
        # Not below the tests' own folders, into which nobody else may look.
        self.folder = folder if folder is not None else Path(tempfile.mkdtemp(prefix="scalemgr-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if self._user is not None:
                os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
            if of is None:
                words = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
                self._do("initdb", *words, "--pgdata", self._data)
            else:
                words = ("--checkpoint=fast", "--write-recovery-conf", "--no-sync", "--dbname", of.url())
                self._do("pg_basebackup", *words, "--pgdata", self._data)
            settings = {**(_SETTINGS if of is None else {}), **(settings or {}), "port": str(self.port)}
            with (self._data / "postgresql.conf").open("a") as file:
                file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        except BaseException:
            self.close()
            raise

    def _do(self, program: str, *words: str | Path) -> None:
        """Run one of PostgreSQL's programs."""
        ran = subprocess.run(
            [self._binaries / program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_START_S,
            check=False,
            **self._asUser(),
        )
        if ran.returncode:
            raise ClusterFailed(f"{program}: {ran.stderr.strip()}")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _asUser(self) -> dict[str, Any]:
        common = {"cwd": self.folder, "env": {"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", "")}}
        if self._user is None:
            return common
        return {**common, "user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def url(self, database: str = "postgres", **parameters: str) -> str:
        """
        Its URL.

        @param parameters: any of libpq's, such as C{options} or C{user}.
        """
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        user = "" if "user" in parameters else "postgres@"
        return f"postgresql://{user}127.0.0.1:{self.port}/{database}{'?' if asked else ''}{asked}"

    # -- its life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """
        Start it, and come back when it lets somebody in.

        @raise ClusterFailed: if it does not start.
        """
        until = time.monotonic() + _START_S
        while True:
            self._spawn()
            try:
                return self.ready()
            except ClusterFailed as e:
                # If it was killed, those who worked for it have to notice that first.
                if self.alive() or "shared memory block" not in str(e) or time.monotonic() > until:
                    raise
            time.sleep(0.1)

    def ready(self) -> None:
        """
        Come back when it lets somebody in, or would if it were not crowded.

        @raise ClusterFailed: if it ends instead, or takes too long.
        """
        until = time.monotonic() + _START_S
        while not self._lets():
            if not self.alive():
                raise ClusterFailed(f"the server does not run: {self._lastWords()}")
            if time.monotonic() > until:
                raise ClusterFailed(f"the server lets nobody in: {self._lastWords()}")
            time.sleep(0.02)

    def _spawn(self) -> None:
        with (self.folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                preexec_fn=_leash,
                # Not what a Control-C at the terminal is sent to, which would stop it while it is still needed.
                start_new_session=True,
                **self._asUser(),
            )

    def _lets(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=_CONNECT_S).close()
        except psycopg.OperationalError as e:
            return "too many clients" in str(e)
        return True

    def alive(self) -> bool:
        """Does it run?"""
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[int]:
        """All there are of it by now: its first one, and those that it started."""
        assert self._process is not None
        of = self._process.pid
        return [of, *map(int, Path(f"/proc/{of}/task/{of}/children").read_text().split())]

    def stop(self, mode: str = "fast") -> None:
        """
        Stop it, and wait until it is over.

        @param mode: C{fast} throws everybody out and writes everything down; C{immediate} leaves as in a crash.
        @raise ClusterFailed: if it takes too long.
        """
        self._end({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])

    def restart(self, mode: str = "fast") -> None:
        """Stop it and start it."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """Its first process is gone from one moment to the next; those of its connections notice and follow."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            raise ClusterFailed(f"the server did not end after {number.name}: {self._lastWords()}") from None
        self._process = None

    def close(self) -> None:
        """If it runs, it does no more; and nothing is left of it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *of: object) -> None:
        self.close()

    # -- what can be done to it -------------------------------------------------------------------------

    def psql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """
        The rows of one statement, if it has some, on a connection of its own that may do everything.

        It does not wait for a standby.
        """
        url = self.url(options="-csynchronous_commit=local")
        with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_S) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def promote(self) -> None:
        """A standby follows no more, and can be written."""
        if self.psql("SELECT pg_promote(wait_seconds => %s)", int(_START_S)) != [(True,)]:
            raise ClusterFailed(f"the standby is not promoted: {self._lastWords()}")

    def terminate(self) -> int:
        """Cut everybody's connection; of how many."""
        others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return sum(of for (of,) in self.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))

    def said(self) -> str:
        """Everything that it said."""
        path = self.folder / "said"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _lastWords(self) -> str:
        return " | ".join(self.said().splitlines()[-3:])


def _leash() -> None:
    """Run in the new process: it is to end as in a crash when this one does, whatever becomes of this one."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def binaries() -> Path:
    """
    The folder of the programs of a server: of the newest that is installed.

    @raise ClusterFailed: if none is.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = [path.parent for path in _INSTALLED.glob("*/bin/initdb")]
    if not installed:
        raise ClusterFailed("no PostgreSQL server is installed (Debian: postgresql)")
    return max(installed, key=lambda path: float(path.parent.name))


def _user() -> pwd.struct_passwd | None:
    """Who it runs as, if not as this process: it refuses to be root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise ClusterFailed("PostgreSQL does not run as root, and there is no user postgres") from None
