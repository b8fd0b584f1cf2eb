"""The built-in commands, found like anyone's."""

from scalemgr.commands.accounts import getAccountByLogin, mngAddAccount
from scalemgr.commands.finance import balanceIn, balanceInSync
from scalemgr.commands.groups import addGroup
from scalemgr.commands.statements import getTradeByOrder
from scalemgr.commands.streaming import ping

__all__ = [
    "addGroup",
    "balanceIn",
    "balanceInSync",
    "getAccountByLogin",
    "getTradeByOrder",
    "mngAddAccount",
    "ping",
]
