"""enforce_types: a wrong Python type is refused before anything is read or written."""

import inspect
from collections.abc import Callable
from functools import wraps
from types import UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

_P = ParamSpec("_P")
_T = TypeVar("_T")


def enforce_types(method: Callable[_P, _T]) -> Callable[_P, _T]:
    """Check every argument against its annotation; a wrong one is a ValueError that names it."""
    signature = inspect.signature(method)
    hints = get_type_hints(method)

    @wraps(method)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            hint = hints.get(name)
            if hint is not None and not _fits(value, hint):
                raise ValueError(f"Argument {name} does not match type {hint}; is {value!r:.200}")
        return method(*args, **kwargs)

    return checked


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict)
    if isinstance(value, bool):
        # True is an int in Python, but not a number for a caller.
        return hint is bool
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, hint)
