"""Replay: project the log again from its first event into a new generation; live is untouched."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from projections.archive.log_source import LogSource, comes_as_columns, project
from projections.compare.comparison import Comparison, Thresholds
from projections.compare.explain import expect_explainable
from projections.fold.batch import events_digest
from projections.fold.engine import BATCH_EVENTS, Begun, Progress
from projections.fold.generation import Generation, expect_own
from projections.fold.log_identity import LogIdentity
from projections.generations.generations import Generations
from projections.generations.manifest import BEGIN, GenerationManifest
from projections.operator.operator import Operator
from projections.publishing.target_file import PARQUET, expect_target
from projections.read_models.catalog import discover
from projections.read_models.read_model import ReadModel
from projections.replay.changed_models import build_changed
from projections.replay.partial import BlastRadius, build_part
from projections.replay.selection import Selection
from runledger.errors import LogDiverged, ProjectionFailed, ReadModelsDamaged, ReadModelsLocked
from runledger.store import Store


def build(
    store: Store,
    path: str | Path,
    models: Sequence[ReadModel] | None = None,
    *,
    source: LogSource | None = None,
    fresh: bool = False,
    batch_events: int = BATCH_EVENTS,
    begun: Begun | None = None,
    progress: Progress | None = None,
) -> GenerationManifest:
    """Build a generation beside `path` up to the end of the log; return its manifest.

    A generation that a killed replay left, or that was built by the same SQL from the same shapes
    of events, is caught up instead, unless `fresh`. The log is read from an archive up to its end,
    if there is one, and then from the store.

    Raises:
        ReadModelsLocked: if another process is building a generation.
    """
    if source is not None:
        source.expect_of(store)
    generations = Generations(path)
    chosen = tuple(discover() if models is None else models)
    bulk = comes_as_columns(store, source)
    generation = _open(generations, store, chosen, source, fresh, bulk)
    started = time.monotonic()
    try:
        number, position = generation.about.number, generation.position
        before = generations.find(number)
        generations.record(generation, "building")
        if begun is not None:
            begun(number, position, store.head())
        project(generation, store, source, store.head, batch_events=batch_events, progress=progress)
        generation.checkpoint()
        spent = (before.seconds or 0.0) if before else 0.0
        return generations.record(generation, "candidate", spent + time.monotonic() - started)
    finally:
        generation.close()


def _open(
    generations: Generations,
    store: Store,
    models: Sequence[ReadModel],
    source: LogSource | None,
    fresh: bool,
    bulk: bool,
) -> Generation:
    """Open the generation to continue with, or a new one."""
    generations.folder.mkdir(parents=True, exist_ok=True)
    wanted = {model.name: model.digest for model in models}
    for number in reversed(generations.numbers()):
        entry = generations.find(number)
        if entry is None and generations.file(number).exists():
            # Its process was killed before it wrote the manifest: nothing was projected.
            with suppress(ReadModelsLocked):
                generations.drop(number)
        if entry is None or entry.state not in BEGIN.allowed:
            continue
        same = entry.models == wanted and entry.events_digest == events_digest()
        if same and not entry.partial and not fresh:
            try:
                return _of_log(Generation(generations.file(number), bulk=bulk), store)
            except ReadModelsDamaged:
                # It has not been used yet, and a new one takes no longer.
                generations.drop(number)
        elif entry.state == "building":
            generations.drop(number)
    number = generations.next_number()
    built_from = source.name if source else "store"
    file = generations.file(number)
    return Generation(file, models, number=number, built_from=built_from, bulk=bulk)


def _of_log(generation: Generation, store: Store) -> Generation:
    """Return the generation if it is of the store's log; otherwise close it and raise."""
    try:
        LogIdentity(generation.path, generation.cursor).expect(store)
    except BaseException:
        generation.close()
        raise
    return generation


class Replayed(BaseModel):
    """The result of a replay.

    `built` is None if only changed read models were asked for and none had changed. `comparison` is
    None if there was no live generation, or for the reason in `not_compared`. `exceeded` lists the
    exceeded thresholds, `live` is the generation that was switched to, and `dropped` are the old
    generations that were deleted. A partial replay has its effect in `radius`, and in
    `untouched_buckets` the number of buckets whose rows are all unchanged.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)
    built: GenerationManifest | None = None
    comparison: Comparison | None = None
    not_compared: str | None = None
    radius: BlastRadius | None = None
    untouched_buckets: int | None = None
    exceeded: list[str] = []
    live: GenerationManifest | None = None
    dropped: list[int] = []


class Plan(BaseModel):
    """The options for the generation that was built: a dry run unless `switch`.

    `limit` differing rows of each table are shown and `explain` of them are explained, or as many
    of each run in `explain_runs`. `out` is a Parquet file for every value that differs. `keep` old
    generations are kept after a switch.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)
    limit: int = Field(default=10, ge=0)
    explain: int = Field(default=1, ge=0)
    explain_runs: tuple[str, ...] = ()
    out: Path | None = None
    thresholds: Thresholds = Thresholds()
    switch: bool = False
    keep: int = Field(default=2, ge=0)


def replay(
    operator: Callable[[], AbstractContextManager[Operator]],
    store: Store,
    path: str | Path,
    plan: Plan | None = None,
    *,
    source: LogSource | None = None,
    only_changed: bool = False,
    selection: Selection | None = None,
    on_blast_radius: Callable[[BlastRadius], None] | None = None,
    fresh: bool = False,
    begun: Begun | None = None,
    progress: Progress | None = None,
) -> Replayed:
    """Build a generation, compare it with the live one, and switch if that is the plan.

    The live file is needed only to compare and to switch; `operator` opens it, or asks the process
    that has it open. `only_changed` projects the read models whose SQL changed, and copies the
    others. With a `selection` it is a partial replay; `on_blast_radius` is then called before
    anything is changed.
    """
    plan = plan or Plan()
    # A typing error is reported now, not after the log has been projected.
    plan.thresholds.check(discover())
    expect_explainable(store, plan.explain_runs, min(plan.explain, plan.limit))
    expect_own(Path(path))
    if plan.out is not None:
        expect_target(plan.out, PARQUET, store.url, Path(path), overwrite=True)
    if only_changed:
        with operator() as at:
            changes = build_changed(at, store, path, source, begun, progress)
            if changes is None:
                return Replayed()
            return conclude(at, Generations(path), changes, plan)
    if selection is not None:
        with operator() as at:
            part = build_part(at, store, path, selection, on_blast_radius)
            replayed = conclude(at, Generations(path), part.built, plan)
        return replayed.model_copy(
            update={"radius": part.radius, "untouched_buckets": part.untouched_buckets}
        )
    built = build(store, path, source=source, fresh=fresh, begun=begun, progress=progress)
    generations = Generations(path)
    if not generations.path.exists():
        live = generations.install(built.number) if plan.switch else None
        return Replayed(built=built, live=live)
    try:
        with operator() as at:
            return conclude(at, generations, built, plan)
    except ReadModelsDamaged as e:
        return _finish(built, plan, str(e), lambda: generations.replace_damaged(built.number))


def conclude(
    operator: Operator, generations: Generations, built: GenerationManifest, plan: Plan
) -> Replayed:
    """Compare what was built with the live generation; switch if that is the plan."""
    compared: Comparison | str
    try:
        compared = operator.compare(
            built.number,
            limit=plan.limit,
            explain=min(plan.explain, plan.limit),
            explain_runs=plan.explain_runs,
            out=plan.out,
        )
    except (ProjectionFailed, LogDiverged) as e:
        # The live generation cannot be projected: the built one replaces it and must not wait.
        compared = str(e)
    done = _finish(built, plan, compared, lambda: operator.switch(built.number))
    if done.live is None:
        return done
    return done.model_copy(update={"dropped": generations.prune(plan.keep)})


def _finish(
    built: GenerationManifest,
    plan: Plan,
    compared: Comparison | str,
    switch: Callable[[], GenerationManifest],
) -> Replayed:
    """Switch if that is the plan; `compared` is the comparison, or the reason why there is none."""
    if isinstance(compared, Comparison):
        done = Replayed(
            built=built, comparison=compared, exceeded=plan.thresholds.exceeded(compared)
        )
    else:
        needless = plan.thresholds == Thresholds()
        exceeded = [] if needless else ["nothing was compared, so nothing is within the thresholds"]
        done = Replayed(built=built, not_compared=compared, exceeded=exceeded)
    if done.exceeded or not plan.switch:
        return done
    return done.model_copy(update={"live": switch()})
