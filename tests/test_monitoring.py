"""The alert rules, the dashboard, and what is written about them, held against what a daemon exports."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from .e2e.daemons import LOOPBACK, ROOT, TWIST, daemon
from .e2e.test_window import site
from .helpers import fresh, token
from .promql import grouped, labelsOf, parse, selectors
from .web.house import Windowed

ETC = ROOT / "etc"
CASES = [ROOT / "tests/monitoring/alerts.yml", ROOT / "tests/monitoring/alerts-slow.yml"]
DOCUMENT = (ROOT / "docs/alerts.md").read_text("utf-8")
DASHBOARD = json.loads((ETC / "grafana-dashboard.json").read_text("utf-8"))
RULES = [
    rule
    for group in yaml.safe_load((ETC / "prometheus-alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

#: What Prometheus puts on every series that it reads.
TARGET = frozenset({"job", "instance"})
#: The series that Prometheus makes itself, with their labels.
OF_PROMETHEUS = {"up": TARGET, "ALERTS": TARGET | {"alertname", "alertstate", "severity"}}
#: Labels whose values are not all there from the start, or come from Prometheus.
GROWING = TARGET | {"command", "status", "file", "le", "alertname", "alertstate"}


class Exported(NamedTuple):
    """
    What a daemon exports.

    @ivar labels: those of each series.
    @ivar families: what each of our series is a part of: that of a histogram's bucket is the histogram.
    @ivar values: of each series and label.
    """

    labels: dict[str, frozenset[str]]
    families: dict[str, str]
    values: dict[tuple[str, str], set[str]]


@cache
def exported() -> Exported:
    """From a scrape of a daemon that has answered a deposit and a question, as it is with a disk, a certificate, and a
    token that ends."""
    house = Windowed(certificateExpires=lambda: house.clock.seconds() + 60)
    session = house.daemon.connect(token(exp=house.clock.seconds() + 60))
    session.send("Ping", "hello")
    session.deposit(fresh())
    house.daemon.settle()
    text = house.ask("/metrics").text
    house.close()
    labels, families, values = dict(OF_PROMETHEUS), {}, {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels[sample.name] = labels.get(sample.name, TARGET) | sample.labels.keys()
            if family.name.startswith("scalemgr_"):
                families[sample.name] = family.name
            for label, value in sample.labels.items():
                values.setdefault((sample.name, label), set()).add(value)
    return Exported(labels, families, values)


def ofGrafana(expr: str) -> str:
    """An expression with its variables filled in."""
    return expr.replace("$__rate_interval", "1m").replace("$job", "scalemgr").replace("$instance", ".+")


def shown() -> Iterator[tuple[str, str, str]]:
    """Each expression of the dashboard: where it is, the expression, and what is written beside its result."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", ofGrafana(target["expr"]), target["legendFormat"]
    for note in DASHBOARD["annotations"]["list"]:
        if "expr" in note:
            yield note["name"], ofGrafana(note["expr"]), note["titleFormat"]


def asked() -> Iterator[tuple[str, str]]:
    """What the dashboard's variables look for: the series, and the label."""
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]["query"]
            assert query == variable["definition"]
            assert query.startswith("label_values(")
            series, _, label = query.removeprefix("label_values(").removesuffix(")").rpartition(", ")
            yield ofGrafana(series), label


USED = {
    **{f"rule {n} {rule['alert']}": rule["expr"] for n, rule in enumerate(RULES)},
    **{f"panel {where}": expr for where, expr, _ in shown()},
    **{f"variable {label}": series for series, label in asked()},
}


@pytest.mark.parametrize("where", USED)
def test_onlyWhatIsExportedIsUsed(where: str) -> None:
    """Every series and label that a rule or a panel uses is one that a daemon exports; so is a value, of a label whose
    values are known."""
    labels, _, values = exported()
    expr = parse(USED[where])
    used = selectors(expr)
    assert used
    for selector in used:
        assert selector.name in labels
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels[selector.name], (selector.name, matcher.name)
            if matcher.name not in GROWING:
                known = values[selector.name, matcher.name]
                assert any(re.fullmatch(matcher.value, value) for value in known), (matcher.value, known)
    assert grouped(expr) <= frozenset().union(*(labels[selector.name] for selector in used))


def test_everySeriesIsShown() -> None:
    """The dashboard shows all that is ours of what is exported, and nothing else that would be ours."""
    families = exported().families
    used = {selector.name for _, expr, _ in shown() for selector in selectors(parse(expr))}
    assert {families[name] for name in used if name.startswith("scalemgr_")} == set(families.values())


def test_whatIsWrittenHasItsLabels() -> None:
    """A label that an alert's words or a legend name is one that the result has: it would be blank otherwise."""
    labels = exported().labels
    for rule in RULES:
        words = " ".join(rule["annotations"].values())
        assert set(re.findall(r"\$labels\.(\w+)", words)) <= labelsOf(parse(rule["expr"]), labels), rule["alert"]
    for where, expr, legend in shown():
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= labelsOf(parse(expr), labels), where
    for series, label in asked():
        assert label in labelsOf(parse(series), labels)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alertIsWhole(rule: dict[str, Any]) -> None:
    """An alert waits a while before it fires, says how bad it is, where and how much, and where to read what to do."""
    assert re.fullmatch(r"Scalemgr[A-Z]\w+", rule["alert"])
    assert parse(f"up[{rule['for']}]").range.total_seconds() >= 60
    assert rule["labels"]["severity"] in ("critical", "warning")
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook"}
    assert len(notes["summary"]) < 80
    if "absent(" not in rule["expr"]:
        assert "$labels.instance" in notes["summary"]
    # Where it is yes or no, there is no value to tell.
    isYesOrNo = rule["expr"].endswith("== 0") or "absent(" in rule["expr"]
    assert ("$value" in notes["description"]) != isYesOrNo
    assert notes["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"


def test_eachAlertHasASection() -> None:
    """docs/alerts.md has a section for each alert, in the order of the rules, and none for one that there is not; no
    section sends anybody to one that is not there."""
    sections = re.findall(r"^## (Scalemgr\w+)$", DOCUMENT, re.M)
    assert sections == list(dict.fromkeys(rule["alert"] for rule in RULES))
    assert set(re.findall(r"\(#(\w+)\)", DOCUMENT)) <= {section.lower() for section in sections}


def test_eachAlertHasASymptom() -> None:
    """Who sees that something is wrong, and has no alert, finds each section from the table at the top."""
    table = re.findall(r"^\| .+ \| (.+) \|$", DOCUMENT.partition("\n## ")[0], re.M)
    links = re.findall(r"\[(\w+)\]\(#(\w+)\)", " ".join(table))
    assert all(name.lower() == anchor for name, anchor in links)
    assert {name for name, _ in links} == {rule["alert"] for rule in RULES}


def test_panelsAreSound() -> None:
    """What Grafana takes: numbers that are unique, a place for each that is nobody else's, a unit, a description, and
    everywhere the datasource that is chosen; nothing of any one Grafana's own."""
    panels = DASHBOARD["panels"]
    ids = [panel["id"] for panel in panels]
    assert ids == list(dict.fromkeys(ids))
    assert DASHBOARD["id"] is None
    titles = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert titles == ["Is it well?", "Deposits", "Waiting and time-outs", "Ledger", "Connections", "Process"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(0 <= x < 24 for x, _ in cells)
        taken |= cells
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in PANELS:
        assert panel["type"] in ("stat", "timeseries", "heatmap", "state-timeline")
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == list(dict.fromkeys(refs))
        assert [panel["datasource"], *(target["datasource"] for target in panel["targets"])] == [chosen] * (
            len(refs) + 1
        )
    assert [v["name"] for v in DASHBOARD["templating"]["list"]] == ["datasource", "job", "instance"]
    # Names of colors are of the theme that is chosen, dark or light; others are not.
    assert not re.search(r'"(#[0-9a-fA-F]{3,8}|rgba?\(.*)"', json.dumps(DASHBOARD))


@pytest.fixture
def promtool() -> Callable[..., str]:
    """Prometheus' own look at things, where there is one: what it says, if it is content."""
    program = shutil.which("promtool")
    if program is None:
        assert "CI" not in os.environ, "CI is to have it"
        pytest.skip("there is no promtool here (Debian has it in prometheus)")

    def look(*words: object) -> str:
        ran = subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=180, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    return look


def test_rulesAreValid(promtool: Callable[..., str]) -> None:
    """Prometheus takes the rules, and the example of a configuration with them."""
    assert f"{len(RULES)} rules found" in promtool("check", "rules", ETC / "prometheus-alerts.yml")
    promtool("check", "config", ETC / "prometheus.yml")


def test_rulesFireAsTheyShould(promtool: Callable[..., str]) -> None:
    """Series that are as they are in trouble fire the alert, in the words that are expected; others do not."""
    promtool("test", "rules", *CASES)


def test_eachAlertIsTried() -> None:
    """Among those are series for each rule on which it fires, and some on which it does not at any time."""
    fires, quiet = set(), set()
    for path in CASES:
        for case in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            tried = case["alert_rule_test"]
            found = {(t["alertname"], e["exp_labels"]["severity"]) for t in tried for e in t["exp_alerts"]}
            fires |= found
            if not found:
                quiet |= {t["alertname"] for t in tried}
    assert fires == {(rule["alert"], rule["labels"]["severity"]) for rule in RULES}
    assert quiet == {rule["alert"] for rule in RULES}


def test_unitLeavesTheProcessNumbers() -> None:
    """Under the systemd unit there is /proc/stat, without which prometheus_client exports none of process_*."""
    used = {selector.name for rule in RULES for selector in selectors(parse(rule["expr"]))}
    assert {"process_start_time_seconds", "process_open_fds"} <= used
    assert "ProcSubset=pid" not in (ETC / "scalemgr.service").read_text("utf-8").splitlines()


# -- what is to be done ----------------------------------------------------------------------------------------


COMMANDS = [line.strip() for line in re.findall(r"^ {4,}(\S.*)$", DOCUMENT, re.M)]


def test_logLinesAreSaid() -> None:
    """What the document greps the log for is said by some line of the code."""
    said: set[str] = set()
    for path in (ROOT / "scalemgr").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.add(node.value)
            elif isinstance(node, ast.Name):
                # The codes of refusals.
                said.add(node.id)
    patterns = [re.search(r"\| grep -E '(.*)'$", line) for line in COMMANDS if line.startswith("journalctl")]
    assert len(patterns) > 5
    for pattern in filter(None, patterns):
        for part in pattern.group(1).split("|"):
            assert any(re.search(part, text) for text in said), part


def test_commandsRun(tmp_path: Path) -> None:
    """Every line with scalemgr in the document is one that runs, beside a daemon."""
    mentioned = sorted({line for line in COMMANDS if line.startswith("scalemgr ")})
    assert mentioned
    arguments = ("--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK, "--web", LOOPBACK)
    with daemon(tmp_path, *arguments, program=TWIST) as (running, port):
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCALEMGR_WEB": f"http://127.0.0.1:{site(running)}",
            "SCALEMGR_SERVER": f"127.0.0.1:{port}",
        }
        for line in mentioned:
            words = shlex.split(line.partition(" | ")[0].replace("/var/lib/scalemgr", str(tmp_path / "ledger")))[1:]
            ran = subprocess.run(
                [sys.executable, "-m", "scalemgr", *words],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            # A demo that has only just begun need not be ready.
            assert ran.returncode == 0 or (words[0], ran.returncode) == ("status", 1), (line, ran.stderr)
