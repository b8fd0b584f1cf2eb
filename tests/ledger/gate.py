"""What holds up the views in a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scalemgr.finance.records import Entry
from scalemgr.ledger import projector
from scalemgr.ledger.views import Views


class Gate:
    """
    Stands before every folding into the views.

    @ivar fail: so many times, it fails.
    @ivar error: with this.
    @ivar waiting: somebody stands before it while it is shut.
    @ivar failed: how often it did.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open = threading.Event()
        self._open.set()
        # One while it is open: who passes puts it back.
        self._passes = threading.Semaphore(1)
        self.waiting = threading.Event()
        self.fail = 0
        self.error: Exception = OSError(28, "No space left on device")
        self.failed = threading.Semaphore(0)
        self._project = Views.project
        monkeypatch.setattr(Views, "project", lambda views, entries: self._pass(views, entries))
        monkeypatch.setattr(projector, "RETRY_SECONDS", 0.001)

    def _pass(self, views: Views, entries: list[Entry]) -> None:
        if not self._open.is_set():
            self.waiting.set()
        assert self._passes.acquire(timeout=30)
        if self._open.is_set():
            self._passes.release()
        if self.fail:
            self.fail -= 1
            self.failed.release()
            raise self.error
        self._project(views, entries)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Nothing comes through for a while."""
        self.waiting.clear()
        self._open.clear()
        self._passes.acquire()
        try:
            yield
        finally:
            self._open.set()
            self._passes.release()

    def letOne(self) -> None:
        """Let the one who waits pass, and nobody after it."""
        self.waiting.clear()
        self._passes.release()
