"""Where there is no browser, nobody may believe that what people see was tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import browser


def test_noBrowser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a browser its tests are skipped with the reason; in CI they fail, and say what to install."""
    monkeypatch.setattr(browser, "_BROWSER", Path("/nowhere/chromium"))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="/nowhere/chromium"):
        browser.needsBrowser()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium chromium-driver"):
        browser.needsBrowser()
