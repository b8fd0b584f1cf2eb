"""Every command that scalemgr declares: its parameters and its answer, for people, editors and type checkers.

Made from the declarations by C{python -m tests.client.declaring}, and held to them by a test. What is left out, or
C{None}, is not sent. C{deadline} is how long to wait, in seconds; without one it is the client's.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Any

from ..commands.answers import (
    Accepted,
    Account,
    Accounts,
    AccountSaid,
    Deleted,
    Done,
    GroupSaid,
    Pong,
    RequestState,
    Rows,
    StatementSaid,
    Table,
    Trade,
    TradeFields,
    Trades,
)
from .calling import Calling, Money, declared

__all__ = ["Commands"]


class Commands(Calling):
    """The commands, as attributes of a client."""

    @declared
    def BalanceIn(
        self,
        *,
        login: int,
        amount: Money,
        comment: str | None = None,
        order: int | None = None,
        open_time: int | None = None,
        close_time: int | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Accepted:
        """Deposit money, or change a deposit; answers with the order once it is booked."""

    @declared
    def BalanceInSync(
        self,
        *,
        login: int,
        amount: Money,
        comment: str | None = None,
        order: int | None = None,
        open_time: int | None = None,
        close_time: int | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Trade:
        """Deposit money, or change a deposit; answers with the trade once it is booked."""

    @declared
    def BalanceOut(
        self,
        *,
        login: int,
        amount: Money,
        comment: str | None = None,
        order: int | None = None,
        open_time: int | None = None,
        close_time: int | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Accepted:
        """Withdraw money, or change a withdrawal; answers with the order once it is booked."""

    @declared
    def BalanceOutSync(
        self,
        *,
        login: int,
        amount: Money,
        comment: str | None = None,
        order: int | None = None,
        open_time: int | None = None,
        close_time: int | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Trade:
        """Withdraw money, or change a withdrawal; answers with the trade once it is booked."""

    @declared
    def CreditIn(
        self,
        *,
        login: int,
        amount: Money,
        comment: str,
        order: int | None = None,
        open_time: int | None = None,
        close_time: int | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Accepted:
        """Grant credit, or change what was granted; answers with the order once it is booked."""

    @declared
    def CreditInSync(
        self,
        *,
        login: int,
        amount: Money,
        comment: str,
        order: int | None = None,
        open_time: int | None = None,
        close_time: int | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Trade:
        """Grant credit, or change what was granted; answers with the trade once it is booked."""

    @declared
    def CreditOut(
        self,
        *,
        login: int,
        amount: Money,
        comment: str,
        order: int | None = None,
        open_time: int | None = None,
        close_time: int | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Accepted:
        """Take credit, or change what was taken; answers with the order once it is booked."""

    @declared
    def CreditOutSync(
        self,
        *,
        login: int,
        amount: Money,
        comment: str,
        order: int | None = None,
        open_time: int | None = None,
        close_time: int | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Trade:
        """Take credit, or change what was taken; answers with the trade once it is booked."""

    @declared
    def DeleteBalance(
        self,
        *,
        order: int,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Accepted:
        """Take a deposit or a withdrawal back; answers with the order once it is booked."""

    @declared
    def DeleteBalanceSync(
        self,
        *,
        order: int,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Trade:
        """Take a deposit or a withdrawal back; answers with the trade once it is booked."""

    @declared
    def DeleteCredit(
        self,
        *,
        order: int,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Accepted:
        """Take a movement of credit back; answers with the order once it is booked."""

    @declared
    def DeleteCreditSync(
        self,
        *,
        order: int,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Trade:
        """Take a movement of credit back; answers with the trade once it is booked."""

    @declared
    def MngCreateFinanceRequest(
        self,
        *,
        login: int,
        cmd: int,
        amount: Money,
        comment: str | None = None,
        open_time: int | None = None,
        reason: int | None = None,
        gw_order: int | None = None,
        gw_source: str | None = None,
        gw_uuid: str | None = None,
        api_data: str | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Accepted:
        """Ask for a movement of money, which awaits approval; answers with the order once it is booked."""

    @declared
    def MngCreateFinanceRequestSync(
        self,
        *,
        login: int,
        cmd: int,
        amount: Money,
        comment: str | None = None,
        open_time: int | None = None,
        reason: int | None = None,
        gw_order: int | None = None,
        gw_source: str | None = None,
        gw_uuid: str | None = None,
        api_data: str | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Trade:
        """Ask for a movement of money, which awaits approval; answers with the trade once it is booked."""

    @declared
    def MngApproveFinanceRequest(
        self,
        *,
        order: int,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Accepted:
        """Approve a request for money, which books it; answers with the order once it is booked."""

    @declared
    def MngApproveFinanceRequestSync(
        self,
        *,
        order: int,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Trade:
        """Approve a request for money, which books it; answers with the trade once it is booked."""

    @declared
    def MngDeclineFinanceRequest(
        self,
        *,
        order: int,
        comment: str | None = None,
        api_data: str | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Accepted:
        """Decline a request for money; answers with the order once it is booked."""

    @declared
    def MngDeclineFinanceRequestSync(
        self,
        *,
        order: int,
        comment: str | None = None,
        api_data: str | None = None,
        idempotency_key: str | None = None,
        timeout_ms: int | None = None,
        deadline: float | None = None,
    ) -> Trade:
        """Decline a request for money; answers with the trade once it is booked."""

    @declared
    def MngAddAccount(
        self,
        *,
        group: str,
        name: str,
        password: str,
        leverage: int,
        enable: int,
        email: str,
        login: int | None = None,
        comment: str | None = None,
        country: str | None = None,
        city: str | None = None,
        state: str | None = None,
        zipcode: str | None = None,
        address: str | None = None,
        phone: str | None = None,
        id: str | None = None,
        lead_source: str | None = None,
        user_color: str | None = None,
        enable_read_only: int | None = None,
        enable_change_password: int | None = None,
        send_reports: int | None = None,
        magic: int | None = None,
        customer_id: int | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> AccountSaid:
        """Open an account in a group."""

    AddUser = MngAddAccount

    @declared
    def MngUpdateAccount(
        self,
        *,
        login: int,
        group: str,
        name: str,
        email: str,
        leverage: int,
        enable: int,
        comment: str | None = None,
        country: str | None = None,
        city: str | None = None,
        state: str | None = None,
        zipcode: str | None = None,
        address: str | None = None,
        phone: str | None = None,
        id: str | None = None,
        lead_source: str | None = None,
        user_color: str | None = None,
        enable_read_only: int | None = None,
        enable_change_password: int | None = None,
        send_reports: int | None = None,
        magic: int | None = None,
        customer_id: int | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> AccountSaid:
        """Change an account's profile, its group (to one of the same currency), or whether it is enabled."""

    UpdateUser = MngUpdateAccount

    @declared
    def MngDeleteAccount(
        self,
        *,
        login: int,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> Done:
        """Close an account for good, if nothing is on it and nothing awaits approval."""

    DeleteUser = MngDeleteAccount

    @declared
    def DeleteUsersList(
        self,
        *,
        logins: list[int],
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> Deleted:
        """Close each of these accounts that can be closed: 200 all, 207 some, 409 none of them."""

    @declared
    def GetAccountByLogin(
        self,
        *,
        login: int,
        deadline: float | None = None,
    ) -> Account:
        """An account: its profile, and, for who may see that, its balance and credit."""

    @declared
    def AddGroup(
        self,
        *,
        group: str,
        currency: str,
        floor: Money | None = None,
        enable: int | None = None,
        company: str | None = None,
        brand: str | None = None,
        grp_index: int | None = None,
        timeout: int | None = None,
        account_mode: int | None = None,
        public_opening: int | None = None,
        default_leverage: int | None = None,
        default_deposit: float | None = None,
        credit: float | None = None,
        margin_call: int | None = None,
        margin_mode: int | None = None,
        margin_type: int | None = None,
        margin_stopout: int | None = None,
        interestrate: float | None = None,
        use_swap: int | None = None,
        hedge_prohibited: int | None = None,
        hedge_largeleg: int | None = None,
        maxpositions: int | None = None,
        partial_close: int | None = None,
        allow_sl_tp_slippage: int | None = None,
        stopout_skip_hedged: int | None = None,
        archive_pending_period: int | None = None,
        close_reopen: int | None = None,
        secgroups: list[dict[str, Any]] | None = None,
        secmargins: list[dict[str, Any]] | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> GroupSaid:
        """Make a group of accounts in one currency."""

    @declared
    def UpdateGroup(
        self,
        *,
        group: str,
        currency: str,
        floor: Money | None = None,
        enable: int | None = None,
        company: str | None = None,
        brand: str | None = None,
        grp_index: int | None = None,
        timeout: int | None = None,
        account_mode: int | None = None,
        public_opening: int | None = None,
        default_leverage: int | None = None,
        default_deposit: float | None = None,
        credit: float | None = None,
        margin_call: int | None = None,
        margin_mode: int | None = None,
        margin_type: int | None = None,
        margin_stopout: int | None = None,
        interestrate: float | None = None,
        use_swap: int | None = None,
        hedge_prohibited: int | None = None,
        hedge_largeleg: int | None = None,
        maxpositions: int | None = None,
        partial_close: int | None = None,
        allow_sl_tp_slippage: int | None = None,
        stopout_skip_hedged: int | None = None,
        archive_pending_period: int | None = None,
        close_reopen: int | None = None,
        secgroups: list[dict[str, Any]] | None = None,
        secmargins: list[dict[str, Any]] | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> GroupSaid:
        """Change a group, or make it if there is none; what is left out stays as it is."""

    @declared
    def DeleteGroup(
        self,
        *,
        group: str,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> Done:
        """Remove a group in which there is no account."""

    @declared
    def GetAccountsByGroup(
        self,
        *,
        group_mask: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        deadline: float | None = None,
    ) -> Table:
        """The accounts of some groups."""

    @declared
    def GetUsersByFilter(
        self,
        *,
        groupFilter: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where: list[Any] | None = None,
        whereNot: list[Any] | None = None,
        whereIn: list[Any] | None = None,
        whereNotIn: list[Any] | None = None,
        whereBetween: list[Any] | None = None,
        whereNotBetween: list[Any] | None = None,
        orderBy: list[Any] | None = None,
        deadline: float | None = None,
    ) -> Accounts:
        """Accounts by a filter, and what is on all that match."""

    @declared
    def GetUserBalanceList(
        self,
        *,
        logins: list[int],
        deadline: float | None = None,
    ) -> Rows:
        """What is on these accounts; those that do not exist are left out."""

    @declared
    def GetGroups(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        deadline: float | None = None,
    ) -> Rows:
        """The groups that the caller may see, each with all that is known of it."""

    @declared
    def GetTradeByOrder(
        self,
        *,
        order: int,
        deadline: float | None = None,
    ) -> TradeFields:
        """A trade by its number."""

    @declared
    def GetTradesHistoryByLogin(
        self,
        *,
        login: int,
        from_: int,
        to: int,
        limit: int | None = None,
        offset: int | None = None,
        deadline: float | None = None,
    ) -> Table:
        """What was booked on an account and not taken back, by its close_time."""

    @declared
    def GetTradesByGroup(
        self,
        *,
        group_mask: str,
        open_only: int | None = None,
        limit: int | None = None,
        offset: int | None = None,
        deadline: float | None = None,
    ) -> Table:
        """The trades of some groups: all there are, or those that are not decided yet."""

    @declared
    def MngGetTradesByFilter(
        self,
        *,
        groupFilter: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where: list[Any] | None = None,
        whereNot: list[Any] | None = None,
        whereIn: list[Any] | None = None,
        whereNotIn: list[Any] | None = None,
        whereBetween: list[Any] | None = None,
        whereNotBetween: list[Any] | None = None,
        orderBy: list[Any] | None = None,
        tradeType: int | None = None,
        deadline: float | None = None,
    ) -> Trades:
        """Trades by a filter, and what all that match come to."""

    @declared
    def GetStatement(
        self,
        *,
        login: int,
        from_: int | None = None,
        to: int | None = None,
        limit: int | None = None,
        after_seq: int | None = None,
        as_of: int | None = None,
        newest_first: bool | None = None,
        deadline: float | None = None,
    ) -> StatementSaid:
        """The movements on an account, in the order of the log, between what it had before and what it had after."""

    @declared
    def GetRequest(
        self,
        *,
        idempotency_key: str | None = None,
        extID: str | int | float | None = None,
        deadline: float | None = None,
    ) -> RequestState:
        """How far a request of yours is: unknown, queued, pending, done or refused."""

    @declared
    def Ping(
        self,
        *,
        deadline: float | None = None,
    ) -> Pong:
        """The server's time, and the name and the head of the log: tells a quiet log from a dead line."""
