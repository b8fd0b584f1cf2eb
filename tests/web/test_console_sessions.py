"""Who is connected, as the console shows it: what each came in with, and until when that is good."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
from selenium.webdriver import Chrome

from ..e2e.daemons import LOOPBACK, TWIST, DaemonProcess
from ..e2e.test_window import site
from ..helpers import SECRET
from ..lines import LineClient
from .browser import live, resize, rows, until
from .eyesight import CONTRAST, MEASURE, OVERFLOWING, WIDTHS


def signed(**claims: Any) -> str:
    """A token by the key that the daemon knows as 2026."""
    return jwt.encode({"role": "manager", **claims}, SECRET, algorithm="HS256", headers={"kid": "2026"})


def test_badges(tmp_path: Path, chromium: Chrome) -> None:
    """Of each session it is told when its access ends, by which key its token is signed, and which token it is; of
    what it has not, nothing."""
    (tmp_path / "2026.key").write_bytes(SECRET)
    (tmp_path / "2026.key").chmod(0o600)
    (tmp_path / "scalemgr.toml").write_text(
        f'listen = ["{LOOPBACK}"]\n[auth]\nkey_files = ["2026=2026.key"]\n[web]\nlisten = "{LOOPBACK}"\n'
    )
    running = DaemonProcess(TWIST[:-1], "--config", "scalemgr.toml", cwd=tmp_path)
    try:
        port = running.listening()
        soon = time.time() + 3 * 86400 + 3600
        with (
            LineClient("127.0.0.1", port, token=signed(id="crm", jti="crm-7", exp=soon)) as first,
            LineClient("127.0.0.1", port, token=signed(id="desk")) as second,
            LineClient("127.0.0.1", port),
        ):
            for session in (first, second):
                session.call("Ping", {})
            resize(chromium, 1280, 800)
            chromium.get(f"http://127.0.0.1:{site(running)}/")
            live(chromium)
            until(chromium, "three sessions", lambda b: len(rows(b, "#sessions-rows")) == 3)
            said = "return [...document.querySelectorAll('#sessions-rows td.what')].map(cell => cell.innerText)"
            told = [cell.split("\n") for cell in chromium.execute_script(said)]
            assert sorted(told) == [
                ["crm (manager)", "access ends in 3 days · key 2026 · token crm-7"],
                ["desk (manager)", "key 2026"],
                ["not known yet"],
            ]
            for width in WIDTHS:
                resize(chromium, width, 800)
                assert chromium.execute_script(OVERFLOWING) == [], width
                assert chromium.execute_script(MEASURE + CONTRAST) == [], width
            assert chromium.get_log("browser") == []
    finally:
        chromium.get("about:blank")
        running.end()
