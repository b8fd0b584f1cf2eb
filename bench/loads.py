"""Running the load generator, and believing only what it says is whole."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .machine import compileC, findCompiler
from .processes import BenchFailed, python, start, stop

__all__ = ["Generator", "Load"]

Load = dict[str, Any]

_HERE = Path(__file__).resolve().parent
# What a load may take longer than it was asked to: sessions are opened, and what is under way is answered.
_GRACE_S = 150.0


class Generator:
    """
    The load generator.

    @param folder: where the programs are made.
    @param core: where it runs; C{None}: anywhere.
    @ivar isC: is it the compiled one? The other one is likely to be the bottleneck.
    """

    def __init__(self, folder: Path, core: int | None) -> None:
        self._folder = folder
        self.core = core
        compiler = findCompiler()
        self.isC = compiler is not None
        if compiler is None:
            self._command = python("-m", "bench.slowload")
        else:
            compileC(compiler, _HERE / "load.c", folder / "load")
            compileC(compiler, _HERE / "echo.c", folder / "echo")
            self._command = [str(folder / "load")]

    @property
    def echo(self) -> list[str] | None:
        """The command of the echo server, if there is one."""
        return [str(self._folder / "echo")] if self.isC else None

    def run(self, port: int, kind: str = "deposit", *, seconds: float = 1.0, **options: Any) -> Load:
        """
        One load, from its start to its end.

        @param options: as for the program, with C{_} for C{-}.
        @raise BenchFailed: if any answer was not what it had to be.
        """
        process = self._start(port, kind, seconds, options)
        try:
            said, complaints = process.communicate(timeout=seconds + options.get("warmup", 0) + _GRACE_S)
        except subprocess.TimeoutExpired as e:
            raise BenchFailed(f"the load {kind} does not end") from e
        finally:
            stop(process)
        return _read(kind, said, complaints)

    @contextmanager
    def beside(self, port: int, kind: str, **options: Any) -> Iterator[Load]:
        """
        A load for as long as the block lasts, at most ten minutes; what it came to is in the result afterwards.

        The block begins once all its sessions stand.
        """
        process = self._start(port, kind, 600.0, options)
        result: Load = {}
        try:
            assert process.stderr is not None
            first = process.stderr.readline()
            if first.strip() != "ready":
                raise BenchFailed(f"the load {kind} did not begin: {first}{process.stderr.read()}")
            yield result
            process.terminate()
            said, complaints = process.communicate(timeout=_GRACE_S)
        finally:
            stop(process)
        result.update(_read(kind, said, complaints))

    def _start(self, port: int, kind: str, seconds: float, options: dict[str, Any]) -> subprocess.Popen[str]:
        words = [*self._command, "--port", str(port), "--kind", kind, "--seconds", str(seconds)]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        return start(words, self.core, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _read(kind: str, said: str, complaints: str) -> Load:
    try:
        result: Load = json.loads(said)
    except ValueError:
        raise BenchFailed(f"the load {kind} failed: {complaints.strip()}") from None
    if result["ok"]:
        return result
    if not result["wrong"] and not result["errors"]:
        raise BenchFailed(f"the load {kind} had no answer in the time that counts, of {result['total']} in all")
    what = {name: result[name] for name in ("total", "statuses", "replayed", "wrong", "errors", "closed", "strays")}
    raise BenchFailed(f"the load {kind} had wrong answers: {what}, for instance {result['example']!r}")
