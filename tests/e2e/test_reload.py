"""A daemon that is told to read its configuration again while it is at work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..lines import LineClient
from .daemons import LOOPBACK, ROOT, TWIST, TWISTD, daemon, hangUp

CONFIG = f"""
listen = ["{LOOPBACK}"]
ledger = "sqlite:ledger"
[auth]
key_files = [{{keys}}]
revoked = "revoked"
[access]
{{access}}
"""


class Office:
    """A folder with a configuration, keys and a list of revoked tokens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "revoked").write_text("")
        self.configure("old.key")

    def configure(self, *keys: str, access: str = "") -> None:
        text = CONFIG.format(keys=", ".join(f'"{key}"' for key in keys), access=access)
        (self.folder / "scalemgr.toml").write_text(text)

    def token(self, id: str, *more: str) -> str:
        """A token, as an operator makes one."""
        words = ["-m", "scalemgr", "token", "--config", "scalemgr.toml", "--id", id, "--role", "manager", *more]
        made = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return made.stdout.strip()


def connected(port: int, token: str) -> LineClient:
    return LineClient("127.0.0.1", port, token=token)


def status(client: LineClient, extID: str, **more: Any) -> int:
    answer: dict[str, Any] = json.loads(client.call("Ping", more, extID).line)
    code: int = answer["status"]
    return code


@pytest.mark.parametrize("program", [TWIST, TWISTD], ids=["twist", "twistd -n"])
def test_reload(tmp_path: Path, program: tuple[str, ...]) -> None:
    """A new key, a revoked token and other bounds are in force after SIGHUP; no session is dropped for it."""
    office = Office(tmp_path)
    old = office.token("crm", "--new-key", "--token-id", "stolen")
    kept = office.token("back-office")
    with daemon(tmp_path, "--config", "scalemgr.toml", program=program) as (running, port):
        with connected(port, old) as first, connected(port, kept) as second:
            assert status(first, "1") == status(second, "1") == 200
            office.configure("2027=new.key", "2026=old.key", access="requests_per_second = 0.001\nburst = 2")
            new = office.token("crm-new", "--new-key")
            (tmp_path / "revoked").write_text("stolen\n")
            said = hangUp(running, "the configuration was read again")
            for what in ("auth.key_files", "access.burst", "keys: 1 new, 0 gone", "need another token: 1"):
                assert what in said
            assert [status(second, str(n)) for n in range(3)] == [200, 200, 429]
            assert status(first, "2") == 401
            with connected(port, new) as third:
                assert status(third, "1") == 200
        said = running.end()
    assert "a token is refused: it is revoked (of 'crm', jti 'stolen')" in said
    for text in (old, kept, new):
        assert text.rpartition(".")[2] not in said


def test_badConfigurationIsRefused(tmp_path: Path) -> None:
    """A configuration, a key or a list that is no good changes nothing and says why; a good one after it does."""
    office = Office(tmp_path)
    token = office.token("crm", "--new-key")
    with daemon(tmp_path, "--config", "scalemgr.toml") as (running, port), connected(port, token) as client:
        assert status(client, "1") == 200
        refused = "the configuration stays as it was, for the new one is no good"
        good = (tmp_path / "scalemgr.toml").read_text()
        for n, (file, text, why) in enumerate(
            [
                ("scalemgr.toml", "[limits", "is not TOML"),
                ("scalemgr.toml", good.replace('"old.key"', '"none.key"'), "none.key does not exist"),
                ("revoked", "x" * 1000, "line 1 of the list of revoked tokens"),
                ("old.key", "short", "is shorter than 32 bytes"),
            ]
        ):
            before = (tmp_path / file).read_bytes()
            (tmp_path / file).write_text(text)
            assert why in hangUp(running, refused)
            (tmp_path / file).write_bytes(before)
            assert status(client, f"still-{n}") == 200
        hangUp(running, "nothing has changed")
        office.configure("old.key", access='allow = ["192.0.2.0/24"]')
        hangUp(running, "access.allow")
        assert status(client, "inside") == 200
        with pytest.raises(OSError), connected(port, token) as stranger:
            status(stranger, "outside")
        running.end()
    assert "a connection from 127.0.0.1 is closed: [access] allow does not name it" in running.said
