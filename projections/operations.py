"""What the process that holds the live read models does for the operator: compare and switch."""

import threading
import time
from pathlib import Path

from projections.comparison import Comparison
from projections.diff import Diff
from projections.engine import Engine
from projections.explain import Explainer
from projections.generation import Generation
from projections.generations import Manifest
from projections.live import LiveReadModels
from projections.read_models import changed
from runledger.errors import ReadModelsError
from runledger.store import Store


class Operations:
    """One operation at a time; live goes on projecting and answering meanwhile."""

    def __init__(self, store: Store, live: LiveReadModels) -> None:
        self._store = store
        self._live = live
        self._turn = threading.Lock()

    def compare(
        self, number: int, *, limit: int = 10, explain: int = 1, out: Path | None = None
    ) -> Comparison:
        """Compare the live generation with another one, at one position.

        Of every table `limit` differing rows are shown and `explain` of them explained; `out` is a
        Parquet file with every value that differs. NotFound for a generation that is not there.
        """
        with self._turn:
            started = time.monotonic()
            generations = self._live.generations
            self._expect_other(number)
            candidate = Generation(generations.file(number))
            try:
                # Live first: it must not be behind what the candidate has taken in.
                self._live.catch_up()
                with self._live.snapshot() as snapshot:
                    self._follow(candidate, snapshot.position)
                    generations.record(candidate, generations.get(number).state)
                    parked_new = candidate.rows().get("parked_runs", 0)
                    candidate.close()
                    snapshot.attach(generations.file(number))
                    old, new = self._live.generation.models, candidate.models
                    tables = Diff(snapshot.db, limit, out).tables(old, new)
                    explainer = Explainer(self._store, old, new, snapshot.position)
                    explanations = [
                        explainer.explain(snapshot.db, table, row)
                        for table in tables
                        for row in table.sample[:explain]
                    ]
            finally:
                candidate.close()
            names = [{model.name for model in models} for models in (old, new)]
            return Comparison(
                old=self._live.generation.about.number,
                new=number,
                position=snapshot.position,
                models_added=sorted(names[1] - names[0]),
                models_removed=sorted(names[0] - names[1]),
                models_changed=sorted(set(changed(old, new)) & names[0] & names[1]),
                tables=tables,
                explanations=explanations,
                parked_old=self._live.generation.rows().get("parked_runs", 0),
                parked_new=parked_new,
                seconds=time.monotonic() - started,
            )

    def switch(self, number: int) -> Manifest:
        """Make a generation the live one, and keep the one that was; return its manifest."""
        with self._turn:
            self._expect_other(number)
            return self._live.switch(number)

    def _expect_other(self, number: int) -> None:
        entry = self._live.generations.get(number)
        if entry.state == "live":
            raise ReadModelsError(f"generation {number}: it is the live one already")
        if entry.state == "building":
            raise ReadModelsError(
                f"generation {number}: expected a complete one, found one that is being built; "
                f"run `runledger replay` to complete it"
            )

    def _follow(self, candidate: Generation, position: int) -> None:
        reader = self._store.log_reader()
        try:
            Engine(candidate, reader).catch_up(position)
        finally:
            reader.close()
        if candidate.position != position:
            raise ReadModelsError(
                f"generation {candidate.about.number}: expected position {position}, that of the "
                f"live read models, found {candidate.position}; was it made from this log?"
            )
