"""A log that goes back, as with a restored backup or a standby that lacked the last events."""

import sqlite3
from contextlib import closing

import psycopg

from runledger.store.postgres.address import parse


def go_back(url: str, position: int) -> None:
    """Take away every event after a position, and give out the positions after it again."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url[10:])) as file:
            file.execute("DROP TRIGGER ledger_events_no_delete")
            file.execute("DELETE FROM ledger_events WHERE notification_id > ?", (position,))
            file.execute("UPDATE sqlite_sequence SET seq = ?", (position,))
            file.commit()
        return
    address = parse(url)
    with psycopg.connect(**address.keywords) as server:
        server.execute(f"SET search_path TO {address.schema}".encode())
        server.execute(b"ALTER TABLE ledger_events DISABLE TRIGGER ledger_events_append_only")
        server.execute(b"DELETE FROM ledger_events WHERE notification_id > %s", (position,))
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
