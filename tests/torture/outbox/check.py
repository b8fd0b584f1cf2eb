"""Was each payment of the list deposited once, exactly, and was the client told so?"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct, field

from ..asked import MOVES
from ..books import BOOKED
from ..history import Entry
from .notes import Began, Doubt, Note, Told
from .payments import Payment

__all__ = ["Deposit", "Evidence", "Leaving", "check", "depositsOf"]


class Deposit(Struct, frozen=True):
    """A deposit that the log has. Its comment is the reference of its payment."""

    reference: str
    key: str | None
    order: int
    login: int
    amount: Decimal
    isDeposit: bool = True


class Leaving(Struct, frozen=True):
    """
    What a client left when it was killed.

    @ivar unheard: the references of what was booked by then, or soon after, and no client was told of.
    @ivar kept: the keys that its outbox had, certain or not.
    @ivar unfinished: those that were not certain, oldest first.
    """

    unheard: frozenset[str]
    kept: frozenset[str]
    unfinished: list[str]


class Evidence(Struct):
    """
    What is to be judged.

    @ivar payments: the list.
    @ivar deposits: what the log has, in its order.
    @ivar notes: of each client, from the first to the last.
    @ivar leavings: of each client that was killed, if it was careful, by its number from 1.
    @ivar unfinished: the keys that are in the outbox at the end and not certain.
    @ivar balances: what is on each account, as the daemon says, and how often that has changed.
    @ivar isWhole: did it come to an end? Else what is not there may only not be there yet.
    """

    payments: Sequence[Payment]
    deposits: Sequence[Deposit]
    notes: Sequence[Sequence[Note]] = ()
    leavings: dict[int, Leaving] = field(default_factory=dict)
    unfinished: Sequence[str] = ()
    balances: dict[int, tuple[Decimal, int]] = field(default_factory=dict)
    isWhole: bool = True


def depositsOf(log: Sequence[Entry]) -> list[Deposit]:
    """Whatever has to do with money in a log."""
    found = []
    for entry in log:
        if entry.isTrade:
            data = json.loads(entry.data, parse_float=Decimal)
            isDeposit = (entry.type, data["cmd"], data["state"]) == (0, MOVES["BalanceIn"], BOOKED)
            amount = Decimal(data["profit"])
            found.append(Deposit(data["comment"], entry.key, entry.order, entry.login, amount, isDeposit))
    return found


def check(evidence: Evidence) -> list[str]:
    """Each discrepancy, in a sentence."""
    wrong = [*_checkDeposits(evidence), *_checkNotes(evidence), *_checkLeavings(evidence)]
    return wrong + (_checkEnd(evidence) if evidence.isWhole else [])


def _checkDeposits(evidence: Evidence) -> list[str]:
    wrong = []
    found: dict[str, list[Deposit]] = defaultdict(list)
    for deposit in evidence.deposits:
        found[deposit.reference].append(deposit)
    for payment in evidence.payments:
        deposits = found.pop(payment.reference, [])
        name = payment.reference
        if len(deposits) > 1:
            orders = ", ".join(str(deposit.order) for deposit in deposits)
            wrong.append(f"{name} was deposited {len(deposits)} times, as the orders {orders}")
        for deposit in deposits:
            what = f"order {deposit.order} of {name}"
            if not deposit.isDeposit:
                wrong.append(f"{what} is no deposit")
            if (deposit.login, deposit.amount) != (payment.login, Decimal(payment.amount)):
                wrong.append(
                    f"{what} is of {deposit.amount} on login {deposit.login}, "
                    f"not of {payment.amount} on login {payment.login}"
                )
            if deposit.key != name:
                wrong.append(f"{what} was booked under the key {deposit.key}")
    for name, deposits in found.items():
        wrong += [f"order {deposit.order} of {name!r} is not in the list" for deposit in deposits]
    return wrong


def _checkEnd(evidence: Evidence) -> list[str]:
    booked = {deposit.reference for deposit in evidence.deposits}
    told = {note.reference for notes in evidence.notes for note in notes if isinstance(note, Told)}
    names = [payment.reference for payment in evidence.payments]
    wrong = [f"{name} is missing: no deposit has it" for name in names if name not in booked]
    wrong += [f"no client was told of {name}" for name in names if name not in told]
    wrong += [f"{name} is in the outbox at the end, and not certain" for name in evidence.unfinished]
    last = evidence.notes[-1] if evidence.notes else ()
    left = {name for note in last if isinstance(note, Began) for name in note.left}
    late = {note.reference for note in last if isinstance(note, (Told, Doubt)) and note.isLate}
    wrong += [f"{name} was left in the outbox, and nobody told what became of it" for name in sorted(left - late)]
    return wrong + _checkBalances(evidence)


def _checkBalances(evidence: Evidence) -> list[str]:
    expected: dict[int, tuple[Decimal, int]] = dict.fromkeys(evidence.balances, (Decimal(0), 0))
    for payment in evidence.payments:
        balance, version = expected.get(payment.login, (Decimal(0), 0))
        expected[payment.login] = (balance + Decimal(payment.amount), version + 1)
    return [
        f"login {login} has {_words(evidence.balances.get(login))}, and the list comes to {_words(sum_)}"
        for login, sum_ in expected.items()
        if evidence.balances.get(login) != sum_
    ]


def _words(account: tuple[Decimal, int] | None) -> str:
    return "nothing known" if account is None else f"{account[0].normalize():f} after {account[1]} changes"


def _checkNotes(evidence: Evidence) -> list[str]:
    wrong = []
    deposits = {(deposit.reference, deposit.order): deposit for deposit in evidence.deposits}
    for n, notes in enumerate(evidence.notes, 1):
        for note in notes:
            if isinstance(note, Doubt) and note.isRefused:
                wrong.append(f"client {n}: {note.reference} was refused: {note.why}")
            elif isinstance(note, Told):
                deposit = deposits.get((note.reference, note.order))
                if deposit is None:
                    wrong.append(f"client {n}: {note.reference} is order {note.order}, it was told; there is none")
                elif (note.login, Decimal(repr(note.profit))) != (deposit.login, deposit.amount):
                    wrong.append(
                        f"client {n}: {note.reference} is of {note.profit} on login {note.login}, it was told; "
                        f"it is of {deposit.amount} on login {deposit.login}"
                    )
    return wrong


def _checkLeavings(evidence: Evidence) -> list[str]:
    wrong = []
    for n, leaving in evidence.leavings.items():
        lost = sorted(leaving.unheard - leaving.kept)
        wrong += [f"client {n}: {name} was booked, and was not in the outbox" for name in lost]
        next_ = evidence.notes[n] if n < len(evidence.notes) else ()
        # There is no such note if it was killed before it had opened the outbox.
        found = [note.left for note in next_ if isinstance(note, Began)]
        if found and found[0] != leaving.unfinished:
            wrong.append(f"client {n} left {leaving.unfinished} in the outbox, and the next one found {found[0]}")
    return wrong
