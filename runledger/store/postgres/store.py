"""The PostgreSQL store: appends through the recorder, reads through the library's pool."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from adbc_driver_postgresql import dbapi as adbc
from eventsourcing.persistence import PersistenceError
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row

from runledger.errors import InvalidArgument, StoreRefused, StoreUnavailable, UnsafeSetting
from runledger.store import arrow
from runledger.store.codec import decode
from runledger.store.postgres.recorder import SQL, LedgerRecorder
from runledger.store.protocol import Append, Conflicted, Recorded, StoredEvent, StoredRow, Verdict
from runledger.store.schema_version import check_version

_LAST = 2**63 - 1
_UNSAFE = "POSTGRES_ENABLE_DB_FUNCTIONS"
_RETRY_SECONDS = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0)


def _parameters(url: str) -> tuple[dict[str, Any], str]:
    """Return libpq's keywords and the schema; `?schema=` is ours, the rest is libpq's."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    schema = dict(query).get("schema", "public")
    if not schema.replace("_", "a").isalnum():
        raise InvalidArgument(f"store: schema expected as letters, digits and _, found {schema!r}")
    rest = urlencode([(key, value) for key, value in query if key != "schema"])
    try:
        keywords = conninfo_to_dict(urlunsplit(parts._replace(query=rest)))
    except psycopg.ProgrammingError as e:
        raise InvalidArgument(f"store: not a PostgreSQL address: {e}") from e
    options = f"{keywords.get('options') or ''} -c search_path={schema} -c lock_timeout=30s"
    timeout = {"connect_timeout": keywords.get("connect_timeout") or 10}
    return {**keywords, **timeout, "options": options.strip()}, schema


class PostgresStore:
    """One schema of one database; see runledger.store.protocol.Store."""

    def __init__(self, url: str, *, create: bool = True) -> None:
        if os.environ.get(_UNSAFE, "").lower() in ("y", "yes", "t", "true", "on", "1"):
            raise UnsafeSetting(
                f"{_UNSAFE}: the library's own functions take no lock and lose events under "
                f"concurrent writers; expected it unset, found {os.environ[_UNSAFE]!r}"
            )
        keywords, schema = _parameters(url)
        self.url = _without_password(url)
        try:
            with psycopg.connect(**keywords, autocommit=True) as probe:
                ((there,),) = probe.execute(SQL["has_tables"].encode()).fetchall()
                if there:
                    ((found,),) = probe.execute(SQL["schema_version"].encode()).fetchall()
                    check_version(self.url, found)
        except psycopg.OperationalError as e:
            raise StoreUnavailable(f"store {self.url!r}: {str(e).strip()}") from e
        if not there and not create:
            raise StoreUnavailable(f"store {self.url!r}: no ledger in schema {schema!r}")
        self._dsn = make_conninfo(**keywords)
        datastore = PostgresDatastore(
            dbname="",
            host="",
            port="",
            user="",
            password="",
            schema=schema,
            originator_id_type="text",
            pool_size=1,
            max_overflow=9,
            connect_timeout=30,
        )
        datastore.pool.kwargs = {**keywords, "row_factory": datastore.pool.kwargs["row_factory"]}  # type: ignore[index]
        self._recorder = LedgerRecorder(datastore)
        if not there:
            self._recorder.create_table()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the driver's words, and the library's, into ours."""
        try:
            yield
        except (PersistenceError, psycopg.Error) as e:
            raise StoreUnavailable(f"store {self.url!r}: {str(e).strip()}") from e

    def append(self, appends: Sequence[Append]) -> list[Verdict]:
        """Record the appends; after a cut connection, try again and tell what had been recorded."""
        last: psycopg.Error | None = None
        for pause in _RETRY_SECONDS:
            time.sleep(pause)
            try:
                verdicts = self._recorder.append(appends)
            except (psycopg.OperationalError, psycopg.InterfaceError) as e:
                last = e
                continue
            except psycopg.Error as e:
                raise StoreRefused(f"store {self.url!r}: {e}") from e
            if last is not None:
                verdicts = [self._settle(*pair) for pair in zip(appends, verdicts, strict=True)]
            return verdicts
        raise StoreUnavailable(f"store {self.url!r}: {str(last).strip()}") from last

    def _settle(self, append: Append, verdict: Verdict) -> Verdict:
        """Tell a conflict with others from one with our own commit whose answer was lost.

        Every event has an id of its own, so equal bytes at the expected place are our event.
        """
        if isinstance(verdict, Recorded):
            return verdict
        positions = []
        for write in append:
            for version, event in enumerate(write.events, write.expected + 1):
                rows = self._fetch("stored_event", (write.stream, version))
                if not rows or rows[0][1:] != tuple(event):
                    return verdict
                positions.append(rows[0][0])
        return Recorded(min(positions), max(positions))

    def _fetch(self, name: str, parameters: Any) -> list[tuple[Any, ...]]:
        with (
            self._translated(),
            self._recorder.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            cursor.execute(SQL[name].encode(), parameters, prepare=True, binary=True)
            return cursor.fetchall() if cursor.description else []

    def read_stream(
        self, stream: str, after: int = 0, upto: int | None = None, contents: bool = True
    ) -> list[StoredEvent]:
        """Return a stream's events with after < version <= upto, in order."""
        rows = self._fetch(
            "stream" if contents else "stream_facts",
            {"stream": stream, "after": after, "upto": _LAST if upto is None else upto},
        )
        return [StoredEvent(row[0], row[1], row[2], decode(*row[1:])) for row in rows]

    def read_log(
        self, after: int, limit: int, topics: Sequence[str] = (), contents: bool = False
    ) -> list[StoredRow]:
        """Return events beyond a position, in order."""
        parameters = {"after": after, "limit": limit, "topics": list(topics), "contents": contents}
        return [StoredRow(*row) for row in self._fetch("log", parameters)]

    def head(self) -> int:
        """Return the last position."""
        ((position,),) = self._fetch("head", ())
        return int(position)

    def log_reader(self) -> "PostgresLogReader":
        """Open a reader with a connection of its own."""
        try:
            return PostgresLogReader(self._dsn)
        except adbc.Error as e:
            raise StoreUnavailable(f"store {self.url!r}: {e}") from e

    def put_blob(self, sha256: str, media_type: str, data: bytes) -> None:
        """Keep bytes under their SHA-256."""
        self._fetch("put_blob", (sha256, media_type, data))

    def get_blob(self, sha256: str) -> tuple[str, bytes] | None:
        """Return (media type, bytes), or None."""
        rows = self._fetch("get_blob", (sha256,))
        return (rows[0][0], rows[0][1]) if rows else None

    @contextmanager
    def leadership(self, name: str) -> Iterator[bool]:
        """Hold the named advisory lock on a session of its own; it ends with the session."""
        with self._translated():
            connection = self._recorder.connect()
        try:
            ((taken,),) = connection.execute(SQL["try_lock"].encode(), (name,)).fetchall()
            yield taken
        finally:
            connection.close()

    def facts(self) -> dict[str, str]:
        """Return versions and durability settings of the server."""
        ((version, fsync, commit, pages, database, schema),) = self._fetch("settings", ())
        durable = fsync == "on" and commit not in ("off",)
        return {
            "store": "postgresql",
            "database": database,
            "schema": schema,
            "server": version,
            "fsync": fsync,
            "synchronous_commit": commit,
            "full_page_writes": pages,
            "durable": "yes" if durable else "no",
        }

    def close(self) -> None:
        """Close every connection."""
        self._recorder.close()
        self._recorder.datastore.close()


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)


class PostgresLogReader:
    """Reads the log as Arrow by COPY, through ADBC."""

    def __init__(self, dsn: str) -> None:
        self._db = adbc.connect(dsn, autocommit=True)
        self._cursor = self._db.cursor()

    def read(self, after: int, upto: int, limit: int) -> Any:
        """Return the next events as an Arrow stream that is consumed once, or None."""
        bounds = {
            name: arrow.string([str(n)])
            for name, n in zip("123", (after, upto, limit), strict=True)
        }
        self._cursor.execute(SQL["log_range"], arrow.table(**bounds))
        self._cursor.close()
        self._cursor = self._db.cursor()
        self._cursor.execute(SQL["log_batch"])
        return self._cursor.fetch_arrow()

    def close(self) -> None:
        """Close the connection."""
        self._cursor.close()
        self._db.close()


__all__ = ["Conflicted", "PostgresStore"]
