"""Running the load generator, and believing only what it says is whole."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .machine import compileC, findCompiler
from .processes import BenchFailed, ConnectionsClosed, python, start, stop

__all__ = ["Generator", "Load"]

Load = dict[str, Any]

_HERE = Path(__file__).resolve().parent
# What a load may take longer than it was asked to: sessions are opened, and what is under way is answered.
_GRACE_S = 150.0

# What may be wrong with a load, as its report names it, and in words.
_WRONG = {
    "wrong": "not as they had to be",
    "strays": "to nothing that was asked",
    "unanswered": "missing",
    "unordered": "events out of order",
    "closed": "connections closed",
    "replayed": "that said they were replayed",
    "total": "in all",
}


class Generator:
    """
    The load generator.

    @param folder: where the programs are made.
    @param core: where it runs; C{None}: anywhere.
    @ivar isC: is it the compiled one? The other one is likely to be the bottleneck.
    @ivar whyNotC: why it is not.
    """

    def __init__(self, folder: Path, core: int | None) -> None:
        self._folder = folder
        self.core = core
        self.whyNotC = self._compile()
        self.isC = self.whyNotC is None
        self._command = [str(folder / "load")] if self.isC else python("-m", "bench.slowload")

    def _compile(self) -> str | None:
        """Make the programs; why they cannot be made."""
        compiler = findCompiler()
        if compiler is None:
            return "no C compiler (cc, gcc, $CC)"
        try:
            for name in ("load", "echo"):
                compileC(compiler, _HERE / f"{name}.c", self._folder / name)
        except subprocess.CalledProcessError as e:
            said = [line for line in e.stderr.splitlines() if "error" in line] or e.stderr.splitlines()
            return f"the C compiler failed: {compiler}: {said[0] if said else f'exit status {e.returncode}'}"
        except (subprocess.SubprocessError, OSError) as e:
            return f"the C compiler failed: {e}"
        return None

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

    def together(self, ports: Sequence[int], kind: str, *, seconds: float, **options: Any) -> list[Load]:
        """A load on each of these ports, at once; as L{run}."""
        processes: list[subprocess.Popen[str]] = []
        try:
            for port in ports:
                processes.append(self._start(port, kind, seconds, options))
            patience = seconds + options.get("warmup", 0) + _GRACE_S
            # Each says little, and so need not be read before its turn.
            return [_read(kind, *process.communicate(timeout=patience)) for process in processes]
        except subprocess.TimeoutExpired as e:
            raise BenchFailed(f"the load {kind} does not end") from e
        finally:
            for process in processes:
                stop(process)

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
    if result["closed"] and not result["wrong"] and not result["strays"]:
        raise ConnectionsClosed(f"the load {kind} had {result['total']} answers, and its connections were closed")
    what = [f"{result[name]} {words}" for name, words in _WRONG.items() if result[name]]
    what += [f"{count} of status {status}" for status, count in result["statuses"].items()]
    raise BenchFailed(f"the load {kind} had wrong answers: {', '.join(what)}; for instance {result['example']}")
