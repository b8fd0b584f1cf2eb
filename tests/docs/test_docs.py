"""The documents, as somebody follows them who has nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from .walk import ROOT, Walk, blocks, matches

#: What is followed. (protocol.md is made of what was really sent, plugins.md and promises.md have tests of their own.)
FOLLOWED = ("quickstart", "integrating", "operating", "security")


@pytest.mark.parametrize("name", FOLLOWED)
def test_followed(name: str, tmp_path: Path) -> None:
    """Every command of a document works when it is pasted, in their order, and prints what the document shows."""
    walk = Walk(tmp_path)
    try:
        printed = ""
        for block in blocks(ROOT / "docs" / f"{name}.md"):
            if block.name is not None:
                walk.save(block)
            elif block.kind == "sh":
                printed = walk.paste(block)
            elif block.kind == "text" and block.follows:
                wanted = walk.here(block.text)
                assert matches(printed, wanted), f"line {block.line}: it printed\n{printed}\n-- and not\n{wanted}"
    finally:
        walk.end()
