"""Shared by the tests of replay: the planted bug, and tables in a form that can be compared."""

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from projections.fold.generation import Generation
from projections.generations.live import LiveReadModels
from projections.read_models.catalog import ROOT
from runledger.store import Store

EVENTS = 9_000
TABLES = (
    *("agents", "callbacks", "callback_attempts", "duration_percentiles", "parked_events"),
    *("parked_runs", "run_durations", "runs", "steps", "tool_calls", "usage_totals"),
    *("cost_totals", "price_applications", "price_lists", "step_costs"),
)


def copied_sql(folder: Path) -> Path:
    """Copy the SQL of all read models, to be changed or to be left alone."""
    for schema in ROOT.glob("*/schema.sql"):
        shutil.copytree(schema.parent, folder / schema.parent.name)
    return folder


def planted_bug(folder: Path) -> Path:
    """Make read models in which cache reads count twice."""
    copied_sql(folder)
    twice = "sum(<bucket> * if('<bucket>' = 'cache_read_tokens', 2, 1))"
    for name in ("runs", "usage_totals"):
        change(folder / name / "apply.sql", "sum(<bucket>)", twice)
    return folder


def change(file: Path, before: str, after: str) -> None:
    """Replace text that must be there."""
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def open_live(store: Store, path: Path) -> LiveReadModels:
    """Open live read models and bring them up to date."""
    live = LiveReadModels(store, path)
    live.catch_up()
    return live


def rows(path: Path, table: str) -> Counter[Any]:
    """Return the rows of a table of a closed generation, without their order."""
    with closing(duckdb.connect(str(path), read_only=True)) as db:
        return Counter(map(repr, db.execute(f"SELECT * FROM {table}").fetchall()))


def contents(path: Path) -> dict[str, Counter[Any]]:
    """Return all rows of all read models of a closed generation."""
    return {table: rows(path, table) for table in TABLES}


def cache_reads(file: Path) -> tuple[dict[str, int], set[tuple[str, ...]]]:
    """Return, from the raw facts of a log: cache reads by run, and the keys of totals with some."""
    by_run: Counter[str] = Counter()
    totals: set[tuple[str, ...]] = set()
    with closing(sqlite3.connect(file)) as db:
        for run_id, state in db.execute(
            "SELECT originator_id, state FROM ledger_events WHERE topic = 'run.step_recorded'"
        ):
            step = json.loads(state)
            if step.get("cache_read_tokens"):
                by_run[run_id] += step["cache_read_tokens"]
                owner = (step["organization"], step["project_id"], step["agent_id"])
                totals.add((*owner, step["model"], step["occurred_at"][:10]))
    return dict(by_run), totals


def digests(generation: Generation) -> dict[str, str]:
    """Return what all rows of every table of an open generation come to, without their order."""
    with closing(generation.cursor()) as db:
        return {
            table: str(
                db.execute(
                    f"SELECT count(*), sum(hash(*COLUMNS(*))::HUGEINT) FROM {table}"
                ).fetchall()
            )
            for table in TABLES
        }
