"""A backup of a SQLite store: a copy made while others write, and the way back."""

import json
import sqlite3
from contextlib import closing
from hashlib import file_digest
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from runledger.durable_file import put_in_place
from runledger.errors import InvalidArgument, StoreRefused, describe
from runledger.store.log_mark import LogMark, mark_at
from runledger.store.protocol import LOCK_SECONDS
from runledger.store.sqlite.driver_errors import translated
from runledger.store.sqlite.recorder import SQL
from runledger.store.sqlite.store import SQLiteStore

FILE: Final = "store.db"
NOTE: Final = "backup.json"
KEPT: Final = ".before-restore"
"""The ending of the name under which a restore keeps the store that it replaces."""
_PAGES: Final = 1_000
"""Pages that are copied at a time, between which others may write."""


class Backup(BaseModel):
    """A backup: the log up to `position`, whose event has `event_id` and `digest`.

    `size` in bytes and `sha256` are those of the copy.
    """

    model_config = ConfigDict(frozen=True)
    position: int
    event_id: str
    digest: str
    size: int
    sha256: str


class Restored(BaseModel):
    """The result of a restore: the last position before and after it, and the last common one.

    `kept` is the store that was replaced, None if there was none.
    """

    model_config = ConfigDict(frozen=True)
    position: int
    before: int | None = None
    common: int | None = None
    kept: str | None = None


def back_up(url: str, folder: Path) -> Backup:
    """Copy a store into a folder that is new or holds an earlier backup, while others write.

    Args are the URL of a SQLite store and the folder. The copy is the store as of one moment: its
    log, its images, and what its followers have saved. Raises InvalidArgument for a folder with
    other files, StoreUnavailable if the store cannot be read.
    """
    _expect_backup(folder)
    with closing(SQLiteStore(url, create=False)) as store:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{FILE}.part"
        part.unlink(missing_ok=True)
        with translated(url):
            _copy(Path(store.path), part)
    with closing(SQLiteStore(f"sqlite:///{part}", create=False)) as copied:
        position = copied.head()
        last = mark_at(copied, position) or LogMark(0, "", "")
    _expect_whole(part)
    for log in ("-wal", "-shm"):
        Path(f"{part}{log}").unlink(missing_ok=True)
    made = Backup(
        position=position,
        event_id=last.event_id,
        digest=last.digest,
        size=part.stat().st_size,
        sha256=_sha256(part),
    )
    # The note vouches for the copy, so an older one goes before the copy that it is of.
    (folder / NOTE).unlink(missing_ok=True)
    put_in_place(part, folder / FILE)
    note = folder / f".{NOTE}.part"
    note.write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")
    put_in_place(note, folder / NOTE)
    return made


def restore(url: str, folder: Path, *, replace: bool = False) -> Restored:
    """Make a store what it was when a backup was made; processes that have it open see it change.

    A store that is there is kept beside it, and is replaced only with `replace`. Raises
    InvalidArgument for a folder without a backup or a store that is there, StoreRefused for a
    backup that is not the one that was written.
    """
    backup = _read(folder)
    copy, target = folder / FILE, Path(url.removeprefix("sqlite:///"))
    if copy.stat().st_size != backup.size or _sha256(copy) != backup.sha256:
        raise StoreRefused(
            f"backup {str(folder)!r}: expected {FILE} with SHA-256 {backup.sha256}, found another "
            f"file: it was altered since, or damaged; use an older backup"
        )
    if not target.exists():
        with translated(url):
            _copy(copy, target)
        return Restored(position=backup.position)
    if not replace:
        raise InvalidArgument(
            f"store {url!r}: expected no file there, found one; with --replace it is kept beside "
            f"it as {target.name}{KEPT}, and the backup takes its place"
        )
    kept = Path(f"{target}{KEPT}")
    with closing(SQLiteStore(url, create=False)) as store:
        before = store.head()
        mark = LogMark(backup.position, backup.event_id, backup.digest)
        common = backup.position if backup.position == 0 or mark.is_at(store) else None
    for end in ("", "-wal", "-shm"):
        Path(f"{kept}{end}").unlink(missing_ok=True)
    with translated(url):
        _copy(target, kept)
        # Into the file that is there, in one transaction: who has it open reads the one or the
        # other, and no log of writes is left beside it that is of the one before.
        _copy(copy, target)
    return Restored(position=backup.position, before=before, common=common, kept=str(kept))


def _copy(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(source, timeout=LOCK_SECONDS)) as here,
        closing(sqlite3.connect(target, timeout=LOCK_SECONDS)) as there,
    ):
        here.backup(there, pages=_PAGES)


def _expect_whole(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        found = [row[0] for row in db.execute(SQL["integrity_check"]).fetchall()]
        db.execute(SQL["leave_wal"])
    if found != ["ok"]:
        raise StoreRefused(f"store {str(file)!r}: expected a sound database, found: {found[0]}")


def _expect_backup(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    own = {FILE, NOTE, f".{FILE}.part", f".{NOTE}.part"}
    own |= {f".{FILE}.part{end}" for end in ("-wal", "-shm", "-journal")}
    if folder.exists() and (not folder.is_dir() or names - own):
        raise InvalidArgument(
            f"backup: {str(folder)!r}: expected a new folder or one with a backup, found "
            f"{min(names - own) if names - own else 'a file'}"
        )


def _read(folder: Path) -> Backup:
    try:
        return Backup.model_validate(json.loads((folder / NOTE).read_bytes()))
    except OSError as e:
        raise InvalidArgument(
            f"restore: {str(folder)!r}: expected a folder with a backup, found no {NOTE} there: "
            f"{e.strerror}"
        ) from e
    except ValidationError as e:
        raise InvalidArgument(f"restore: {str(folder / NOTE)!r}: {describe(e)}") from e


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
