"""A declaration is read strictly; a fault in it is named with its file and field."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from projections.fold.generation import Generation
from projections.read_models.catalog import discover, needed
from projections.read_models.declaration import Declaration, Table, parse
from projections.read_models.order import deletion_order, in_order
from projections.read_models.read_model import ReadModel
from runledger.errors import ReadModelsError

TABLE = '[tables.aa]\nkey = ["n"]\n'


def model(
    name: str, reads: tuple[str, ...] = (), delete_sql: str = "", **delete: tuple[str, ...]
) -> ReadModel:
    declared = Declaration.model_validate(
        {"reads": reads, "delete": delete, "tables": {name: Table(key=("n",))}}
    )
    return ReadModel(name, f"CREATE TABLE {name} (n BIGINT);", "", delete_sql, declared)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("reads = [", "aa/model.toml: expected TOML"),
        ("", r"aa/model.toml: tables: Field required"),
        ("[tables]\n", r"aa/model.toml: tables: .*at least 1"),
        (f"owner = 'me'\n{TABLE}", r"aa/model.toml: owner: Extra inputs are not permitted"),
        (f"{TABLE}keys = []", r"aa/model.toml: tables.aa.keys: Extra inputs"),
        ("[tables.aa]\nkey = []", r"aa/model.toml: tables.aa.key: .*at least 1"),
        ("[tables.aa]\nkey = 'n'", r"aa/model.toml: tables.aa.key: .*tuple"),
        ("[tables.aa]\nkey = [1]", r"aa/model.toml: tables.aa.key.0: .*string"),
        (f"{TABLE}owes = 1", r"aa/model.toml: tables.aa.owes: .*boolean"),
        (f"{TABLE}run = 'm'", r"aa/model.toml: tables.aa: .*run: expected a column of the key"),
        (f"{TABLE}every_run = true", r"aa/model.toml: tables.aa: .*every_run: expected `run`"),
        (f"{TABLE}checkpoint = 'm'", r"aa/model.toml: tables.aa: .*checkpoint: expected one of"),
        (f"reads = 'bb'\n{TABLE}", r"aa/model.toml: reads: .*tuple"),
        (f"{TABLE}[delete]\nafter = ['bb']", r"aa/model.toml: .*delete.after: expected one of"),
        (
            f"reads = ['bb']\n{TABLE}[delete]\nafter = ['bb']\nbefore = ['bb']",
            r"aa/model.toml: .*expected before or after, found both",
        ),
    ],
)
def test_a_fault_is_named_with_its_file_and_field(text: str, place: str) -> None:
    with pytest.raises(ReadModelsError, match=place):
        parse("aa", text)


def test_the_name_of_no_read_model_is_refused() -> None:
    with pytest.raises(ReadModelsError, match=r"bb/model.toml: reads.0: .*are aa\), found 'cc'"):
        in_order([model("aa"), model("bb", ("cc",))])
    with pytest.raises(ReadModelsError, match=r"bb/model.toml: reads.0: .*found 'bb'"):
        in_order([model("aa"), model("bb", ("bb",))])


def test_a_cycle_of_what_is_read_is_refused() -> None:
    chain = [model("aa", ("bb",)), model("bb", ("cc",)), model("cc", ("aa",))]
    with pytest.raises(ReadModelsError, match=r"model.toml: reads: .*cycle .* → .* → "):
        in_order(chain)


def test_a_cycle_of_deletions_is_refused() -> None:
    models = [
        model("aa", delete_sql="-- forget: it\nSELECT 1"),
        model("bb", ("aa",), "-- forget: it\nSELECT 1", before=("aa",)),
        model("cc", ("aa", "bb"), "-- forget: it\nSELECT 1", after=("aa",), before=("bb",)),
    ]
    with pytest.raises(ReadModelsError, match=r"model.toml: delete: .*cycle .* → .* → "):
        in_order(models)


@pytest.mark.parametrize(
    "sql",
    [
        *("FROM aa", "from AA", 'SELECT 1 FROM bb JOIN "aa" USING (n)', "FROM bb ANTI JOIN aa"),
        "DELETE FROM bb USING aa",
    ],
)
def test_a_table_that_is_read_and_not_declared_is_refused(sql: str) -> None:
    reader = replace(model("bb"), apply_sql=f"-- add: it\nINSERT INTO bb {sql}")
    with pytest.raises(ReadModelsError, match=r"bb/model.toml: reads: expected 'aa' in it"):
        in_order([model("aa"), reader])


@pytest.mark.parametrize(
    "sql",
    ["SELECT aa FROM bb", "FROM bb WHERE n IS NOT DISTINCT FROM aa", "\n-- FROM aa\nSELECT aa.n"],
)
def test_a_column_is_no_table(sql: str) -> None:
    reader = replace(model("bb"), apply_sql=f"-- add: it\nINSERT INTO bb {sql}")
    assert len(in_order([model("aa"), reader])) == 2


def test_a_deletion_says_when_it_is_executed() -> None:
    reader = model("bb", ("aa",), "-- forget: it\nDELETE FROM bb")
    with pytest.raises(ReadModelsError, match=r"bb/model.toml: delete: .*found neither for aa"):
        in_order([model("aa"), reader])


def test_each_is_applied_after_what_it_reads_and_the_rest_by_name() -> None:
    models = [model("dd"), model("aa", ("cc",)), model("cc"), model("bb")]
    assert [m.name for m in in_order(models)] == ["bb", "cc", "dd", "aa"]
    assert [m.name for m in deletion_order(in_order(models))] == ["dd", "cc", "bb", "aa"]


def test_what_is_read_is_part_of_the_digest_and_what_describes_is_not() -> None:
    reader = model("bb", ("aa",))
    before = {m.name: m for m in in_order([model("aa"), reader])}
    other = {m.name: m for m in in_order([replace(model("aa"), apply_sql="SELECT 1"), reader])}
    assert before["aa"].digest != other["aa"].digest
    assert before["bb"].digest != other["bb"].digest
    shown = replace(model("aa"), declaration=Declaration(tables={"aa": Table(key=("n", "m"))}))
    described = {m.name: m for m in in_order([shown, reader])}
    assert {n: m.digest for n, m in described.items()} == {n: m.digest for n, m in before.items()}
    assert described["aa"].description_digest != before["aa"].description_digest


def test_the_order_of_deletion_is_part_of_the_digest() -> None:
    delete = "-- forget: it\nDELETE FROM bb"
    before, after = (
        in_order([model("aa"), model("bb", ("aa",), delete, **{when: ("aa",)})])[1]
        for when in ("before", "after")
    )
    assert before.digest != after.digest


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"bb": Table(key=("n",))}, r"aa/model.toml: tables.bb: .*makes, found none"),
        ({"aa": Table(key=("m",))}, r"aa/model.toml: tables.aa: .*\(n\), found m"),
    ],
)
def test_what_the_schema_does_not_make_is_refused(tables: dict[str, Table], said: str) -> None:
    wrong = replace(model("aa"), declaration=Declaration(tables=tables))
    with pytest.raises(ReadModelsError, match=said):
        Generation(":memory:", [wrong])


def test_a_table_that_is_made_and_not_declared_is_refused() -> None:
    more = replace(model("aa"), schema=f"{model('aa').schema} CREATE TABLE cc (n BIGINT);")
    with pytest.raises(ReadModelsError, match=r"read models aa: .*model.toml.*found cc in none"):
        Generation(":memory:", [more])


def test_a_folder_without_a_declaration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "schema.sql").write_text("CREATE TABLE mine (n BIGINT);")
    with pytest.raises(
        ReadModelsError, match=r"mine/model.toml'.*write at least `\[tables.mine\]`"
    ):
        discover(tmp_path)


def test_what_is_needed_follows_from_what_is_read() -> None:
    models = in_order([model("aa", ("bb",)), model("bb", ("cc",)), model("cc"), model("dd")])
    assert [m.name for m in needed(["aa"], models)] == ["cc", "bb", "aa"]
    assert [m.name for m in needed(["usage_totals"], discover())] == [
        *("parked", "steps", "usage_totals")
    ]


@pytest.mark.parametrize("model", discover(), ids=lambda model: model.name)
def test_no_position_of_the_log_is_left_undeclared(model: ReadModel) -> None:
    with closing(Generation(":memory:", discover())) as made, closing(made.cursor()) as db:
        for name, table in model.declaration.tables.items():
            columns = [row[0] for row in db.execute(f"DESCRIBE {name}").fetchall()]
            assert set(table.positions) == {c for c in columns if c.endswith("position")}
            assert (table.born is not None) == ("born" in columns)


def test_other_descriptions_are_taken_over_without_a_replay(tmp_path: Path) -> None:
    made = tmp_path / "g.duckdb"
    models = list(discover())
    wrong = Declaration(tables={"runs": Table(key=("organization",))})
    models = [replace(m, declaration=wrong) if m.name == "runs" else m for m in models]
    Generation(made, models).close()
    with closing(Generation(made)) as generation:
        assert generation.changed == []
        generation.redescribe()
        assert generation.models == discover()
    with closing(Generation(made)) as generation:
        assert generation.models == discover()
