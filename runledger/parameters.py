"""Parsers of values that are given as text: one function for each kind.

The command line and the server use the same parsers. They raise InvalidArgument independently of
the log, so that an invalid value is refused before anything is opened. The modules with the choices
are imported late, so that `--help` stays fast.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, get_args

from runledger.errors import InvalidArgument
from runledger.span import LONGEST

_UNITS: Final = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_UNITS.update(h=3600 * 10**9, d=86400 * 10**9)
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)")


def nanoseconds(text: str) -> int:
    """Return a duration such as `90s`, `1.5h` or `1h30m` in nanoseconds."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidArgument(
            f"expected a duration such as 500ms, 90s, 1h30m or 2d, found {text!r}"
        )
    return sum(round(float(number) * _UNITS[unit]) for number, unit in parts)


def duration(text: str) -> timedelta:
    """Return a duration such as `90s` as a timedelta of `LONGEST` at most."""
    if (ns := nanoseconds(text)) > LONGEST.days * _UNITS["d"]:
        raise InvalidArgument(f"expected {LONGEST.days} days at most, found {text!r}")
    return timedelta(microseconds=ns / 1000)


def moment(text: str) -> datetime:
    """Return a time in ISO 8601; one without a zone is UTC, a date alone is its first moment."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(
            f"expected a time such as 2025-08-01 or 2025-08-01T12:00:00Z, found {text!r}"
        ) from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def last_moment(text: str) -> datetime:
    """Return a time that is an inclusive end: a date alone is its last moment."""
    given = moment(text)
    return datetime.combine(given, time.max, UTC) if _is_day(text) else given


def before(text: str) -> datetime:
    """Return a time that is an exclusive end: a date alone is the beginning of the next one."""
    given = moment(text)
    if not _is_day(text):
        return given
    # The last year that Python can represent is not used.
    return given + timedelta(days=1) if given.year < date.max.year else given


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def position_or_moment(text: str) -> int | datetime:
    """Return a position of the log, or a time as in `last_moment`."""
    return int(text) if text.isdecimal() else last_moment(text)


def day(text: str) -> date:
    """Return a day in ISO 8601."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f"expected a day such as 2025-08-01, found {text!r}") from None


def run_id(text: str) -> str:
    """Return the id of a run."""
    from runledger.ids import check_id

    return check_id("run", text)


def status(text: str) -> str:
    """Return the status of a run."""
    from projections.queries.statuses import Status

    return _one_of(get_args(Status), text)


def stop_reason(text: str) -> str:
    """Return the reason of an end."""
    from runledger.events import StopReason

    return _one_of(get_args(StopReason), text)


def where(text: str) -> str:
    """Return a condition in the filter language, as the text that was given."""
    from projections.queries.where.expression import read

    read(text)
    return text


def operator(text: str) -> str:
    """Return a comparison operator of numbers."""
    from projections.queries.run_filter import Operator

    return _one_of(get_args(Operator), text)


def order(text: str) -> str:
    """Return the order of a list of runs."""
    from projections.queries.run_filter import SortKey

    return _one_of(get_args(SortKey), text)


def feedback(text: str) -> str:
    """Return the feedback on a run."""
    from runledger.events import Feedback

    return _one_of(get_args(Feedback), text)


def callback_status(text: str) -> str:
    """Return the status of a callback."""
    from projections.queries.callbacks import CALLBACK_STATUSES

    return _one_of(CALLBACK_STATUSES, text)


def usage_group(text: str) -> str:
    """Return the grouping of token totals."""
    from projections.queries.queries import USAGE_GROUPS

    return _one_of(USAGE_GROUPS, text)


def percentiles_group(text: str) -> str:
    """Return the grouping of durations."""
    from projections.queries.queries import PERCENTILES_GROUPS

    return _one_of(PERCENTILES_GROUPS, text)


def topic(text: str) -> str:
    """Return the topic of an event."""
    from runledger.events import CATALOGUE

    return _one_of(CATALOGUE, text)


def share(text: str) -> str:
    """Return a share of rows, as the text that was given."""
    from projections.compare.comparison import share

    share(text)
    return text


def _one_of(names: Iterable[str], text: str) -> str:
    known = tuple(names)
    if text not in known:
        raise InvalidArgument(f"expected any of {', '.join(known)}, found {text!r}")
    return text


def dollars(text: str) -> Decimal:
    """Return an amount in US dollars, such as `25`, `25USD` or `0.50 USD`.

    Parameters:
        text: the amount, 0 or more.

    Raises:
        InvalidArgument: for anything else.
    """
    try:
        amount = Decimal(text.upper().removesuffix("USD").strip())
    except ArithmeticError:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise InvalidArgument(f"expected US dollars such as 25USD, found {text!r:.40}")
    return amount
