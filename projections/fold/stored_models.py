"""The read models that a generation holds: the SQL that makes its rows, and what each declares."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from projections.read_models import version_0_1_0
from projections.read_models.declaration import FILE, Declaration
from projections.read_models.order import in_order
from projections.read_models.read_model import ReadModel
from runledger.errors import ReadModelsError
from runledger.sql_file import render, statements

SQL: Final = statements(Path(__file__).with_name("stored_models.sql"))
DECLARED: Final = 2
"""The first layout of a generation that holds declarations."""


def create(db: Any, models: Sequence[ReadModel]) -> None:
    """Make the tables of new read models and store their SQL and declarations.

    `db` is a connection in a transaction.

    Raises:
        ReadModelsError: if a schema.sql makes other tables or columns than its model.toml declares.
    """
    db.execute(SQL["create_models"])
    # The catalog is read once for all: each reading of it takes as long as making a table does.
    before = _columns(db)
    for model in models:
        db.execute(model.schema)
        _add(db, model)
    after = _columns(db)
    _expect_declared(models, {name: after[name] for name in after.keys() - before.keys()})


def read(db: Any, layout: int) -> tuple[ReadModel, ...]:
    """Return the stored read models of a generation, in the order of application.

    `layout` is that of the generation. A read model without a declaration was made by version
    0.1.0.
    """
    name = "models" if layout >= DECLARED else "models_undeclared"
    rows = db.execute(SQL[name]).fetchall()
    columns = _columns(db) if any(declared is None for *_, declared in rows) else {}
    found = []
    for model, schema, apply, delete, declared in rows:
        if declared is None:
            declaration = version_0_1_0.declaration(model, schema, columns)
        else:
            declaration = Declaration.model_validate_json(declared)
        found.append(ReadModel(model, schema, apply, delete, declaration))
    return in_order(found)


def beyond(db: Any, models: Iterable[ReadModel], position: int) -> int | None:
    """Return the highest position of rows beyond the checkpoint, None if there are none."""
    for model in models:
        for name, table in model.declaration.tables.items():
            if table.checkpoint is not None:
                highest = render(SQL["beyond"], table=name, column=table.checkpoint)
                ((found,),) = db.execute(highest, {"position": position}).fetchall()
                if found is not None:
                    return int(found)
    return None


def make_room(db: Any) -> None:
    """Migrate a generation of an older layout to the one that holds declarations."""
    db.execute(SQL["declare"], {"layout": DECLARED})


def forget(db: Any, name: str) -> None:
    """Delete the stored SQL and declaration of a read model whose rows are deleted."""
    db.execute(SQL["forget_model"], {"name": name})


def remember(db: Any, model: ReadModel) -> None:
    """Store a read model, in place of an earlier one of the same name."""
    forget(db, model.name)
    _add(db, model)


def _add(db: Any, model: ReadModel) -> None:
    declared = model.declaration
    db.execute(
        SQL["add_model"],
        {
            "name": model.name,
            "digest": model.digest,
            "schema_sql": model.schema,
            "apply_sql": model.apply_sql,
            "delete_sql": model.delete_sql,
            "declaration": None if declared.reads is None else declared.model_dump_json(),
        },
    )


def _columns(db: Any) -> dict[str, list[str]]:
    return dict(db.execute(SQL["columns"]).fetchall())


def _expect_declared(models: Sequence[ReadModel], made: dict[str, list[str]]) -> None:
    for model in models:
        for name, table in model.declaration.tables.items():
            if name not in made:
                raise ReadModelsError(
                    f"{model.name}/{FILE}: tables.{name}: expected a table that schema.sql makes, "
                    f"found none"
                )
            if unknown := sorted(table.columns - set(made[name])):
                raise ReadModelsError(
                    f"{model.name}/{FILE}: tables.{name}: expected columns of the table "
                    f"({', '.join(made[name])}), found {', '.join(unknown)}"
                )
    declared = {name for model in models for name in model.declaration.tables}
    if undeclared := sorted(made.keys() - declared):
        raise ReadModelsError(
            f"read models {', '.join(model.name for model in models)}: expected every table that a "
            f"schema.sql makes in the {FILE} beside it, found {', '.join(undeclared)} in none"
        )
