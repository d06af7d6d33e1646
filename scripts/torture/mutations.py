"""Faults that are put into the product on purpose, and that the checker must find."""

import re
from typing import Final

import psycopg

NO_APPEND_LOCK: Final = "no-append-lock"
MUTATIONS: Final = ("none", NO_APPEND_LOCK)
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
