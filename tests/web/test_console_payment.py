"""Where a payment is, asked in a browser: by its key, or from where it is seen."""

from __future__ import annotations

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from .browser import rows, shows, text, until
from .eyesight import CONTRAST, MEASURE, OVERFLOWING
from .office import Office


def find(page: Chrome, key: str, id: str = "demo") -> None:
    """Ask for a payment."""
    for name, words in (("id", id), ("key", key)):
        field = page.find_element(By.CSS_SELECTOR, f"#payment [name={name}]")
        field.clear()
        field.send_keys(words)
    field.send_keys(Keys.ENTER)


def test_find(page: Chrome, office: Office) -> None:
    """A payment is found by the id of who asked, who can be chosen, and its key: what it is, and the way to its
    account's statement."""
    trade = office.ask("BalanceInSync", login=1003, amount=77.25, comment="found", idempotency_key="payment-<b>1001")
    ids = "return [...document.querySelectorAll('#ids option')].map(option => option.value)"
    until(page, "the id of who is connected", lambda b: b.execute_script(ids) == ["demo"])
    find(page, "payment-<b>1001")
    shows(page, "#find-said", "It is booked.")
    said = text(page, "#find-found")
    for words in ("✓ Booked", "WhatDeposit", "Amount+77.25", f"Order{trade['order']}", "Keypayment-<b>1001"):
        assert words in said
    assert page.execute_script(OVERFLOWING) == []
    assert page.execute_script(MEASURE + CONTRAST) == []
    page.find_element(By.CSS_SELECTOR, "#find-found button").click()
    shows(page, "#statement-said", "Account 1003:")
    entry = page.find_element(By.XPATH, "//tbody[@id='statement-rows']/tr[contains(., 'found')]//button")
    entry.click()
    shows(page, "#statement-rows .asker", "Asked by demo, key payment-<b>1001")
    entry.click()
    assert page.find_elements(By.CSS_SELECTOR, "#statement-rows .asker") == []


def test_refused(page: Chrome, office: Office) -> None:
    """What was refused is found with the reason, and that nothing was booked."""
    office.answer(office.tell("BalanceOutSync", login=1003, amount=-1e9, comment="", idempotency_key="payout-77"))
    find(page, "payout-77")
    shows(page, "#find-said", "nothing was booked")
    said = text(page, "#find-found")
    assert "✕ Refused" in said
    assert "RET_TRADE_NO_MONEY: " in said
    assert "Statement of login1003" in said
    assert page.execute_script(MEASURE + CONTRAST) == []


def test_notFound(page: Chrome) -> None:
    """What there is not is said in words, and what there was before it is gone; nothing is asked without a key."""
    find(page, "payment-9999")
    shows(page, "#find-said", "Nothing is booked and nothing is under way by demo with this key")
    assert "? Unknown" in text(page, "#find-found")
    assert "space" not in text(page, "#find-said")
    find(page, "payment-9999 ")
    shows(page, "#find-said", "begins or ends with a space")
    find(page, "")
    assert page.switch_to.active_element.get_attribute("name") == "key"
    find(page, "ü" * 101)
    shows(page, "#find-said.wrong", "key: expected 1 to 200 bytes of text")
    assert not page.find_element(By.ID, "find-found").is_displayed()
    # The browser writes down that an answer was not 200.
    page.get_log("browser")


def test_whoAsked(page: Chrome, office: Office) -> None:
    """An event that is opened says who asked for it and by which key; so does the balance that follows from it."""
    office.ask("BalanceInSync", login=1001, amount=5, comment="whose", idempotency_key="payment-1002")
    until(page, "it", lambda b: any("whose" in row for row in rows(b)))
    for row in ("[contains(., 'whose')]", "[contains(., 'whose')]/preceding-sibling::tr[contains(., 'Balance')][1]"):
        page.find_element(By.XPATH, f"//tbody[@id='events-rows']/tr{row}//button").click()
    said = "return [...document.querySelectorAll('#events-rows .asker')].map(one => one.textContent)"
    expected = ["Asked by demo, key payment-1002"] * 2
    until(page, "who asked", lambda b: b.execute_script(said) == expected)
