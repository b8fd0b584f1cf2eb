"""The programs of the bench, made once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from bench.loads import Generator
from bench.machine import findCompiler
from bench.processes import python, running


class Serve(Protocol):
    """Starts the no-op server, which answers with a status; its port."""

    def __call__(self, status: int = 200) -> object: ...


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    if findCompiler() is None:
        pytest.skip("no C compiler ($CC, cc or gcc) on this machine")
    return Generator(tmp_path_factory.mktemp("bench"), core=None)


@pytest.fixture(scope="session")
def pythonGenerator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.loads.findCompiler", lambda: None)
        return Generator(tmp_path_factory.mktemp("slow"), core=None)


@pytest.fixture
def noop(tmp_path: Path) -> object:
    @contextmanager
    def serve(status: int = 200) -> Iterator[int]:
        with running(python("-m", "bench.noop", str(status)), None, tmp_path / "log") as (_, port):
            yield port

    return serve
