"""Chromium without a screen, for tests of what people see. Where there is none they are skipped, but not in CI."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from .office import PATIENCE_S

__all__ = ["browsing", "live", "needsBrowser", "resize", "rows", "shows", "text", "until"]

_BROWSER, _DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    # Nothing but this machine is there to be asked.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

_Found = TypeVar("_Found")


def needsBrowser() -> None:
    """Skip the test that asks, if there is no browser; in CI, where there must be one, fail it."""
    missing = [str(path) for path in (_BROWSER, _DRIVER) if not path.exists()]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {' and '.join(missing)}: apt-get install chromium chromium-driver")
    if missing:
        pytest.skip(f"{' and '.join(missing)}: not installed (Debian: chromium, chromium-driver)")


@contextmanager
def browsing(profile: Path, width: int = 1280, height: int = 800) -> Iterator[Chrome]:
    """
    A browser with a profile of its own, which is closed afterwards.

    @param profile: a folder that is not there yet.
    """
    options = ChromeOptions()
    options.binary_location = str(_BROWSER)
    for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(str(_DRIVER)))
    try:
        browser.set_page_load_timeout(PATIENCE_S)
        yield browser
    finally:
        browser.quit()


def resize(browser: Chrome, width: int, height: int, *, scheme: str = "") -> None:
    """
    What the page takes for the screen; a phone's is narrower than any window.

    @param scheme: C{"dark"} or C{"light"}: what the system prefers.
    """
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}] if scheme else []
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def until(browser: Chrome, what: str, look: Callable[[Chrome], _Found]) -> _Found:
    """Wait until something is there that was looked for."""
    found: Any = WebDriverWait(browser, PATIENCE_S, 0.05).until(look, f"{what}: not seen in time")
    return found


def text(browser: Chrome, css: str) -> str:
    """What is to be read there, be it in sight or not."""
    found: str = browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", css)
    return " ".join(found.split())


def shows(browser: Chrome, css: str, words: str) -> None:
    """Wait until these words are there."""
    until(browser, f"{words!r} at {css}", lambda b: words in text(b, css))


def live(browser: Chrome) -> None:
    """Wait until the console has heard that all is well."""
    shows(browser, "#link", "Live")
    shows(browser, "#state", "Ready")


def rows(browser: Chrome, css: str = "#events-rows") -> list[str]:
    """A table's rows, as text."""
    found: list[str] = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0] + ' > tr')].map(row => row.textContent)", css
    )
    return found
