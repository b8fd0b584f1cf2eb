"""The built-in commands, found like anyone's."""

from scalemgr.commands.accounts import getAccountByLogin, mngAddAccount
from scalemgr.commands.finance import balanceIn, balanceInSync
from scalemgr.commands.groups import addGroup
from scalemgr.commands.lists import getAccountsByGroup, getGroups, getUserBalanceList, getUsersByFilter
from scalemgr.commands.requests import getRequest
from scalemgr.commands.statements import getStatement
from scalemgr.commands.streaming import ping, subscribe
from scalemgr.commands.trades import getTradeByOrder, getTradesByGroup, getTradesHistoryByLogin, mngGetTradesByFilter

__all__ = [
    "addGroup",
    "balanceIn",
    "balanceInSync",
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
    "mngGetTradesByFilter",
    "ping",
    "subscribe",
]
