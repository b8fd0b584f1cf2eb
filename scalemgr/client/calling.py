"""What makes C{client.BalanceInSync(...)} a call, in each of the three ways, with its types.

A command is declared once (L{scalemgr.client.commands}), by its parameters and its answer. What comes of calling it
depends on whose attribute it is: the answer itself, something to await, or a Deferred.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, TypeVar, Union, overload

from .declared import CHOOSING, suggestion

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

__all__ = ["Awaiting", "Blocking", "Calling", "Deferring", "Money", "Token", "declared"]

#: An amount: a C{str} such as C{"250.00"} or a C{Decimal} is exact; a C{float} is read at 15 significant digits.
Money = Union[int, float, str, Decimal]

#: A token, or what fetches one: it is called for each connection, and when the one before is not accepted any more.
Token = Union[str, Callable[[], Union[str, Awaitable[str]]], None]

_P = ParamSpec("_P")
_Answer = TypeVar("_Answer")


class Calling:
    """What has commands as attributes."""

    def _command(self, command: str, /, *, deadline: float | None = None, **given: Any) -> Any:
        """Call a command that is declared, with its parameters by name."""
        raise NotImplementedError

    if not TYPE_CHECKING:  # A type checker is to see that there are no others.

        def __getattr__(self, name: str) -> NoReturn:
            if name in CHOOSING:
                raise AttributeError(f"{name} is not for callers: who asks for events is sent them, and nobody else")
            words = f"{type(self).__name__} has no {name}{suggestion(name)}"
            if name[:1].isupper():
                words += f" (a command of a plugin is called with call({name!r}, data))"
            raise AttributeError(words)


class Blocking(Calling):
    """Its commands return their answers."""


class Awaiting(Calling):
    """Its commands are awaited."""


class Deferring(Calling):
    """Its commands return Deferreds."""


class declared(Generic[_P, _Answer]):
    """A command, by its signature."""

    def __init__(self, signature: Callable[Concatenate[Any, _P], _Answer]) -> None:
        self._name = self.__name__ = signature.__name__
        self.__doc__ = signature.__doc__
        self.__wrapped__ = signature

    @overload
    def __get__(self, client: Blocking, owner: Any = None) -> Callable[_P, _Answer]: ...

    @overload
    def __get__(self, client: Awaiting, owner: Any = None) -> Callable[_P, Coroutine[Any, Any, _Answer]]: ...

    @overload
    def __get__(self, client: Deferring, owner: Any = None) -> Callable[_P, Deferred[_Answer]]: ...

    @overload
    def __get__(self, client: None, owner: Any = None) -> declared[_P, _Answer]: ...

    def __get__(self, client: Calling | None, owner: Any = None) -> Any:
        return self if client is None else partial(client._command, self._name)
