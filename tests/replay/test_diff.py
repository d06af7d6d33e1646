"""The comparison of two generations against one in plain Python, on small tables of all kinds."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from projections.compare.diff import Diff, TableDiff
from projections.fold.generation import Generation
from projections.generations.snapshot import Snapshot
from projections.read_models.declaration import Declaration, Table
from projections.read_models.read_model import ReadModel

pytestmark = pytest.mark.slow

SCHEMA = """-- things: what is compared.
CREATE TABLE things (name VARCHAR, place INTEGER, n BIGINT, tags VARCHAR[]);
"""

Row = tuple[str | None, int | None, int | None, list[str | None] | None]

keys = st.tuples(st.sampled_from(["a", "b", "ü/\"'\\", None]), st.sampled_from([1, 2, None]))
values = st.tuples(
    st.sampled_from([None, 0, 1, 2**62]), st.sampled_from([None, [], [None], ["x"], ["x", "y"]])
)
tables = st.lists(st.tuples(keys, values).map(lambda row: (*row[0], *row[1])), max_size=8)


def things(*key: str, run: str | None = None) -> Declaration:
    return Declaration(tables={"things": Table(key=key, run=run)})


def generation(
    path: Path,
    rows: list[Row],
    schema: str = SCHEMA,
    declared: Declaration = things("place", "name"),  # noqa: B008
) -> Path:
    made = Generation(path, [ReadModel("things", schema, "", "", declared)])
    with made.transaction() as db:
        for row in rows:
            db.execute("INSERT INTO things VALUES (?, ?, ?, ?)", row)
    made.close()
    return path


def compared(old: Path, new: Path, limit: int = 100, out: Path | None = None) -> TableDiff:
    with closing(Generation(old)) as live, closing(Snapshot(live)) as snapshot:
        snapshot.attach(new)
        (found,) = Diff(snapshot.db, limit, out).tables(live.models, live.models)
        return found


def by_key(rows: list[Row]) -> dict[tuple[object, ...], Counter[str]]:
    found: dict[tuple[object, ...], Counter[str]] = {}
    for name, place, *rest in rows:
        found.setdefault((name, place), Counter())[repr(rest)] += 1
    return found


@settings(deadline=None)
@given(tables, tables)
@example([("a", 1, 1, None)], [("a", 1, 1, [])])
@example([("a", 1, 1, [None])], [("a", 1, 1, [])])
def test_the_diff_is_what_plain_python_finds(old: list[Row], new: list[Row]) -> None:
    with TemporaryDirectory() as folder:
        base = Path(folder)
        found = compared(generation(base / "old.duckdb", old), generation(base / "new.duckdb", new))
    before, after = by_key(old), by_key(new)
    changed = {key for key in before.keys() & after if before[key] != after[key]}
    differing = changed | (before.keys() ^ after.keys())
    assert (found.rows_old, found.rows_new) == (len(old), len(new))
    assert found.added == len(after.keys() - before)
    assert found.removed == len(before.keys() - after)
    assert found.changed == len(changed)
    assert found.duplicated == len(
        {
            key
            for key in differing
            for side in (before, after)
            if side.get(key, Counter()).total() > 1
        }
    )
    on_blast_radius = {(row.key["name"], row.key["place"]): row.change for row in found.sample}
    assert on_blast_radius.keys() == differing
    single = [key for key in changed if before[key].total() == after[key].total() == 1]
    for row in found.sample:
        key = (row.key["name"], row.key["place"])
        if key not in single:
            continue
        ((_, _, n, tags),) = [r for r in old if r[:2] == key]
        ((_, _, new_n, new_tags),) = [r for r in new if r[:2] == key]
        columns = {"n"} if n != new_n else set()
        columns |= {"tags"} if tags != new_tags else set()
        assert {cell.column for cell in row.cells} == columns
    if len(single) == len(changed):
        assert sum(found.columns.values()) == sum(
            len(row.cells) for row in found.sample if row.change == "changed"
        )


def test_values_are_shown_as_text_and_whole_rows_as_they_are(tmp_path: Path) -> None:
    old = generation(tmp_path / "old.duckdb", [("a", 1, None, ["x"]), ("gone", 1, 5, [])])
    new = generation(tmp_path / "new.duckdb", [("a", 1, 2**62, ["x", "y"]), ("came", 2, 6, None)])
    out = tmp_path / "diff.parquet"
    found = compared(old, new, out=out)
    changed, came, gone = found.sample
    assert [(cell.column, cell.old, cell.new) for cell in changed.cells] == [
        ("n", None, str(2**62)),
        ("tags", "[x]", "[x, y]"),
    ]
    assert (came.change, came.row) == ("added", {"name": "came", "place": 2, "n": 6, "tags": None})
    assert (gone.change, gone.row) == ("removed", {"name": "gone", "place": 1, "n": 5, "tags": []})
    assert found.columns == {"n": 1, "tags": 1}
    reported = duckdb.sql(f"SELECT change, count(*) FROM '{out}' GROUP BY ALL").fetchall()
    assert dict(reported) == {"changed": 2, "added": 1, "removed": 1}


def test_rows_beyond_the_limit_are_counted_and_not_shown(tmp_path: Path) -> None:
    old = generation(tmp_path / "old.duckdb", [("a", n, 1, None) for n in range(50)])
    new = generation(tmp_path / "new.duckdb", [("a", n, 2, None) for n in range(50)])
    found = compared(old, new, limit=3)
    assert found.changed == 50
    assert [row.key["place"] for row in found.sample] == [0, 1, 2]


def test_columns_of_one_side_and_other_types_are_named(tmp_path: Path) -> None:
    old = generation(tmp_path / "old.duckdb", [("a", 1, 1, None)])
    schema = SCHEMA.replace("n BIGINT", "n VARCHAR").replace("tags VARCHAR[]", "words VARCHAR[]")
    new = generation(tmp_path / "new.duckdb", [("a", 1, "2", None)], schema)  # type: ignore[list-item]
    found = compared(old, new)
    assert (found.columns_added, found.columns_removed) == (["words"], ["tags"])
    assert found.columns_retyped == ["n"]
    assert found.differing == 0


def test_rows_of_a_run_that_is_asked_for_are_shown_beyond_the_limit(tmp_path: Path) -> None:
    schema = SCHEMA.replace("name", "run_id")
    declared = things("run_id", "place", run="run_id")
    old = [(run, n, 1, None) for run in ("a", "b", "c") for n in range(4)]
    new = [(run, n, 2, None) for run, n, *_ in old if n < 2] + [("b", 7, 5, ["x"])]
    files = [
        generation(tmp_path / f"{name}.duckdb", rows, schema, declared)
        for name, rows in (("old", old), ("new", new))
    ]
    with closing(Generation(files[0])) as live, closing(Snapshot(live)) as snapshot:
        snapshot.attach(files[1])
        diff = Diff(snapshot.db, 3, runs=["b", "nobody"])
        (found,) = diff.tables(live.models, live.models)
    on_blast_radius = {(row.key["run_id"], row.key["place"]): row for row in found.sample}
    assert list(on_blast_radius) == [
        *[("a", 0), ("a", 1), ("b", 0), ("b", 1)],
        ("b", 2),
    ]
    assert [(cell.old, cell.new) for cell in on_blast_radius["b", 1].cells] == [("1", "2")]
    assert on_blast_radius["b", 2].row == {"run_id": "b", "place": 2, "n": 1, "tags": None}
