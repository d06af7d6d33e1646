"""Parked runs: what parks one, what does not, and what the commands say of it."""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import Phase, find, settings
from typer.testing import CliRunner

from projections.fold import parking
from projections.fold.engine import BATCH_EVENTS, Engine
from projections.fold.generation import Generation
from projections.fold.loader import FEW
from projections.read_models.catalog import discover
from projections.read_models.declaration import Declaration, Table
from projections.read_models.read_model import ReadModel
from runledger import RunLedger, upcasters
from runledger.cli.main import app
from runledger.errors import ProjectionFailed
from runledger.events import CATALOGUE, Event, StepRecorded
from runledger.store import Store
from runledger.store.codec import encode
from runledger.store.protocol import EncodedEvent, StreamWrite
from tests.archive import spoiling
from tests.archive.spoiling import Log
from tests.projections.reading import contents, projected
from tests.strategies import models

pytestmark = pytest.mark.slow


def _required(event: type[Event]) -> Iterator[str]:
    """Yield the facts that an event of this kind always has."""
    for name, field in event.model_fields.items():
        if name not in event.contents and type(None) not in get_args(field.annotation):
            yield name


def _row(position: int, stream: str, topic: str, facts: dict[str, Any]) -> tuple:
    return (position, stream, 1, topic, _stored(facts))


def _stored(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, separators=(",", ":")).encode()


def _projected(
    rows: Sequence[tuple],
    models: Sequence[ReadModel] | None = None,
    batch_events: int = BATCH_EVENTS,
) -> tuple[list[parking.Parked], dict[str, int]]:
    """Return what is parked of a log, and how many rows each table has."""
    generation = Generation(":memory:", models)
    Engine(generation, Log(tuple(rows)), batch_events=batch_events).catch_up(len(rows))
    found = parking.parked(generation.cursor())
    counted = generation.rows()
    generation.close()
    return found, counted


# The first example is a simple one already.
_UNSHRUNK = settings(phases=[Phase.generate])

# What no read model is made of is not a column: it is for `verify` to miss it.
_UNREAD = {"event_id", "revision", "hold_conversation", "tags", "reason", "run_id"}


@pytest.mark.parametrize("topic", CATALOGUE)
def test_an_event_without_a_fact_that_all_have_is_never_taken_as_it_is(topic: str) -> None:
    event = CATALOGUE[topic]
    facts = json.loads(encode(find(models(event), lambda _: True, settings=_UNSHRUNK)).facts)
    facts.update(born=1, occurred_at="2026-01-01T00:00:00Z", recorded_at="2026-01-01T00:00:00Z")
    if not topic.startswith("run."):
        del facts["born"]
    names = [name for name in _required(event) if name not in _UNREAD]
    rows = [
        _row(number, f"s{number}", topic, {k: v for k, v in facts.items() if k != name})
        for number, name in enumerate(names, 1)
    ]
    parked = {row.stream for row in _projected(rows)[0]}
    # A fact with a default is filled in by the event's model, as for every reader of the log.
    defaults = {n for n, field in event.model_fields.items() if not field.is_required()}
    expected = {f"s{number}" for number, name in enumerate(names, 1) if name not in defaults}
    assert parked == expected


def step(**facts: Any) -> dict[str, Any]:
    return {
        "revision": StepRecorded.revision,
        "event_id": "e",
        "occurred_at": "2026-01-01T00:00:00Z",
        "recorded_at": "2026-01-01T00:00:00Z",
        "organization": "o",
        "agent_id": "a",
        "born": 1,
        "step_id": "s",
        "status": "success",
        "late": False,
        "tags": [],
        **facts,
    }


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"prompt_tokens": "many"}, "prompt_tokens: Input should be a valid integer"),
        ({"cache_read_tokens": 2**63}, "cache_read_tokens: Input should be less than or equal"),
        ({"born": "then"}, "born: Input should be a valid integer"),
        ({"step_id": None}, "step_id: "),
        ({"teleported": True}, "teleported: Extra inputs are not permitted"),
    ],
)
def test_a_value_that_is_none_is_never_counted(facts: dict[str, Any], words: str) -> None:
    found, counted = _projected([_row(1, "run-1", "run.step_recorded", step(**facts))])
    assert counted["steps"] == 0
    assert words in found[0].reason


def created(position: int, run: int, **facts: Any) -> tuple:
    born = 1_000_000 + run
    made = step(born=born, metadata={}, hold_conversation=False, **facts)
    for name in ("step_id", "status", "late", "tags"):
        del made[name]
    return _row(position, f"run-{run}", "run.created", {**made, "revision": 1})


def strict(limit: int) -> ReadModel:
    """A read model whose SQL cannot take every event that the catalogue takes."""
    return ReadModel(
        "strict",
        "-- strict: a row per run.\nCREATE TABLE strict (run_id VARCHAR NOT NULL);\n",
        "-- fill: one row per run\nINSERT INTO strict SELECT CASE WHEN agent_id = 'bad' AND "
        f"position > {limit} THEN error('bad agent') ELSE stream END FROM run_created;\n",
        "",
        Declaration(tables={"strict": Table(key=("run_id",), run="run_id")}),
    )


@pytest.mark.parametrize(
    ("events", "batch_events", "bad"),
    [(60, 1, {1, 17, 18, 60}), (1_000, 64, {17, 18, 500, 999}), (5_000, 5_000, {17, 18, 4_999})],
)
def test_an_event_that_a_read_model_refuses_is_found_among_many(
    events: int, batch_events: int, bad: set[int]
) -> None:
    agents = ("bad" if n in bad else "good" for n in range(1, events + 1))
    rows = tuple(created(n, n, agent_id=agent) for n, agent in enumerate(agents, 1))
    found, counted = _projected(rows, [*discover(), strict(0)], batch_events)
    assert [row.position for row in found] == sorted(bad)
    assert "strict/apply.sql: fill: Invalid Input Error: bad agent" in found[0].reason
    assert counted["strict"] == counted["runs"] == events - len(bad)


@pytest.mark.parametrize("events", [200, 2_000])
def test_a_time_that_no_column_takes_parks_its_run_alone(events: int) -> None:
    rows = [created(n, n) for n in range(1, events + 1)]
    facts = rows[149][4].replace(b"2026-01-01T00:00:00Z", b"0001-01-01T00:00:00Z")
    rows[149] = (*rows[149][:4], facts)
    found, counted = _projected(rows)
    assert [row.position for row in found] == [150]
    assert "runs/apply.sql: insert: Conversion Error" in found[0].reason
    assert counted["runs"] == events - 1


@pytest.mark.parametrize(("events", "batch_events"), [(40, 1), (160, 1_000), (2_000, 2_000)])
@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (rb"2026-01-01T00:00:00Z", rb"1826-01-01T00:00:00Z"),
        (rb'"born":(\d+)', rb'"born":"\1"'),
        (rb'"hold_conversation":false', rb'"hold_conversation":"no"'),
    ],
)
def test_where_a_batch_ends_does_not_decide_what_is_parked(
    said: bytes, instead: bytes, events: int, batch_events: int
) -> None:
    # The event's model does not take it, but its columns do: a large batch asks them alone.
    rows = [created(n, n) for n in range(1, events + 1)]
    row = rows[-11]
    facts = re.sub(said, instead, row[4])
    assert facts != row[4]
    rows[-11] = (*row[:4], facts)
    found, counted = _projected(rows, batch_events=batch_events)
    assert found == []
    assert counted["runs"] == events


@pytest.mark.parametrize("spoiler", sorted(spoiling.SPOILERS))
def test_among_many_events_the_spoiled_one_is_parked_alone(spoiler: str) -> None:
    events = FEW + 200
    rows = [created(n, n) for n in range(1, events + 1)]
    rows[149] = spoiling.SPOILERS[spoiler](rows[149])
    found, counted = _projected(rows)
    assert [row.position for row in found] == [150]
    assert counted["runs"] == events - 1


def test_a_refused_run_is_retried_by_mended_sql() -> None:
    rows = tuple(created(n, n, agent_id="bad" if n % 9 == 0 else "good") for n in range(1, 101))
    log = Log(rows)
    generation = Generation(":memory:", [*discover(), strict(50)])
    Engine(generation, log).catch_up(100)
    assert len(parking.parked(generation.cursor())) == 6
    # Of what is refused again nothing changes but what is said of it.
    assert len(Engine(generation, log).retry().parked) == 6
    generation.models = (*discover(), strict(90))
    half = Engine(generation, log).retry()
    assert [row.position for row in half.parked] == [99]
    generation.models = (*discover(), strict(100))
    assert Engine(generation, log).retry(["run-99", "run-1"]) == (["run-99"], [])
    made = contents(generation)
    generation.close()
    assert made == projected(log, 100, 1_000, [*discover(), strict(100)])


def test_sql_that_refuses_much_is_at_fault_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    # A hundred events are refused one by one before anybody asks; the question is the same at ten.
    monkeypatch.setattr("projections.fold.engine.ISOLATED_MAX", 10)
    rows = tuple(created(n, n, agent_id="bad") for n in range(1, 1_001))
    generation = Generation(":memory:", [*discover(), strict(500)])
    with pytest.raises(ProjectionFailed, match="expected an event in a hundred at most.*strict"):
        Engine(generation, Log(rows)).catch_up(1_000)
    assert generation.position == 510
    generation.close()


def test_sql_that_cannot_run_parks_nothing() -> None:
    wrong = replace(
        strict(0), name="wrong", apply_sql="-- fill: wrong\nINSERT INTO strict FROM nowhere;"
    )
    generation = Generation(":memory:", [*discover(), wrong])
    with pytest.raises(ProjectionFailed, match="wrong/apply.sql: fill: after position 0"):
        Engine(generation, Log((created(1, 1),))).catch_up(1)
    assert (generation.position, generation.rows()["parked_runs"]) == (0, 0)
    generation.close()


def test_what_no_upcaster_leads_from_is_applied_when_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = step(born=1_000_001)
    del old["late"]
    rows = (created(1, 1), _row(2, "run-1", "run.step_recorded", {**old, "revision": 1}))
    log = Log((rows[0], (2, "run-1", 2, rows[1][3], rows[1][4])))
    generation = Generation(":memory:")
    with monkeypatch.context() as without:
        without.setattr(upcasters, "UPCASTERS", {})
        Engine(generation, log).catch_up(2)
        assert [row.position for row in parking.parked(generation.cursor())] == [2]
        assert generation.rows()["runs"] == 1
    assert Engine(generation, log).retry().applied == ["run-1"]
    made = contents(generation)
    generation.close()
    assert made == projected(log, 2, 1_000)


def poison(store: Store, run_id: str) -> None:
    version = store.read_stream(run_id)[-1].version
    event = EncodedEvent("run.teleported", b'{"revision":1}', None)
    store.append([(StreamWrite(run_id, version, (event,)),)])


def test_the_commands_list_and_retry(url: str, tmp_path: Path) -> None:
    read_models = tmp_path / "runs.duckdb"

    async def begin() -> str:
        async with RunLedger.open(url, read_models) as ledger:
            run = await ledger.create_run(agent_id="agent-new")
            poison(ledger.store, run.run_id)
            await ledger.project()
            return run.run_id

    run_id = asyncio.run(begin())
    runner = CliRunner()

    def run(*words: str) -> tuple[int, str]:
        given = ["--store", url, "--read-models", str(read_models), *words]
        done = runner.invoke(app, given)
        return done.exit_code, done.output

    code, text = run("parked", "list", "--json")
    (listed,) = json.loads(text)
    assert code == 0
    assert (listed["stream"], listed["topic"]) == (run_id, "run.teleported")
    assert run_id in run("parked", "list")[1]
    code, text = run("parked", "retry")
    assert code == 1
    assert "0 applied, 1 still parked" in text
    code, text = run("parked", "retry", run_id, "run-elsewhere")
    assert (code, text) == (1, "runledger: parked run with id run-elsewhere not found\n")


def test_a_parked_run_holds_up_no_other_and_keeps_its_rows(log: Store, tmp_path: Path) -> None:
    with closing(log.log_reader()) as reader:
        before = projected(reader, log.head(), 1_000)
        run_id = before["runs"][0]["run_id"]
        poison(log, run_id)
        after = projected(reader, log.head(), 1_000)
    assert [row["stream"] for row in after.pop("parked_runs")] == [run_id]
    assert len(after.pop("parked_events")) == 1
    del before["parked_runs"], before["parked_events"]
    assert after == before
