"""The documents, as somebody follows them who has nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from .walk import ROOT, Walk, follow

#: What is followed. (protocol.md is made of what was really sent; plugins.md, promises.md and scaling.md have tests of
#: their own.)
FOLLOWED = ("quickstart", "integrating", "operating", "security")


@pytest.mark.parametrize("name", FOLLOWED)
def test_followed(name: str, tmp_path: Path) -> None:
    """Every command of a document works when it is pasted, in their order, and prints what the document shows."""
    follow(ROOT / "docs" / f"{name}.md", Walk(tmp_path))
