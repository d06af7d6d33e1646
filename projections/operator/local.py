"""The operator's work, done by the process that has the live read models open."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path

from projections.compare.comparison import Comparison
from projections.compare.diff import Diff
from projections.compare.explain import Explainer, expect_explainable
from projections.compare.repricing import PriceDifference, price_difference
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
    """Runs one operation at a time; projecting and answering go on meanwhile."""

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

        `limit` differing rows of every table are shown and `explain` of them are explained. If
        `explain_runs` names runs, as many rows of each run are shown too, and only those are
        explained. `out` is a Parquet file for every value that differs.

        Raises:
            InvalidArgument: if `out` exists and is another kind of file.
            NotFound: if there is no such generation or run.
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
        """Make a generation the live one and keep the previous one; return the new one's
        manifest."""
        with self._exclusive():
            self._expect_other(number)
            return self._live.switch(number)

    def record(self) -> None:
        """Write the position of the live generation into its manifest."""
        with self._exclusive():
            self._live.record()

    def copy(self, file: Path) -> int:
        """Write the live read models into a new file; return their position."""
        with self._exclusive():
            return self._live.copy(file)

    def parked(self) -> list[Parked]:
        """Return the streams whose events are left out because they cannot be applied."""
        return self._live.parked()

    def retry_parked(self, streams: Sequence[str] | None = None) -> Retried:
        """Apply the events of parked streams that were left out; of all streams if none are
        named."""
        with self._exclusive():
            return self._live.retry_parked(streams)

    def verify(self, sample: int | None = None) -> Verification:
        """Make rows again from their events, by the SQL that made them, and compare.

        With `sample`, only the rows of that many runs are checked; without it, everything.
        """
        with self._exclusive():
            verifier = Verifier(self._store, self._live)
            return verifier.everything() if sample is None else verifier.sample(sample)

    def price_difference(self, since: datetime | None, known_at: int | None) -> PriceDifference:
        """Return what pricing steps again would change; see projections.compare.repricing."""
        with self._exclusive():
            return price_difference(self._live, since, known_at)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        # It may read a part of the file for the first time, and find it damaged.
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
