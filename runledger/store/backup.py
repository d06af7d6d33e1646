"""Backups of a store: of SQLite made here, of PostgreSQL by the tools that come with it."""

from pathlib import Path
from typing import TYPE_CHECKING

from runledger.errors import InvalidArgument

if TYPE_CHECKING:
    from runledger.store.sqlite.backup import Backup, Restored


def back_up(url: str, folder: Path) -> "Backup":
    """Copy the SQLite store at `url` into `folder`; see runledger.store.sqlite.backup.back_up."""
    _expect_sqlite(url, f"pg_dump --format=custom --file={folder}/store.dump --schema=SCHEMA URL")
    from runledger.store.sqlite import backup

    return backup.back_up(url, folder)


def restore(url: str, folder: Path, *, replace: bool = False) -> "Restored":
    """Restore the SQLite store at `url`; see runledger.store.sqlite.backup.restore."""
    _expect_sqlite(url, f"pg_restore --clean --if-exists --dbname=URL {folder}/store.dump")
    from runledger.store.sqlite import backup

    return backup.restore(url, folder, replace=replace)


def _expect_sqlite(url: str, command: str) -> None:
    if not url.startswith("sqlite:///"):
        raise InvalidArgument(
            f"store: expected sqlite:///file.db, found another kind: PostgreSQL has tools of its "
            f"own that know its server; run `{command}`, or take a base backup with "
            f"pg_basebackup; see docs/recovery.md"
        )
