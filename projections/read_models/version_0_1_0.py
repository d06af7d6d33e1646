"""The declarations of the read models of version 0.1.0, which had no model.toml."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from projections.read_models.declaration import Declaration, Table

_TABLE: Final = re.compile(r"((?:^--.*\n)*)^CREATE TABLE (\w+)", re.MULTILINE)
_KEY: Final = re.compile(r"\bKey: (\w+(?:, \w+)*)")


def declaration(name: str, schema: str, columns: Mapping[str, Sequence[str]]) -> Declaration:
    """Derive the declaration of a stored read model from its SQL.

    `schema` is its schema.sql with `Key: column, …` in the comment above each table, `columns` the
    columns of every table. The SQL does not declare what it reads, so the read model is applied in
    the order of names, deleted from in the reverse order, and never built without the others.
    """
    tables = {}
    for comment, table in _TABLE.findall(schema):
        found = _KEY.search(re.sub(r"\n--", "", comment))
        if found is not None:
            tables[table] = _table(table, tuple(found[1].split(", ")), columns.get(table, ()))
    return Declaration(reads=None, required=name == "parked", tables=tables)


def _table(name: str, key: tuple[str, ...], columns: Sequence[str]) -> Table:
    positions = tuple(column for column in columns if column.endswith("position"))
    run = next((column for column in ("run_id", "stream") if column in key), None)
    return Table(
        key=key,
        run=run,
        born="born" if "born" in columns else None,
        created="created_at" if "created_at" in columns else None,
        every_run=name == "runs" and run is not None,
        positions=positions,
        checkpoint="last_position" if name == "runs" and "last_position" in positions else None,
        owes=name == "callbacks",
    )
