"""Servers of which something is wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

__all__ = ["plainly", "speechless"]


@contextmanager
def speechless(after: int = 1) -> Iterator[int]:
    """
    The port of a server that takes one connection, and reads from it until it ends.

    @param after: how many lines it answers first; without one the client takes it for none that listens.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=_serve, args=(listening, after))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening: socket.socket, after: int) -> None:
    with suppress(OSError):
        peer, _ = listening.accept()
        with peer, peer.makefile("rb") as lines:
            for number, line in enumerate(lines):
                if number < after:
                    peer.sendall(
                        json.dumps({"extID": json.loads(line)["extID"], "status": 200, "data": {}}).encode() + b"\r\n"
                    )


@contextmanager
def plainly() -> Iterator[int]:
    """The port of a server without TLS, which says what it thinks of anything else."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=_refuse, args=(listening,))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _refuse(listening: socket.socket) -> None:
    with suppress(OSError):
        while True:
            peer, _ = listening.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b'{"extID": null, "status": 400, "data": {"error": "INVALID_JSON"}}\r\n')
