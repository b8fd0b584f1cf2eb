"""The end of a campaign: what everybody noted, compared; and what is said about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from .answers import CERTAIN, Kind
from .asked import APPROVE, DECLINE, NAMES
from .books import Account
from .check_books import checkBooks, checkOnce
from .check_keys import checkKey
from .check_log import checkBalances, checkLog, checkStrangers, checkVoids
from .check_reader import checkReader
from .history import Attempt, attempts, entriesIn, keys
from .journal import Line, Lost, Record, Trouble, read
from .subscriber import CHANNELS, seqOf

__all__ = ["OF_A_DISK", "READERS", "Evidence", "Verdict", "judge", "traces"]

#: Who reads the log of one daemon, and the events that each of them chooses.
READERS = {"reader": CHANNELS, "balances": ("balance:event",), "newcomer": CHANNELS}

#: What a traceback may end with where the disk is full.
OF_A_DISK = ("sqlite3.OperationalError: ", "[Errno 27]", "[Errno 28]")

_TRACEBACK = "Traceback (most recent call last)"
_COUNTS = ("kills", "sigterms", "stops", "full disks", "holds")


class Evidence(Struct):
    """
    What is not in the journals.

    @ivar epoch: the name of the log, as the daemon said.
    @ivar balances: what is on each account, as each daemon said at the end, if it came to that.
    @ivar done: what was done to them, and how often.
    @ivar said: what they said, a file for each start.
    @ivar wrong: what went wrong already.
    @ivar readers: who read the log, with the events that each of them chose; there is a journal of each.
    @ivar foreseen: what a traceback in what they said may end with.
    @ivar mayBeAway: could it be that the log could not be read for a while?
    """

    epoch: str = ""
    balances: Sequence[Mapping[int, Account]] = ()
    done: Mapping[str, int] = {}
    said: Sequence[Path] = ()
    wrong: list[str] = []
    readers: Mapping[str, Sequence[str]] = field(default_factory=READERS.copy)
    foreseen: Sequence[str] = OF_A_DISK
    mayBeAway: bool = False


class Verdict(Struct):
    """
    What came of it.

    @ivar counts: by name, in the order in which they are told.
    @ivar wrong: each discrepancy, in a sentence.
    """

    counts: dict[str, int]
    wrong: list[str]

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        return "\n".join([counts, *self.wrong] if self.wrong else [f"{counts}: no discrepancy"])


def judge(folder: Path, evidence: Evidence) -> Verdict:
    """Compare the journals in a folder with the ledger beside them."""
    log = entriesIn(folder / "ledger")
    journals = {path.stem: read(path) for path in sorted(folder.glob("client-*.journal"))}
    made = [attempt for name, records in journals.items() for attempt in attempts(name, records)]
    byKey = keys(made, log)
    wrong = list(evidence.wrong)
    for name, records in journals.items():
        wrong += (f"{name}: {record.text}" for record in records if isinstance(record, Trouble))
    wrong += checkLog(log)
    wrong += checkStrangers(byKey, log)
    wrong += checkBooks(log, byKey)
    wrong += checkOnce(log, byKey)
    for key in byKey.values():
        wrong += checkKey(key)
    wrong += checkVoids(made, log)
    for balances in evidence.balances:
        wrong += checkBalances(log, balances)
    readings = {name: read(folder / f"{name}.journal") for name in evidence.readers}
    for name, records in readings.items():
        wrong += checkReader(name, records, log, evidence.epoch, evidence.readers[name], evidence.mayBeAway)
    events = sum(isinstance(r, Line) and seqOf(r.line) is not None for r in readings[next(iter(readings))])
    wrong += traces(evidence.said, evidence.foreseen)
    counts = dict.fromkeys(_COUNTS, 0) | dict(evidence.done)
    counts |= {**asked(made), **tally(made, list(journals.values())), "events": events}
    return Verdict(counts, wrong)


def asked(made: Sequence[Attempt]) -> dict[str, int]:
    """How much of each kind was wanted: the repeats of a wish are not counted."""
    wishes = {
        (attempt.principal, attempt.sent.key, attempt.sent.content): attempt.sent
        for attempt in made
        if attempt.sent.kind in NAMES
    }
    kinds = Counter("change" if sent.changes else sent.kind for sent in wishes.values())
    deciders: dict[int, set[tuple[str, str]]] = {}
    for (principal, key, _), sent in wishes.items():
        if sent.kind in (APPROVE, DECLINE):
            deciders.setdefault(sent.order, set()).add((principal, key))
    contested = sum(len(keys) > 1 for keys in deciders.values())
    return {name: kinds[kind] for kind, name in NAMES.items()} | {"contested": contested}


def tally(made: Sequence[Attempt], journals: Sequence[Sequence[Record]]) -> dict[str, int]:
    """How much was asked, and what was answered how often."""
    answered = [attempt.answer for attempt in made if attempt.answer is not None]
    kinds = Counter(answer.kind for answer in answered)
    return {
        "requests": len(made),
        "unanswered": sum(len(r.numbers) for records in journals for r in records if isinstance(r, Lost)),
        "retries": _retries(made),
        "replays": sum(answer.replayed for answer in answered),
        "voids": kinds[Kind.VOID],
        "pendings": kinds[Kind.PENDING],
        "busy": kinds[Kind.BUSY],
        "refusals": kinds[Kind.REFUSED],
        "duplicates": kinds[Kind.DUPLICATE],
        "questions": kinds[Kind.STATE],
    }


def _retries(made: Sequence[Attempt]) -> int:
    """Attempts at something that was asked for before, and had no certain answer yet."""
    byContent: dict[tuple[str, str, object], list[Attempt]] = {}
    for attempt in made:
        if attempt.sent.command != "GetRequest":
            byContent.setdefault((attempt.client, attempt.sent.key, attempt.sent.content), []).append(attempt)
    count = 0
    for tries in byContent.values():
        certain = min((t.heardAt for t in tries if t.isKind(*CERTAIN)), default=None)
        count += sum(certain is None or t.sentAt < certain for t in tries) - 1
    return count


def traces(said: Sequence[Path], foreseen: Sequence[str] = OF_A_DISK) -> list[str]:
    """
    What the daemon did not foresee: it is in its log, with a traceback.

    @param foreseen: what may be in the last line of one; a disk that fails is.
    """
    found: dict[str, list[str]] = {}
    for path in said:
        for piece in path.read_text("utf-8", "replace").split(_TRACEBACK)[1:]:
            # Its lines are indented by a tab, and those of its frames by two blanks more.
            lines = [line.removeprefix("\t") for line in piece.splitlines()[1:]]
            error = next((line for line in lines if line and not line.startswith(" ")), "")
            if not any(name in error for name in foreseen):
                found.setdefault(error, []).append(path.name)
    return [f"{files[0]}: a traceback, one of {len(files)}, that ends with {e}" for e, files in found.items()]
