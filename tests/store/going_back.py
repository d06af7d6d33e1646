"""A log that goes back, as with a restored backup or a standby that lacked the last events."""

import itertools
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from threading import Lock

import psycopg

from runledger.store import Store
from runledger.store.postgres.address import parse

_CHECKPOINTS = "DELETE FROM ledger_meta WHERE key LIKE 'checkpoint:%' AND"


def go_back(url: str, position: int) -> None:
    """Take away every event after a position, and give out the positions after it again."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url[10:])) as file:
            file.execute("DROP TRIGGER ledger_events_no_delete")
            file.execute("DELETE FROM ledger_events WHERE notification_id > ?", (position,))
            file.execute("DELETE FROM ledger_tiles WHERE last_position > ?", (position,))
            file.execute(f"{_CHECKPOINTS} CAST(value AS INTEGER) > ?", (position,))
            file.execute("UPDATE sqlite_sequence SET seq = ?", (position,))
            file.commit()
        return
    address = parse(url)
    with psycopg.connect(**address.keywords) as server:
        server.execute(f"SET search_path TO {address.schema}".encode())
        server.execute(b"ALTER TABLE ledger_events DISABLE TRIGGER ledger_events_append_only")
        server.execute(b"DELETE FROM ledger_events WHERE notification_id > %s", (position,))
        server.execute(b"DELETE FROM ledger_tiles WHERE last_position > %s", (position,))
        server.execute(f"{_CHECKPOINTS} value::bigint > {position:d}".encode())
        server.execute(
            b"SELECT setval(pg_get_serial_sequence('ledger_events', 'notification_id'), %s)",
            (position,),
        )
        # A server that took over has none of the connections to the one before.
        server.execute(
            b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            b" WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            b" AND query LIKE '%%ledger_%%'"
        )


READS_AND_WRITES = (
    "head",
    "read_log",
    "checkpoint",
    "save_checkpoint",
    "tiles_end",
    "put_tile",
)


def before_call(
    store: Store,
    number: int,
    lose: Callable[[], None],
    names: Sequence[str] = READS_AND_WRITES,
) -> None:
    """Let the log go back just before a call of the store, the first of which has the number 1.

    Calls of these names are counted.
    """
    calls = itertools.count(1)
    lock = Lock()

    def counted(call: Callable[..., object], *given: object, **named: object) -> object:
        with lock:
            if next(calls) == number:
                lose()
        return call(*given, **named)

    for name in names:
        setattr(store, name, partial(counted, getattr(store, name)))


def alter(url: str, position: int, before: bytes, after: bytes) -> None:
    """Change the facts of an event where they lie, as a disk may."""
    _execute(
        url,
        "UPDATE ledger_events SET state = %s WHERE notification_id = %s",
        lambda facts: (facts.replace(before, after), position),
        position,
    )


def take_away(url: str, position: int) -> None:
    """Lose one event in the middle of the log."""
    _execute(
        url, "DELETE FROM ledger_events WHERE notification_id = %s", lambda _: (position,), position
    )


def _execute(
    url: str, change: str, given: Callable[[bytes], tuple[object, ...]], position: int
) -> None:
    find = "SELECT state FROM ledger_events WHERE notification_id = %s"
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url[10:])) as file:
            for name in ("update", "delete"):
                file.execute(f"DROP TRIGGER IF EXISTS ledger_events_no_{name}")
            (facts,) = file.execute(find.replace("%s", "?"), (position,)).fetchone()
            file.execute(change.replace("%s", "?"), given(facts))
            file.commit()
        return
    address = parse(url)
    with psycopg.connect(**address.keywords) as server:
        server.execute(f"SET search_path TO {address.schema}".encode())
        server.execute(b"ALTER TABLE ledger_events DISABLE TRIGGER USER")
        ((facts,),) = server.execute(find.encode(), (position,)).fetchall()
        server.execute(change.encode(), given(facts))
