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
from scalemgr.commands.requests import getRequest
from scalemgr.commands.statements import getTradeByOrder
from scalemgr.commands.streaming import ping, subscribe, subscribeAll, unsubscribe, unsubscribeAll

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
    "getRequest",
    "getTradeByOrder",
    "mngAddAccount",
    "mngApproveFinanceRequest",
    "mngApproveFinanceRequestSync",
    "mngCreateFinanceRequest",
    "mngCreateFinanceRequestSync",
    "mngDeclineFinanceRequest",
    "mngDeclineFinanceRequestSync",
    "mngDeleteAccount",
    "mngUpdateAccount",
    "ping",
    "subscribe",
    "subscribeAll",
    "unsubscribe",
    "unsubscribeAll",
    "updateGroup",
]
