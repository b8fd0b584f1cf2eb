"""A browser, and a daemon whose console it shows, for all tests of what people see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from ..e2e.daemons import LOOPBACK, daemon
from ..e2e.test_window import site
from .browser import browsing, live, needsBrowser, resize
from .office import Office

DEMO = ("--demo", "--listen", LOOPBACK, "--web", LOOPBACK)

# A command that waits for an event which never comes.
WAITING = '''
from msgspec import Struct
from scalemgr.commands.base import command


class Patience(Struct, frozen=True):
    timeout_ms: int = 20000


@command("WaitInVain")
def waitInVain(context, params: Patience):
    """Wait for nothing."""
    awaited = {"kind": "trade", "event": "trade:event", "type": 0, "order": 987654, "timeout": params.timeout_ms}
    return {"__deferred": awaited}
'''


@pytest.fixture(scope="package")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with that command."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "twisted/plugins").mkdir(parents=True)
    (folder / "patience.py").write_text(WAITING)
    (folder / "twisted/plugins/patience_plugin.py").write_text("from patience import waitInVain\n")
    return folder


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """The browser of all tests here."""
    needsBrowser()
    with browsing(tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory, chromium: Chrome, plugins: Path) -> Iterator[tuple[int, str]]:
    """A daemon with a console: its port, and where the console is."""
    with daemon(tmp_path_factory.mktemp("daemon"), *DEMO, path=(plugins,)) as (running, port):
        yield port, f"http://127.0.0.1:{site(running)}/"


@pytest.fixture
def page(served: tuple[int, str], chromium: Chrome) -> Iterator[Chrome]:
    """The console, freshly opened and live; when the test is over, there is nothing in the browser's own console."""
    resize(chromium, 1280, 800)
    chromium.get(served[1])
    live(chromium)
    yield chromium
    assert chromium.get_log("browser") == []
    chromium.execute_script("localStorage.clear()")
    chromium.get("about:blank")


@pytest.fixture
def office(served: tuple[int, str]) -> Iterator[Office]:
    """A session of that daemon."""
    with Office(served[0]) as connected:
        yield connected
