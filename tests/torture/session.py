"""One connection of a campaign's client: requests out, answers in, each with the attempt that it belongs to."""

from __future__ import annotations

import socket
import time
from typing import Any

from scalemgr.client.session import ClientSession, Reply, WireError

from .asked import OFFICE
from .journal import Heard, Sent, Trouble
from .office import dataOf

__all__ = ["Session"]

_PENDING = 17


class Session:
    """
    A connection.

    @param patience: how many seconds without a word it takes until nothing more is expected.
    @ivar waiting: the attempts that are not answered yet, by extID.
    @ivar answered: the extID of each attempt that L{hear} gave an answer of.
    @ivar pending: what it heard of that awaits approval, whoever asked for it; to be taken from here.
    @raise OSError: if nobody listens.
    """

    def __init__(self, port: int, token: str, patience: float) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 2)
        self.waiting: dict[str, Sent] = {}
        self.answered: dict[int, str] = {}
        self.pending: list[dict[str, Any]] = []
        self._wire = ClientSession(token)
        self._patience = patience
        self._word = time.monotonic()

    @staticmethod
    def extIDOf(sent: Sent) -> str:
        """The extID of an attempt: the key itself, or one that is used once."""
        return sent.key if sent.by == "extID" and sent.command != "GetRequest" else f"n{sent.n}"

    def send(self, attempts: list[Sent]) -> str:
        """
        Send attempts that are in L{waiting}.

        @return: why that failed, or nothing.
        """
        if len(self.waiting) == len(attempts):
            self._word = time.monotonic()
        lines = b"".join(self._wire.request(sent.command, _data(sent), self.extIDOf(sent)) for sent in attempts)
        try:
            self.socket.sendall(lines)
        except OSError as e:
            return str(e) or type(e).__name__
        return ""

    def hear(self) -> tuple[list[Heard | Trouble], str]:
        """
        What has come, and why nothing more will, if so.

        Events are for the reader; here only what awaits approval is looked at.
        """
        try:
            data = self.socket.recv(262_144)
            messages = self._wire.receive(data)
        except OSError as e:
            return [], str(e) or type(e).__name__
        except WireError as e:
            return [Trouble(f"not of this protocol: {e}")], str(e)
        self._word = time.monotonic()
        heard: list[Heard | Trouble] = []
        for reply in messages:
            if not isinstance(reply, Reply):
                if reply.data.get("state") == _PENDING:
                    self.pending.append(reply.data)
                continue
            sent = self.waiting.get(str(reply.extID))
            if sent is None or sent.n in self.answered:
                heard.append(Trouble(f"an answer that nobody waits for: {reply.line}"))
            else:
                self.answered[sent.n] = str(reply.extID)
                heard.append(Heard(sent.n, reply.line))
        return heard, "" if data else "the server closed the connection"

    def silent(self) -> bool:
        """Has an answer been owing for longer than the patience lasts?"""
        return bool(self.waiting) and time.monotonic() - self._word > self._patience

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


def _data(sent: Sent) -> dict[str, Any]:
    if sent.command == "GetRequest":
        return {sent.by: sent.key}
    data: dict[str, Any] = {}
    if sent.kind in OFFICE:
        data = dataOf(sent)
    elif sent.timeout_ms is not None:
        data["timeout_ms"] = sent.timeout_ms
    if sent.cents:
        data |= {"login": sent.login, "amount": sent.cents / 100}
    if sent.order:
        data["order"] = sent.order
    if sent.cmd:
        data["cmd"] = sent.cmd
    if sent.comment is not None:
        data["comment"] = sent.comment
    if sent.by == "idempotency_key":
        data["idempotency_key"] = sent.key
    return data
