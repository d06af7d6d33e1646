"""Times of any zone, on either side of a change of the clocks, are the moments that they mean."""

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runledger import RunLedger
from runledger.errors import InvalidArgument
from runledger.ids import new_id
from runledger.run.envelope import in_utc

BERLIN = ZoneInfo("Europe/Berlin")
# 26 October 2025: at 03:00 the clocks of Berlin go back to 02:00.
BEFORE = datetime(2025, 10, 26, 1, 30, tzinfo=BERLIN)
FIRST = datetime(2025, 10, 26, 2, 50, tzinfo=BERLIN, fold=0)
SECOND = datetime(2025, 10, 26, 2, 10, tzinfo=BERLIN, fold=1)
AFTER = datetime(2025, 10, 26, 3, 30, tzinfo=BERLIN)
MINUTE = 60 * 10**9

NAIVE = datetime.fromisoformat("2025-10-26")
zoned = st.datetimes(
    datetime.fromisoformat("1950-01-01"),
    datetime.fromisoformat("2100-01-01"),
    timezones=st.timezones(),
    allow_imaginary=True,
)
near_the_change = st.builds(
    lambda minutes, fold: (NAIVE + timedelta(minutes=minutes)).replace(tzinfo=BERLIN, fold=fold),
    st.integers(0, 300),
    st.integers(0, 1),
)
moments = st.one_of(zoned, near_the_change)


def elapsed_ns(begin: datetime, end: datetime) -> int:
    return (end.astimezone(UTC) - begin.astimezone(UTC)) // timedelta(microseconds=1) * 1000


@given(begin=moments, end=moments)
def test_a_duration_is_what_the_moments_are_apart_or_unknown(
    shared_ledger: RunLedger, begin: datetime, end: datetime
) -> None:
    async def recorded() -> int | None:
        run_id = new_id("run")
        await shared_ledger.create_run("agent-a", run_id=run_id, at=begin)
        run = await shared_ledger.complete_run(run_id, at=end)
        assert (run.created_at, run.completed_at) == (begin.astimezone(UTC), end.astimezone(UTC))
        return run.run_ns

    expected = elapsed_ns(begin, end)
    assert asyncio.run(recorded()) == (expected if expected >= 0 else None)


@given(moments)
def test_a_time_is_the_same_moment_in_utc(moment: datetime) -> None:
    made = in_utc("at", moment)
    assert made.tzinfo is UTC
    assert made.timestamp() == moment.timestamp()


@pytest.mark.parametrize(
    "moment", [datetime.max.replace(tzinfo=ZoneInfo("America/New_York")), NAIVE]
)
def test_a_time_without_a_zone_or_out_of_reach_is_refused(moment: datetime) -> None:
    with pytest.raises(InvalidArgument, match="^at: expected a"):
        in_utc("at", moment)


@pytest.mark.parametrize(
    ("begin", "end", "minutes"), [(BEFORE, AFTER, 180), (FIRST, SECOND, 20), (FIRST, AFTER, 100)]
)
@pytest.mark.parametrize("cached", [True, False])
async def test_the_end_of_summer_time_takes_no_hour_of_a_run(
    ledger: RunLedger, begin: datetime, end: datetime, minutes: int, cached: bool
) -> None:
    run_id = new_id("run")
    await ledger.create_run("agent-a", run_id=run_id, at=begin)
    if not cached:
        ledger.handler._runs.discard(run_id)
    run = await ledger.complete_run(run_id, at=end)
    assert run.run_ns == minutes * MINUTE
    (listed,) = await ledger.list_runs(start_date=begin, end_date=begin)
    assert listed.run_ns == minutes * MINUTE


async def test_a_span_over_the_end_of_summer_time_is_no_empty_one(ledger: RunLedger) -> None:
    run = await ledger.create_run("agent-a", at=SECOND)
    assert await ledger.list_runs(start_date=FIRST, end_date=SECOND) == await ledger.list_runs()
    with pytest.raises(InvalidArgument, match="expected no end before the beginning"):
        await ledger.list_runs(start_date=SECOND, end_date=FIRST)
    assert [run.run_id for run in await ledger.list_runs()] == [run.run_id]


async def test_a_message_of_the_repeated_hour_can_be_sent_again(ledger: RunLedger) -> None:
    run = await ledger.create_run("agent-a")
    message = {
        "id": new_id("message"),
        "role": "user",
        "content": "now",
        "created_at": SECOND,
    }
    await ledger.record_messages(run.run_id, [message])
    assert await ledger.record_messages(run.run_id, [message]) == [message["id"]]
    (stored,) = await ledger.get_stored_messages(run.run_id)
    assert stored.created_at == SECOND.astimezone(UTC)


async def test_an_end_before_the_beginning_has_no_duration_in_any_percentile(
    ledger: RunLedger,
) -> None:
    now = datetime(2025, 8, 1, 12, tzinfo=UTC)
    for seconds in (2, 4):
        run = await ledger.create_run("agent-a", at=now)
        await ledger.complete_run(run.run_id, at=now + timedelta(seconds=seconds))
    skewed = await ledger.create_run("agent-a", at=now)
    ended = await ledger.complete_run(skewed.run_id, at=now - timedelta(seconds=1))
    assert (ended.run_ns, ended.ended_before_it_began) == (None, True)
    listed = {run.run_id: run for run in await ledger.list_runs()}
    assert listed[skewed.run_id].ended_before_it_began
    assert [run.ended_before_it_began for run in listed.values()].count(True) == 1
    (row,) = await ledger.duration_percentiles()
    assert (row.runs, row.p50) == (2, 3e9)


async def test_a_clock_of_any_zone_is_read_in_utc(own_ledger) -> None:
    times = iter([BEFORE, *[AFTER] * 10])
    async with own_ledger(clock=lambda: next(times)) as ledger:
        run = await ledger.create_run("agent-a", run_id=new_id("run"))
        ended = await ledger.complete_run(run.run_id)
    assert ended.run_ns == 180 * MINUTE
