"""A replay of only the read models whose SQL is new or changed; the others are copied."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from projections.archive.log_source import LogSource, comes_as_columns, project
from projections.fold import parking
from projections.fold.engine import Begun, Progress
from projections.fold.generation import Generation
from projections.generations.generations import Generations
from projections.generations.manifest import GenerationManifest
from projections.operator.operator import Operator
from projections.read_models.catalog import changed, discover, needed
from projections.read_models.read_model import ReadModel
from projections.replay.copies import Copy, copy_of_live
from runledger.errors import ProjectionFailed
from runledger.sql_file import render, statements
from runledger.store import Store

SQL: Final = statements(Path(__file__).with_name("changed_models.sql"))


def build_changed(
    operator: Operator,
    store: Store,
    path: str | Path,
    source: LogSource | None = None,
    begun: Begun | None = None,
    progress: Progress | None = None,
) -> GenerationManifest | None:
    """Build a generation in which the changed read models are made again from the whole log.

    The log is read from an archive up to its end, if there is one. Returns None if nothing has
    changed. Unchanged read models are copied, not projected, so parked streams stay parked.

    Raises:
        ProjectionFailed: if the changed SQL would park more events.
    """
    if source is not None:
        source.expect_of(store)
    generations = Generations(path)
    today = discover()
    with copy_of_live(operator, generations) as copy:
        names = changed(copy.generation.models, today)
        if names:
            if begun is not None:
                begun(copy.number, 0, copy.generation.position)
            _replace(copy, store, today, names, source, progress)
            return generations.record(copy.generation, "candidate")
    copy.generation.path.unlink()
    return None


def _replace(
    copy: Copy,
    store: Store,
    today: Sequence[ReadModel],
    names: Sequence[str],
    source: LogSource | None,
    progress: Progress | None,
) -> None:
    made = [model for model in today if model.name in names]
    gone = [model for model in copy.generation.models if model.name in names]
    again = _project_again(copy, store, needed([m.name for m in made], today), source, progress)
    with closing(copy.generation.cursor()) as side:
        side.execute(SQL["attach"], {"path": str(again)})
        _expect_no_more_parked(side)
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


def _project_again(
    copy: Copy,
    store: Store,
    models: Sequence[ReadModel],
    source: LogSource | None,
    progress: Progress | None,
) -> Path:
    """Return a file of read models up to the position of the copy, without its parked events."""
    file, position = copy.scratch / "again.duckdb", copy.generation.position
    with closing(Generation(file, models, bulk=comes_as_columns(store, source))) as again:
        with copy.generation.transaction() as old, again.transaction() as new:
            parking.begin_with(new, parking.parked(old))
        project(again, store, source, lambda: position, progress=progress)
    return file


def _expect_no_more_parked(side: Any) -> None:
    """Raise ProjectionFailed if the copied read models have events that the changed ones
    refused."""
    found = side.execute(SQL["refused"]).fetchall()
    if found:
        stream, position, reason = found[0]
        raise ProjectionFailed(
            f"{reason}: expected the changed read models to take what the others hold, found "
            f"events of {len(found):,} streams that they refuse, of {stream!r} from position "
            f"{position:,} first; `runledger replay` projects all read models again"
        )
