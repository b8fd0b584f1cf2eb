"""Settings and the file that shows them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from scalemgr.config import ConfigError, Settings, load

EXAMPLE = Path(__file__).parent.parent / "etc" / "scalemgr.toml"


def keys(table: dict[str, object], prefix: str = "") -> set[str]:
    """The dotted names of all settings in a table."""
    found: set[str] = set()
    for name, value in table.items():
        if isinstance(value, dict) and name not in ("currencies", "principals"):
            found |= keys(value, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def test_exampleShowsEveryDefault() -> None:
    """etc/scalemgr.toml names every setting there is, and no other, with its default."""
    assert load(EXAMPLE) == Settings()
    assert keys(tomllib.loads(EXAMPLE.read_text("utf-8"))) == keys(msgspec.to_builtins(Settings()))


def test_exampleSaysWhatEachIsFor() -> None:
    """Every setting of etc/scalemgr.toml has a comment above it, or shares its neighbour's."""
    for block in re.split(r"\n\n+", EXAMPLE.read_text("utf-8").strip()):
        assert block.startswith(("#", "[")), block
        assert "#" in block or block.startswith("["), block


def test_exampleOfAClient(tmp_path: Path) -> None:
    """What the example shows of [[tls.clients]] can be put where it says."""
    text = EXAMPLE.read_text("utf-8")
    [shown] = re.findall(r"^#   \[\[tls\.clients\]\]\n(?:#   .*\n)+", text, re.MULTILINE)
    file = tmp_path / "with.toml"
    changed = text.replace("clients = []\n", shown.replace("#   ", "")).replace(
        'client_ca = ""', 'client_ca = "ca.pem"'
    )
    file.write_text(changed)
    [client] = load(file).tls.clients
    assert (client.subject, client.id, client.role) == ("CN=crm,O=Example", "crm", "manager")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("listn = []", "listn: there is no such setting"),
        ("[limits]\nlines = 1", "limits.lines: there is no such setting"),
        ('[limits]\nsessions = "many"', "limits.sessions: expected int, got str"),
        ("[limits]\nsessions = 0", "limits.sessions: expected int >= 1"),
        ("[limits]\nline_bytes = 255", "limits.line_bytes: expected int >= 256"),
        ("listen = []", "listen: expected array of length >= 1"),
        ('listen = "tcp:1"', "listen: expected array, got str"),
        ('[auth]\nalgorithm = "none"', "auth.algorithm: expected one of HS256, RS256, EdDSA"),
        ('[access]\nallow = ["10.0.0.0/33"]', "access.allow: '10.0.0.0/33' is no address and no network"),
        ('[access]\nallow = ["10.1.2.3/16"]', "access.allow: '10.1.2.3/16' is no address and no network"),
        ('[access]\nproxies = ["haproxy"]', "access.proxies: 'haproxy' is no address and no network"),
        ("[access]\nbad_tokens = 0", "access.bad_tokens: expected int >= 1"),
        ("[access]\nrequests_per_second = -1", "access.requests_per_second: expected float >= 0.0"),
        (
            "[principals.crm]\ncaps.USD = {amount = 0.001}",
            "principals.crm.caps.USD.amount: expected at most 2 decimals",
        ),
        ('[principals.crm]\ncaps.USD = {day = "much"}', "principals.crm.caps.USD.day: expected a number"),
        ("[principals.crm]\ncaps.XYZ = {day = 1}", "principals.crm.caps.XYZ: "),
        ("[principals.crm]\ncaps.USD = {month = 1}", "principals[...].caps[...].month: there is no such setting"),
        ("[principals.crm]\nrate = 1", "principals[...].rate: there is no such setting"),
        ("[currencies]\nBTC = 13", "currencies[...]: expected int <= 12"),
        ("[sync]\ntimeout_ms = 50", "sync.timeout_ms: expected 100 to 25000"),
        ("[sync]\ntimeout_ms = 25001", "sync.timeout_ms: expected 100 to 25000"),
        ('[log]\nlevel = "loud"', "log.level: expected one of debug, info, warn, error, critical"),
        ('[log]\nformat = "xml"', "log.format: expected one of auto, text, json"),
        ('[log]\nrequests = "some"', "log.requests: expected one of failed, all, none"),
        ('[tls]\nclient_certificate = "maybe"', "tls.client_certificate: expected required or optional"),
        ('[tls]\nkey = "k.pem"', "tls.key: there is no tls.certificate that it could belong to"),
        ('[[tls.clients]]\nid = "crm"', "tls.clients[0]: object missing required field role"),
        ('[[tls.clients]]\nid = "crm"\nrole = 1\nsubject = "CN=crm"', "tls.clients: without tls.client_ca clients are"),
        (
            '[tls]\nclient_ca = "ca.pem"\n[[tls.clients]]\nid = "crm"\nrole = "boss"\nsubject = "CN=crm"',
            "tls.clients[0] (crm): role: expected one of user, manager",
        ),
        ('[[tls.clients]]\nid = "crm"\nrole = 1\nname = "CN=crm"', "tls.clients[0].name: there is no such setting"),
        ("[limits", "is not TOML"),
    ],
)
def test_wrongSettingIsNamed(tmp_path: Path, text: str, said: str) -> None:
    """An unknown key or a wrong value is told with the file, the key and what was expected."""
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(file)
    assert str(error.value).startswith(str(file))
    assert said in str(error.value)


def test_boundsThemselvesAreFine(tmp_path: Path) -> None:
    """A value that is exactly at its bound is taken."""
    file = tmp_path / "bounds.toml"
    file.write_text("[limits]\nline_bytes = 256\nsessions = 1\nbatch = 10000\n[sync]\ntimeout_ms = 25000\n")
    assert load(file).limits.line_bytes == 256


def test_missingFileIsNamed(tmp_path: Path) -> None:
    """A configuration that is not there is an error that names it."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read: No such file"):
        load(tmp_path / "nowhere.toml")
