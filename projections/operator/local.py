"""What the process that holds the live read models does for the operator."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from projections.compare.comparison import Comparison
from projections.compare.diff import Diff
from projections.compare.explain import Explainer, expect_explainable
from projections.compare.side_by_side import side_by_side
from projections.compare.verify import Verification, Verifier
from projections.fold.file_errors import expect_readable
from projections.fold.parking import PARKED_STREAMS, Parked, Retried
from projections.generations.live import LiveReadModels
from projections.generations.manifest import SWITCH, GenerationManifest
from projections.publishing.target_file import PARQUET, expect_target
from projections.read_models.catalog import changed
from runledger.errors import ReadModelsError
from runledger.store import Store


class Operations:
    """One operation at a time; live goes on projecting and answering meanwhile."""

    def __init__(self, store: Store, live: LiveReadModels) -> None:
        self._store = store
        self._live = live
        self._turn = threading.Lock()

    def compare(
        self,
        number: int,
        *,
        limit: int = 10,
        explain: int = 1,
        explain_runs: Sequence[str] = (),
        out: Path | None = None,
    ) -> Comparison:
        """Compare the live generation with another one, at one position.

        Of every table `limit` differing rows are shown and `explain` of them explained; where
        `explain_runs` names runs, so many of each of them are shown too, and only theirs explained.
        `out` is a Parquet file with every value that differs: InvalidArgument where it is another
        kind of file already. NotFound for a generation or a run that is not there.
        """
        with self._exclusive():
            started = time.monotonic()
            self._expect_other(number)
            if out is not None:
                expect_target(out, PARQUET, self._store.url, self._live.path, overwrite=True)
            expect_explainable(self._store, explain_runs, min(explain, limit))
            live, file = self._live, self._live.generations.file(number)
            with side_by_side(self._store, live, file) as (snapshot, other):
                old, new = live.generation.models, other.models
                diff = Diff(snapshot.db, limit, out, explain_runs)
                tables = diff.tables(old, new)
                explainer = Explainer(self._store, old, new, snapshot.position)
                db = snapshot.db
                of_runs = {
                    run: [why for t in tables for why in explainer.of_run(db, t, run, explain)]
                    for run in explain_runs
                }
                explanations = [
                    explainer.explain(db, table, row)
                    for table in tables
                    for row in table.sample[: 0 if explain_runs else explain]
                ]
            names = [{model.name for model in models} for models in (old, new)]
            parked = [t for t in tables if t.table == PARKED_STREAMS]
            return Comparison(
                old=live.generation.about.number,
                new=number,
                position=snapshot.position,
                models_added=sorted(names[1] - names[0]),
                models_removed=sorted(names[0] - names[1]),
                models_changed=sorted(set(changed(old, new)) & names[0] & names[1]),
                tables=tables,
                explanations=[*explanations, *chain.from_iterable(of_runs.values())],
                runs_unchanged=[run for run, found in of_runs.items() if not found],
                parked_old=sum(table.rows_old for table in parked),
                parked_new=sum(table.rows_new for table in parked),
                seconds=time.monotonic() - started,
            )

    def switch(self, number: int) -> GenerationManifest:
        """Make a generation the live one, and keep the one that was; return its manifest."""
        with self._exclusive():
            self._expect_other(number)
            return self._live.switch(number)

    def record(self) -> None:
        """Write down how far the live generation is."""
        with self._exclusive():
            self._live.record()

    def copy(self, file: Path) -> int:
        """Write the live read models into a file that is not there yet; return their position."""
        with self._exclusive():
            return self._live.copy(file)

    def parked(self) -> list[Parked]:
        """Return what is left out of the live read models, because it cannot be applied."""
        return self._live.parked()

    def retry_parked(self, streams: Sequence[str] | None = None) -> Retried:
        """Apply what was left out of parked streams, of all if none are named."""
        with self._exclusive():
            return self._live.retry_parked(streams)

    def verify(self, sample: int | None = None) -> Verification:
        """Make rows again from their events, by the SQL that made them, and compare.

        Of `sample` runs what is said of them alone; without, everything.
        """
        with self._exclusive():
            verifier = Verifier(self._store, self._live)
            return verifier.everything() if sample is None else verifier.sample(sample)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        # What it reads may be a part of the file that nobody had read before.
        with self._turn, expect_readable(self._live.path):
            yield

    def _expect_other(self, number: int) -> None:
        entry = self._live.generations.get(number)
        if entry.state == "live":
            raise ReadModelsError(f"generation {number}: it is the live one already")
        if entry.state not in SWITCH.allowed:
            raise ReadModelsError(
                f"generation {number}: expected a complete one, found one that is being built; "
                f"run `runledger replay` to complete it"
            )
