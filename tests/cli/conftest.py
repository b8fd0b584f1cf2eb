"""A folder of its own for each test, nothing of the environment, and a demo daemon for those that ask one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from scalemgr.cli import main

from ..e2e.daemons import LOOPBACK, daemon


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("SCALEMGR_SERVER", "SCALEMGR_TOKEN", "SCALEMGR_WEB", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


class Demo(NamedTuple):
    """
    A demo daemon.

    @ivar ledger: its folder.
    @ivar site: the port of its web site.
    """

    ledger: Path
    port: int
    site: int


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo daemon that serves."""
    folder = tmp_path_factory.mktemp("demo")
    words = ("--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK, "--web", LOOPBACK)
    with daemon(folder, *words) as (running, port):
        found = re.search(r"console at http://127\.0\.0\.1:(\d+)/", running.said)
        assert found is not None
        yield Demo(folder / "ledger", port, int(found.group(1)))


@pytest.fixture
def server(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the demo is, and every verb asks it."""
    address = f"127.0.0.1:{demo.port}"
    monkeypatch.setenv("SCALEMGR_WEB", f"http://127.0.0.1:{demo.site}")
    monkeypatch.setenv("SCALEMGR_SERVER", address)
    return address


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Says something; the exit status, and what came on both outputs."""

    def say(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main(words)
        except SystemExit as e:
            status = int(str(e.code))
        heard = capsys.readouterr()
        return status, heard.out, heard.err

    return say
