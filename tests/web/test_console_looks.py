"""Whether the console can be read and used, by whom and on what ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from .browser import resize, rows, shows, until
from .eyesight import CONTRAST, MEASURE, NAMELESS, OVERFLOWING, WIDTHS
from .office import Office


def test_scheme(page: Chrome, served: tuple[int, str]) -> None:
    """The scheme is the system's, until another is chosen; the choice is kept."""
    ground = "return getComputedStyle(document.body).backgroundColor"
    resize(page, 1280, 800, scheme="dark")
    dark = page.execute_script(ground)
    resize(page, 1280, 800, scheme="light")
    light = page.execute_script(ground)
    assert dark != light
    button = page.find_element(By.ID, "theme")
    button.click()
    assert (button.text, page.execute_script(ground)) == ("Scheme: dark", dark)
    page.get(served[1])
    assert page.execute_script(ground) == dark
    assert page.find_element(By.ID, "theme").text == "Scheme: dark"
    for expected, colour in (("Scheme: light", light), ("Scheme: system", light)):
        page.find_element(By.ID, "theme").click()
        assert (page.find_element(By.ID, "theme").text, page.execute_script(ground)) == (expected, colour)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_canBeRead(page: Chrome, office: Office, scheme: str, tmp_path: Path) -> None:
    """In both schemes, on a desk and on a phone: nothing hangs out at the side, and all text has the contrast of AA."""
    office.deposit("to be read", amount=9.99)
    office.ask("BalanceOutSync", login=1001, amount=-1, comment="and back")
    until(page, "it", lambda b: any("and back" in row for row in rows(b)))
    page.find_element(By.CSS_SELECTOR, "#ask [name=login]").send_keys("1001", Keys.ENTER)
    shows(page, "#statement-said", "Account 1001:")
    for width in WIDTHS:
        resize(page, width, 844 if width < 600 else 800, scheme=scheme)
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth"), width
        assert page.execute_script(OVERFLOWING) == [], width
        assert page.execute_script(MEASURE + CONTRAST) == [], width
        assert page.save_screenshot(str(tmp_path / f"{scheme}-{width}.png"))


def test_phone(page: Chrome, office: Office) -> None:
    """On a phone four numbers are in sight and the events soon after them; the others are behind a button, unless they
    are not well."""
    shown = "return [...document.querySelectorAll('.tile')].filter(tile => tile.checkVisibility()).map(tile => tile.id)"
    button = page.find_element(By.ID, "rest")
    assert len(page.execute_script(shown)) == 8
    assert not button.is_displayed()
    resize(page, 390, 844)
    first = ["tile-rate", "tile-latency", "tile-waiters", "tile-timeouts"]
    assert page.execute_script(shown) == first
    assert page.execute_script("return document.getElementById('tiles').getBoundingClientRect().bottom") < 844 / 2
    page.execute_script("document.getElementById('tile-ledger').dataset.tone = 'bad'")
    assert page.execute_script(shown) == [*first, "tile-ledger"]
    for words, expanded, count in (("Fewer numbers", "true", 8), ("More numbers", "false", 4)):
        button.click()
        until(page, words, lambda b, count=count: len(b.execute_script(shown)) == count)
        assert (button.text, button.get_attribute("aria-expanded")) == (words, expanded)
        assert page.execute_script(OVERFLOWING) == []


def test_folder(page: Chrome) -> None:
    """A folder's name is broken between its parts, and all of it can be read."""
    page.execute_script(
        "const more = document.querySelector('#tile-ledger .more'); more.closest('.tile').style.width = '16rem';"
        "import('/pages/charts.js').then(({ steps }) =>"
        " more.replaceChildren('7 GiB free · ', ...steps('/srv/scalemgr-production/ledger-of-the-first-house/a')))"
    )
    shows(page, "#tile-ledger .more", "/srv/scalemgr-production/ledger-of-the-first-house/a")
    boxes = "return [...document.querySelectorAll('#tile-ledger .step')].map(step => step.getClientRects().length)"
    lines = "return [...document.querySelectorAll('#tile-ledger .step')].map(step => step.offsetHeight)"
    assert page.execute_script(boxes) == [1] * 5
    assert len(set(page.execute_script(lines))) == 1
    assert page.execute_script(OVERFLOWING) == []


def test_keyboard(page: Chrome) -> None:
    """Everything can be reached with the keyboard, in the order in which it stands, and is seen when it is reached."""
    names = []
    for _ in range(60):
        ActionChains(page).send_keys(Keys.TAB).perform()
        at = page.switch_to.active_element
        if at.tag_name == "body":
            break
        names.append(at.get_attribute("id") or at.get_attribute("name") or at.text or at.get_attribute("aria-label"))
        outline = page.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", names[-1]
        if at.get_attribute("id") == "older" or names[-1] == "to":
            break
    assert names[0] == "Skip to the numbers"
    wanted = ["Now", "Statement", "theme", "pause", "login", "order", "Skip the events"]
    assert [name for name in names if name in wanted][: len(wanted)] == wanted
    page.find_element(By.CSS_SELECTOR, "a.skip").send_keys(Keys.ENTER)
    assert page.switch_to.active_element.get_attribute("id") == "now"


def test_namesForWhoDoesNotSee(page: Chrome) -> None:
    """There are landmarks, one main heading, a name for all that can be used, and no id twice."""
    for landmark in ("header", "nav[aria-label]", "main", "footer", "[role=status]", "[role=alert]"):
        assert page.find_elements(By.CSS_SELECTOR, landmark), landmark
    assert len(page.find_elements(By.TAG_NAME, "h1")) == 1
    assert page.execute_script(NAMELESS) == []
    assert page.execute_script("return document.documentElement.lang") == "en"
    assert page.find_elements(By.CSS_SELECTOR, "#events-rows [aria-live], #events [role=log]") == []


def test_quietForWhoWantsIt(page: Chrome, office: Office) -> None:
    """Where no motion is wanted, nothing moves."""
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    office.deposit("quietly")
    until(page, "it", lambda b: any("quietly" in row for row in rows(b)))
    names = "return [...document.querySelectorAll('tr')].map(row => getComputedStyle(row).animationName)"
    assert set(page.execute_script(names)) == {"none"}
