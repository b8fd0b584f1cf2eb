"""The built-in commands, found like anyone's."""

from scalemgr.commands.accounts import getAccountByLogin, mngAddAccount
from scalemgr.commands.finance import balanceIn, balanceInSync
from scalemgr.commands.groups import addGroup
from scalemgr.commands.requests import getRequest
from scalemgr.commands.statements import getTradeByOrder
from scalemgr.commands.streaming import ping, subscribe, subscribeAll, unsubscribe, unsubscribeAll

__all__ = [
    "addGroup",
    "balanceIn",
    "balanceInSync",
    "getAccountByLogin",
    "getRequest",
    "getTradeByOrder",
    "mngAddAccount",
    "ping",
    "subscribe",
    "subscribeAll",
    "unsubscribe",
    "unsubscribeAll",
]
