"""How the daemon is joined: C{twistd scalemgr}, C{twist scalemgr}, C{etc/scalemgr.tac}.

The only place that takes the reactor.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.application.service import IService
from twisted.python.usage import Options as _Options

from .config import ConfigError, Settings, load
from .daemon.activation import inherited, startedWith
from .daemon.believing import keysOf
from .daemon.process import Process
from .daemon.service import ManagerService
from .daemon.systemd import Systemd
from .ledger.errors import LedgerRefused
from .ledger.settings import LedgerSettings
from .ledger.url import absolute, probe
from .logs.places import CannotLog, Surroundings, findLog
from .logs.requests import RequestLines
from .runtime.clocks import makeSteady
from .server.catalogue import CommandClash, checkCommands
from .server.discovery import findCommands
from .server.keys import KeyRefused

__all__ = ["Options", "makeService"]

# So many new objects before the youngest are looked through for circles.
_COLLECT_AFTER = 20_000


class Options(_Options):
    """The command line. What it says goes before the configuration file, and that before the defaults."""

    synopsis = "[--config FILE] [--listen ENDPOINT]... [--ledger URL] [--web ENDPOINT] [--demo]"
    longdesc = "ScaleTrade's manager TCP API, on a durable ledger."
    optParameters = [
        ["config", "c", None, "The configuration, a TOML file; etc/scalemgr.toml shows every setting"],
        ["ledger", "l", None, "sqlite:FOLDER, memory: or postgresql://..."],
        ["web", "w", None, "A Twisted endpoint for metrics, health, status and the console; empty: none"],
    ]
    optFlags = [["demo", None, "Let anybody on this machine in, with accounts to play with, in a temporary ledger"]]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []

    def opt_listen(self, endpoint: str) -> None:
        """A Twisted endpoint to listen on, such as tcp:8080:interface=127.0.0.1; may be repeated"""
        self["listen"].append(endpoint)

    opt_L = opt_listen

    def postOptions(self) -> None:
        """Everything that can be wrong with the words is found here: before a daemon goes into the background."""
        # The daemon may be somewhere else when it reads its configuration again.
        self._config = None if self["config"] is None else Path(self["config"]).absolute()
        self.base = Path.cwd() if self._config is None else self._config.parent
        try:
            if self["demo"] and self._config is not None:
                raise ConfigError("--demo lets anybody in, so it does not go with --config")
            if self["ledger"] is not None:
                # What is said on the command line starts from where it is said.
                self["ledger"] = absolute(self["ledger"], Path.cwd())
            settings = self.read()
            if settings.ledger.url != "demo:":
                probe(settings.ledger, self.base)
            self.tokenKeys = None if self["demo"] else keysOf(settings.auth, self.base)
            self.found = findCommands()
            checkCommands(self.found.commands, settings.require)
        except (ConfigError, KeyRefused, LedgerRefused, CommandClash) as e:
            # Not a usage error, which would print all the usage above the one line that matters.
            raise SystemExit(f"scalemgr: {e}") from None
        self.settings = settings

    def read(self) -> Settings:
        """
        The settings, as they are now.

        @raise ConfigError: if the configuration file cannot be used.
        """
        settings = Settings() if self._config is None else load(self._config)
        if self["demo"]:
            settings = replace(settings, ledger=LedgerSettings(url="demo:"))
        if self["listen"]:
            settings = replace(settings, listen=self["listen"])
        if self["ledger"] is not None:
            settings = replace(settings, ledger=replace(settings.ledger, url=self["ledger"]))
        if self["web"] is not None:
            settings = replace(settings, web=replace(settings.web, listen=self["web"]))
        return settings


def _calmCollector() -> None:
    """
    What is there at the start stays, and need not be looked through again. A request under way is ten objects that are
    in no circle: at the usual 700 they would be looked through dozens of times, and for nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _onHangUp(reactor: Any, call: Callable[[], object]) -> None:
    """From now on call this on SIGHUP, which would otherwise end the process."""
    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(call))


def makeService(options: Options, reactor: Any = None) -> IService:
    """The daemon, ready to start. Without a reactor it is the one that runs, and SIGHUP is heeded."""
    settings = options.settings
    try:
        log = findLog(options.parent, settings, Surroundings(sys.argv, sys.stdout, os.environ, time.time))
    except CannotLog as e:
        raise SystemExit(f"scalemgr: {e}") from None
    onHangUp = None
    if reactor is None:
        from twisted.internet import reactor as running

        reactor = running
        onHangUp = partial(_onHangUp, reactor)
        makeSteady(reactor)
        reactor.callWhenRunning(_calmCollector)
        if log is not None:
            reactor.callWhenRunning(log.start)
            reactor.addSystemEventTrigger("after", "shutdown", log.stop)
    requests = RequestLines(log, settings, time.time, reactor.seconds)
    process = Process(
        read=options.read,
        onHangUp=onHangUp,
        parts=(requests,) if log is None else (requests, log),
        watchers=(requests,),
        observer=log,
        systemd=Systemd(os.environ, os.getpid(), time.monotonic),
        handedOver=tuple(inherited(reactor, startedWith(), os.getpid())),
    )
    demo = bool(options["demo"])
    return ManagerService(reactor, settings, options.found, options.tokenKeys, options.base, demo=demo, process=process)
