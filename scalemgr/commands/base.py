"""How a command is made: a declaration and a few lines.

::

    class Greeting(Struct, frozen=True):
        name: str = "world"

    @command("Greet", roles=STAFF)
    def greet(context: IContext, params: Greeting) -> dict[str, str]:
        \"\"\"Say hello.\"\"\"
        return {"text": f"hello {params.name}"}

The name C{greet} in a drop-in (C{twisted/plugins/*.py}) of any installed package is all that it takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Union, get_type_hints

from msgspec import Struct
from twisted.plugin import IPlugin
from zope.interface import implementer

from ..interfaces import About, ICommand, IContext
from ..wire.codes import SessionType

__all__ = ["FLAGS", "READERS", "STAFF", "Answer", "Command", "command"]

#: Managers, dealers and admins: those who may call finance commands, and who get events.
STAFF = frozenset({SessionType.SESSION_MANAGER, SessionType.SESSION_DEALER, SessionType.SESSION_ADMIN})

#: Those, and the user of an account, who sees nothing but that.
READERS = STAFF | {SessionType.SESSION_USER}

#: The published flags of managers (C{wire.md} 1.7) that mean something here. A token that has one as 0 may not:
FLAGS = {
    "see_accounts": "see accounts and groups, C{user:event} and C{group:event}",
    "set_accounts": "open and change accounts, make and change groups",
    "del_accounts": "delete accounts and groups",
    "see_accounts_balance": "see what is on accounts, and what makes it: balances, the profit of trades, statements, "
    "C{balance:event}, C{trade:event}",
    "set_accounts_balance": "move money",
    "del_accounts_balance": "take movements of money back",
    "see_trades": "see trades; C{trade:event} takes C{see_accounts_balance} as well",
    "set_finance": "make requests for money, which await approval",
    "approve_finance": "approve them",
    "decline_finance": "decline them",
}

#: What a handler returns; see L{ICommand.run}.
Answer = Union[Mapping[str, Any], Awaitable[Mapping[str, Any]]]
_Handler = Callable[[IContext, Any], Answer]


@implementer(ICommand, IPlugin)
class Command:
    """A command made of a function. See L{command}."""

    def __init__(
        self,
        name: str,
        handler: _Handler,
        params: type[Struct],
        roles: frozenset[int],
        aliases: tuple[str, ...] = (),
        denied: str | None = None,
        flags: frozenset[str] = frozenset(),
        about: About | None = None,
    ) -> None:
        unknown = flags - FLAGS.keys()
        if unknown:
            raise ValueError(f"{name} takes flags that there are not: {', '.join(sorted(unknown))}")
        self.name = name
        self.handler = handler
        self.params = params
        self.roles = roles
        self.aliases = aliases
        self.denied = denied
        self.flags = flags
        self.about = about or About()
        self.summary = (handler.__doc__ or "").strip().partition("\n")[0]
        self.__module__ = handler.__module__

    def run(self, context: IContext, params: Any) -> Answer:
        return self.handler(context, params)

    def __repr__(self) -> str:
        return f"<command {self.name} of {self.__module__}>"


def command(
    name: str,
    *,
    roles: frozenset[int] = STAFF,
    flags: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    denied: str | None = None,
    about: About | None = None,
) -> Callable[[_Handler], Command]:
    """
    Make a function a command. Its parameters are the Struct with which its argument C{params} is annotated,
    its summary is the first line of its docstring.
    """

    def decorate(handler: _Handler) -> Command:
        params = get_type_hints(handler)["params"]
        return Command(name, handler, params, frozenset(roles), aliases, denied, frozenset(flags), about)

    return decorate
