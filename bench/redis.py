"""
Redis doing the same, in memory and in an append-only file that is synced before each answer: one Lua call with the
three writes. On a server of our own, pinned as the daemon is.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import BenchFailed, run, start, stop

__all__ = ["Redis", "serving", "unavailable"]

_LUA = """
local order = redis.call('RPUSH', 'deposits', ARGV[1])
local balance = redis.call('HINCRBY', KEYS[1], 'balance', 12345)
redis.call('RPUSH', 'events', ARGV[1])
return {order, balance}
"""
_DATA = '{"login":1001,"cmd":6,"state":3,"profit":123.45,"comment":"Payment gateway deposit","balance_version":1}'
_PROGRAMS = ("redis-server", "redis-benchmark", "redis-cli")


def unavailable() -> str | None:
    """Why there is nothing to measure, or C{None}."""
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    return f"{', '.join(missing)} not on this machine" if missing else None


class Redis:
    """A server that runs, with the script loaded."""

    def __init__(self, port: int, core: int | None) -> None:
        self._port = port
        self._core = core
        self._script = self._cli("SCRIPT", "LOAD", _LUA)

    def _cli(self, *words: str) -> str:
        command = ["redis-cli", "-h", "127.0.0.1", "-p", str(self._port), *words]
        return run(command).stdout.strip()

    def measure(self, clients: int, inFlight: int, count: int) -> float:
        """Calls a second, of so many calls, by 10,000 accounts."""
        words = ["-c", str(clients), "-P", str(inFlight), "-n", str(count), "-r", "10000", "--csv"]
        # redis-benchmark puts a random number in the place of the name in the key.
        call = ["EVALSHA", self._script, "1", "account:__rand_int__", _DATA]
        process = start(
            ["redis-benchmark", "-h", "127.0.0.1", "-p", str(self._port), *words, *call],
            self._core,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        before = int(self._cli("LLEN", "deposits"))
        try:
            said, complaints = process.communicate(timeout=120)
        finally:
            stop(process)
        written = int(self._cli("LLEN", "deposits")) - before
        lines = [line for line in said.splitlines() if line.startswith('"EVALSHA')]
        if process.returncode or not lines or written < count // 2:
            raise BenchFailed(f"redis-benchmark failed ({written} of {count} written): {complaints[-500:]}")
        return float(lines[-1].rsplit('","', 7)[1].strip('"'))


@contextmanager
def serving(folder: Path, serverCore: int | None, clientCore: int | None) -> Iterator[Redis]:
    """A server of our own, for as long as it is needed."""
    home = folder / "redis"
    home.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), "--save", ""]
    words += ["--appendonly", "yes", "--appendfsync", "always"]
    process = start(["redis-server", *words], serverCore, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _await(process, port)
        yield Redis(port, clientCore)
    finally:
        stop(process)
        shutil.rmtree(home)


def _await(process: subprocess.Popen[str], port: int) -> None:
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            try:
                process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            break
    raise BenchFailed("redis-server did not start")
