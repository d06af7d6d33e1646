"""The two databases under torture: where the ledger finds them, and how the checker reads them."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from scripts.torture.disk import Disk
from scripts.torture.postgres import PATIENCE_SECONDS, Primary
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
    """A file on a small disk of its own, if this process may mount one."""

    name = "sqlite"
    going_back: Final = "restored backup"
    live: Final = False
    """Whether the processes go on while the log goes back."""

    def __init__(self, folder: Path) -> None:
        self._disk = Disk(folder / "disk")
        self._file, self._copy = self._disk.folder / "runs.db", folder / "backup.db"
        self.faults: tuple[str, ...] = ("full disk",) if self._disk.mounted else ()
        self.url = f"sqlite:///{self._file}"

    def rows(self, after: int) -> list[Row]:
        """Return the events beyond a position, in order."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with closing(sqlite3.connect(self._file, timeout=60)) as db:
                    found = db.execute(
                        f"{_COLUMNS} FROM ledger_events WHERE notification_id > ?"
                        " ORDER BY notification_id",
                        (after,),
                    )
                    return [Row(*row) for row in found]
            except sqlite3.OperationalError:
                # The first reader of a file makes another one beside it: not on a full disk.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def fault(self, name: str) -> None:
        """Let the disk be full from now on, until `mend`."""
        if name != "full disk":
            raise AssertionError(name)
        self._disk.fill()

    def mend(self) -> None:
        """Let the disk have room again."""
        self._disk.empty()

    def back_up(self) -> None:
        """Copy the store; no other process has it open."""
        with closing(sqlite3.connect(self._file)) as db, closing(sqlite3.connect(self._copy)) as to:
            db.backup(to)

    def restore(self) -> None:
        """Put the copy in the place of the store; no other process has it open."""
        for beside in ("-wal", "-shm"):
            self._file.with_name(self._file.name + beside).unlink(missing_ok=True)
        shutil.copyfile(self._copy, self._file)

    def go_on(self) -> None:
        """Do nothing: the file is there again."""

    def close(self) -> None:
        """Give the disk back."""
        self._disk.close()


class PostgreSQL:
    """A server with a standby, behind a proxy; the checker goes past the proxy."""

    name = "postgresql"
    faults: tuple[str, ...] = ("cut connections", "terminate backends")
    going_back: Final = "failover"
    live: Final = True
    """Whether the processes go on while the log goes back."""

    def __init__(self, folder: Path) -> None:
        self._primary = Primary(folder)
        self._proxy = Proxy(lambda: self._primary.socket)
        plain = "sslmode=disable&gssencmode=disable"
        self.url = f"postgresql://postgres@127.0.0.1:{self._proxy.port}/postgres?{plain}"

    @property
    def address(self) -> str:
        """Where the server is that takes the appends, as libpq reads it."""
        return self._primary.address

    def rows(self, after: int) -> list[Row]:
        """Return the events beyond a position, in order."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with psycopg.connect(self.address, application_name="checker") as db:
                    found = db.execute(
                        f"{_COLUMNS} FROM ledger_events WHERE notification_id > %s"
                        " ORDER BY notification_id".encode(),
                        (after,),
                    )
                    return [Row(*row) for row in found.fetchall()]
            except psycopg.OperationalError:
                # A session that just begins has no name yet, and is ended with the others.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

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

    def mend(self) -> None:
        """Do nothing: its faults are over at once."""

    def back_up(self) -> None:
        """Let the standby have everything so far, and nothing from now on."""
        self._primary.cut_standby_off()

    def restore(self) -> None:
        """Let the standby take over; the processes have no server meanwhile."""
        self._proxy.refuse()
        self._primary.fail_over()

    def go_on(self) -> None:
        """Let the processes reach the server again."""
        self._proxy.accept()

    def close(self) -> None:
        """Cut everything off."""
        self._proxy.close()
        self._primary.close()


@contextmanager
def opened(name: str, folder: Path) -> Iterator[SQLite | PostgreSQL]:
    """Give a database by its name, for the block."""
    database = SQLite(folder) if name == "sqlite" else PostgreSQL(folder)
    try:
        yield database
    finally:
        database.close()
