"""The built-in commands, found like anyone's."""

from scalemgr.commands.accounts import (
    deleteUsersList,
    getAccountByLogin,
    mngAddAccount,
    mngDeleteAccount,
    mngUpdateAccount,
)
from scalemgr.commands.approvals import (
    mngApproveFinanceRequest,
    mngApproveFinanceRequestSync,
    mngCreateFinanceRequest,
    mngCreateFinanceRequestSync,
    mngDeclineFinanceRequest,
    mngDeclineFinanceRequestSync,
)
from scalemgr.commands.corrections import deleteBalance, deleteBalanceSync, deleteCredit, deleteCreditSync
from scalemgr.commands.finance import (
    balanceIn,
    balanceInSync,
    balanceOut,
    balanceOutSync,
    creditIn,
    creditInSync,
    creditOut,
    creditOutSync,
)
from scalemgr.commands.groups import addGroup, deleteGroup, updateGroup
from scalemgr.commands.lists import getAccountsByGroup, getGroups, getUserBalanceList, getUsersByFilter
from scalemgr.commands.requests import getRequest
from scalemgr.commands.statements import getStatement
from scalemgr.commands.streaming import ping, subscribe, subscribeAll, unsubscribe, unsubscribeAll
from scalemgr.commands.trades import getTradeByOrder, getTradesByGroup, getTradesHistoryByLogin, mngGetTradesByFilter

__all__ = [
    "addGroup",
    "balanceIn",
    "balanceInSync",
    "balanceOut",
    "balanceOutSync",
    "creditIn",
    "creditInSync",
    "creditOut",
    "creditOutSync",
    "deleteBalance",
    "deleteBalanceSync",
    "deleteCredit",
    "deleteCreditSync",
    "deleteGroup",
    "deleteUsersList",
    "getAccountByLogin",
    "getAccountsByGroup",
    "getGroups",
    "getRequest",
    "getStatement",
    "getTradeByOrder",
    "getTradesByGroup",
    "getTradesHistoryByLogin",
    "getUserBalanceList",
    "getUsersByFilter",
    "mngAddAccount",
    "mngApproveFinanceRequest",
    "mngApproveFinanceRequestSync",
    "mngCreateFinanceRequest",
    "mngCreateFinanceRequestSync",
    "mngDeclineFinanceRequest",
    "mngDeclineFinanceRequestSync",
    "mngDeleteAccount",
    "mngGetTradesByFilter",
    "mngUpdateAccount",
    "ping",
    "subscribe",
    "subscribeAll",
    "unsubscribe",
    "unsubscribeAll",
    "updateGroup",
]
