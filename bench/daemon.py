"""The daemon, started as its users start it, on a ledger of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scalemgr.client import Client

from .ledgers import lag, lagAt
from .loads import Load
from .processes import CHECKOUT, BenchFailed, ConnectionsClosed, python, run, running, unpinChildren

__all__ = ["Daemon", "House"]

_CONFIG = """
listen = ["tcp:0:interface=127.0.0.1"]
ledger = "{ledger}"
[web]
listen = "tcp:0:interface=127.0.0.1"
[auth]
key_files = ["scalemgr.key"]
"""

# Of the log of one that died.
_LAST_LINES = 10


class Daemon:
    """
    One that runs.

    @param ledger: its folder, or its connection string.
    @ivar port: where it listens.
    @ivar started: when it was, on the clock of C{time.monotonic}.
    @ivar told: what a subscriber was sent, once it is gone.
    """

    def __init__(
        self, process: subprocess.Popen[str], port: int, ledger: Path | str, token: str, started: float
    ) -> None:
        self._process = process
        self.port = port
        self._ledger = ledger
        self.token = token
        self.started = started
        self.told: Load = {}

    @property
    def folder(self) -> Path:
        """Of its ledger, which is in one."""
        assert isinstance(self._ledger, Path)
        return self._ledger

    @property
    def lag(self) -> int:
        """How many entries the views lack."""
        return (lag(self._ledger) if isinstance(self._ledger, Path) else lagAt(self._ledger))[1]

    def client(self) -> Client:
        """A session of a manager."""
        return Client(f"tcp:127.0.0.1:{self.port}", token=self.token)

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def rss(self) -> int:
        """The memory that it has, in bytes."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text("ascii")
        found = re.search(r"^Rss:\s+(\d+) kB", rollup, re.MULTILINE)
        assert found is not None, rollup
        return int(found.group(1)) * 1024

    def settle(self, timeoutS: float = 60.0) -> None:
        """Wait until the views have what the log has: what one load left to do must not burden the next."""
        end = time.monotonic() + timeoutS
        while self.lag > 0:
            if time.monotonic() > end:
                raise BenchFailed(f"the views do not catch up within {timeoutS:g} s")
            time.sleep(0.05)


class House:
    """
    Starts daemons, each in a folder of its own, with one key and one token for all of them.

    @param folder: for all of theirs.
    @param core: where they run; C{None}: anywhere.
    """

    def __init__(self, folder: Path, core: int | None) -> None:
        self._folder = folder
        self._core = core
        self._count = 0
        config = folder / "scalemgr.toml"
        config.write_text(_CONFIG.format(ledger="sqlite:ledger"), "utf-8")
        words = ["token", "--config", str(config), "--new-key", "--id", "bench", "--role", "manager", "--days", "1"]
        self.token = run(python("-m", "scalemgr", *words), cwd=CHECKOUT).stdout.strip()

    @contextmanager
    def daemon(self, ledger: Path | str, config: str = "") -> Iterator[Daemon]:
        """
        A daemon on a copy of a ledger, gone with it afterwards.

        @param ledger: its folder; or a connection string, of one that is not copied.
        @param config: what else its configuration says.
        """
        self._count += 1
        home = self._folder / f"daemon-{self._count}"
        home.mkdir()
        try:
            shutil.copy2(self._folder / "scalemgr.key", home)
            isCopied = isinstance(ledger, Path)
            url = "sqlite:ledger" if isCopied else ledger
            (home / "scalemgr.toml").write_text(_CONFIG.format(ledger=url) + config, "utf-8")
            if isCopied:
                ledger = shutil.copytree(ledger, home / "ledger")
            command = python("-m", "twisted", "--log-format=text", "scalemgr", "--config", str(home / "scalemgr.toml"))
            started = time.monotonic()
            with running(command, self._core, home / "log") as (process, port):
                unpinChildren(process.pid)
                try:
                    yield Daemon(process, port, ledger, self.token, started)
                except (BenchFailed, OSError) as e:
                    if why := _died(process, home / "log", isSuspected=isinstance(e, ConnectionsClosed)):
                        raise BenchFailed(f"{e}: {why}") from e
                    raise
                if why := _died(process, home / "log", isSuspected=False):
                    raise BenchFailed(why)
        finally:
            shutil.rmtree(home)


def _died(process: subprocess.Popen[str], log: Path, *, isSuspected: bool) -> str | None:
    """What became of the daemon, and its last words; C{None} if it runs as it should."""
    # Its connections are closed a moment before it is gone.
    with suppress(subprocess.TimeoutExpired):
        process.wait(2 if isSuspected else 0)
    if process.returncode is None and not isSuspected:
        return None
    words = "\n".join(log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:])
    if process.returncode is None:
        return f"did the daemon die? It still runs; its last words:\n{words}"
    return f"the daemon died ({_ending(process.returncode)}); its last words:\n{words}"


def _ending(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {-status}"
