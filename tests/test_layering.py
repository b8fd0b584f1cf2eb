"""The house keeps its order: a folder imports only from what stands above it in the table of the design."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "scalemgr"

#: From the top down; names on one line may import each other.
TABLE = [
    {"wire"},
    {"finance"},
    {"interfaces"},
    {"ledger"},
    {"runtime"},
    {"commands"},
    {"server"},
    {"web"},
    {"client"},
    {"config"},
    {"logs"},
    {"daemon", "demo", "tap", "playground", "cli", "__main__"},
]
#: What the rooms may not even name.
FORBIDDEN = {
    "wire": ("twisted", "zope", "sqlite3", "socket", "threading", "time"),
    "finance": ("twisted", "zope", "sqlite3", "socket", "threading", "time", "random", "datetime"),
    "ledger": ("twisted.internet",),
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The row of the table that a module is in."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def level(name: str) -> int:
    """How far down."""
    return next(i for i, names in enumerate(TABLE) if name in names)


def imports(path: Path) -> set[str]:
    """The absolute names of all that a module imports, wherever in it."""
    package = ("scalemgr", *path.relative_to(PACKAGE).parent.parts)
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            names |= {".".join((*base, *filter(None, [node.module]), alias.name)) for alias in node.names}
            names.add(".".join((*base, *filter(None, [node.module]))))
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_importsOnlyFromAbove(path: Path) -> None:
    """No module imports from a room below its own, and the pure rooms import nothing that does I/O."""
    if path == PACKAGE / "__init__.py":
        assert imports(path) == set()
        return
    own = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "scalemgr" and len(parts) > 1 and parts[1] != "__version__":
            assert level(parts[1]) <= level(own), f"{path} imports {name}"
        for forbidden in FORBIDDEN.get(own, ()):
            allowed = name.startswith("twisted.logger")
            assert allowed or not (name == forbidden or name.startswith(forbidden + ".")), f"{path} imports {name}"


def test_onlyTapTakesTheReactor() -> None:
    """The reactor is taken in one place and given everywhere else."""
    taking = {str(p.relative_to(PACKAGE)) for p in MODULES if "twisted.internet.reactor" in imports(p)}
    assert taking == {"tap.py"}


def test_tableNamesEveryRoom() -> None:
    """A new room gets its place in the table before it gets code."""
    known = set().union(*TABLE)
    rooms = {room(p) for p in MODULES if p.parent != PACKAGE or p.name != "__init__.py"}
    assert rooms <= known
