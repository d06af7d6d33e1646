"""The position that a time means, in a log with events that do not tell theirs."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from projections.archive.store import open_log
from projections.archive.writer import archive
from projections.generations.as_of import position_of
from runledger.store import open_store
from runledger.store.protocol import EncodedEvent, StreamWrite

pytestmark = pytest.mark.slow

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SILENT = [
    b"{}",
    b"",
    b"\xff",
    b"[1]",
    b"null",
    b'{"recorded_at": 7}',
    b'{"recorded_at": "soon"}',
    b'{"recorded_at": "2026-01-01T00:00:00"}',
    b"[" * 100_000,
]
Hours = Sequence[int | None]
"""When each event was recorded, None where it does not tell."""


def _facts(hour: int | None, number: int) -> bytes:
    if hour is None:
        return SILENT[number % len(SILENT)]
    return f'{{"recorded_at": "{(BEGIN + timedelta(hours=hour)).isoformat()}"}}'.encode()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    "hours",
    [
        (None,),
        (None,) * 9,
        (1, None, 2),
        (None, 1, 2, None, None),
        (1, *(None,) * 9, 2, 2, None, 3, 4, None, None, 5),
        (*(None,) * 40, 1, *(None,) * 40),
    ],
)
def test_it_is_that_of_the_last_event_which_tells_a_time_up_to_then(
    store_url: str, tmp_path: Path, hours: Hours
) -> None:
    with closing(open_store(store_url)) as store:
        for number, hour in enumerate(hours):
            event = EncodedEvent("not.a.topic", _facts(hour, number), None)
            store.append([(StreamWrite(f"odd-{number}", 0, (event,)),)])
        archive(store, tmp_path / "a", segment_events=7)
        positions = [row.position for row in store.read_log(0, 1_000)]
        with closing(open_log(f"archive:{tmp_path}/a")) as archived:
            for hour in range(7):
                told = [p for p, h in zip(positions, hours, strict=True) if h and h <= hour]
                moment = BEGIN + timedelta(hours=hour)
                expected = max(told, default=0)
                assert position_of(store, moment) == expected
                assert position_of(archived, moment) == expected
