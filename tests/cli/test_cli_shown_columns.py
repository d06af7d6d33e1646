"""A row that one side of a comparison lacks is shown by the columns that its read model names."""

from contextlib import closing
from pathlib import Path

import pytest

from projections.compare.comparison import Comparison
from projections.compare.diff import Diff
from projections.fold.generation import Generation
from projections.generations.snapshot import Snapshot
from projections.read_models.declaration import Declaration, Table
from projections.read_models.read_model import ReadModel
from runledger.cli.comparing import print_comparison

SCHEMA = "CREATE TABLE things (name VARCHAR, n BIGINT, secret VARCHAR);"
THINGS = Declaration(tables={"things": Table(key=("name",), display=("n",))})


def test_the_columns_to_show_are_those_that_are_declared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side, rows in (("old", []), ("new", [("a", 7, "hidden"), ("b", None, "hidden")])):
        made = Generation(tmp_path / side, [ReadModel("things", SCHEMA, "", "", THINGS)])
        with made.transaction() as db:
            for row in rows:
                db.execute("INSERT INTO things VALUES (?, ?, ?)", row)
        made.close()
    with closing(Generation(tmp_path / "old")) as live, closing(Snapshot(live)) as snapshot:
        snapshot.attach(tmp_path / "new")
        tables = Diff(snapshot.db, 10).tables(live.models, live.models)
    print_comparison(Comparison(old=1, new=2, position=0, tables=tables))
    shown = capsys.readouterr().out
    assert "things added: name=a\n  n: 7\n" in shown
    assert "things added: name=b\n  n: NULL\n" in shown
    assert "hidden" not in shown
