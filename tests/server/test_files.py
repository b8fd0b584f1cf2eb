"""Files that the operator names: whatever is in their place, reading them ends, and says what is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from scalemgr.config import ConfigError, load
from scalemgr.server import files
from scalemgr.server.files import readFile
from scalemgr.server.keys import KeyFile, KeyRefused, loadKeys
from scalemgr.server.tls import CertificateRefused, Files, Terms
from scalemgr.server.tls import load as loadTls

from ..helpers import SECRET


def test_whole(tmp_path: Path) -> None:
    """A file is read whole, up to its bound and not beyond, through links too."""
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"x" * 100)
    link.symlink_to(path)
    assert readFile(path, 100) == readFile(link, 100) == b"x" * 100
    with pytest.raises(OSError, match="it has more than 99 bytes"):
        readFile(path, 99)


def test_notWhileItIsWritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is being written is not taken for what it will be: half of it would let in whom the rest revokes."""
    path = tmp_path / "revoked"
    path.write_text("one\n")
    fstat, looks = os.fstat, []

    def look(number: int) -> os.stat_result:
        if looks:
            path.write_text("one\ntwo\n")
        looks.append(number)
        return fstat(number)

    monkeypatch.setattr(files.os, "fstat", look)
    with pytest.raises(OSError, match="it was written to while it was read"):
        readFile(path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [fifo, device, Path.mkdir], ids=["a pipe", "a device", "a folder"])
def test_noFile(tmp_path: Path, put: Any) -> None:
    """A pipe that nobody writes to, a device without an end, or a folder is refused, at once and by name, in the place
    of each file that is read while the daemon runs: whoever waited for it would be asked to stop in vain."""
    path, said = tmp_path / "odd", "odd cannot be read: (it is no regular file|Is a directory)"
    put(path)
    with pytest.raises(ConfigError, match=said):
        load(path)
    with pytest.raises(KeyRefused, match=said):
        loadKeys("HS256", [KeyFile(path)])
    key = tmp_path / "key"
    key.write_bytes(SECRET)
    with pytest.raises(KeyRefused, match=said):
        loadKeys("HS256", [KeyFile(key)], revoked=path)
    with pytest.raises(CertificateRefused, match=said):
        loadTls(Files(path, path), Terms(), 0)
