"""New and changed read models are noticed at start; only they are made again."""

import asyncio
import shutil
from pathlib import Path

import duckdb
import pytest
from replaying import cache_reads, change, contents, open_live

from projections.archive.log_source import archived_log
from projections.archive.writer import archive
from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.replay.changed_models import build_changed
from projections.replay.replay import build
from runledger import RunLedger
from runledger.errors import InvalidArgument, ProjectionFailed, ReadModelsError
from runledger.store import Store

DECLARATION = """[tables.failures]
key = ["organization", "stop_reason"]
"""
SCHEMA = """-- failures: failed runs by stop reason.
CREATE TABLE failures (organization VARCHAR NOT NULL, stop_reason VARCHAR, runs BIGINT NOT NULL);
"""
APPLY = """-- merge [run.failed]: count the failures of the batch
MERGE INTO failures f USING (
    SELECT organization, stop_reason, count(*) AS runs FROM run_failed
    GROUP BY ALL
) b ON f.organization = b.organization AND f.stop_reason IS NOT DISTINCT FROM b.stop_reason
WHEN MATCHED THEN UPDATE SET runs = f.runs + b.runs
WHEN NOT MATCHED THEN INSERT BY NAME;
"""


def add_failures(folder: Path, apply: str = APPLY) -> None:
    (folder / "failures").mkdir(exist_ok=True)
    (folder / "failures" / "model.toml").write_text(DECLARATION)
    (folder / "failures" / "schema.sql").write_text(SCHEMA)
    (folder / "failures" / "apply.sql").write_text(apply)


def refusing(store: Store) -> tuple[str, str]:
    """Return the last run that failed, and SQL of failures that does not take it."""
    run = [row.stream for row in store.read_log(0, store.head(), ("run.failed",))][-1]
    refused = f"count(CASE WHEN stream = '{run}' THEN error('not this one') ELSE 1 END)"
    return run, APPLY.replace("count(*)", refused)


def test_live_goes_on_by_its_own_sql_and_says_so(
    store: Store, live: LiveReadModels, read_models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert live.changed == ["agents", "runs", "usage_totals"]
    live.close()
    caplog.clear()
    again = open_live(store, read_models)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the SQL of agents, runs, usage_totals is not the one" in caplog.text
    assert "runledger replay --changed" in caplog.text
    again.close()


def test_only_what_changed_is_made_again_and_comes_to_the_same(
    store: Store, live: LiveReadModels, operations: Operations, tmp_path: Path
) -> None:
    add_failures(tmp_path / "right")
    shutil.rmtree(tmp_path / "right" / "callbacks")
    whole = live.generations.file(build(store, live.path).number)
    built = build_changed(operations, store, live.path)
    assert built is not None
    # The ledger's own folder has it still: taking a folder away beside brings that one back.
    made = live.generations.file(built.number)
    assert contents(made) == contents(whole)
    with duckdb.connect(str(made), read_only=True) as db:
        ((failures,),) = db.execute("SELECT sum(runs)::BIGINT FROM failures").fetchall()
        ((failed,),) = db.execute("SELECT count(*) FROM runs WHERE status = 'failed'").fetchall()
    assert failures == failed > 10
    comparison = operations.compare(built.number)
    assert comparison.models_added == ["failures"]
    assert comparison.models_changed == ["agents", "runs", "usage_totals"]
    operations.switch(built.number)
    assert live.changed == []
    assert operations.verify().clean


def test_what_is_gone_on_disk_goes_from_the_read_models(
    store: Store, live: LiveReadModels, operations: Operations, tmp_path: Path
) -> None:
    add_failures(tmp_path / "right")
    operations.switch(build(store, live.path).number)
    shutil.rmtree(tmp_path / "right" / "failures")
    assert live.changed == ["failures"]
    built = build_changed(operations, store, live.path)
    assert built is not None
    assert operations.compare(built.number).models_removed == ["failures"]
    operations.switch(built.number)
    assert live.changed == []


def test_nothing_is_built_where_nothing_changed(store: Store, read_models: Path, fix) -> None:
    fix()
    live = open_live(store, read_models)
    assert build_changed(Operations(store, live), store, read_models) is None
    assert [entry.number for entry in live.generations.entries()] == [1]
    assert sorted(path.name for path in live.generations.folder.iterdir()) == ["000001.json"]
    live.close()


def test_a_question_that_needs_the_sql_on_disk_says_what_to_do(
    store: Store, live: LiveReadModels, tmp_path: Path
) -> None:
    add_failures(tmp_path / "right")
    with pytest.raises(
        ReadModelsError, match=r"agents, failures, runs, usage_totals.*runledger replay"
    ):
        live.ask(lambda queries: queries.rows("SELECT * FROM failures"))
    with pytest.raises(InvalidArgument):
        live.ask(lambda queries: queries.sql("SELECT * FROM failures"))


def test_what_changed_is_rebuilt_at_start_if_asked(url: str, read_models: Path, fix) -> None:
    async def total(**options: str) -> int:
        async with RunLedger.open(url, read_models, **options) as ledger:  # type: ignore[arg-type]
            statement = "SELECT sum(cache_read_tokens)::BIGINT FROM runs"
            return (await ledger.sql(statement))[1][0][0]

    by_run, _ = cache_reads(read_models.with_name("runs.db"))
    right = sum(by_run.values())
    assert asyncio.run(total()) == 2 * right
    fix()
    assert asyncio.run(total()) == 2 * right
    assert asyncio.run(total(on_changed="rebuild")) == right
    assert asyncio.run(total()) == right


def test_a_read_model_that_fails_on_the_log_leaves_live_as_it_was(
    store: Store, live: LiveReadModels, operations: Operations, tmp_path: Path
) -> None:
    change(
        tmp_path / "right" / "agents" / "apply.sql", "FROM agent_registered", "FROM no_such_table"
    )
    with pytest.raises(ReadModelsError, match=r"agents/apply\.sql"):
        build_changed(operations, store, live.path)
    assert [entry.number for entry in live.generations.entries()] == [1]
    assert live.catch_up() == store.head()


def test_what_is_parked_stays_so_until_it_is_retried(
    store: Store, live: LiveReadModels, operations: Operations, tmp_path: Path
) -> None:
    run, refused = refusing(store)
    add_failures(tmp_path / "right", refused)
    operations.switch(build(store, live.path).number)
    add_failures(tmp_path / "right")
    built = build_changed(operations, store, live.path)
    assert built is not None
    operations.switch(built.number)
    assert [row.stream for row in operations.parked()] == [run]
    assert operations.retry_parked().applied == [run]
    assert operations.verify().clean
    whole = live.generations.file(build(store, live.path).number)
    live.close()
    assert contents(live.path) == contents(whole)


def test_sql_that_refuses_what_the_copied_read_models_hold_is_refused(
    store: Store, live: LiveReadModels, operations: Operations, tmp_path: Path
) -> None:
    run, refused = refusing(store)
    add_failures(tmp_path / "right")
    operations.switch(build(store, live.path).number)
    add_failures(tmp_path / "right", refused)
    before = [entry.number for entry in live.generations.entries()]
    with pytest.raises(ProjectionFailed, match=rf"not this one.*1 streams.*{run}.*replay"):
        build_changed(operations, store, live.path)
    assert [entry.number for entry in live.generations.entries()] == before
    assert operations.parked() == []


def add_counting(folder: Path, each: int) -> None:
    """Add two read models: `aa` has a number for every run, and `bb` sums what it finds in `aa`."""
    sql = {
        "aa": f"-- add [run.created]: them\nINSERT INTO aa SELECT stream, {each} FROM run_created;\n",
        "bb": "-- forget [run.created]: the sum\nDELETE FROM bb;\n\n"
        "-- add [run.created]: it\nINSERT INTO bb SELECT 'all', sum(n) FROM aa;\n",
    }
    for name, apply in sql.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "apply.sql").write_text(apply)
        schema = f"-- {name}: numbers.\nCREATE TABLE {name} (run_id VARCHAR, n BIGINT);\n"
        (folder / name / "schema.sql").write_text(schema)
        reads = 'reads = ["aa"]\n' if name == "bb" else ""
        (folder / name / "model.toml").write_text(f'{reads}[tables.{name}]\nkey = ["run_id"]\n')


def test_what_reads_a_changed_read_model_is_made_again_with_it(
    store: Store, live: LiveReadModels, operations: Operations, tmp_path: Path
) -> None:
    add_counting(tmp_path / "right", 1)
    operations.switch(build(store, live.path).number)
    add_counting(tmp_path / "right", 2)
    assert live.changed == ["aa", "bb"]
    built = build_changed(operations, store, live.path)
    assert built is not None
    operations.switch(built.number)
    runs = live.ask(lambda q: q.rows("SELECT count(*) AS n FROM runs"))[0]["n"]
    assert live.ask(lambda q: q.rows("SELECT n FROM bb")) == [{"n": 2 * runs}]
    assert live.changed == []
    assert operations.verify().clean


@pytest.mark.parametrize("beyond", [True, False])
def test_what_changed_is_made_again_from_an_archive(
    store: Store, live: LiveReadModels, operations: Operations, tmp_path: Path, beyond: bool
) -> None:
    archive(store, tmp_path / "a", segment_events=2_000)
    if beyond:
        asyncio.run(_one_run_more(store.url))
        live.catch_up()
    on_blast_radius: list[tuple[int, int, int]] = []
    source = archived_log(tmp_path / "a")
    built = build_changed(
        operations, store, live.path, source, begun=lambda *what: on_blast_radius.append(what)
    )
    assert built is not None
    assert on_blast_radius == [(built.number, 0, store.head())]
    whole = live.generations.file(build(store, live.path).number)
    assert contents(live.generations.file(built.number)) == contents(whole)


async def _one_run_more(url: str) -> None:
    async with RunLedger.open(url) as ledger, ledger.run(agent_id="agent-late"):
        pass
