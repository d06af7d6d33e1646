"""Durations as people read them: rounded first, the unit chosen then."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runledger.quantities import show_duration

SECONDS = {"µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}
BELOW = {"µs": 1000, "ms": 1000, "s": 60, "m": 60, "h": 24}


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (None, "-"),
        (0, "0 µs"),
        (640_000, "640 µs"),
        (999_499, "999 µs"),
        (999_999, "1.00 ms"),
        (12_345_678, "12.3 ms"),
        (640_000_000, "640 ms"),
        (999_600_000, "1.00 s"),
        (4_560_000_000, "4.56 s"),
        (59_999_000_000, "1m 00s"),
        (123_000_000_000, "2m 03s"),
        (3_599_600_000_000, "1h 00m"),
        (86_399 * 10**9, "1d 00h"),
        (100 * 3600 * 10**9, "4d 04h"),
    ],
)
def test_a_duration_is_shown_in_the_unit_of_its_rounded_value(ns: int | None, shown: str) -> None:
    assert show_duration(ns) == shown


@given(st.integers(0, 10**16))
@example(999_499_999)
@example(59_994_999_999)
def test_what_is_shown_is_near_and_below_the_next_unit(ns: int) -> None:
    parts = re.findall(r"(\d+(?:\.\d+)?) ?(µs|ms|s|m|h|d)\b", show_duration(ns))
    assert "".join(number + unit for number, unit in parts) == show_duration(ns).replace(" ", "")
    for number, unit in parts:
        assert float(number) < BELOW.get(unit, float("inf"))
    said = sum(float(number) * SECONDS[unit] for number, unit in parts)
    assert abs(said - ns / 1e9) <= max(0.5e-6, ns / 1e9 * 0.021) * 1.000001
