"""What holds for every test: no failure is lost, and no timer is left behind."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest
from twisted.internet import reactor
from twisted.logger import LogEvent, globalLogPublisher

from .postgres import ledgerUrl, shared


@pytest.fixture(scope="session", autouse=True)
def quickCollections() -> None:
    """What is imported need not be looked through after every test."""
    gc.collect()
    gc.freeze()


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

    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            failures.append(event)

    before = set(reactor.getDelayedCalls())
    globalLogPublisher.addObserver(observe)
    yield
    gc.collect()
    globalLogPublisher.removeObserver(observe)
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
