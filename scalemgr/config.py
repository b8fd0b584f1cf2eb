"""Settings: a TOML file, or the defaults.

Every setting is a field here, with its default and, in its name or its description, its unit. What a file
says besides, or says wrongly, is an error that names the file, the key and what was expected.
C{etc/scalemgr.toml} shows them all; a test holds the two together.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import asdict

from .finance.caps import CapsOf, readCaps
from .finance.money import DIGITS_MAX, Currencies
from .ledger.settings import LedgerSettings
from .server.bearers import Bearer, BearerRefused, Bearers
from .server.files import readFile
from .server.gate import networks
from .server.tokens import ALGORITHMS

__all__ = ["AuthSettings", "ConfigError", "Limits", "Settings", "SyncSettings", "capsOf", "load"]

Count = Annotated[int, Meta(ge=1)]


class ConfigError(Exception):
    """A configuration cannot be used; the message says where and why, for the operator."""


class _Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class AuthSettings(_Section, frozen=True):
    """Which tokens are believed. Key files are found from the folder of the configuration file."""

    algorithm: str = "HS256"
    key_files: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["scalemgr.key"])
    audience: str = ""
    revoked: str = ""


class Tls(_Section, frozen=True):
    """How the doors that speak TLS do it. Files are found from the folder of the configuration file."""

    certificate: str = ""
    key: str = ""
    client_ca: str = ""
    client_certificate: str = "required"
    clients: list[Bearer] = field(default_factory=list)


class Access(_Section, frozen=True):
    """Who may come in, and how often."""

    allow: list[str] = field(default_factory=list)
    allow_plain: bool = False
    proxies: list[str] = field(default_factory=list)
    reuse_port: bool = False
    connections_per_address: Annotated[int, Meta(ge=0)] = 0
    requests_per_second: Annotated[float, Meta(ge=0)] = 0.0
    burst: Annotated[int, Meta(ge=0)] = 0
    bad_tokens: Count = 5


class Caps(_Section, frozen=True):
    """How much a caller may move in one currency; absent: as much as it likes."""

    amount: float | str | None = None
    day: float | str | None = None


class PrincipalSettings(_Section, frozen=True):
    """What is different for one caller, by the id of its token. What is left out is as in [access]."""

    requests_per_second: Annotated[float, Meta(ge=0)] | None = None
    burst: Annotated[int, Meta(ge=0)] | None = None
    caps: dict[str, Caps] | None = None


class Web(_Section, frozen=True):
    """Metrics, health, status and the console, over HTTP."""

    listen: str = "tcp:8081:interface=127.0.0.1"


class Log(_Section, frozen=True):
    """What is said on the way."""

    level: str = "info"
    format: str = "auto"
    requests: str = "failed"


class Limits(_Section, frozen=True):
    """How much is allowed at a time."""

    line_bytes: Annotated[int, Meta(ge=256, le=64 * 1024 * 1024)] = 1024 * 1024
    requests_in_flight: Count = 1024
    sessions: Count = 10_000
    waiters: Count = 200_000
    queue: Count = 200_000
    questions: Count = 10_000
    jobs: Count = 64
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    auth_seconds: Annotated[float, Meta(ge=0)] = 30.0
    unread_bytes: Annotated[int, Meta(ge=1024 * 1024)] = 128 * 1024 * 1024


class SyncSettings(_Section, frozen=True):
    """How long a request waits for its event, in milliseconds."""

    timeout_ms: Count = 5000
    timeout_ms_min: Count = 100
    timeout_ms_max: Count = 25_000


class Events(_Section, frozen=True):
    """Those who listen."""

    buffer_bytes: Count = 64 * 1024 * 1024


class Idempotency(_Section, frozen=True):
    """What names a request for ever, and for how long that is."""

    key: str = "extid"
    keep_days: Annotated[int, Meta(ge=0, le=36525)] = 0


class Orders(_Section, frozen=True):
    """Order numbers."""

    strict: bool = False
    block: Annotated[int, Meta(ge=2, le=10_000_000)] = 100_000


class Queries(_Section, frozen=True):
    """Tables and statements."""

    rows: Annotated[int, Meta(ge=1, le=1_000_000)] = 50_000
    seconds: Annotated[float, Meta(gt=0, le=600)] = 5.0
    bytes: Annotated[int, Meta(ge=1024 * 1024, le=512 * 1024 * 1024)] = 32 * 1024 * 1024
    waiting: Count = 1000


class Settings(_Section, frozen=True):
    """All of it."""

    listen: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["tcp:8080:interface=127.0.0.1"])
    ledger: LedgerSettings = LedgerSettings()
    require: list[str] = field(default_factory=lambda: ["BalanceInSync"])
    drain_seconds: Annotated[float, Meta(ge=0)] = 10.0
    auth: AuthSettings = AuthSettings()
    tls: Tls = Tls()
    access: Access = Access()
    principals: dict[str, PrincipalSettings] = field(default_factory=dict)
    web: Web = Web()
    log: Log = Log()
    limits: Limits = Limits()
    sync: SyncSettings = SyncSettings()
    events: Events = Events()
    idempotency: Idempotency = Idempotency()
    orders: Orders = Orders()
    queries: Queries = Queries()
    currencies: dict[str, Annotated[int, Meta(ge=0, le=DIGITS_MAX)]] = field(default_factory=dict)


def load(path: Path) -> Settings:
    """
    The settings in a file.

    @raise ConfigError: with a sentence that names the file and the key.
    """
    try:
        text = readFile(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} cannot be read: {getattr(e, 'strerror', None) or e}") from e
    try:
        said = tomllib.loads(text)
        if isinstance(url := said.get("ledger"), str):
            # Most have no more to say of it.
            said["ledger"] = {"url": url}
        settings = msgspec.convert(said, Settings)
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"{path} is not TOML: {e}") from e
    except msgspec.ValidationError as e:
        raise ConfigError(f"{path}: {_explain(str(e))}") from e
    _check(settings, path)
    return settings


def _check(settings: Settings, path: Path) -> None:
    """See that what the declarations cannot say is so."""
    if settings.auth.algorithm not in ALGORITHMS:
        raise ConfigError(f"{path}: auth.algorithm: expected one of {', '.join(ALGORITHMS)}")
    if settings.idempotency.key not in ("extid", "explicit"):
        raise ConfigError(f"{path}: idempotency.key: expected extid or explicit")
    try:
        capsOf(settings)
    except ValueError as e:
        raise ConfigError(f"{path}: {e}") from e
    for key in ("allow", "proxies"):
        try:
            networks(getattr(settings.access, key))
        except ValueError as e:
            raise ConfigError(f"{path}: access.{key}: {e}") from e
    for key, expected in _LOG.items():
        if getattr(settings.log, key) not in expected:
            raise ConfigError(f"{path}: log.{key}: expected one of {', '.join(expected)}")
    sync = settings.sync
    if not sync.timeout_ms_min <= sync.timeout_ms <= sync.timeout_ms_max:
        raise ConfigError(f"{path}: sync.timeout_ms: expected {sync.timeout_ms_min} to {sync.timeout_ms_max}")
    _checkTls(settings.tls, path)


def capsOf(settings: Settings) -> dict[str, CapsOf]:
    """
    How much callers may move, by their ids.

    @raise ValueError: with a sentence that names the key.
    """
    currencies, found = Currencies(settings.currencies), {}
    for id, of in settings.principals.items():
        if of.caps is not None:
            plain = {
                code: {kind: cap for kind, cap in asdict(caps).items() if cap is not None}
                for code, caps in of.caps.items()
            }
            try:
                found[id] = readCaps(plain, currencies)
            except ValueError as e:
                raise ValueError(f"principals.{id}.caps.{e}") from None
    return found


def _checkTls(tls: Tls, path: Path) -> None:
    if tls.client_certificate not in ("required", "optional"):
        raise ConfigError(f"{path}: tls.client_certificate: expected required or optional")
    if tls.key and not tls.certificate:
        raise ConfigError(f"{path}: tls.key: there is no tls.certificate that it could belong to")
    if tls.clients and not tls.client_ca:
        raise ConfigError(f"{path}: tls.clients: without tls.client_ca clients are not asked for certificates")
    try:
        Bearers(tls.clients)
    except BearerRefused as e:
        raise ConfigError(f"{path}: tls.clients{e}") from e


_LOG = {
    "level": ("debug", "info", "warn", "error", "critical"),
    "format": ("auto", "text", "json"),
    "requests": ("failed", "all", "none"),
}

_AT = re.compile(r"(?P<what>.*) - at `\$\.?(?P<key>.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`")


def _explain(message: str) -> str:
    found = _AT.fullmatch(message)
    what, key = (found["what"], found["key"]) if found else (message, "")
    if unknown := _UNKNOWN.fullmatch(what):
        return f"{'.'.join(filter(None, (key, unknown['name'])))}: there is no such setting"
    return f"{key}: {what[:1].lower()}{what[1:]}".replace("`", "")
