"""A day alone: its first moment where something begins, the whole of it where something ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import RUN, Command

from runledger import RunLedger
from runledger.callbacks import CallbackSettings
from runledger.cli.parsers import before, last_moment, moment, position_or_moment

pytestmark = pytest.mark.slow

DAY = datetime(2026, 3, 1, tzinfo=UTC)
LAST = timedelta(days=1, microseconds=-1)
AT = (DAY - timedelta(microseconds=1), DAY, DAY + LAST, DAY + timedelta(days=1))
"""Around a day: the second and the third lie in it."""


@pytest.fixture
def days(tmp_path: Path) -> None:
    """A store of runs that are created, recorded and ended at one time each."""

    async def make() -> None:
        settings = CallbackSettings(dispatch=False)
        url = f"sqlite:///{tmp_path}/runs.db"
        for number, at in enumerate(AT):
            async with RunLedger.open(url, clock=lambda at=at: at, callbacks=settings) as ledger:
                run_id = RUN.format(number)
                await ledger.create_run("agent-a", run_id=run_id, callback_url="https://a.example/")
                await ledger.complete_run(run_id)

    asyncio.run(make())


def _ids(rows: list[dict[str, str]]) -> list[str]:
    return sorted(row["run_id"] for row in rows)


WITHIN = [RUN.format(1), RUN.format(2)]


def test_a_list_that_ends_on_a_day_has_the_whole_day(runledger: Command, days: None) -> None:
    day = "2026-03-01"
    listed = runledger("runs", "list", "--start-date", day, "--end-date", day, "--json").json
    assert _ids(listed) == WITHIN
    ended = runledger("callbacks", "list", "--from", day, "--to", day, "--json").json
    assert _ids(ended) == WITHIN
    hour = f"{day}T00:00:00Z"
    assert _ids(runledger("runs", "list", "--end-date", hour, "--json").json) == [
        RUN.format(0),
        RUN.format(1),
    ]
    assert _ids(runledger("callbacks", "list", "--to", hour, "--json").json) == [RUN.format(0)]


def test_a_replay_of_a_day_is_of_the_whole_day(runledger: Command, days: None) -> None:
    assert runledger("project").code == 0
    told = runledger("replay", "--since", "2026-03-01", "--until", "2026-03-01")
    assert told.out.startswith("touches 2 runs"), told


def test_as_of_a_day_is_as_of_its_end(runledger: Command, days: None) -> None:
    listed = runledger("runs", "list", "--as-of", "2026-03-01", "--json").json
    assert _ids(listed) == [RUN.format(0), *WITHIN]


def test_a_day_and_a_time() -> None:
    day = "2026-03-01"
    assert moment(day) == DAY
    assert last_moment(day) == position_or_moment(day) == DAY + LAST
    assert before(day) == DAY + timedelta(days=1)
    for told in (moment, last_moment, before):
        assert told(f"{day}T00:00") == DAY
    assert before("9999-12-31").year == 9999
    assert position_or_moment("20260301") == 20260301
