"""What holds for every test: no failure is lost, and no timer is left behind."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.logger import LogEvent, globalLogPublisher

from .postgres import ledgerUrl, shared

# Where a few tests take long: with several processes one of them would be at work on these alone at the end.
_LONG = ("torture", "model", "e2e", "bench", "docs", "client", "web", "cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, in this order."""
    places = {name: place for place, name in enumerate(_LONG)}

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(Path(__file__).parent)
        return places.get(path.parts[0], len(places))

    items.sort(key=place)


@contextmanager
def observing(failures: list[LogEvent]) -> Iterator[None]:
    """What is logged with a failure meanwhile, to the end of what is left lying about, is added to these."""

    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            failures.append(event)

    globalLogPublisher.addObserver(observe)
    yield
    gc.collect()
    globalLogPublisher.removeObserver(observe)


@pytest.fixture(scope="session", autouse=True)
def nothingLostBetween() -> Iterator[None]:
    """What a test left alive is not looked through after each of the others, but at the end."""
    yield
    failures: list[LogEvent] = []
    with observing(failures):
        gc.unfreeze()
    lost = [str(event["log_failure"]) for event in failures]
    assert not lost, "\n".join(lost)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Whoever runs the tests in the background may have had signals ignored, and what they start would inherit that."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.fixture
def failures() -> list[LogEvent]:
    """What was logged with a failure; a test that expects some takes this and clears it."""
    return []


@pytest.fixture(autouse=True)
def nothingLost(failures: list[LogEvent]) -> Iterator[None]:
    """Fail a test that loses a failure or leaves a timer: plain pytest would not notice."""
    # What is there already is looked through at the end.
    gc.freeze()
    before = set(reactor.getDelayedCalls())
    with observing(failures):
        yield
    lost = [str(event["log_failure"]) for event in failures]
    assert not lost, "\n".join(lost)
    left = [call for call in reactor.getDelayedCalls() if call not in before and call.active()]
    assert not left, left


@pytest.fixture(scope="session")
def postgresServer() -> Iterator[str]:
    """The URL of a PostgreSQL server that schemas may be made on; see L{tests.postgres}."""
    with shared() as url:
        yield url


@pytest.fixture
def postgresUrl(postgresServer: str) -> Iterator[str]:
    """The URL of an empty ledger on PostgreSQL that only this test has."""
    with ledgerUrl(postgresServer) as url:
        yield url
