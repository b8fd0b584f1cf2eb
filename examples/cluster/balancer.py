"""HAProxy before the gateways, by C{etc/haproxy.cfg} but for what has to be different on one machine."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from .errors import Failed, Missing
from .gateways import PROXY, Gateway
from .processes import ROOT, Child

__all__ = ["Balancer", "configuration", "program"]

_PATIENCE_S = 20.0
_LOOK_S = 0.05


def program() -> str:
    """
    Where HAProxy is.

    @raise Missing: if it is not here.
    """
    # It is not on everybody's path where it is installed for root.
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/sbin")
    if found is None:
        raise Missing("there is no HAProxy here; on Debian: apt-get install haproxy")
    return found


def configuration(text: str, door: int, gateways: Sequence[Gateway]) -> str:
    """
    C{etc/haproxy.cfg} for these gateways: it listens on a descriptor, runs as who starts it, speaks plain TCP on this
    machine, connects from L{PROXY}, and looks more often, for nobody wants to wait here.

    @raise Failed: if the file has not got what is to be changed.
    """
    changes = [
        (r"log /dev/log local0", "log stdout format raw local0"),
        (r"    (?:user|group) haproxy\n", ""),
        (r"maxconn 20000", "maxconn 200"),
        (r"/run/haproxy/admin\.sock", "unix@admin.sock"),
        (r"bind :8443", f"bind fd@{door}"),
        (r" check-ssl verify none", ""),
        (r"inter 2s", "inter 400ms"),
        (r"(fast|down)inter 1s", r"\1inter 200ms"),
        (r"slowstart 30s", "slowstart 2s"),
    ]
    for number, gateway in enumerate(gateways, 1):
        here = f"server gw{number} 127.0.0.1:{gateway.port} port {gateway.site} source {PROXY}"
        changes.append((rf"server gw{number} 10\.0\.0\.1{number}:8443", here))
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text)
        if not count:
            raise Failed(f"etc/haproxy.cfg has nothing like {pattern!r} any more")
    return text


class Balancer(Child):
    """
    @param program: HAProxy.
    @ivar port: where it listens from now on; whoever connects before it runs waits.
    @ivar address: for clients.
    """

    def __init__(self, program: str, folder: Path, gateways: Sequence[Gateway]) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self._control = folder / "admin.sock"
        self._gateways = gateways
        self.port = self._door.getsockname()[1]
        self.address = f"tcp:127.0.0.1:{self.port}"
        name = "haproxy.cfg"
        shipped = (ROOT / "etc" / name).read_text("utf-8")
        (folder / name).write_text(configuration(shipped, self._door.fileno(), gateways))
        super().__init__("haproxy", [program, "-db", "-f", name], folder, [self._door.fileno()])

    def close(self) -> None:
        self._door.close()
        super().close()

    async def sees(self, gateway: Gateway, status: str) -> None:
        """
        Come back when it finds that a gateway is C{UP} or C{DOWN}.

        @raise Failed: if it ends instead, or does not find that.
        """
        until = time.monotonic() + _PATIENCE_S
        while (found := (await self._stat("status")).get(gateway.name)) != status:
            self.demandAlive()
            if time.monotonic() > until:
                raise Failed(f"HAProxy finds {gateway.name} {found}, and not {status}")
            await asyncio.sleep(_LOOK_S)

    async def sessions(self) -> dict[str, int]:
        """How many sessions each gateway has from here."""
        return {name: int(value) for name, value in (await self._stat("scur")).items()}

    async def _stat(self, field: str) -> dict[str, str]:
        """One column of its table, by gateway; of none, before it answers."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._control)
        except (FileNotFoundError, ConnectionError):
            return {}
        try:
            writer.write(b"show stat\n")
            lines = (await reader.read()).decode().removeprefix("# ").splitlines()
        finally:
            writer.close()
        names = lines[0].split(",")
        rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:] if line]
        known = {gateway.name for gateway in self._gateways}
        return {row["svname"]: row[field] for row in rows if row["pxname"] == "gateways" and row["svname"] in known}
