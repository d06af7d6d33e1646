"""Words of the ledger as options take them: each function is a parser, and says what it expected.

A value that no ledger could take is wrong use of the command line, whatever the log holds, so it is
refused before anything is opened.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import get_args

import typer


@contextmanager
def taken_from_the_line(option: str | None = None) -> Iterator[None]:
    """Say of what the ledger calls an invalid argument that the line is wrong: exit code 2.

    A parser need not name its option.
    """
    from runledger.errors import InvalidArgument

    try:
        yield
    except InvalidArgument as e:
        raise typer.BadParameter(str(e), param_hint=option and repr(option)) from e


def run_id(text: str) -> str:
    """Return the id of a run."""
    from runledger.ids import check_id

    with taken_from_the_line():
        return check_id("run", text)


def status(text: str) -> str:
    """Return the status of a run."""
    from projections.queries.run_filter import Status

    return _one_of(get_args(Status), text)


def stop_reason(text: str) -> str:
    """Return the reason of an end."""
    from runledger.events import StopReason

    return _one_of(get_args(StopReason), text)


def operator(text: str) -> str:
    """Return how two numbers are compared."""
    from projections.queries.run_filter import Operator

    return _one_of(get_args(Operator), text)


def order(text: str) -> str:
    """Return what a list of runs is ordered by."""
    from projections.queries.run_filter import Order

    return _one_of(get_args(Order), text)


def callback_status(text: str) -> str:
    """Return the status of a callback."""
    from runledger.ledger.callbacks import CallbackStatus

    return _one_of(get_args(CallbackStatus), text)


def usage_group(text: str) -> str:
    """Return what token totals are grouped by."""
    from projections.queries.queries import USAGE_GROUPS

    return _one_of(USAGE_GROUPS, text)


def percentiles_group(text: str) -> str:
    """Return what durations are grouped by."""
    from projections.queries.queries import PERCENTILES_GROUPS

    return _one_of(PERCENTILES_GROUPS, text)


def topic(text: str) -> str:
    """Return the topic of an event."""
    from runledger.events import CATALOGUE

    return _one_of(CATALOGUE, text)


def share(text: str) -> str:
    """Return a share of rows, as it is written."""
    from projections.compare.comparison import share

    with taken_from_the_line():
        share(text)
    return text


def _one_of(names: Iterable[str], text: str) -> str:
    known = tuple(names)
    if text not in known:
        raise typer.BadParameter(f"expected any of {', '.join(known)}, found {text!r}")
    return text
