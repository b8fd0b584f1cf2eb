"""What was refused, on the console: told to whom, and how it looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ..helpers import booked, token
from .browser import resize, rows, shows, text, until
from .consoles import Listening
from .eyesight import CONTRAST, MEASURE, OVERFLOWING, WIDTHS
from .house import Windowed
from .office import Office


@pytest.fixture
def house() -> Iterator[Windowed]:
    """A daemon with a console; nothing is left of it afterwards."""
    made = Windowed()
    yield made
    made.close()


def refused(house: Windowed, key: str = "payout-77", login: int = 1001) -> None:
    """A withdrawal that there is no money for."""
    session = house.daemon.staff()
    session.deposit(key, -500.0, "BalanceOutSync", login=login)
    house.daemon.settle()
    session.lose()


def test_inItsPlace(house: Windowed) -> None:
    """What is refused comes at once, between the events before and after it: who asked, by which key, and why."""
    page = Listening(house)
    page.heard()
    booked(house.daemon, house.daemon.staff())
    refused(house)
    booked(house.daemon, house.daemon.staff())
    told = [message for message in page.heard() if message.event == "entry"]
    assert [message.id for message in told] == ["6", "7", "8", "9", "10"]
    assert told[2].data["event"] == "request:refused"
    data = told[2].data["data"]
    assert (data["principal"], data["key"], data["login"]) == ("crm", "payout-77", 1001)
    assert data["refusal"]["reason"] == "RET_TRADE_NO_MONEY"
    page.lose()


def test_ofBefore(house: Windowed) -> None:
    """A page that comes later, or comes back, is told of what was refused before; of one account, if it filters."""
    refused(house, "one")
    refused(house, "two", 1002)
    for query, expected in (("", [1, 2, 3, 4, 5, 6, 7]), ("?after=6", [7]), ("?login=1002", [4, 7])):
        page = Listening(house, query)
        assert page.entries() == expected
        page.lose()


def test_filteredAway(house: Windowed) -> None:
    """Who wants none of it is sent none, be it of before or new; the rest as ever."""
    refused(house)
    page = Listening(house, "?refused=0")
    assert page.entries() == [1, 2, 3, 4, 5]
    refused(house, "again")
    booked(house.daemon, house.daemon.staff())
    assert page.entries() == [8, 9]
    page.lose()
    assert house.ask("/stream?refused=x").status == 400


@pytest.mark.parametrize(
    "claims",
    [{"groups": "demo"}, {"groups": "*,!real-*"}, {"see_trades": 0}, {"see_accounts": 0}, {"see_accounts_balance": 0}],
)
def test_notForAll(house: Windowed, claims: dict[str, Any]) -> None:
    """Who does not see everything is told of nothing that was refused, even if he asks; nor are sessions, ever."""
    house.eyes.guard.isLocal = False
    session = house.daemon.staff()
    session.lines()
    refused(house)
    page = Listening(house, "?refused=1", Authorization=f"Bearer {token(**claims)}")
    other = Listening(house, Authorization=f"Bearer {token()}")
    refused(house, "again")
    assert not {6, 7} & set(page.entries())
    assert other.entries()[-2:] == [6, 7]
    assert session.lines() == []
    page.lose()
    other.lose()


def test_seen(page: Chrome, office: Office) -> None:
    """A refusal is a row that is told apart by sign and word, with why, who, key and login; it can be done without."""
    office.answer(office.tell("BalanceOutSync", login=1003, amount=-1e9, comment="", idempotency_key="payout-<i>78"))
    office.deposit("after-the-refusal")
    until(page, "both", lambda b: any("after-the-refusal" in row for row in rows(b)))
    [row] = [row for row in rows(page) if "payout-<i>78" in row]
    for words in ("✕ Refused", "1003", "RET_TRADE_NO_MONEY: ", " · demo, key payout-<i>78"):
        assert words in row
    for width in WIDTHS:
        for scheme in ("dark", "light"):
            resize(page, width, 844, scheme=scheme)
            assert page.execute_script(OVERFLOWING) == [], width
            assert page.execute_script(MEASURE + CONTRAST) == [], width
    resize(page, 1280, 800)
    tick = page.find_element(By.CSS_SELECTOR, "#refused input")
    tick.send_keys(Keys.SPACE)
    until(page, "none of it", lambda b: rows(b) and not any("Refused" in row for row in rows(b)))
    shows(page, "#events-count", "refused not shown")
    assert any("after-the-refusal" in row for row in rows(page))
    page.find_element(By.ID, "unfilter").click()
    until(page, "it again", lambda b: any("payout-<i>78" in row for row in rows(b)))
    assert tick.is_selected()
    assert text(page, "#events-count") == ""
