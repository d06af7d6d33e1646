"""Published copies, Parquet exports, the archive of the log, and parked streams."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from projections.archive.archive import SEGMENT_EVENTS, Archive
from projections.archive.writer import Archived, archive
from projections.fold.engine import Progress
from projections.fold.parking import Parked, Retried
from projections.generations.as_of import AsOfMoment
from projections.publishing.parquet import Exported, export
from projections.publishing.publish import Published, PublishedReadModels, publish
from runledger.arguments import check_counts, check_flags, check_lists, check_paths
from runledger.ledger.operator_work import OperatorWork


class Copies(OperatorWork):
    """All of it runs online: projecting and answering go on meanwhile."""

    async def publish(self, folder: str | Path) -> Published:
        """Write a copy of the read models to `folder`/read_models.duckdb, replacing the last one.

        Any number of processes can open the copy (read-only), and each keeps the copy that it has
        opened; a ledger that is opened with read_models=FOLDER answers from the newest.

        Parameters:
            folder: the folder to write to; it is created if it does not exist.
        """
        check_paths(folder=folder)
        async with self._at_operator() as operator:
            return await asyncio.to_thread(publish, operator.copy, folder)

    async def export_parquet(
        self, folder: str | Path, *, as_of: AsOfMoment | None = None, overwrite: bool = False
    ) -> Exported:
        """Write every table of the read models under `folder` as Parquet, partitioned by day.

        Parameters:
            folder: the folder to write to, new or empty; an earlier export there is replaced only
                with `overwrite`.
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
            overwrite: replace an earlier export.

        Raises:
            InvalidArgument: if the folder has any other files.
        """
        check_paths(folder=folder)
        check_flags(overwrite=overwrite)

        async def exported(copy_to: Callable[[Path], int]) -> Exported:
            return await asyncio.to_thread(export, copy_to, folder, overwrite=overwrite)

        if as_of is not None:
            past = self.opened.answers_from_the_past()
            return await exported(lambda file: past.copy(file, as_of))
        if isinstance(self.opened.live, PublishedReadModels):
            return await exported(self.opened.live.copy)
        async with self._at_operator() as operator:
            return await exported(operator.copy)

    async def archive(
        self,
        folder: str | Path,
        *,
        segment_events: int = SEGMENT_EVENTS,
        progress: Progress | None = None,
    ) -> Archived:
        """Continue the archive of the log in `folder` up to the end of the log, or begin it.

        Parameters:
            folder: the folder of the archive, which is continued or begun.
            segment_events: the largest number of events in a file of the archive.
            progress: called with the number of events since the last call and the position; None
                for no calls.

        Raises:
            ArchiveError: if the folder has the archive of another log, or if another process is
                writing it.
        """
        check_paths(folder=folder)
        check_counts(least=1, segment_events=segment_events)
        return await asyncio.to_thread(
            archive, self.opened.store, folder, segment_events=segment_events, progress=progress
        )

    async def verify_archive(self, folder: str | Path) -> Archive:
        """Read and verify every byte of an archive.

        Parameters:
            folder: the folder of the archive.

        Raises:
            ArchiveDamaged: if a file differs from the one that was written.
        """
        check_paths(folder=folder)
        found = await asyncio.to_thread(Archive, folder)
        await asyncio.to_thread(found.verify)
        return found

    async def parked(self, *, as_of: AsOfMoment | None = None) -> list[Parked]:
        """Return the streams with events that are left out of the read models, and why, in log
        order.

        With `as_of`, a position of the log or a time, return those that answers as of then leave
        out.

        Parameters:
            as_of: answers as of a position of the log or a time with a zone; the present by
                default.
        """
        if as_of is not None or isinstance(self.opened.live, PublishedReadModels):
            return await self.opened.ask(lambda q: q.parked(), as_of)
        async with self._at_operator() as operator:
            return await asyncio.to_thread(operator.parked)

    async def retry_parked(self, streams: Sequence[str] | None = None) -> Retried:
        """Apply the events of parked streams that were left out; of all streams if none are named.

        An event that can be applied is then in the read models as if it had never been parked.

        Parameters:
            streams: ids of the parked streams to retry; all by default.
        """
        if streams is not None:
            check_lists(streams=streams)
        async with self._at_operator() as operator:
            return await asyncio.to_thread(operator.retry_parked, streams)
