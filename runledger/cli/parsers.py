"""Parsers of options: `runledger.parameters`, with refusals as wrong use of the command line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TypeVar

import typer

from runledger import parameters
from runledger.errors import InvalidArgument

_T = TypeVar("_T")


@contextmanager
def as_usage_error(option: str | None = None) -> Iterator[None]:
    """Turn an invalid argument inside the block into wrong use of the command line: exit code 2.

    Parameters:
        option: the option that the message names, such as `--store`; parsers need none.

    Raises:
        typer.BadParameter: for the InvalidArgument that the block raised.
    """
    try:
        yield
    except InvalidArgument as e:
        raise typer.BadParameter(str(e), param_hint=option and repr(option)) from e


def _option(read: Callable[[str], _T]) -> Callable[[str], _T]:
    @wraps(read)
    def parse(text: str) -> _T:
        with as_usage_error():
            return read(text)

    return parse


nanoseconds = _option(parameters.nanoseconds)
duration = _option(parameters.duration)
moment = _option(parameters.moment)
last_moment = _option(parameters.last_moment)
before = _option(parameters.before)
position_or_moment = _option(parameters.position_or_moment)
day = _option(parameters.day)
run_id = _option(parameters.run_id)
status = _option(parameters.status)
stop_reason = _option(parameters.stop_reason)
where = _option(parameters.where)
operator = _option(parameters.operator)
order = _option(parameters.order)
feedback = _option(parameters.feedback)
callback_status = _option(parameters.callback_status)
usage_group = _option(parameters.usage_group)
percentiles_group = _option(parameters.percentiles_group)
topic = _option(parameters.topic)
share = _option(parameters.share)
dollars = _option(parameters.dollars)
