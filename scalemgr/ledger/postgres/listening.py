"""Hears that others have committed. That is all it hears: what they did is read from the log.

A wake-up that is lost costs time, and nothing else: the log is looked at anyway now and then.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable

import psycopg
from psycopg import Connection

from ..errors import LedgerRefused
from .server import Server

__all__ = ["Listener"]

_AGAIN_S = 1.0
# So long the end waits for it; it may be just connecting to a server that does not answer.
_END_S = 2.0


class Listener:
    """
    A thread with a connection of its own.

    @param channel: what the others tell when they have committed; empty: nothing, it is only looked now and then.
    @param seconds: how often that is.
    @param heard: called in that thread: with the server's process that has committed, or 0: it is time to look.
    """

    def __init__(self, server: Server, channel: str, seconds: float, heard: Callable[[int], None]) -> None:
        self._server = server
        self._channel = channel
        self._seconds = seconds
        self._heard = heard
        self._stopping = threading.Event()
        # What waits for the server waits for this, too: one end is closed when it is time to stop.
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="scalemgr listener", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End. Nothing is heard any more, or hardly: of what may still be, somebody who has ended takes no notice."""
        self._stopping.set()
        self._stop.close()
        if self._thread.ident is None:
            self._stopped.close()
        else:
            self._thread.join(_END_S)

    def _run(self) -> None:
        with self._stopped:
            self._hear()

    def _hear(self) -> None:
        if not self._channel:
            while not self._stopping.wait(self._seconds):
                self._heard(0)
            return
        while not self._stopping.is_set():
            try:
                with self._server.connect("wake-ups") as connection:
                    connection.execute(f"LISTEN {self._channel}".encode())
                    self._listen(connection)
            except (psycopg.Error, LedgerRefused):
                # That the server is away is found, and said, where something is asked of it.
                if not self._stopping.is_set():
                    self._heard(0)
                self._stopping.wait(min(_AGAIN_S, self._seconds))

    def _listen(self, connection: Connection[object]) -> None:
        # What was committed before it listened.
        self._heard(0)
        look = time.monotonic() + self._seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._stopped, selectors.EVENT_READ)
            selector.register(connection.fileno(), selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select(max(0.0, look - time.monotonic()))
                for notice in connection.notifies(timeout=0):
                    self._heard(notice.pid)
                if time.monotonic() >= look:
                    look = time.monotonic() + self._seconds
                    self._heard(0)
