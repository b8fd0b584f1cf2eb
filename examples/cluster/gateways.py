"""Gateways: daemons with one configuration, each with ports of its own."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
import time
from pathlib import Path

from .errors import Failed
from .processes import ROOT, Child

__all__ = ["PROXY", "Gateway", "configure", "scalemgr"]

#: Where HAProxy connects from, and clients do not: the gateways believe it, and nobody else, of whom it speaks.
PROXY = "127.0.0.2"
_READY_S = 40.0
_LOOK_S = 0.05
_COMMAND_S = 60.0
_CONFIGURATION = f"""
ledger = {{ledger}}
[auth]
key_files = ["scalemgr.key"]
[access]
proxies = ["{PROXY}"]
[log]
format = "text"
"""
_NAME = "scalemgr.toml"


class Gateway(Child):
    """
    One of them.

    @param folder: of what L{configure} made.
    @param port: where it serves.
    @param site: where its site is: C{/readyz} and the rest.
    @ivar address: for clients who want this one and no other.
    """

    def __init__(self, name: str, folder: Path, port: int, site: int) -> None:
        listen = f"--listen=tcp:{port}:interface=127.0.0.1"
        web = f"--web=tcp:{site}:interface=127.0.0.1"
        command = [sys.executable, "-m", "twisted", "scalemgr", f"--config={_NAME}", listen, web]
        super().__init__(name, command, folder)
        self.port = port
        self.site = site
        self.address = f"tcp:127.0.0.1:{port}"

    async def ready(self) -> None:
        """
        Come back when it says that it is ready.

        @raise Failed: if it ends instead, or takes too long.
        """
        until = time.monotonic() + _READY_S
        while (said := await self._readyz()) != "200":
            self.demandAlive()
            if time.monotonic() > until:
                raise Failed(f"{self.name} is not ready after {_READY_S:g} s; its /readyz says {said or 'nothing'}")
            await asyncio.sleep(_LOOK_S)

    async def _readyz(self) -> str:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.site)
            try:
                writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
                words = (await reader.readline()).split()
                return words[1].decode() if len(words) > 1 else ""
            finally:
                writer.close()
        except OSError:
            return ""


def configure(folder: Path, ledger: str) -> None:
    """Write the configuration that all share, and the key of tokens."""
    for name, text in (
        (_NAME, _CONFIGURATION.format(ledger=json.dumps(ledger))),
        ("scalemgr.key", secrets.token_urlsafe(48)),
    ):
        path = folder / name
        path.touch(0o600)
        path.write_text(text)


def scalemgr(folder: Path, verb: str, *words: str) -> str:
    """
    The C{scalemgr} command, with that configuration; what it prints, in one line.

    @raise Failed: if it says that something is wrong.
    """
    command = [sys.executable, "-m", "scalemgr", verb, "--config", str(folder / _NAME), *words]
    try:
        ran = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"scalemgr {verb} is not done after {_COMMAND_S:g} s") from None
    if ran.returncode:
        raise Failed(f"scalemgr {verb} ends with status {ran.returncode}: {ran.stdout}{ran.stderr}".strip())
    return "; ".join(line.strip() for line in ran.stdout.splitlines() if line.strip())
