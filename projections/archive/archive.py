"""The archive of a log: Parquet segments that never change, and a manifest with their checksums.

A segment is two files: one has the facts as typed columns, for replays; the other has facts and
contents as they were recorded, byte for byte.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from runledger.durable_file import write_text
from runledger.errors import ArchiveDamaged, ArchiveError, describe
from runledger.sql_file import statements

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SEGMENT_EVENTS: Final = 500_000
"""Most events of a segment; a replay folds whole segments."""
SQL: Final = statements(Path(__file__).with_name("archive.sql"))
_SEGMENT: Final = re.compile(r"(events|raw)-\d{12,}-\d{12,}\.parquet")

Stamp = tuple[int, int]
"""A file's inode and change time in ns; writing to the file changes it."""


class ArchivedFile(BaseModel):
    """A file of the archive; `size` in bytes, `sha256` of its whole content."""

    model_config = ConfigDict(frozen=True)
    name: str
    size: int
    sha256: str


class Segment(BaseModel):
    """The `events` events with after < position <= last.

    `shape` is the digest of the mapping of facts to columns; `last_event` is the digest of the last
    event, by which the log is recognized.
    """

    model_config = ConfigDict(frozen=True)
    after: int
    last: int
    events: int
    shape: str
    last_event: str
    columns: ArchivedFile
    raw: ArchivedFile


class _Format(BaseModel):
    format: int


class ArchiveManifest(_Format):
    """The segments of the archive, in the order of the log."""

    model_config = ConfigDict(frozen=True)
    segments: tuple[Segment, ...]


class Archive:
    """An archive on disk. Opening it detects missing files; reading it detects altered ones."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = self._load()
        after = 0
        for segment in self.manifest.segments:
            if segment.after != after or segment.last <= after:
                raise ArchiveDamaged(
                    f"archive {str(self.folder)!r}: expected a segment of the events after "
                    "position "
                    f"{after}, found one of those after {segment.after} up to {segment.last}"
                )
            after = segment.last
            for file in (segment.columns, segment.raw):
                self.look(file)
        if len({path.name.partition("-")[2] for path in self.unnamed()}) > 1:
            raise ArchiveDamaged(
                f"archive {str(self.folder)!r}: expected one segment at most that {MANIFEST} does "
                f"not name, as a killed process leaves it, found more: it is not theirs"
            )

    def unnamed(self) -> list[Path]:
        """Return the segment files that are not in the manifest."""
        known = {f.name for part in self.manifest.segments for f in (part.columns, part.raw)}
        return [p for p in self.folder.iterdir() if _is_segment(p) and p.name not in known]

    def _load(self) -> ArchiveManifest:
        path = self.folder / MANIFEST
        try:
            stored = path.read_bytes()
            found = _Format.model_validate_json(stored).format
            if found > FORMAT:
                raise ArchiveError(
                    f"archive {str(self.folder)!r}: expected format {FORMAT} or older, found "
                    f"{found}; it was written by a newer version of runledger"
                )
            return ArchiveManifest.model_validate_json(stored)
        except FileNotFoundError as e:
            if self.folder.is_dir() and any(map(_is_segment, self.folder.iterdir())):
                raise ArchiveDamaged(
                    f"archive {str(self.folder)!r}: expected a {MANIFEST} beside its segments, "
                    f"found none"
                ) from e
            raise ArchiveError(f"archive {str(self.folder)!r}: no {MANIFEST} there") from e
        except OSError as e:
            raise ArchiveError(f"archive {str(self.folder)!r}: expected a folder: {e}") from e
        except ValidationError as e:
            raise ArchiveDamaged(f"archive {str(path)!r}: {describe(e)}") from e

    @property
    def head(self) -> int:
        """The last position that is archived, 0 for none."""
        return self.manifest.segments[-1].last if self.manifest.segments else 0

    @property
    def events(self) -> int:
        """How many events are archived."""
        return sum(segment.events for segment in self.manifest.segments)

    def look(self, file: ArchivedFile) -> Stamp:
        """Return the stamp of a file after checking its size.

        Raises:
            ArchiveDamaged: if the file is missing or has another size.
            ArchiveError: if the file cannot be read.
        """
        path = self.folder / file.name
        with _expect_file(path):
            found = path.stat()
        if found.st_size != file.size:
            raise ArchiveDamaged(
                f"archive: {str(path)!r}: expected {file.size:,} bytes, found {found.st_size:,}"
            )
        return found.st_ino, found.st_mtime_ns

    def check(self, file: ArchivedFile) -> Stamp:
        """Return the stamp of a file after checking size and SHA-256; raises as `look` does."""
        # Taken before the bytes are read, so that a write meanwhile changes the stamp.
        stamp = self.look(file)
        path = self.folder / file.name
        with _expect_file(path), path.open("rb") as stream:
            found = file_digest(stream, "sha256").hexdigest()
        if found != file.sha256:
            raise ArchiveDamaged(
                f"archive: {str(path)!r}: expected SHA-256 {file.sha256}, found {found}"
            )
        return stamp

    def verify(self) -> None:
        """Check every byte of every file; raises ArchiveDamaged for the first that differs."""
        for segment in self.manifest.segments:
            for file in (segment.columns, segment.raw):
                self.check(file)

    def extend(self, segment: Segment) -> None:
        """Add a segment to the manifest; its files are in place."""
        grown = ArchiveManifest(format=FORMAT, segments=(*self.manifest.segments, segment))
        write_text(self.folder / MANIFEST, grown.model_dump_json(indent=1) + "\n", alone=True)
        self.manifest = grown


def _is_segment(path: Path) -> bool:
    return _SEGMENT.fullmatch(path.name) is not None


@contextmanager
def _expect_file(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as e:
        raise ArchiveDamaged(f"archive: {str(path)!r} is missing") from e
    except (IsADirectoryError, NotADirectoryError, ValueError) as e:
        raise ArchiveDamaged(f"archive: {str(path)!r}: expected a file, found: {e}") from e
    except OSError as e:
        raise ArchiveError(f"archive: {str(path)!r}: expected a file to read, found: {e}") from e


def open_to_write(folder: str | Path) -> Archive:
    """Open an archive to continue it, or make an empty one."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    # The manifest is written before the first segment: segments without one may be another
    # program's.
    if not (path / MANIFEST).exists() and not any(map(_is_segment, path.iterdir())):
        empty = ArchiveManifest(format=FORMAT, segments=())
        write_text(path / MANIFEST, empty.model_dump_json(indent=1) + "\n", alone=True)
    return Archive(path)
