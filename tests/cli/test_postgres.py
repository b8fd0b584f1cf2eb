"""The verbs that read and move ledgers, said of one on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scalemgr.interfaces import ILedger
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.ledger.settings import LedgerSettings
from scalemgr.ledger.url import ledgerAt

from ..ledger.helpers import NOW_MS, depositEach, populate
from ..ledger.keys import use

Say = Callable[..., tuple[int, str, str]]

NOBODY = "postgresql://somebody:hunter2@127.0.0.1:1/x"


@contextmanager
def opened(url: str) -> Iterator[ILedger]:
    """A gateway's ledger, for a while."""
    ledger = ledgerAt(LedgerSettings(url=url), Path())
    ledger.open(NOW_MS)
    try:
        yield ledger
    finally:
        ledger.close(None)


def made(url: str) -> None:
    """A ledger with a deposit of a key."""
    with opened(url) as ledger:
        populate(ledger)
        use(ledger, ledger.reserveOrders(1), "p-1", 25000)


def last(out: str) -> dict[str, Any]:
    """The last object that was printed."""
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def test_verify(postgresUrl: str, said: Say, here: Path) -> None:
    """verify folds the log while a gateway is at work, of a URL or a configuration, and says what it had."""
    with opened(postgresUrl) as ledger:
        populate(ledger)
        depositEach(ledger, 1, 2)
        status, out, _ = said("verify", "--ledger", postgresUrl)
        assert (status, last(out)["seq"], last(out)["trades"]) == (0, 8, 2)
    (here / "c.toml").write_text(f'[ledger]\nurl = "{postgresUrl}"\n')
    status, out, _ = said("verify", "--config", "c.toml", "--text")
    assert (status, "no difference" in out) == (0, True)


def test_verifyFinds(postgresUrl: str, said: Say) -> None:
    """Of a ledger that somebody has changed by hand, verify says what is wrong, and is status 1."""
    made(postgresUrl)
    with psycopg.connect(postgresUrl, autocommit=True) as connection:
        connection.execute("UPDATE ledger SET next_order = 1")
        connection.execute("UPDATE page SET entries = replace(entries, '\"balance\":250.0', '\"balance\":350.0')")
    status, out, _ = said("verify", "--ledger", postgresUrl, "--text")
    assert status == 1
    assert "the log: it has order 1, but the next one to be handed out is 1" in out
    assert "the log: entry 6 says that balance of login 1001 is 350.0, the entries before it say 250.0" in out


def test_reconcile(postgresUrl: str, said: Say, here: Path) -> None:
    """reconcile holds a list against a log on PostgreSQL as against one in a file."""
    made(postgresUrl)
    (here / "list.csv").write_text("reference,login,amount\np-1,1001,250.00\np-2,1001,1.00\n")
    status, out, _ = said("reconcile", "list.csv", "--ledger", postgresUrl, "--id", "crm")
    assert (status, last(out)["matched"], last(out)["missing"]) == (1, 1, 1)


def test_copy(postgresUrl: str, said: Say, here: Path) -> None:
    """copy is status 1 and says why while a gateway is at work, and 0 when it is whole; the way back, too."""
    made(postgresUrl)
    words = ["copy", "--from", postgresUrl, "--to", "sqlite:back"]
    with opened(postgresUrl):
        status, out, _ = said(*words)
        assert (status, last(out)["whole"], last(out)["seq"]) == (1, False, 6)
        assert "a gateway is at work" in last(out)["why"]
        assert "say the same again, for the last time" in said(*words, "--text")[1]
    status, out, _ = said(*words)
    assert (status, last(out)["whole"], last(out)["copied"]) == (0, True, 0)
    assert "Start nothing on postgresql://" in said(*words, "--text")[1]
    with opened("sqlite:back") as ledger:
        assert ledger.epoch == last(out)["epoch"]
    assert said("verify", "--ledger", "sqlite:back")[0] == 0


def test_renew(postgresUrl: str, said: Say) -> None:
    """renew makes another log of it, whose orders go on further on, once no gateway is at work; then all is sound."""
    made(postgresUrl)
    with opened(postgresUrl) as ledger:
        before = ledger.epoch
        status, _, err = said("renew", "--ledger", postgresUrl)
        assert status == 1
        assert "a gateway is at work" in err
    status, out, _ = said("renew", "--ledger", postgresUrl, "--skip-orders", "500")
    assert (status, last(out)["seq"], last(out)["next_order"]) == (0, 6, 502)
    assert last(out)["epoch"] != before
    with opened(postgresUrl) as ledger:
        assert ledger.epoch == last(out)["epoch"]
        assert ledger.reserveOrders(1) == 502
    assert said("verify", "--ledger", postgresUrl)[0] == 0


def test_renewAFolder(said: Say) -> None:
    """The same of a folder."""
    made("sqlite:ledger")
    with opened("sqlite:ledger") as ledger:
        before = ledger.epoch
        status, _, err = said("renew", "--ledger", "sqlite:ledger")
        assert (status, "in use by another" in err) == (1, True)
    status, out, _ = said("renew", "--ledger", "sqlite:ledger")
    assert (status, last(out)["seq"], last(out)["next_order"]) == (0, 6, 1_000_002)
    with opened("sqlite:ledger") as ledger:
        assert ledger.epoch == last(out)["epoch"] != before
    assert said("verify", "--ledger", "sqlite:ledger")[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "--ledger", NOBODY],
        ["renew", "--ledger", NOBODY],
        ["reconcile", "list.csv", "--ledger", NOBODY],
        ["copy", "--from", NOBODY, "--to", "sqlite:x"],
        ["copy", "--from", "sqlite:ledger", "--to", NOBODY],
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_unreachable(words: list[str], said: Say, here: Path) -> None:
    """A server that is not there is status 4, and its password is not said again."""
    made("sqlite:ledger")
    (here / "list.csv").write_text("reference,login,amount\n")
    status, out, err = said(*words)
    assert (status, out) == (4, "")
    assert "postgresql://somebody@127.0.0.1:1/x cannot be reached" in err
    assert "hunter2" not in err


@pytest.mark.parametrize(
    "url",
    [
        "postgressql://somebody:hunter2@x/y",
        "Postgresql://somebody:hunter2@x/y",
        " postgresql://somebody:hunter2@x/y",
        "postgresql//somebody:hunter2@x/y",
        "postgresql+psycopg://somebody:hunter2@x/y",
        "host=x password=hunter2",
    ],
)
def test_misspelt(url: str, said: Say, here: Path) -> None:
    """The password in a connection string that does not begin as one is not said again, either."""
    (here / "list.csv").write_text("reference,login,amount\n")
    (here / "c.toml").write_text(f'ledger = "{url}"\n')
    for words in (
        ["verify", "--ledger", url],
        ["verify", "--config", "c.toml"],
        ["reconcile", "list.csv", "--ledger", url],
        ["renew", "--ledger", url],
        ["copy", "--from", url, "--to", "sqlite:x"],
        ["backup", "--ledger", url, "x.db"],
    ):
        status, out, err = said(*words)
        assert (status, out, "hunter2" in err) == (2, "", False)
        assert "names no ledger" in err
    with pytest.raises(LedgerRefused, match="names no ledger") as raised:
        ledgerAt(LedgerSettings(url=url), here)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("name", ["views_url", "read_url"])
def test_otherUrls(name: str, here: Path) -> None:
    """That another URL is none of PostgreSQL is found before anything is opened, and says which."""
    settings = LedgerSettings(**{"url": "postgresql://x/y", name: "postgresql://u:hunter2@x/y?nonsense=1"})
    with pytest.raises(LedgerRefused, match=rf"^ledger\.{name}: the connection string is none of PostgreSQL") as raised:
        ledgerAt(settings, here)
    assert "hunter2" not in str(raised.value)


def test_noLedger(postgresUrl: str, said: Say, here: Path) -> None:
    """Where there is no ledger, and of what is no connection string, it is status 2."""
    (here / "list.csv").write_text("reference,login,amount\n")
    for words in (["verify"], ["reconcile", "list.csv"], ["renew"]):
        status, _, err = said(*words, "--ledger", postgresUrl)
        assert (status, "there is no ledger at" in err) == (2, True)
        status, _, err = said(*words, "--ledger", "postgresql://x/y?nonsense=1")
        assert (status, "the connection string is none of PostgreSQL" in err) == (2, True)
    assert said("copy", "--from", postgresUrl, "--to", "sqlite:x")[0] == 2
    assert said("copy", "--from", "sqlite:x", "--to", postgresUrl)[0] == 2
    assert said("copy", "--from", "memory:", "--to", postgresUrl)[0] == 2
    assert not (here / "x").exists()


def test_backupAndRestore(postgresUrl: str, said: Say, here: Path) -> None:
    """What PostgreSQL's own tools are for is said, with the page that tells more; nothing is tried."""
    made(postgresUrl)
    (here / "b.db").write_text("")
    for words in (["backup", "x.db", "--ledger", postgresUrl], ["restore", "b.db", postgresUrl]):
        status, out, err = said(*words)
        assert (status, out) == (2, "")
        assert "pg_basebackup" in err
        assert "docs/operating.md" in err
        assert "scalemgr copy --from" in err
