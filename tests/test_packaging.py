"""What is installed: the wheel, and a package of somebody else's beside it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scalemgr import __version__

from .e2e.daemons import LOOPBACK, ROOT, TWIST, DaemonProcess, daemon
from .lines import LineClient

_KEPT = (".py", ".sql", ".typed", ".html", ".css", ".js", ".svg")
DOCUMENT = ROOT / "docs" / "plugins.md"


def buildWheel(source: Path, into: Path) -> Path:
    """The wheel of a source tree, made with what is installed here."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into), str(source)],
        check=True,
        capture_output=True,
        text=True,
    )
    (wheel,) = into.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scalemgr's own, built from a copy, so that the checkout stays clean."""
    copy = tmp_path_factory.mktemp("source") / "scalemgr"
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "dropin.cache")
    shutil.copytree(ROOT, copy, ignore=ignored)
    return buildWheel(copy, tmp_path_factory.mktemp("wheel"))


def test_wheelIsWhole(wheel: Path) -> None:
    """
    The wheel has every module, the drop-ins, the schemas and the console's pages, and beside them, in C{share/}, what
    an operator needs of C{etc/} and the documents; and nothing that would hide Twisted's own plugins.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"twisted/plugins/scalemgr_service.py", "twisted/plugins/scalemgr_commands.py"} <= names
    assert not {"twisted/__init__.py", "twisted/plugins/__init__.py"} & names
    kept = [p for p in (ROOT / "scalemgr").rglob("*") if p.suffix in _KEPT and p.is_file()]
    assert {str(p.relative_to(ROOT)) for p in kept} <= names
    assert any(name.endswith(".sql") for name in names)
    share = {name.partition("/share/scalemgr/")[2] for name in names}
    shared = [*(ROOT / "etc").iterdir(), *(ROOT / "docs").glob("*.md")]
    assert {str(p.relative_to(ROOT)) for p in shared} <= share
    assert not any(name.startswith(("tests", "docs", "bin")) for name in names)
    assert f"-{__version__}-" in wheel.name


def documentedFiles() -> list[tuple[str, str]]:
    """The files that docs/plugins.md shows: each is named on the line above its block."""
    return re.findall(r"^`([\w./]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", DOCUMENT.read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of docs/plugins.md installed into it."""
    source = tmp_path_factory.mktemp("acme")
    for name, content in documentedFiles():
        file = source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    built = buildWheel(source, tmp_path_factory.mktemp("acme-wheel"))
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(target)
    return target


def test_documentedPluginIsShort() -> None:
    """The documented package has under 30 lines of Python."""
    python = [line for name, content in documentedFiles() if name.endswith(".py") for line in content.splitlines()]
    assert 0 < len([line for line in python if line.strip()]) < 30


def test_documentedPluginWorks(site: Path, tmp_path: Path) -> None:
    """The package of docs/plugins.md, built and installed, is found; its sync command answers with the booked trade."""
    arguments = ("--demo", "--listen", LOOPBACK)
    with daemon(tmp_path, *arguments, path=(site,)) as (_, port), LineClient("127.0.0.1", port) as client:
        answer = client.call("AcmeWelcomeSync", {"login": 1002})
        assert answer.status == 200
        assert {
            "login": 1002,
            "cmd": 6,
            "state": 3,
            "profit": 10.0,
            "comment": "Welcome",
        }.items() <= answer.data.items()
        assert "__deferred" not in answer.line
        assert client.call("GetAccountByLogin", {"login": 1002}).data["balance"] == 10.0
        refused = client.call("AcmeWelcomeSync", {"login": 77})
        assert (refused.status, refused.data["reason"]) == (404, "RET_USER_NOT_FOUND")
        wrong = client.call("AcmeWelcomeSync", {"login": "1002"})
        assert (wrong.status, wrong.data["field"]) == (400, "login")


def listing(*path: Path) -> subprocess.CompletedProcess[str]:
    """What C{scalemgr commands} says with these folders installed."""
    environment = {"PYTHONPATH": ":".join(map(str, (*path, ROOT)))}
    command = [sys.executable, "-m", "scalemgr", "commands", "--text"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_pluginIsListedWithItsModule(site: Path) -> None:
    """scalemgr commands shows a third-party command with its module and parameters."""
    listed = listing(site)
    assert listed.returncode == 0
    assert "AcmeWelcomeSync  [acme_scale]" in listed.stdout
    assert "Deposit a welcome bonus; answers with the booked trade." in listed.stdout


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder with a drop-in that cannot be imported."""
    folder = tmp_path / "broken"
    (folder / "twisted/plugins").mkdir(parents=True)
    (folder / "twisted/plugins/broken_scale_plugin.py").write_text("import no_such_module_anywhere\n")
    return folder


def test_brokenPluginIsShown(broken: Path) -> None:
    """A drop-in that cannot be imported is listed with its traceback, and the status says that something is missing."""
    listed = listing(broken)
    assert listed.returncode == 1
    assert "BROKEN  [twisted.plugins.broken_scale_plugin]" in listed.stdout
    assert "No module named 'no_such_module_anywhere'" in listed.stdout
    assert "BalanceInSync" in listed.stdout


def test_brokenPluginIsLoggedAndTheRestServes(broken: Path, tmp_path: Path) -> None:
    """The daemon starts without the commands of a broken drop-in, and logs which it is and why."""
    with daemon(tmp_path, "--demo", "--listen", LOOPBACK, path=(broken,)) as (running, port):
        with LineClient("127.0.0.1", port) as client:
            assert client.call("Ping", {}).status == 200
        said = running.end()
    assert "the plugin module twisted.plugins.broken_scale_plugin cannot be imported" in said
    assert "ModuleNotFoundError" in said


def test_twoCommandsOfOneNameStopTheStart(site: Path, tmp_path: Path) -> None:
    """A name that two commands have is refused at the start, naming both modules."""
    other = tmp_path / "other"
    (other / "twisted/plugins").mkdir(parents=True)
    (other / "rival.py").write_text((site / "acme_scale.py").read_text())
    (other / "twisted/plugins/rival_plugin.py").write_text("from rival import acmeWelcomeSync\n")
    running = DaemonProcess(TWIST, "--demo", "--listen", LOOPBACK, cwd=tmp_path, path=(site, other))
    said = running.end(0)
    assert running.process.returncode != 0
    assert "two commands are named AcmeWelcomeSync" in said
    assert "acme_scale" in said
    assert "rival" in said


def test_nobodyIsSentToAnIndex() -> None:
    """What is said to be installed is a wheel or a folder: under our name an index could have somebody else's."""
    written = [ROOT / "README.md", *(ROOT / "docs").iterdir(), *(ROOT / "etc").iterdir()]
    said = [line for path in written for line in re.findall(r"pip install([^\n`&|)#]*)", path.read_text("utf-8"))]
    assert len(said) >= 4
    for line in said:
        assert not re.search(r"\sscalemgr(\s|$|\[|[<>=~])", line), line
