"""The log in an archive, as something that a replay can be made from."""

from pathlib import Path

from projections.archive.archive import Archive
from projections.archive.log_source import LogSource
from projections.archive.reader import ArchiveReader
from projections.archive.writer import expect_same_log


def archived_log(folder: str | Path) -> LogSource:
    """Return the log in `folder`; raises ArchiveError or ArchiveDamaged where it cannot be read."""
    archive = Archive(folder)
    return LogSource(
        name=f"archive {archive.folder}",
        reader=lambda: ArchiveReader(archive),
        head=archive.head,
        expect_of=lambda store: expect_same_log(store, archive),
    )
