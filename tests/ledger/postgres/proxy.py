"""Between libpq and its server: forwards, and does harm where it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Harm", "Proxy", "Where"]

Where = Literal["asked", "answered"]

#: Told each piece and whose it is, before it is forwarded: C{pass} it on; C{drop} it and cut; C{cut} once it is passed
#: on; C{stall}: neither it nor anything after it comes through.
Harm = Callable[[Where, bytes], Literal["pass", "drop", "cut", "stall"]]


def none(where: Where, piece: bytes) -> Literal["pass"]:
    """No harm."""
    return "pass"


class Proxy:
    """
    @ivar port: where it listens, on 127.0.0.1.
    @ivar harm: what is done to each piece.
    @ivar refuses: whoever connects is cut off at once.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self.harm: Harm = none
        self.refuses = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self) -> str:
        """The same, through here."""
        user, at, _ = self._parts.netloc.rpartition("@")
        # What it says while a connection is made is then plain, and short.
        query = "&".join(filter(None, [self._parts.query, "sslmode=disable", "gssencmode=disable"]))
        return urlunsplit(self._parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}", query=query))

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            if self.refuses:
                one.close()
                continue
            try:
                other = socket.create_connection((self._parts.hostname, self._parts.port or 5432))
            except OSError:
                one.close()
                continue
            self._pairs.append((one, other))
            for where, source, to in (("asked", one, other), ("answered", other, one)):
                thread = threading.Thread(target=self._forward, args=(where, source, to))
                self._threads.append(thread)
                thread.start()

    def _forward(self, where: Where, source: socket.socket, to: socket.socket) -> None:
        isStalled = False
        while True:
            try:
                piece = source.recv(65536)
                if not piece:
                    break
                if isStalled:
                    continue
                what = self.harm(where, piece)
                isStalled = what == "stall"
                if what in ("pass", "cut"):
                    to.sendall(piece)
                if what in ("drop", "cut"):
                    break
            except OSError:
                break
        _end(source, to)

    def cut(self) -> None:
        """Cut all connections."""
        for pair in self._pairs:
            _end(*pair)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Cut all, and let nobody in for a while."""
        self.refuses = True
        self.cut()
        try:
            yield
        finally:
            self.refuses = False

    def close(self) -> None:
        """End."""
        # To close it does not end who waits for it.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.harm = none
        self.cut()
        for thread in self._threads:
            thread.join()
        for pair in self._pairs:
            for one in pair:
                one.close()


def _end(*ends: socket.socket) -> None:
    for end in ends:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
