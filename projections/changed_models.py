"""A replay of only the read models whose SQL is new or another one, beside a copy of the rest."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from projections.copies import Copy, copy_of_live
from projections.desk import Desk
from projections.engine import Engine, Progress
from projections.generation import Generation
from projections.generations import Generations, Manifest
from projections.read_models import ROOT, ReadModel, changed, discover, needed
from runledger.sql_file import render, statements
from runledger.store import Store

SQL: Final = statements(ROOT / "changed_models.sql")


def build_changed(
    desk: Desk, store: Store, path: str | Path, progress: Progress | None = None
) -> Manifest | None:
    """Build a generation in which the changed read models are made again from the whole log.

    Returns None where nothing has changed. What did not change is copied, not projected.
    """
    generations = Generations(path)
    today = discover()
    with copy_of_live(desk, generations) as copy:
        names = changed(copy.generation.models, today)
        if names:
            _replace(copy, store, today, names, progress)
            return generations.record(copy.generation, "candidate")
    copy.generation.path.unlink()
    return None


def _replace(
    copy: Copy,
    store: Store,
    today: Sequence[ReadModel],
    names: Sequence[str],
    progress: Progress | None,
) -> None:
    file = copy.scratch / "again.duckdb"
    made = [model for model in today if model.name in names]
    gone = [model for model in copy.generation.models if model.name in names]
    with (
        closing(store.log_reader()) as reader,
        closing(Generation(file, needed([model.name for model in made], today))) as again,
    ):
        Engine(again, reader).catch_up(copy.generation.position, progress)
    with closing(copy.generation.cursor()) as side:
        side.execute(SQL["attach"], {"path": str(file)})
        with copy.generation.transaction() as db:
            for model in gone:
                for table in model.keys:
                    db.execute(render(SQL["drop"], table=table))
                copy.generation.forget(model)
            for model in made:
                db.execute(model.schema)
                for table in model.keys:
                    db.execute(render(SQL["fill"], table=table))
                copy.generation.remember(model)
            before = copy.generation.about.number
            copy.generation.describe(
                copy.number, f"generation {before}, {', '.join(names)} of it again"
            )
        side.execute(SQL["detach"])
    copy.generation.checkpoint()
