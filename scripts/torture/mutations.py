"""Faults that are put into the product on purpose, and that the checker must find."""

import re
from typing import Final

import psycopg

NO_APPEND_LOCK: Final = "no-append-lock"
NO_IDENTITY_CHECK: Final = "no-identity-check"
MUTATED: Final = {
    NO_APPEND_LOCK: ("postgresql", "passed or out of order"),
    NO_IDENTITY_CHECK: ("sqlite", "read models that differ"),
}
"""Each with a database on which it shows (SQLite's own lock cannot be taken away), and as what."""
MUTATIONS: Final = ("none", *MUTATED)
_LOCK: Final = re.compile(r"PERFORM pg_advisory_xact_lock\([^;]*;")
_LAST_WORDS: Final = re.compile(r"(FROM conflict c;)")
_PAUSE: Final = "PERFORM pg_sleep(random() * 0.05);"


def mutate_store(mutation: str, address: str) -> None:
    """Take the append lock out of the function that appends, and let it linger before it commits.

    Parameters:
        mutation: one of MUTATIONS.
        address: where the server with the ledger's tables is, as libpq reads it.
    """
    if mutation != NO_APPEND_LOCK:
        return
    with psycopg.connect(address, autocommit=True) as db:
        ((made,),) = db.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'ledger_append'"
        ).fetchall()
        changed, locks = _LOCK.subn("", made)
        changed, ends = _LAST_WORDS.subn(rf"\1 {_PAUSE}", changed)
        if (locks, ends) != (1, 1):
            raise AssertionError(f"expected one lock and one end, found {locks} and {ends}: {made}")
        db.execute(changed.encode())


def mutate_writer(mutation: str) -> None:
    """Have this process append by the function alone: its other statement has a lock of its own."""
    if mutation != NO_APPEND_LOCK:
        return
    from runledger.store.known_versions import KnownVersions

    KnownVersions.after = lambda *_: None  # type: ignore[method-assign]


def mutate_reader(mutation: str) -> None:
    """Have this process take any log for the one that its read models were made from."""
    if mutation != NO_IDENTITY_CHECK:
        return
    from projections.fold.log_identity import LogIdentity

    LogIdentity.expect = lambda *_: None  # type: ignore[method-assign]
