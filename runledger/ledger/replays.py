"""An operator's work on the read models: replay, compare, switch, revert, verify."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from projections.archive.log_source import LogSource
from projections.compare.comparison import Comparison, thresholds
from projections.compare.verify import Verification
from projections.fold.engine import Begun, Progress
from projections.generations.manifest import GenerationManifest
from projections.publishing.target_file import PARQUET, expect_target
from projections.replay.partial import BlastRadius
from projections.replay.replay import Plan, Replayed, replay
from projections.replay.selection import Selection
from runledger.arguments import (
    check_counts,
    check_flags,
    check_paths,
    check_texts,
    texts,
)
from runledger.errors import InvalidArgument
from runledger.ledger.operator_work import OperatorWork


class Replays(OperatorWork):
    """All operations run online: projecting and answering go on, and no callback is sent.

    If the ledger was opened with `live=False`, the live file is opened only while it is needed, or
    the process that has it open is asked.
    """

    async def replay(
        self,
        *,
        switch: bool = False,
        max_changed: str | None = None,
        fail_if_changed: Sequence[str] = (),
        limit: int = 10,
        explain: int = 1,
        explain_runs: Sequence[str] = (),
        out: str | Path | None = None,
        overwrite: bool = False,
        keep: int = 2,
        fresh: bool = False,
        source: LogSource | None = None,
        only_changed: bool = False,
        selection: Selection | None = None,
        on_blast_radius: Callable[[BlastRadius], None] | None = None,
        begun: Begun | None = None,
        progress: Progress | None = None,
    ) -> Replayed:
        """Project the log again beside the live read models, compare, and switch if requested.

        A replay that was killed is continued, unless `fresh`. `limit` differing rows of every table
        are returned and `explain` of them are explained, or as many of each run in `explain_runs`.
        `out` is a Parquet file for every value that differs; `overwrite` allows to replace it.
        `max_changed` is a share of each table's rows (`0.1%`), `fail_if_changed` names tables or
        columns (`runs.status`): if one is exceeded, nothing is switched. `keep` old generations are
        kept after a switch. `source` is an archive to read instead of the store.

        With `only_changed`, the read models whose SQL on disk is new or changed are projected, and
        the others copied. With a `selection`, only the runs that it touches are projected again,
        into a copy of the live generation. `on_blast_radius` is called before, and every other row
        is proved to be unchanged.

        Parameters:
            switch: True makes the result live, unless a threshold is exceeded.
            max_changed: the largest share of each table's rows that may differ, such as `0.1%`.
            fail_if_changed: tables or columns (`runs.status`) that must not differ.
            limit: how many differing rows of each table are returned; 10 by default.
            explain: how many differing rows of each table are explained; 1 by default.
            explain_runs: ids of runs whose differing rows are shown and explained instead.
            out: a Parquet file for every value that differs; none by default.
            overwrite: True replaces an existing Parquet file; False refuses it.
            keep: how many old generations are kept after a switch; 2 by default.
            fresh: True does not continue a replay that was killed.
            source: an archived log to read instead of the store.
            only_changed: True projects only read models whose SQL is new or changed, and those that
                read them.
            selection: the runs to project again, into a copy of live; all by default.
            on_blast_radius: called before the work with the effect of a selection.
            begun: called with the number of the generation, its position and the end of the log.
            progress: called with the number of events since the last call and the position; None
                for no calls.
        """
        check_flags(switch=switch, fresh=fresh, only_changed=only_changed)
        check_counts(least=0, keep=keep)
        check_texts(max_changed=max_changed)
        self._check_shown(limit, explain, out, overwrite)
        if source is not None and not isinstance(source, LogSource):
            raise InvalidArgument(f"source: expected an archived log, found {source!r:.80}")
        if selection is not None and not isinstance(selection, Selection):
            raise InvalidArgument(f"selection: expected a Selection, found {selection!r:.80}")
        plan = Plan(
            limit=limit,
            explain=explain,
            explain_runs=texts("explain_runs", explain_runs),
            out=None if out is None else Path(out),
            thresholds=thresholds(max_changed, texts("fail_if_changed", fail_if_changed)),
            switch=switch,
            keep=keep,
        )
        return await asyncio.to_thread(
            replay,
            self._operator,
            self.opened.store,
            self._path,
            plan,
            source=source,
            only_changed=only_changed,
            selection=selection,
            on_blast_radius=on_blast_radius,
            fresh=fresh,
            begun=begun,
            progress=progress,
        )

    async def generations(self) -> list[GenerationManifest]:
        """Return the manifests of all generations, in order; `state` says which is live.

        If another process has the live one open, position and rows are those of the time of
        opening.
        """
        if self.opened.operations is not None:
            await asyncio.to_thread(self.opened.operations.record)
        return await asyncio.to_thread(self._generations.entries)

    async def generation(self, number: int) -> GenerationManifest:
        """Return the manifest of a generation, or raise NotFound.

        Parameters:
            number: the number of the generation.
        """
        check_counts(least=0, number=number)
        return await asyncio.to_thread(self._generations.get, number)

    async def compare_generation(
        self,
        number: int,
        *,
        limit: int = 10,
        explain: int = 1,
        explain_runs: Sequence[str] = (),
        out: str | Path | None = None,
        overwrite: bool = False,
    ) -> Comparison:
        """Compare a generation with the live one, both at one position.

        The options are those of `replay`.

        Parameters:
            number: the number of the generation.
            limit: how many differing rows of each table are returned; 10 by default.
            explain: how many differing rows of each table are explained; 1 by default.
            explain_runs: ids of runs whose differing rows are shown and explained instead.
            out: a Parquet file for every value that differs; none by default.
            overwrite: True replaces an existing Parquet file; False refuses it.
        """
        check_counts(least=0, number=number)
        self._check_shown(limit, explain, out, overwrite)
        async with self._at_operator() as operator:
            return await asyncio.to_thread(
                operator.compare,
                number,
                limit=limit,
                explain=explain,
                explain_runs=texts("explain_runs", explain_runs),
                out=None if out is None else Path(out),
            )

    async def switch_generation(self, number: int) -> GenerationManifest:
        """Make a generation the live one: a new one, or an old one to revert.

        Parameters:
            number: the number of the generation.
        """
        check_counts(least=0, number=number)
        async with self._at_operator() as operator:
            return await asyncio.to_thread(operator.switch, number)

    async def drop_generation(self, number: int) -> None:
        """Delete a generation that is not live.

        Parameters:
            number: the number of the generation.
        """
        check_counts(least=0, number=number)
        await asyncio.to_thread(self._generations.drop, number)

    async def verify(self, *, sample: int | None = None) -> Verification:
        """Make rows again from their events, by the SQL that made them, and compare.

        With `sample`, only the rows of that many runs are checked; without it, everything. `clean`
        says whether the read models match the log; `problems` name the first difference of every
        table.

        Parameters:
            sample: how many runs to check; everything by default.
        """
        if sample is not None:
            check_counts(least=1, sample=sample)
        async with self._at_operator() as operator:
            return await asyncio.to_thread(operator.verify, sample)

    def _check_shown(
        self, limit: int, explain: int, out: str | Path | None, overwrite: bool
    ) -> None:
        check_counts(least=0, limit=limit, explain=explain)
        check_flags(overwrite=overwrite)
        if out is not None:
            check_paths(out=out)
            store = self.opened.store.url
            expect_target(Path(out), PARQUET, store, self._path, overwrite=overwrite)
