"""Reading the configuration again while the daemon runs (SIGHUP): all of it or nothing, and no session is dropped.

First everything that the new configuration names is read and found good: the file, the keys, the list of revoked
tokens, the certificates. That may block, so it happens in a thread, and it changes nothing. If anything is wrong with
it, a line of the log says what, and what was in force stays in force. Else all of it is put in force in one go.

What a running daemon cannot change (L{NEEDS_RESTART}) stays as it is, and a line says so, each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..config import ConfigError, Settings
from ..runtime.orders import InThread
from ..server.keys import KeyRefused

__all__ = ["NEEDS_RESTART", "Apply", "IReloadable", "Reloading"]

#: The settings, and the sections, that are read at the start only.
NEEDS_RESTART = frozenset(
    {
        "listen",
        "ledger",
        "require",
        "access.allow_plain",
        "access.reuse_port",
        "web",
        "log.format",
        "idempotency",
        "orders",
        "currencies",
    }
)

#: Puts something in force, in the reactor's thread. Must not raise. It may return what there is to say of it.
Apply = Callable[[], str | None]


class IReloadable(Protocol):
    """A part of the daemon that can have other settings while it runs. (Not zope's: it stays inside this package.)"""

    def prepare(self, settings: Settings) -> Apply:
        """
        Read what these settings name, and see that all of it is good. Changes nothing; may block; called in a thread.

        @return: what puts it in force.
        @raise ConfigError: if it cannot be; or C{KeyRefused}. The message says why, for the operator.
        """


class Reloading:
    """
    What SIGHUP does.

    @param read: reads the settings, with what the command line says before them; may block; raises L{ConfigError}.
    @param inThread: calls something that blocks.
    @ivar settings: what is in force.
    """

    _log = Logger()

    def __init__(
        self, settings: Settings, read: Callable[[], Settings], parts: Iterable[IReloadable], inThread: InThread
    ) -> None:
        self.settings = settings
        self._read = read
        self._parts = list(parts)
        self._inThread = inThread
        self._waiting: list[Deferred[None]] = []
        self._isUnderWay = self._again = self._stopped = False

    def reload(self) -> Deferred[None]:
        """
        Read the configuration again. If that is under way already, it is done once more afterwards, for what is on the
        disk may have changed since.

        @return: a Deferred that fires when it is over, however it ended.
        """
        whenOver: Deferred[None] = Deferred()
        self._waiting.append(whenOver)
        if self._isUnderWay:
            self._again = True
        else:
            self._isUnderWay = True
            Deferred.fromCoroutine(self._reloadAll())
        return whenOver

    def stop(self) -> None:
        """Put nothing in force any more."""
        self._stopped = True

    async def _reloadAll(self) -> None:
        self._again = True
        while self._again and not self._stopped:
            self._again = False
            await self._reloadOnce()
        self._isUnderWay = False
        waiting, self._waiting = self._waiting, []
        for whenOver in waiting:
            whenOver.callback(None)

    async def _reloadOnce(self) -> None:
        try:
            wanted, applies = await self._inThread(self._prepare)
        except (ConfigError, KeyRefused) as e:
            self._log.error("the configuration stays as it was, for the new one is no good: {why}", why=str(e))
            return
        except Exception:
            self._log.failure("the configuration stays as it was, for the new one cannot be read")
            return
        if self._stopped:
            return
        changed = _changes(self.settings, wanted)
        kept = [name for name in changed if _needsRestart(name)]
        self.settings = _inForce(self.settings, wanted, kept)
        said = [name for name in changed if name not in kept]
        for apply in applies:
            try:
                said += filter(None, [apply()])
            except Exception:
                # The others must not wait for a bug in one.
                self._log.failure("a part of the new configuration could not be put in force")
        self._log.info("the configuration was read again: {what}", what="; ".join(said) or "nothing has changed")
        if kept:
            self._log.warn("changed in the configuration, but needs a restart: {names}", names=", ".join(kept))

    def _prepare(self) -> tuple[Settings, list[Apply]]:
        wanted = self._read()
        return wanted, [part.prepare(wanted) for part in self._parts]


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted names, and what they are set to."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _changes(old: Settings, new: Settings) -> list[str]:
    """The dotted names of the settings that differ, be they only in one of both."""
    before, after = (_flat(msgspec.to_builtins(settings)) for settings in (old, new))
    absent = object()
    return [name for name in before | after if before.get(name, absent) != after.get(name, absent)]


def _needsRestart(name: str) -> bool:
    return name in NEEDS_RESTART or name.partition(".")[0] in NEEDS_RESTART


def _inForce(old: Settings, new: Settings, kept: Iterable[str]) -> Settings:
    """The new settings, but for those that are kept."""
    before, table = msgspec.to_builtins(old), msgspec.to_builtins(new)
    for name in kept:
        section, _, rest = name.partition(".")
        if section in NEEDS_RESTART:
            table[section] = before[section]
        else:
            table[section][rest] = before[section][rest]
    return msgspec.convert(table, Settings)
