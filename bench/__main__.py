"""C{make bench}, C{python -m bench}: measure, and print what was found."""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .ending import Interrupted, beEndable, held
from .machine import describe, raiseFileLimit, scratchParent
from .parts import PARTS, Part
from .processes import BenchFailed, NotHere, stopAll
from .report import Report
from .stage import DEFAULT, FULL, Plan, Stage

__all__ = ["main", "measure"]

# Processes that wanted to run in the last minute, on average; more, and the machine is not ours alone.
_BUSY = 0.7

_DESCRIPTION = """
Measure scalemgr, what it stands on, and what one would use instead; print medians, spreads, and the goals.
Takes about two minutes: a big ledger has 40,000 trades then, and what is sustained is sustained for 6 s.
With --full it has a million trades, that is a minute, memory is watched over a million deposits, and all takes longer.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """@return: the exit status: 0 if all that could be measured was, whatever came of it."""
    parser = argparse.ArgumentParser(prog="bench", description=_DESCRIPTION)
    parser.add_argument("--full", action="store_true", help="as the goals have it; takes a quarter of an hour")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        choices=[part.name for part in PARTS],
        help=f"measure this part (repeatable): {', '.join(part.name for part in PARTS)}",
    )
    parser.add_argument("--rounds", type=_count, help="how often")
    options = parser.parse_args(arguments)
    plan = FULL if options.full else DEFAULT
    if options.rounds is not None:
        plan = Plan(**{**plan.__dict__, "rounds": options.rounds})
    raiseFileLimit()
    # A sign that the output cannot show is no reason to lose what was measured.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    # So that whoever ends it ends what it started, and finds nothing left of it.
    beEndable()
    try:
        report = measure(plan, [part for part in PARTS if not options.only or part.name in options.only])
        print(json.dumps(report.forMachines(), indent=1) if options.json else "\n".join(report.lines()))
        return 1 if report.failed else 0
    except Interrupted as e:
        # Where a terminal went away there is nobody to tell.
        with suppress(OSError):
            _progress("")
            print("interrupted; everything is removed", file=sys.stderr)
        return 128 + e.number


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is less than 1")
    return count


def measure(plan: Plan, parts: Sequence[Part]) -> Report:
    """Run the parts, round by round, so that whatever else happens on the machine happens to all of them."""
    skipped = {part.name: why for part in parts if (why := part.unavailable()) is not None}
    able = [part for part in parts if part.name not in skipped]
    turns = [(f"round {n + 1} of {plan.rounds}", part) for n in range(plan.rounds) for part in able if not part.once]
    turns += [("once", part) for part in able if part.once]
    failed: dict[str, str] = {}
    busy = os.getloadavg()[0]
    scratch: Path | None = None
    try:
        with held():
            scratch = Path(tempfile.mkdtemp(prefix="scalemgr-bench-", dir=scratchParent()))
        stage = Stage(plan, scratch)
        try:
            began = time.monotonic()
            for number, (when, part) in enumerate(turns, 1):
                _progress(f"[{number}/{len(turns)}] {time.monotonic() - began:4.0f} s  {when}: {part.name}")
                if part.name in failed or part.name in skipped:
                    continue
                try:
                    part.measure(stage)
                except NotHere as e:
                    skipped[part.name] = str(e)
                except (BenchFailed, subprocess.SubprocessError, OSError) as e:
                    failed[part.name] = str(e)
            _progress("")
        finally:
            stage.close()
        names = [part.name for part in parts]
        isWhole = {part.name for part in PARTS} <= set(names)
        notes = _notes(stage, busy)
        return Report(plan, describe(scratch), stage.figures, skipped, failed, notes, names, isWhole)
    finally:
        with held():
            stopAll()
            if scratch is not None:
                shutil.rmtree(scratch, ignore_errors=True)


def _notes(stage: Stage, busy: float) -> list[str]:
    notes = []
    if busy > _BUSY:
        notes.append(f"the load average was {busy:.1f} before it began: something else takes from what is measured")
    if not stage.generator.isC:
        notes.append(f"{stage.generator.whyNotC}; the generator is in Python, and may be the bottleneck")
    if stage.cores.server is None:
        notes.append("one core only: nothing is pinned, and the generator takes from what it measures")
    else:
        notes.append(f"servers on core {stage.cores.server}, generators on core {stage.cores.generator}")
    return notes + [f"{name}: {note}" for name, note in stage.notes.items()]


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
    elif text:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
