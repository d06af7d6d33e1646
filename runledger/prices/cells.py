"""A model's prices cut into cells: in each, one price of every unit holds for every call.

A cell is a span of days, of times of the day and of input sizes. So a cost needs one cell, and no
comparison of rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple

from runledger.prices.money import pico_per_token
from runledger.prices.table import Price, Unit

STANDARD: Final = frozenset({"", "standard", "default", "auto", "on_demand", "ondemand"})
"""The service tiers that pay the standard price."""
NO_TIER: Final = "service_tier_without_price"
READ_AS_INPUT: Final = "cache_read_at_input_price"
WRITE_AS_INPUT: Final = "cache_write_at_input_price"
HOUR_AS_WRITE: Final = "cache_write_1h_at_cache_write_price"
ONLY_WITH: Final[Mapping[str, tuple[Unit, ...]]] = {
    READ_AS_INPUT: ("cache_read",),
    WRITE_AS_INPUT: ("cache_write", "cache_write_1h"),
    HOUR_AS_WRITE: ("cache_write_1h",),
}
"""Flags that concern a cost only if it has tokens of one of these units."""
FIRST_DAY: Final = "0001-01-01"
END_OF_DAYS: Final = "9999-12-31"
MINUTES: Final = 24 * 60
MOST_INPUT: Final = 2**63 - 1


class Cell(NamedTuple):
    """Prices in pico-dollars per token; None if there is none.

    It holds from the day `valid_from` up to `valid_to`, from minute `minute_from` of the day up to
    `minute_to` (all UTC), and for `input_from` up to `input_to` tokens of input; ends are exclusive
    but that of input. `price_row` names the row of the input or output price.
    """

    valid_from: str
    valid_to: str
    minute_from: int
    minute_to: int
    input_from: int
    input_to: int
    input: int | None
    cache_read: int | None
    cache_write: int | None
    cache_write_1h: int | None
    output: int | None
    reasoning: int | None
    price_row: str
    flags: tuple[str, ...]

    def holds(self, at: datetime) -> bool:
        """Whether it holds at a time, for some size of input.

        at: when the call began; a time without a zone is UTC.
        """
        utc = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        day, minute = utc.date().isoformat(), utc.hour * 60 + utc.minute
        return (
            self.valid_from <= day < self.valid_to and self.minute_from <= minute < self.minute_to
        )


def cells(
    prices: Sequence[Price],
    service_tier: str | None,
    flags: Iterable[str] = (),
    own: Sequence[Price] = (),
) -> list[Cell]:
    """Return the cells of a model for calls of one service tier; they do not overlap.

    prices: all rows of the model. service_tier: as reported; None if none was. flags: those of its
    resolution. own: rows of the organization, in the order in which they were listed: they come
    before all others, and a later one before an earlier one.
    """
    tier = (service_tier or "").strip().lower()
    fitting = [
        (rank, row)
        for rank, row in (*((0, row) for row in prices), *enumerate(own, 1))
        if row.service_tier in ("", tier)
    ]
    made = []
    for since, until in _spans([row for _, row in fitting]):
        of_days = [ranked for ranked in fitting if _within(ranked[1], since)]
        for begin, end in _windows([row for _, row in of_days]):
            of_times = [ranked for ranked in of_days if _in_window(ranked[1], begin)]
            starts = sorted({0, *(row.input_from for _, row in of_times)})
            for start, after in zip(starts, (*starts[1:], None), strict=True):
                rows = [ranked for ranked in of_times if ranked[1].input_from <= start]
                most = MOST_INPUT if after is None else after - 1
                if rows:
                    made.append(_cell((since, until, begin, end, start, most), rows, tier, flags))
    return made


def _spans(rows: Sequence[Price]) -> list[tuple[str, str]]:
    bounds = {FIRST_DAY, END_OF_DAYS}
    bounds.update(day for row in rows for day in (row.valid_from, row.valid_to) if day)
    return list(pairwise(sorted(bounds)))


def _within(row: Price, day: str) -> bool:
    return (row.valid_from or FIRST_DAY) <= day < (row.valid_to or END_OF_DAYS)


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _windows(rows: Sequence[Price]) -> list[tuple[int, int]]:
    bounds = {0, MINUTES}
    bounds.update(_minute(c) for row in rows for c in (row.time_from, row.time_to) if c)
    ordered = sorted(bounds)
    return list(pairwise(ordered))


def _in_window(row: Price, minute: int) -> bool:
    if not row.time_from:
        return True
    begin, end = _minute(row.time_from), _minute(row.time_to)
    # A window may go beyond midnight.
    return begin <= minute < end if begin < end else minute >= begin or minute < end


_Place = tuple[str, str, int, int, int, int]
_Ranked = tuple[int, Price]


def _precedence(ranked: _Ranked) -> tuple[int, bool, bool, str, int]:
    rank, row = ranked
    return rank, row.service_tier != "", row.time_from != "", row.valid_from, row.input_from


def _cell(place: _Place, ranked: Sequence[_Ranked], tier: str, flags: Iterable[str]) -> Cell:
    ordered = sorted(ranked, key=_precedence)
    rows = [row for _, row in ordered]
    best = {row.unit: (rank, row) for rank, row in ordered}

    def of(unit: Unit) -> int | None:
        return pico_per_token(best[unit][1].price) if unit in best else None

    noted = list(flags)
    if tier not in STANDARD and not any(row.service_tier for row in rows):
        noted.append(NO_TIER)
    given, out = of("input"), of("output")
    read, write, hour = of("cache_read"), of("cache_write"), of("cache_write_1h")
    if read is None and given is not None:
        read = given
        noted.append(READ_AS_INPUT)
    if write is None and given is not None:
        write = given
        noted.append(WRITE_AS_INPUT)
    if write is None:
        # Without the price for five minutes, nothing is known of what an hour costs more.
        hour = None
    elif hour is None:
        hour = write
        noted.append(HOUR_AS_WRITE)
    reasoning = of("reasoning")
    rank, named = best.get("input") or best.get("output") or ordered[0]
    return Cell(
        *place,
        given,
        read,
        write,
        hour,
        out,
        out if reasoning is None else reasoning,
        f"own {named.row_id}" if rank else named.row_id,
        tuple(noted),
    )
