"""The peer: the eventsourcing library's own recorders with their default settings."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from uuid import uuid4

from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, StoredEvent
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict

STATE = b'{"revision":1,"text":"' + b"x" * 276 + b'"}'
"""300 bytes, as everybody appends here."""

TOPIC = "run.heartbeat_recorded"


@contextmanager
def recorder(address: str, table: str, *, create: bool = True) -> Iterator[ApplicationRecorder]:
    """Give the default application recorder of PostgreSQL, or of SQLite for a path."""
    if address.startswith("postgres"):
        parts = conninfo_to_dict(address)
        env = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(parts.get("dbname", "postgres")),
            "POSTGRES_HOST": str(parts.get("host", "")),
            "POSTGRES_PORT": str(parts.get("port", "5432")),
            "POSTGRES_USER": str(parts.get("user", "postgres")),
            "POSTGRES_PASSWORD": str(parts.get("password", "")),
        }
    else:
        env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": address}
    # Processes that create the same table at once fail ("tuple concurrently updated").
    env["CREATE_TABLE"] = "y" if create else "n"
    factory = InfrastructureFactory.construct(Environment(table, env))
    try:
        yield factory.application_recorder()
    finally:
        factory.close()


def _write(to: ApplicationRecorder, batch: int, until: float) -> int:
    stream, versions, written = uuid4(), count(1), 0
    while time.perf_counter() < until:
        to.insert_events([StoredEvent(stream, next(versions), TOPIC, STATE) for _ in range(batch)])
        written += batch
    return written


def append_rate(to: ApplicationRecorder, writers: int, seconds: float, batch: int = 1) -> float:
    """Return events/s of writer threads, each on a stream of its own."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(writers) as threads:
        write = partial(_write, to, batch)
        written = sum(threads.map(write, [begin + seconds] * writers))
    return written / (time.perf_counter() - begin)


def process_rate(address: str, table: str, seconds: float) -> float:
    """Return events/s of one writer with a recorder of its own; for a process of its own."""
    with recorder(address, table, create=False) as own:
        append_rate(own, 1, seconds / 5)
        return append_rate(own, 1, seconds)
