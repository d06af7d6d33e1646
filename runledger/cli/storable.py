"""Refuses values of the command line that cannot be stored: text that is not UTF-8, huge
numbers."""

from collections.abc import Callable
from typing import Any, Final

import typer

LARGEST: Final = 2**63 - 1
"""The largest whole number of every database that the ledger uses."""
_Callback = Callable[[Any, Any, Any], Any]


def expect_storable(command: Any) -> None:
    """Make a command, or each one of a group, refuse such values as wrong use: exit code 2.

    A pathlib.Path is not checked: a file's name may have any bytes.

    Parameters:
        command: the command made by typer; its parameters get an additional callback.
    """
    for part in getattr(command, "commands", {}).values():
        expect_storable(part)
    for parameter in command.params:
        parameter.callback = _checked(parameter.callback)


def _checked(callback: _Callback | None) -> _Callback:
    def check(ctx: Any, parameter: Any, value: Any) -> Any:
        several = isinstance(value, list | tuple)
        for one in value if several else (value,):
            if (found := _fault(one)) is not None:
                raise typer.BadParameter(found, ctx=ctx, param=parameter)
        return value if callback is None else callback(ctx, parameter, value)

    return check


def _fault(value: Any) -> str | None:
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"expected a number of 64 bits, {LARGEST} at most, found {str(value)[:40]}"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as e:
            return f"expected text in UTF-8, found {value!r:.80} (character {e.start + 1})"
    return None
