"""Reads the read models of a generation whole, in a form by which two of them can be compared."""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.read_models.catalog import ReadModel
from runledger.store.protocol import LogReader
from tests.projections.oracle import Tables


def contents(generation: Generation) -> Tables:
    """Return the rows of every table of a read model, sorted: their order does not count."""
    db = generation.cursor()
    names = db.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
        " AND table_name NOT IN ('generation', 'generation_models', 'generation_marks')"
        " ORDER BY table_name"
    ).fetchall()
    return plain({name: _rows(db, name) for (name,) in names})


def _rows(db: Any, table: str) -> list[dict[str, Any]]:
    found = db.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def plain(found: Tables) -> Tables:
    """Return tables with times in UTC and rows in the order of their values."""
    made = {
        table: [{name: _utc(row[name]) for name in sorted(row)} for row in rows]
        for table, rows in found.items()
    }
    return {table: sorted(rows, key=repr) for table, rows in made.items()}


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def projected_by_pieces(reader: LogReader, ends: Collection[int]) -> Tables:
    """Return what a fresh generation holds after projecting a log up to each of some positions."""
    generation = Generation(":memory:")
    try:
        engine = Engine(generation, reader, batch_events=max(ends))
        for end in sorted(ends):
            assert engine.catch_up(end) == end
        return contents(generation)
    finally:
        generation.close()


def projected(
    reader: LogReader,
    upto: int,
    batch_events: int,
    models: Sequence[ReadModel] | None = None,
    *,
    bulk: bool = False,
) -> Tables:
    """Return what a fresh generation holds after projecting a log up to a position."""
    generation = Generation(":memory:", models, bulk=bulk)
    try:
        engine = Engine(generation, reader, batch_events=batch_events)
        assert engine.catch_up(upto) == upto
        return contents(generation)
    finally:
        generation.close()


JSON_COLUMNS = frozenset(
    {
        "metadata",
        "request_config",
        "error_data",
        "prompt_tokens_details",
        "completion_tokens_details",
        "usage_details",
        "content",
    }
)


def parsed(found: Tables) -> Tables:
    """Return tables in which JSON columns are canonical text: 1 is not 1.0, nor is -0.0 0.0."""
    return plain(
        {
            table: [{name: _canonical(name, value) for name, value in row.items()} for row in rows]
            for table, rows in found.items()
        }
    )


def _canonical(name: str, value: Any) -> Any:
    if name not in JSON_COLUMNS or value is None:
        return value
    return json.dumps(json.loads(value) if isinstance(value, str) else value, sort_keys=True)
