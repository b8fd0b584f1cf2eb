"""Who may look at the console: tokens, badges, and how often one may be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace
from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs, formatEvent

from scalemgr.server.auth import Authenticator, Principal
from scalemgr.web.entry import BADGE_S_MAX, FORGIVEN_AFTER_S, Badges, Entry, NotNow
from scalemgr.wire.codes import SessionType
from scalemgr.wire.errors import PermissionDenied

from ..helpers import LIMITS, Daemon, token
from .consoles import Listening
from .house import Answer, Windowed

CRM = Principal("crm", SessionType.SESSION_MANAGER)
ORIGIN = {"Origin": "http://console.example:8081", "Host": "console.example:8081"}
HOST = {"Host": "console.example:8081"}


@pytest.fixture
def house() -> Iterator[Windowed]:
    """A daemon whose console is not on an address of this machine's own."""
    made = Windowed()
    made.eyes.guard.isLocal = False
    yield made
    made.close()


def show(house: Windowed, text: str, path: str = "/login", **headers: str) -> Answer:
    """Send the form with a token."""
    named = {**ORIGIN, "Content-Type": "application/x-www-form-urlencoded", **headers}
    return house.ask(path, "POST", named, urlencode({"token": text}).encode())


def badgeOf(answer: Answer) -> str:
    """The cookie that a browser would send from now on."""
    return answer.headers["set-cookie"].partition(";")[0]


def said(events: list[LogEvent]) -> str:
    return "\n".join(filter(None, map(formatEvent, events)))


def entrance(badMax: int = 3, **more: Any) -> tuple[Clock, Entry, Badges]:
    """An entry of a daemon that has patience with so many bad tokens."""
    daemon = Daemon(limits=replace(LIMITS, badTokensMax=badMax))
    badges = Badges(daemon.clock, daemon.auth)
    return daemon.clock, Entry(daemon.clock, daemon.auth, badges, daemon.factory, **more), badges


def test_strangersGetTheForm(house: Windowed) -> None:
    """Who is not known is shown a form, with 401, and nothing of the page; its style and scripts are for everybody."""
    answer = house.ask("/", headers=HOST)
    assert answer.status == 401
    assert 'action="/login"' in answer.text
    assert "events" not in answer.text
    assert house.ask("/pages/console.css", headers=HOST).status == 200
    for path in ("/stream", "/statement?login=1001", "/status", "/metrics"):
        assert house.ask(path, headers=HOST).status == 401


def test_tokenBecomesACookie(house: Windowed) -> None:
    """A good token is exchanged for a badge that no script and no other site can use, and that is not the token."""
    text = token()
    answer = show(house, text)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={BADGE_S_MAX:.0f}"} <= set(attributes)
    assert name.startswith("scalemgr=")
    assert len(name) > 50
    assert text not in str(answer)
    page = house.ask("/", headers={**HOST, "Cookie": name})
    assert page.status == 200
    assert "Events" in page.text
    assert house.ask("/statement?login=1001", headers={**HOST, "Cookie": name}).status == 200


def test_cookieIsSecureOverTls(house: Windowed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS the badge is for TLS only; over plain TCP it cannot be."""
    assert "Secure" not in show(house, token()).headers["set-cookie"]
    monkeypatch.setattr("twisted.web.http.Request.isSecure", lambda self: True)
    assert "Secure" in show(house, token()).headers["set-cookie"].split("; ")


@pytest.mark.parametrize(
    ("text", "status", "why"),
    [
        (token(exp=1), 401, "the token is not valid here, or no longer is"),
        (token() + "x", 401, "the token is not valid here, or no longer is"),
        ("x" * 9000, 401, "the token is not valid here, or no longer is"),
        (token(role="user", login=1001), 401, "for managers, dealers and admins"),
        ("", 400, "Paste a token"),
        ("  ", 400, "Paste a token"),
    ],
)
def test_refused(house: Windowed, text: str, status: int, why: str) -> None:
    """What is not accepted is told why, in the form, without a badge, and without the token."""
    answer = show(house, text)
    assert answer.status == status
    assert why in answer.text
    assert "set-cookie" not in answer.headers
    assert not text.strip() or text not in answer.text


def test_onlyInTheForm(house: Windowed) -> None:
    """A token in an address is not looked at, for addresses are written down by others."""
    answer = house.ask(f"/login?token={token()}", "POST", ORIGIN)
    assert answer.status == 400
    assert "set-cookie" not in answer.headers
    assert house.ask(f"/login?token={token()}", headers=HOST).status == 303
    assert house.ask(f"/?token={token()}", headers=HOST).status == 401


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://console.example", "http://[::1", "https://evil.example:8081"]
)
@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_onlyFromOurPages(house: Windowed, origin: str, path: str) -> None:
    """A form that another site sends is refused: nobody is let in, or out, behind their back."""
    headers = {**HOST, "Content-Type": "application/x-www-form-urlencoded"}
    if origin:
        headers["Origin"] = origin
    cookie = badgeOf(show(house, token()))
    answer = house.ask(path, "POST", {**headers, "Cookie": cookie}, urlencode({"token": token()}).encode())
    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert house.ask("/", headers={**HOST, "Cookie": cookie}).status == 200


@pytest.mark.parametrize("path", ["/stream", "/statement?login=1001", "/pages/console.js"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_otherSitesGetNothing(house: Windowed, path: str, site: str) -> None:
    """What a browser says another site asks for is not given, however well who sits there is known."""
    cookie = badgeOf(show(house, token()))
    assert house.ask(path, headers={**HOST, "Cookie": cookie, "Sec-Fetch-Site": site}).status == 403


def test_leave(house: Windowed) -> None:
    """Who leaves gives the badge back: it is worth nothing to whoever has a copy, and an open stream ends."""
    cookie = badgeOf(show(house, token()))
    page = Listening(house, Cookie=cookie, **HOST)
    page.heard()
    answer = house.ask("/logout", "POST", {**ORIGIN, "Cookie": cookie})
    assert answer.status == 303
    assert answer.headers["set-cookie"].startswith("scalemgr=;")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert house.ask("/", headers={**HOST, "Cookie": cookie}).status == 401
    house.clock.advance(1)
    assert page.visitor.transport.value() == b"0\r\n\r\n"
    page.lose()


def test_leaveTwice(house: Windowed) -> None:
    """To leave without a badge, or by typing the address, does no harm."""
    assert house.ask("/logout", "POST", ORIGIN).status == 303
    cookie = badgeOf(show(house, token()))
    assert house.ask("/logout", headers={**HOST, "Cookie": cookie}).headers["location"] == "/"
    assert house.ask("/", headers={**HOST, "Cookie": cookie}).status == 200


def test_notForEver(house: Windowed) -> None:
    """A badge ends with its token, or after twelve hours."""
    short, long = badgeOf(show(house, token(exp=house.clock.seconds() + 60))), badgeOf(show(house, token()))
    ask = [{**HOST, "Cookie": cookie} for cookie in (short, long)]
    house.clock.advance(59)
    assert [house.ask("/", headers=headers).status for headers in ask] == [200, 200]
    house.clock.advance(2)
    assert [house.ask("/", headers=headers).status for headers in ask] == [401, 200]
    house.clock.advance(BADGE_S_MAX)
    assert [house.ask("/", headers=headers).status for headers in ask] == [401, 401]


def test_foreignCookies(house: Windowed) -> None:
    """A made up badge is nobody's."""
    for cookie in ("scalemgr=", "scalemgr=x", f"scalemgr={token()}", "scalemgr=\xff", "other=1"):
        assert house.ask("/", headers={**HOST, "Cookie": cookie}).status == 401


def test_badTokensSlowDown(house: Windowed) -> None:
    """After five bad tokens an address is not listened to for a minute, not even with a good one."""
    assert [show(house, "x").status for _ in range(5)] == [401] * 5
    answer = show(house, token())
    assert answer.status == 429
    assert 0 < int(answer.headers["retry-after"]) <= FORGIVEN_AFTER_S
    house.clock.advance(FORGIVEN_AFTER_S)
    assert show(house, token()).status == 303


def test_noTokenIsEverLogged(house: Windowed) -> None:
    """The log says who came from where and who was refused why; never a token or a badge."""
    good, bad = token(), token(exp=1)
    with capturedLogs() as events:
        cookie = badgeOf(show(house, good)).partition("=")[2]
        show(house, bad)
        show(house, "x" * 100)
    lines = said(events)
    assert "crm looks at the console" in lines
    assert "the console refused a token" in lines
    assert "it has expired" in lines
    for secret in (good, bad, cookie, "x" * 10, *good.split(".")[1:], *bad.split(".")[1:]):
        assert secret not in str(events)


def test_theLogIsNotFlooded(house: Windowed) -> None:
    """Whoever sends bad tokens from everywhere gets a few lines a second, and then the number of the others."""
    entry = Entry(house.clock, house.daemon.auth, Badges(house.clock, house.daemon.auth), house.daemon.factory)
    with capturedLogs() as events:
        for n in range(100):
            if n == 99:
                house.clock.advance(1)
            with pytest.raises(PermissionDenied):
                entry.enter("x", f"10.0.0.{n}")
    lines = said(events).splitlines()
    assert len(lines) == 11
    assert "(and 89 other lines about strangers left out)" in lines[-1]
    assert house.daemon.auth.refused == 100


def test_oneAddressDoesNotBarAnother() -> None:
    """Patience is by address; of IPv6 by network, for whoever has one address there has all of it."""
    clock, entry, _ = entrance()
    for address in ("10.0.0.1", "2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:9::9", "unix"):
        with pytest.raises(PermissionDenied):
            entry.enter("x", address)
    for address in ("10.0.0.1", "10.0.0.2", "2001:db8:1:3::1", "unix"):
        entry.enter(token(), address)
    with pytest.raises(NotNow) as refused:
        entry.enter(token(), "2001:db8:1:2:ffff::7")
    assert "try again in 60 seconds" in str(refused.value)
    clock.advance(FORGIVEN_AFTER_S)
    entry.enter(token(), "2001:db8:1:2:ffff::7")


def test_oneAddressInsideIPv6DoesNotBarAnother() -> None:
    """A door for both kinds shows IPv4 inside IPv6, all of it in one network: each address is counted by itself there,
    or five bad tokens would bar everybody."""
    _, entry, _ = entrance()
    for _ in range(3):
        with pytest.raises(PermissionDenied):
            entry.enter("x", "::ffff:192.0.2.1")
    with pytest.raises(NotNow):
        entry.enter(token(), "192.0.2.1")
    entry.enter(token(), "::ffff:192.0.2.2")


def test_waitingIsNotProlonged() -> None:
    """Who goes on while it has to wait neither waits longer for it nor gets in sooner."""
    clock, entry, _ = entrance(1)
    with pytest.raises(PermissionDenied):
        entry.enter("x", "10.0.0.1")
    for _ in range(int(FORGIVEN_AFTER_S)):
        with pytest.raises(NotNow):
            entry.enter("x", "10.0.0.1")
        clock.advance(1)
    entry.enter(token(), "10.0.0.1")


def test_aGoodOneClearsTheSlate() -> None:
    """Somebody who has pasted the wrong thing, and then the right one, begins anew."""
    _, entry, _ = entrance(2)
    for _ in range(5):
        with pytest.raises(PermissionDenied):
            entry.enter("x", "10.0.0.1")
        entry.enter(token(), "10.0.0.1")


def test_boundedAddresses() -> None:
    """However many addresses send bad tokens, so many are remembered; who was wrong last is among them."""
    _, entry, _ = entrance(1, addressesMax=10)
    for n in range(100):
        with pytest.raises(PermissionDenied):
            entry.enter("x", f"10.0.0.{n}")
    assert len(entry._bad) == 10
    with pytest.raises(NotNow):
        entry.enter("x", "10.0.0.99")


def test_boundedBadges() -> None:
    """However many badges are given, so many are kept: the oldest go."""
    clock = Clock()
    numbers = iter(range(100))
    badges = Badges(clock, Authenticator(clock, None), lambda: str(next(numbers)), badgesMax=3)
    given = [badges.give(CRM) for _ in range(5)]
    assert [badges.principal(badge) for badge in given] == [None, None, CRM, CRM, CRM]
    assert len(badges) == 3


def test_badgesAreRandom() -> None:
    """No badge is like another, and none can be guessed: 256 bits."""
    _, _, badges = entrance()
    given = {badges.give(CRM) for _ in range(100)}
    assert len(given) == 100
    assert min(map(len, given)) >= 43
