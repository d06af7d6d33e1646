"""A partial replay: what it touches is as a whole replay makes it, all else is as it was."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from replaying import TABLES, contents, open_live

from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.replay.partial import BlastRadius, PartialReplay, build_part
from projections.replay.replay import build
from projections.replay.selection import selection
from runledger.errors import InvalidArgument, ReadModelsError
from runledger.store import Store
from runledger.store.protocol import EncodedEvent, StreamWrite

pytestmark = pytest.mark.slow

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
TOTALS = ("agents", "duration_percentiles", "usage_totals")


def part(
    store: Store, live: LiveReadModels, operations: Operations, **asked: Any
) -> tuple[PartialReplay, Path, list[BlastRadius]]:
    on_blast_radius: list[BlastRadius] = []
    made = build_part(operations, store, live.path, selection(**asked), on_blast_radius.append)
    return made, live.generations.file(made.built.number), on_blast_radius


def rows(file: Path, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as db:
        found: list[tuple[Any, ...]] = db.execute(statement).fetchall()
        return found


def run_ids(live: LiveReadModels, condition: str) -> list[str]:
    found = live.ask(lambda q: q.rows(f"SELECT run_id FROM runs WHERE {condition} ORDER BY run_id"))
    return [row["run_id"] for row in found]


def test_only_the_touched_rows_are_as_a_whole_replay_makes_them(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    chosen = run_ids(live, "organization = 'org-1' AND cache_read_tokens > 0")[:7]
    whole = live.generations.file(build(store, live.path).number)
    made, file, on_blast_radius = part(store, live, operations, runs=chosen)
    live.close()
    before, after = contents(live.path), contents(file)
    right = contents(whole)
    listed = ", ".join(f"'{run_id}'" for run_id in chosen)
    for table in ("runs", "steps", "tool_calls", "run_durations"):
        of_chosen = f"SELECT * FROM {table} WHERE run_id IN ({listed}) ORDER BY ALL"
        assert rows(file, of_chosen) == rows(whole, of_chosen)
        others = f"SELECT * FROM {table} WHERE run_id NOT IN ({listed}) ORDER BY ALL"
        assert rows(file, others) == rows(live.path, others)
    for table in TOTALS:
        replaced = after[table] - before[table]
        assert replaced <= right[table], "a total is that of all its runs"
        assert after[table] - right[table] <= before[table]
    assert after["usage_totals"] != before["usage_totals"]
    (radius,) = on_blast_radius
    assert radius == made.radius
    assert (radius.runs, radius.organizations) == (7, ["org-1"])
    assert radius.rows["runs"] == 7
    assert radius.rows["usage_totals"] > 0
    assert made.untouched_buckets > 1024


def test_all_runs_in_parts_come_to_what_a_whole_replay_makes(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    whole = live.generations.file(build(store, live.path).number)
    made, file, _ = part(store, live, operations, agents=[f"agent-{n}" for n in range(25)])
    live.close()
    assert contents(file) == contents(whole)
    assert made.untouched_buckets == 0


def test_runs_are_chosen_by_every_condition_together(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    since, until = datetime.fromisoformat("2025-03-01T00:10Z"), "2025-03-01T01:00Z"
    condition = (
        "agent_id IN ('agent-3', 'agent-4') AND status = 'failed'"
        f" AND last_recorded_at >= '{since}' AND last_recorded_at < '{until}'"
    )
    expected = run_ids(live, condition)
    assert len(expected) > 3
    made, _, _ = part(
        store,
        live,
        operations,
        agents=["agent-3", "agent-4"],
        since=since,
        until=until,
        events_of_type=["run.failed"],
    )
    assert made.radius.runs == len(expected)


def test_callbacks_that_are_not_sent_again_are_counted(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    chosen = run_ids(live, "TRUE")[0]
    made, _, _ = part(store, live, operations, runs=[chosen])
    assert made.radius.callbacks == made.radius.rows["callbacks"]


def test_an_edited_row_is_mended_and_what_is_beside_it_is_left(
    store: Store, read_models: Path, fix
) -> None:
    fix()
    open_live(store, read_models).close()
    with duckdb.connect(str(read_models)) as db:
        ((mended,), (left,)) = db.execute("SELECT run_id FROM runs LIMIT 2").fetchall()
        db.execute("UPDATE runs SET total_tokens = -1 WHERE run_id IN (?, ?)", [mended, left])
    live = open_live(store, read_models)
    operations = Operations(store, live)
    made, _, _ = part(store, live, operations, runs=[mended])
    comparison = operations.compare(made.built.number)
    assert {t.table: t.changed for t in comparison.tables if t.differing} == {"runs": 1}
    operations.switch(made.built.number)
    negative = live.ask(lambda q: q.rows("SELECT run_id FROM runs WHERE total_tokens < 0"))
    assert [row["run_id"] for row in negative] == [left]
    assert len(operations.verify().problems) == 1
    live.close()


def test_a_whole_replay_does_not_go_on_with_a_part(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    made, _, _ = part(store, live, operations, runs=run_ids(live, "TRUE")[:1])
    assert build(store, live.path).number != made.built.number


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "expected runs, agents, a time or event types"),
        ({"runs": ["run-1"]}, "Invalid run ID"),
        ({"runs": ["run-00000000-0000-4000-8000-000000000000"]}, "no run has such an event"),
        ({"events_of_type": ["run.flown"]}, "run.flown"),
        ({"since": datetime(2025, 3, 1)}, "timezone"),  # noqa: DTZ001
        ({"since": NOON, "until": NOON - timedelta(hours=1)}, "no end before the beginning"),
        ({"agent": ["a"]}, "agent: Extra inputs"),
    ],
)
def test_a_selection_of_nothing_is_refused_and_nothing_is_left(
    store: Store, live: LiveReadModels, operations: Operations, asked: Any, said: str
) -> None:
    with pytest.raises(InvalidArgument, match=said):
        part(store, live, operations, **asked)
    assert [entry.number for entry in live.generations.entries()] == [1]
    assert sorted(path.name for path in live.generations.folder.iterdir()) == ["000001.json"]


def test_other_columns_need_a_whole_replay(
    store: Store, live: LiveReadModels, operations: Operations, tmp_path: Path
) -> None:
    schema = tmp_path / "right" / "agents" / "schema.sql"
    schema.write_text(schema.read_text().replace("name VARCHAR,", "name VARCHAR, nick VARCHAR,"))
    apply = tmp_path / "right" / "agents" / "apply.sql"
    apply.write_text("-- nothing: no rows\nSELECT 1;\n")
    with pytest.raises(ReadModelsError, match="others in agents; replay the whole log"):
        part(store, live, operations, runs=run_ids(live, "TRUE")[:1])
    assert set(TABLES) == set(live.generations.get(1).rows)


@pytest.mark.parametrize("facts", [b"\xff\xfe", b"{", b""])
def test_an_event_that_cannot_be_read_keeps_no_part_from_being_replayed(
    store: Store, live: LiveReadModels, operations: Operations, facts: bytes
) -> None:
    (unreadable, *chosen) = run_ids(live, "agent_id = 'agent-1'")[:4]
    version = len(store.read_stream(unreadable))
    event = EncodedEvent("run.step_recorded", facts, None)
    store.append([(StreamWrite(unreadable, version, (event,)),)])
    live.catch_up()
    for asked in ({"runs": chosen}, {"agents": ["agent-1"]}, {"runs": [unreadable]}):
        made, _, _ = part(store, live, operations, **asked)
        assert made.radius.runs >= 1


def test_a_part_takes_the_place_of_the_part_that_was_tried_before(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    whole = build(store, live.path)
    for agent in ("agent-1", "agent-2"):
        made, _, _ = part(store, live, operations, agents=[agent])
        candidates = [e.number for e in live.generations.entries() if e.state == "candidate"]
        assert candidates == [whole.number, made.built.number]
