"""A ledger whose views follow its log behind the commit: what is asked of them, and of what they do not have yet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from twisted.logger import Logger

from ..finance.masks import Sight
from ..finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from ..finance.records import Entry, FinanceTrade, StoredAccount
from ..finance.requests import KeyName
from ..interfaces import ITicket, Progress
from ..wire.codes import RetCode
from ..wire.errors import LedgerFailed
from .base import BaseLedger
from .errors import LedgerRefused, ViewsBehind
from .finding import UNREADABLE, Finder, Log, Partly, Views
from .projector import Projector
from .recent import Recent

__all__ = ["UNPROJECTED_MAX", "ViewedLedger"]

#: So many entries may wait for the projector; then the next commit does.
UNPROJECTED_MAX = 500_000

_Answer = TypeVar("_Answer")


class ViewedLedger(BaseLedger):
    """
    A ledger less its log.

    @param queryS: how long a question waits for the views to catch up, in seconds.
    @cvar unreadable: what is raised where the log or the views cannot be read.
    """

    _log = Logger()
    unreadable: tuple[type[Exception], ...]
    _projector: Projector
    _recent: Recent
    _finder: Finder

    def __init__(self, queryS: float) -> None:
        super().__init__()
        self._queryS = queryS
        self._unread: tuple[type[Exception], ...] = (*self.unreadable, ValueError, LedgerRefused)

    def _reader(self) -> Log:
        """A log to read, for the thread that asks."""
        raise NotImplementedError

    def _views(self) -> Views:
        """The views, for the thread that asks."""
        raise NotImplementedError

    def _suspect(self, why: Exception) -> None:
        """The views cannot be read, or believed."""
        raise NotImplementedError

    def _found(self) -> None:
        """The views can be read."""

    def _follow(self, log: Log, where: str, views: str) -> None:
        """
        Have the views begin, once the book is made, and remember what they do not have: of a log that has much more
        than they, once it is not so much any more.

        @param where: the log, as it is shown to people; C{views} are the views.
        @raise LedgerRefused: if there can be none.
        """
        self._projector.begin()
        head, most = self.book.seq, UNPROJECTED_MAX // 2
        self._projector.wake(head)
        while not self._projector.waitFor(head - most, self._queryS):
            if self._projector.failing:
                raise LedgerRefused(f"{views} cannot be made: {self._projector.failing}")
        self._recent = recent = Recent(min(self._projector.reached, head))
        try:
            for page in log.pages(recent.released):
                recent.add([entry for entry in page if entry.seq <= head])
                if page[-1].seq >= head:
                    break
        except self._unread as e:
            raise LedgerRefused(f"{where} is damaged after entry {recent.released}: {e}; restore it") from e
        self._finder = Finder(recent, self._reader, self._ask, self._unread)

    # -- questions --------------------------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        projector = self._projector
        return Progress(projector.reached, projector.failing, projector.restarts)

    def entries(self, after: int, limit: int) -> list[Entry]:
        return self._reader().read(after, limit)

    def forgettable(self, beforeMs: int, limit: int) -> int:
        return self._reader().olderThan(beforeMs, self.book.forgotten, limit)

    def trade(self, order: int) -> tuple[FinanceTrade, str] | None:
        # Not as for an account: whoever changes a trade waits for this, and what the views may lack is found without.
        found = self._finder.trade(order)
        # The group is the account's as of now, which either may not know yet.
        account = None if found is None else self.book.ever(found[0].login)
        return found if found is None or account is None else (found[0], account.group)

    def account(self, login: int) -> StoredAccount | None:
        return self._askNow(lambda views: views.account(login))

    def table(self, query: TableQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None) -> Table:
        return self._askNow(lambda views: views.table(query, sight, bounds, ticket), ticket)

    def statement(
        self, query: StatementQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None
    ) -> Statement | None:
        return self._askNow(lambda views: views.statement(query, sight, bounds, ticket), ticket)

    def _head(self) -> int:
        """The last entry."""
        return self.book.seq

    def _askNow(self, question: Callable[[Views], _Answer], ticket: ITicket | None = None) -> _Answer:
        """Ask the views once they have all that the log has now."""
        if ticket is not None:
            ticket.check(0)
        wanted = self._head()
        if not self._projector.waitFor(wanted, self._queryS):
            raise LedgerFailed(
                "the views are behind the log and do not catch up in time; ask again later",
                RetCode.RET_ERR_TIMEOUT,
            )
        return self._ask(wanted, question)

    def _ask(self, reached: int, question: Callable[[Views], _Answer]) -> _Answer:
        """Ask the views, which should have come as far as this entry; L{LedgerFailed} if they cannot be asked."""
        try:
            answer = self._put(question, reached)
        except self._unread as e:
            if isinstance(e, ViewsBehind) and self._projector.reached < reached:
                # Known, and no reason to suspect them.
                raise LedgerFailed("the views are being made again; ask again later") from e
            self._suspect(e)
            raise LedgerFailed(UNREADABLE) from e
        self._found()
        return answer

    def _put(self, question: Callable[[Views], _Answer], reached: int) -> _Answer:
        """Put a question to the views; L{ViewsBehind} if they are not as far as this entry."""
        views = self._views()
        if views.seq() < reached:
            raise ViewsBehind("they have less than they had")
        return question(views)

    # -- the commit -------------------------------------------------------------------------------------

    def _awaitProjector(self) -> None:
        """Of what waits for the projector the numbers are kept in memory, so it is bounded."""
        recent = self._recent
        if len(recent) < UNPROJECTED_MAX:
            return
        self._projector.waitFor(recent.released + UNPROJECTED_MAX // 2, self._queryS)
        recent.release(self._projector.reached)
        if len(recent) >= UNPROJECTED_MAX:
            raise LedgerFailed(
                "the views are too far behind the log; nothing was done, try again later", outcome="void"
            )

    def _keyed(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        found = self._finder.keyed(names)
        if isinstance(found, Partly):
            raise LedgerFailed(next(iter(found.lost.values())))
        return dict(found)

    def _known(self, names: Collection[KeyName]) -> Mapping[KeyName, Entry]:
        return self._finder.keyed(names)

    def _named(self, orders: Collection[int]) -> Mapping[int, FinanceTrade]:
        return self._finder.trades(orders)

    def _profiles(self, logins: Collection[int]) -> Mapping[int, dict[str, Any]]:
        return self._finder.profiles(logins)
