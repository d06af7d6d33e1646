"""The store's SQL for one schema: every name qualified, so that it needs no session's settings."""

from functools import cache
from pathlib import Path
from typing import Final

from runledger.sql_file import fill, literal, quoted, statements
from runledger.store.protocol import LOCK_SECONDS

_QUERIES: Final = statements(Path(__file__).with_name("queries.sql"))
_SCHEMA: Final = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")


def _pieces(schema: str) -> dict[str, str]:
    return {
        "schema": quoted(schema),
        "name": literal(schema),
        "schema_name": literal(quoted(schema)),
        "meta": literal(f"{quoted(schema)}.ledger_meta"),
        "tiles": literal(f"{quoted(schema)}.ledger_tiles"),
        "youngest": literal(f"{quoted(schema)}.ledger_calls"),
        # The lock that appenders take; the same text in every version of the ledger.
        "lock": literal(f"{schema}.ledger_events"),
        "lock_timeout": literal(f"{LOCK_SECONDS:g}s"),
    }


@cache
def queries(schema: str) -> dict[str, bytes]:
    """Return {name: statement} of queries.sql for a schema."""
    return {name: fill(sql, **_pieces(schema)).encode() for name, sql in _QUERIES.items()}


def tables(schema: str) -> bytes:
    """Return the SQL that makes what is missing of tables, triggers and functions."""
    return fill(_SCHEMA, **_pieces(schema)).encode()
