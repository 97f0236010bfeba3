"""What a person is told when MongoDB does not do as it should."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure, PyMongoError

from codeact_bot.errors import StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")

DENIED = {13, 18, 8000}
"""Codes of a server that wants another user or password."""
CHANGING = {91, 189, 10107, 11600, 11602, 13435, 13436}
"""Codes of a server that is being shut down, or is not the primary any more."""
FULL = 14031
"""Code of a server that sees its disk fill up."""
NO_SPACE = "No space left on device"
"""What a server says, under no code of its own, that could not write any more."""


class _Placed(Protocol):
    where: str


S = TypeVar("S", bound=_Placed)


def reaching(method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Turn the driver's errors into StoreUnavailable."""

    @wraps(method)
    async def reach(store: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(store, *args, **kwargs)
        except (PyMongoError, TimeoutError) as error:
            raise StoreUnavailable(phrase(error, store.where)) from error

    return reach


def address(url: str) -> str:
    """Return a MongoDB address without user, password and options."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.partition('?')[0].rpartition('@')[2]}"


def no_address(where: str) -> str:
    """Say what an address looks like."""
    return f"{where!r} is no valid MongoDB address. Write mongodb://HOST:27017/?replicaSet=NAME."


def phrase(error: BaseException, where: str) -> str:
    """Say what failed at that address, and what to do."""
    if isinstance(error, ConnectionFailure | ExecutionTimeout | TimeoutError):
        return f"Could not reach MongoDB at {where}. Is it running? ({_first_line(error)})"
    code = error.code if isinstance(error, OperationFailure) else None
    if code in CHANGING:
        return f"MongoDB at {where} is choosing a new primary. It goes on by itself. ({_first_line(error)})"
    if code in DENIED:
        return f"MongoDB at {where} refused the user or the password. Check the name, the password and `authSource` in its address."
    if code == FULL or NO_SPACE in str(error):
        return f"The disk of MongoDB at {where} is full. Make room on it."
    return f"MongoDB at {where} refused an operation. Look into its log. ({_first_line(error)})"


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:200]
