"""C{scalemgr demo}: a real daemon, a real socket, and what went over it."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import ujson

from .demo import EXAMPLE

__all__ = ["play"]

_LISTENING = re.compile(r"listening on tcp 127\.0\.0\.1:(\d+)")
_CONSOLE = re.compile(r"console at (http\S+)")
_PORT = 8080
_PATIENCE_S = 30.0


def play() -> int:
    """
    Show the main job. Goes on serving if there is a terminal to stop it from.

    @return: the exit status.
    """
    with _daemon() as (port, console):
        # A bare socket, for what is to be seen is the lines.
        with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as peer, peer.makefile("rwb") as lines:
            print(f"request:  {EXAMPLE}")
            lines.write(EXAMPLE.encode("ascii") + b"\r\n")
            lines.flush()
            response = lines.readline().decode().rstrip()
            print(f"response: {response}")
            isBooked = ujson.loads(response)["status"] == 200
            if isBooked:
                print(f"event:    {lines.readline().decode().rstrip()}", flush=True)
        if not isBooked or not sys.stdin.isatty():
            return 0 if isBooked else 1
        print(
            f"\nThe daemon serves on 127.0.0.1:{port}. Paste this into another terminal:\n\n"
            f"    printf '%s\\r\\n' {shlex.quote(EXAMPLE)} | nc 127.0.0.1 {port}\n\n"
            f"and see it come in at {console}\n\n"
            "Ctrl-C ends nc there, and the daemon here.",
            flush=True,
        )
        try:
            while True:
                sys.stdin.read()
        except KeyboardInterrupt:
            print()
    return 0


@contextmanager
def _daemon() -> Iterator[tuple[int, str]]:
    """A demo daemon in a process of its own: its port, and where its console is."""
    command = [sys.executable, "-m", "twisted", "--log-format=text", "scalemgr", "--demo"]
    endpoint = f"tcp:{_freePort()}:interface=127.0.0.1"
    with subprocess.Popen(
        [*command, "--listen", endpoint], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        # Nobody reads what it says once it serves, but that must not fill the pipe.
        drain = Thread(target=process.stdout.read)
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if found := _LISTENING.search(line):
                    break
            else:
                raise SystemExit("scalemgr: the demo daemon did not start:\n" + "".join(said))
            drain.start()
            console = _CONSOLE.search("".join(said))
            assert console is not None
            yield int(found.group(1)), console.group(1)
        finally:
            process.terminate()
            if drain.ident is not None:
                drain.join()


def _freePort() -> int:
    """The usual port, or any if that one is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _PORT))
        except OSError:
            return 0
    return _PORT
