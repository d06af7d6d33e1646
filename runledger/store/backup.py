"""Backups of a store: of SQLite made here, of PostgreSQL by the tools that come with it."""

from pathlib import Path
from typing import TYPE_CHECKING

from runledger.errors import InvalidArgument

if TYPE_CHECKING:
    from runledger.store.sqlite.backup import Backup, Restored


def back_up(url: str, folder: Path) -> "Backup":
    """Copy the SQLite store at `url` into `folder`; see runledger.store.sqlite.backup.back_up."""
    _expect_sqlite(
        url,
        "pg_dump --format=custom --no-owner --schema={schema} --file={file} '{server}'",
        folder,
        "it is the store as of one moment. Copy the folder of the archive, if there is one, before "
        "it, so that the archive has no events beyond it; read models are made from the log",
    )
    from runledger.store.sqlite import backup

    return backup.back_up(url, folder)


def restore(url: str, folder: Path, *, replace: bool = False) -> "Restored":
    """Restore the SQLite store at `url`; see runledger.store.sqlite.backup.restore."""
    _expect_sqlite(
        url,
        "pg_restore --clean --if-exists --no-owner --exit-on-error --dbname='{server}' {file}",
        folder,
        "stop what writes to it before; then run `runledger doctor`, which says whether the read "
        "models have events that are lost, and `runledger replay --switch` if they do",
    )
    from runledger.store.sqlite import backup

    return backup.restore(url, folder, replace=replace)


def _expect_sqlite(url: str, command: str, folder: Path, more: str) -> None:
    if url.startswith("sqlite:///"):
        return
    if not url.startswith(("postgresql://", "postgres://")):
        raise InvalidArgument("store: expected sqlite:///file.db, found another kind")
    from runledger.store.postgres.address import parse

    address = parse(url)
    server = address.shown.rpartition("schema=")[0].rstrip("?&")
    shown = command.format(schema=address.schema, file=folder / "store.dump", server=server)
    raise InvalidArgument(
        f"store: expected sqlite:///file.db, found PostgreSQL, which has tools of its own: run "
        f"`{shown}`; {more}. See docs/recovery.md, also for pg_basebackup"
    )
