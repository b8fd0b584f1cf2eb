"""The console as people see it, in a real browser, of a real daemon."""

from __future__ import annotations

import signal
from pathlib import Path
from resource import RLIMIT_FSIZE, prlimit

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ..e2e.daemons import LOOPBACK, TWIST, DaemonProcess, daemon
from ..e2e.test_window import site
from ..helpers import SECRET, token
from .browser import live, resize, rows, shows, text, until
from .eyesight import CONTRAST, MEASURE, NAMELESS, OVERFLOWING, WIDTHS
from .office import Office


def test_depositIsSeen(page: Chrome, office: Office) -> None:
    """A deposit appears in the stream and in the numbers: the head of the log, the answers, who made it."""
    before = int(text(page, "#tile-head .value").replace(",", ""))
    office.deposit("Payment gateway deposit", amount=1234.5)
    until(page, "the deposit", lambda b: any("Deposit" in row and "+1,234.50" in row for row in rows(b)))
    assert any("Payment gateway deposit" in row for row in rows(page)[:2])
    until(page, "the head", lambda b: int(text(b, "#tile-head .value").replace(",", "")) == before + 2)
    until(page, "the answer", lambda b: "last minute 0/s" not in text(b, "#tile-rate .more"))
    shows(page, "#tile-latency .value", "ms")
    shows(page, "#sessions-rows", "demo (manager)")
    shows(page, "#tile-ledger .more", "free")
    pictures = page.find_elements(By.CSS_SELECTOR, "svg[role=img]")
    labels = [picture.get_attribute("aria-label") for picture in pictures]
    assert len(labels) == 7
    assert any(label.startswith("Answers a second, in the last") for label in labels)


def test_whatIsSlowByItself(page: Chrome, office: Office) -> None:
    """What is slow and no deposit, such as a new account with its password, is told beside the deposits' time."""
    office.ask(
        "AddUser",
        group="demo",
        name="Slow",
        leverage=100,
        enable=1,
        email="slow@example.com",
        password="Correct-horse-1",
    )
    office.deposit("quick")
    shows(page, "#tile-latency h2", "Deposits, p99, last minute")
    shows(page, "#tile-latency .more", "· all others")
    others = until(page, "how slow it was", lambda b: text(b, "#tile-latency .more").rpartition("others ")[2])
    assert float(others.removesuffix(" ms")) > float(text(page, "#tile-latency .value").split()[0])
    assert page.find_element(By.ID, "tile-latency").get_attribute("data-tone") == "good"


def test_hostileComment(page: Chrome, office: Office) -> None:
    """Markup in a comment is text, what turns text around is shown as what it is, and what is long can be opened."""
    hostile = "<img src=x onerror=\"document.title='taken'\"> \u202egnp.exe\u202c \x1b[31m </script><b>"
    for comment in (hostile, hostile + "x" * (512 - len(hostile))):
        office.deposit(comment)
    until(page, "both", lambda b: sum("<img src=x onerror=" in row for row in rows(b)) >= 2)
    assert page.title == "scalemgr"
    assert page.find_elements(By.CSS_SELECTOR, "#events-rows img, #events-rows b, #events-rows script") == []
    short = next(row for row in rows(page) if "<img" in row and "characters" not in row)
    assert "U+202EgnP.exeU+202C".lower() in short.lower()
    assert "U+001B[31m" in short
    assert "\u202e" not in short
    box = page.find_element(By.CSS_SELECTOR, "#events-rows details")
    assert "(512 characters)" in box.text
    assert box.find_element(By.XPATH, "./bdi").is_displayed() is False
    box.find_element(By.TAG_NAME, "summary").click()
    assert box.find_element(By.XPATH, "./bdi").text.endswith("x" * 300)
    assert page.execute_script(OVERFLOWING) == []


def test_eventAsItWasSent(page: Chrome, office: Office) -> None:
    """The number of an entry opens the event as it was sent, and closes it."""
    order = office.deposit("raw")["order"]
    until(page, "it", lambda b: any("raw" in row for row in rows(b)))
    seq = page.find_element(By.XPATH, "//tbody[@id='events-rows']/tr[contains(., 'raw')]//button")
    seq.click()
    assert f'"order":{order},' in text(page, "#events-rows tr.raw pre")
    assert seq.get_attribute("aria-expanded") == "true"
    seq.click()
    assert page.find_elements(By.CSS_SELECTOR, "tr.raw") == []


def test_filter(page: Chrome, office: Office) -> None:
    """A filter shows what there was about an account, and what comes; to show all shows all again."""
    office.deposit("about-1003", login=1003)
    order = office.deposit("about-1002", login=1002)["order"]
    field = page.find_element(By.CSS_SELECTOR, "#filter [name=login]")
    field.send_keys("1003", Keys.ENTER)
    until(page, "1003 only", lambda b: rows(b) and all("1003" in row for row in rows(b)))
    shows(page, "#events-count", "login 1003")
    office.deposit("not-this", login=1002)
    office.deposit("but-this", login=1003)
    until(page, "the next", lambda b: any("but-this" in row for row in rows(b)))
    assert not any("not-this" in row or "about-1002" in row for row in rows(page))
    page.find_element(By.ID, "unfilter").click()
    until(page, "all", lambda b: any("not-this" in row for row in rows(b)))
    page.find_element(By.CSS_SELECTOR, "#filter [name=order]").send_keys(str(order), Keys.ENTER)
    until(page, "one", lambda b: len(rows(b)) == 1 and "about-1002" in rows(b)[0])
    page.find_element(By.ID, "unfilter").click()
    page.find_element(By.CSS_SELECTOR, "#filter [name=login]").send_keys("777", Keys.ENTER)
    shows(page, "#events-empty", "Nothing about login 777")


def test_pause(page: Chrome, office: Office) -> None:
    """While it is paused the list stands still and says how much is new; then all of that is there."""
    button = page.find_element(By.ID, "pause")
    button.click()
    before = rows(page)
    office.deposit("while-paused")
    shows(page, "#events-count", "paused, 2 new")
    assert rows(page) == before
    assert (button.text, button.get_attribute("aria-pressed")) == ("Go on", "true")
    button.click()
    until(page, "what came", lambda b: any("while-paused" in row for row in rows(b)))
    assert text(page, "#events-count") == ""


def test_bounded(page: Chrome, office: Office) -> None:
    """However much happens, the list has two hundred rows, and says how much it does not show."""
    for n in range(300):
        office.tell("BalanceIn", login=1001, amount=1, comment=f"burst {n}")
    until(page, "the number of the rest", lambda b: any("more, too many" in row for row in rows(b)))
    office.deposit("after-the-burst")
    until(page, "what is after it", lambda b: any("after-the-burst" in row for row in rows(b)))
    assert len(rows(page)) <= 200


def test_statement(page: Chrome, office: Office) -> None:
    """
    A login in the list leads to its statement: the newest first,
    with amounts and what was there after each, to the cent, page by page.
    """
    for n in range(120):
        office.tell("BalanceIn", login=1002, amount=0.1, comment=f"drop {n}")
    trade = office.deposit("the-last-one", login=1002, amount=1000)
    until(page, "it", lambda b: any("the-last-one" in row for row in rows(b)))
    page.find_element(By.XPATH, "//tbody[@id='events-rows']/tr[contains(., 'the-last-one')]//button[.='1002']").click()
    shows(page, "#statement-said", "Account 1002:")
    asked = office.ask("GetStatement", login=1002)
    shows(page, "#statement-sums", f"After{asked['closing_balance']:,.2f}")
    assert len(rows(page, "#statement-rows")) == 100
    first = rows(page, "#statement-rows")[0]
    assert "the-last-one" in first
    assert "+1,000.00" in first
    assert f"{asked['closing_balance']:,.2f}" in first
    assert str(trade["order"]) in first
    assert not page.find_element(By.ID, "newer").is_enabled()
    shown = rows(page, "#statement-rows")
    while page.find_element(By.ID, "older").is_enabled():
        where = text(page, "#paging")
        page.find_element(By.ID, "older").click()
        until(page, "the next page", lambda b, where=where: text(b, "#paging") != where)
        shown += rows(page, "#statement-rows")
    assert len(shown) == len(set(shown)) == asked["count"]
    page.find_element(By.ID, "newer").click()
    until(page, "the first page", lambda b: text(b, "#paging").startswith("1 to 100 of"))


def test_statementInWords(page: Chrome) -> None:
    """What there is not is said in words: no account, no movements, no sense."""
    field = page.find_element(By.CSS_SELECTOR, "#ask [name=login]")
    field.send_keys("424242", Keys.ENTER)
    shows(page, "#statement-said", "There is no account 424242, or it is not for you to see.")
    page.execute_script("document.querySelector('#ask [name=from]').value = '2001-01-01'")
    page.execute_script("document.querySelector('#ask [name=to]').value = '2001-01-02'")
    field.clear()
    field.send_keys("1001", Keys.ENTER)
    shows(page, "#statement-said", "No movements on account 1001 in this time.")
    page.execute_script("document.querySelector('#ask [name=to]').value = '2000-01-02'")
    field.send_keys(Keys.ENTER)
    shows(page, "#statement-said", "expected it after from")
    # The browser writes down that an answer was not 200.
    page.get_log("browser")


def test_waitersAndTimeouts(page: Chrome, office: Office) -> None:
    """Who waits is listed with order and age, and gone when its time is up, which is counted."""
    waiting = office.tell("WaitInVain", timeout_ms=4000)
    shows(page, "#waiting-rows", "987654")
    shows(page, "#waiting-rows", "demo")
    shows(page, "#tile-waiters .more", "order 987654")
    assert office.answer(waiting)["status"] == 504
    shows(page, "#waiting-empty", "Nobody waits")
    until(page, "the time-out", lambda b: text(b, "#tile-timeouts .value") == "1")
    page.find_element(By.CSS_SELECTOR, "#hour summary").click()
    until(page, "the hour as a table", lambda b: len(rows(b, "#hour tbody")) >= 1)


def test_lostAndFound(tmp_path: Path, chromium: Chrome, plugins: Path) -> None:
    """
    A daemon that stops is seen draining; when it is gone the page says so at once, and since when; when it is back the
    page is live again by itself, with what it has missed.
    """
    arguments = ("--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK)
    resize(chromium, 1280, 800)
    with daemon(tmp_path, *arguments, "--web", LOOPBACK, path=(plugins,)) as (running, port):
        web = site(running)
        chromium.get(f"http://127.0.0.1:{web}/")
        live(chromium)
        with Office(port) as office:
            office.deposit("before")
            until(chromium, "before", lambda b: any("before" in row for row in rows(b)))
            office.tell("WaitInVain", timeout_ms=3000)
            shows(chromium, "#waiting-rows", "987654")
            running.process.send_signal(signal.SIGTERM)
            shows(chromium, "#state", "Draining")
            shows(chromium, "#trouble", "takes no new work")
        shows(chromium, "#link", "Lost since")
        shows(chromium, "#state", "Not known")
        shows(chromium, "#trouble", "No connection since")
        assert "Not known" in chromium.title
        assert any("before" in row for row in rows(chromium))
    with daemon(tmp_path, *arguments, "--web", f"tcp:{web}:interface=127.0.0.1", path=(plugins,)) as (running, port):
        live(chromium)
        assert chromium.title == "scalemgr"
        with Office(port) as office:
            office.deposit("afterwards")
        until(chromium, "afterwards", lambda b: any("afterwards" in row for row in rows(b)))
        assert sum("before" in row for row in rows(chromium)) == 1
        chromium.get("about:blank")
    # That nobody was there, the browser has written down; and nothing else.
    assert all("net::ERR_" in line["message"] for line in chromium.get_log("browser"))


def test_ledgerStuck(tmp_path: Path, chromium: Chrome) -> None:
    """While the ledger cannot be written the page says so, and why; with room again all is well again, by itself."""
    arguments = ("--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK, "--web", LOOPBACK)
    resize(chromium, 1280, 800)
    with daemon(tmp_path, *arguments) as (running, port), Office(port) as office:
        chromium.get(f"http://127.0.0.1:{site(running)}/")
        live(chromium)
        pid = running.process.pid
        hard = prlimit(pid, RLIMIT_FSIZE)[1]
        prlimit(pid, RLIMIT_FSIZE, (4096, hard))
        answer = office.answer(office.tell("BalanceInSync", login=1001, amount=1, comment="during"))
        assert answer["status"] == 500
        shows(chromium, "#state", "Ledger stuck")
        shows(chromium, "#trouble", "Ledger: the last commit failed:")
        shows(chromium, "#tile-commit .more", "the latest one failed")
        assert "Ledger stuck" in chromium.title
        prlimit(pid, RLIMIT_FSIZE, (hard, hard))
        live(chromium)
        assert text(chromium, "#trouble") == ""
        assert chromium.get_log("browser") == []
        chromium.get("about:blank")


def test_signIn(tmp_path: Path, chromium: Chrome) -> None:
    """Who does not come from this machine signs in with a token, stays while it is good, and can sign out."""
    (tmp_path / "scalemgr.key").write_bytes(SECRET)
    (tmp_path / "scalemgr.key").chmod(0o600)
    (tmp_path / "scalemgr.toml").write_text(f'listen = ["{LOOPBACK}"]\n[web]\nlisten = "{LOOPBACK}"\n')
    running = DaemonProcess(TWIST[:-1], "--config", "scalemgr.toml", cwd=tmp_path)
    try:
        running.listening()
        chromium.execute_cdp_cmd("Network.enable", {})
        chromium.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"X-Forwarded-For": "192.0.2.1"}})
        for width in WIDTHS:
            resize(chromium, width, 800)
            chromium.get(f"http://127.0.0.1:{site(running)}/")
            assert chromium.execute_script("return document.documentElement.scrollWidth <= innerWidth")
            assert chromium.execute_script(MEASURE + CONTRAST) == []
        assert chromium.execute_script(NAMELESS) == []
        assert chromium.switch_to.active_element.get_attribute("id") == "token"
        chromium.switch_to.active_element.send_keys("nonsense", Keys.ENTER)
        shows(chromium, "#why", "Not accepted: the token is not valid here, or no longer is.")
        chromium.find_element(By.ID, "token").send_keys(token(role="admin"), Keys.ENTER)
        live(chromium)
        [cookie] = chromium.get_cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
        chromium.refresh()
        live(chromium)
        chromium.find_element(By.CSS_SELECTOR, "#leave button").click()
        until(chromium, "the form", lambda b: b.find_elements(By.ID, "token"))
        assert chromium.get_cookies() == []
        log = chromium.get_log("browser")
        assert all("status of 401" in line["message"] for line in log), log
    finally:
        chromium.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})
        chromium.get("about:blank")
        said = running.end()
    assert token(role="admin") not in said
