"""A daemon for the clients, and the clients."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scalemgr.client import Client

from ..e2e.daemons import LOOPBACK, daemon
from ..helpers import SECRET, token
from .drivers import DRIVERS, Driver


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test of all clients blocks on the reactor, so it must not run in the reactor's own greenlet."""
    if "make" not in pyfuncitem.fixturenames:
        return None
    pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames})
    return True


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A demo daemon's."""
    folder = tmp_path_factory.mktemp("daemon")
    with daemon(folder, "--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK) as (_, port):
        yield port
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """That of a daemon that wants tokens, and has the account 1001."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "secret").write_bytes(SECRET)
    (folder / "secret").chmod(0o600)
    (folder / "scalemgr.toml").write_text('ledger = "sqlite:ledger"\n[auth]\nkey_files = ["secret"]\n')
    with daemon(folder, "--config", "scalemgr.toml", "--listen", LOOPBACK) as (_, port):
        with Client(f"tcp:127.0.0.1:{port}", token=token("root", "admin")) as root:
            root.AddGroup(group="g", currency="USD")
            root.MngAddAccount(
                group="g", name="n", login=1001, password="geheim-1", leverage=100, enable=1, email="n@example.com"
            )
        yield port
    shutil.rmtree(folder)


@pytest.fixture(params=list(DRIVERS))
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Driver]]:
    """Makes clients of each kind, and closes them."""
    made: list[Driver] = []

    def make(address: str, **more: Any) -> Driver:
        made.append(DRIVERS[request.param](address, **more))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def client(make: Callable[..., Driver], port: int) -> Driver:
    """One that is served."""
    return make(f"tcp:127.0.0.1:{port}")


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[int]:
    """A port on which nobody listens, and nobody else will."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
