"""What this machine has: cores to pin to, a C compiler, a folder on a real disk."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import twisted
from scalemgr import __version__

from .processes import CHECKOUT, run

__all__ = ["Cores", "compileC", "describe", "findCompiler", "raiseFileLimit", "scratchParent"]

_IN_MEMORY = ("tmpfs", "ramfs")


class Cores:
    """
    Which core is for whom. With one core, nobody is pinned.

    @ivar server: the one core of the server that is measured, or C{None}.
    @ivar generator: the one of who loads it, or C{None}.
    """

    def __init__(self) -> None:
        cores = sorted(os.sched_getaffinity(0))
        isAlone = len(cores) < 2
        self.server = None if isAlone else cores[0]
        self.generator = None if isAlone else cores[1]


def raiseFileLimit() -> None:
    """A thousand connections are more than the usual limit of open files allows; who is started inherits this."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def findCompiler() -> str | None:
    """The C compiler, or C{None}: C{$CC}, else cc, else gcc."""
    for name in (os.environ.get("CC"), "cc", "gcc"):
        if name and (found := shutil.which(name)):
            return found
    return None


def compileC(compiler: str, source: Path, target: Path) -> None:
    """
    Make a program of one C file.

    @raise subprocess.SubprocessError: if the compiler fails.
    """
    # Its temporary files are removed with ours, whatever becomes of it.
    run([compiler, "-O2", "-o", str(target), str(source)], env={**os.environ, "TMPDIR": str(target.parent)})


def scratchParent() -> Path | None:
    """Where temporary folders go: C{None}, the usual place, unless that is no disk: fsync would cost nothing."""
    return Path.cwd() if _filesystem(Path(tempfile.gettempdir())) in _IN_MEMORY else None


def describe(folder: Path) -> dict[str, str]:
    """
    What a figure of this machine has to be quoted with.

    @param folder: one that was made for the run, in the folder that is told.
    """
    return {
        "scalemgr": f"{__version__}{_commit()}",
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "folder": str(folder.parent),
        "filesystem": _filesystem(folder) or "unknown",
        "python": platform.python_version(),
        "twisted": twisted.__version__,
    }


def _commit() -> str:
    """Of the checkout, if it is one and there is git to ask."""
    if not (CHECKOUT / ".git").exists():
        return ""
    try:
        # No tag: a version that says where it is from does not need another name.
        asked = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--exclude", "*"]
        return f" ({run(asked).stdout.strip()})"
    except (subprocess.SubprocessError, OSError):
        return ""


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _filesystem(folder: Path) -> str:
    """The kind of file system that a folder is on."""
    best = ("", "")
    try:
        for line in Path("/proc/mounts").read_text("utf-8").splitlines():
            _, mounted, kind, *_ = line.split()
            if folder.is_relative_to(mounted) and len(mounted) >= len(best[0]):
                best = (mounted, kind)
    except OSError:
        pass
    return best[1]
