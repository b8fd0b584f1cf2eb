"""docs/scaling.md, as somebody follows it whose PostgreSQL is named by a service."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from ..postgres import ledgerUrl, shared
from .walk import ROOT, Walk, follow


def test_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger is moved to PostgreSQL, served by two gateways, and moved back, as the document says and shows."""
    home = tmp_path / "home"
    home.mkdir()
    with shared() as server, ledgerUrl(server) as url:
        words = conninfo_to_dict(url)
        service = tmp_path / "services"
        service.write_text("[scalemgr]\n" + "".join(f"{name}={value}\n" for name, value in words.items()))
        monkeypatch.setenv("PGSERVICEFILE", str(service))
        follow(ROOT / "docs" / "scaling.md", Walk(home))
