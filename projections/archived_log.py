"""The log in an archive, as something that a replay can be made from."""

from pathlib import Path

from projections.archive import Archive
from projections.archive_reader import ArchiveReader
from projections.replay import Source


def archived_log(folder: str | Path) -> Source:
    """Return the log in `folder`; raises ArchiveError or ArchiveDamaged where it cannot be read."""
    archive = Archive(folder)
    return Source(f"archive {archive.folder}", lambda: ArchiveReader(archive), archive.head)
