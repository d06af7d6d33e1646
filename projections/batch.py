"""A batch: consecutive events of the log, as the typed table that every projection reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from runledger.errors import UndecodableEvent
from runledger.events import CATALOGUE
from runledger.sql_file import statements
from runledger.store import arrow
from runledger.store.codec import today

SQL: Final = statements(Path(__file__).with_name("batch.sql"))


def prepare(db: Any) -> None:
    """Make the tables that every batch uses; once per connection."""
    db.execute(SQL["revisions"])
    db.execute(SQL["shape"])
    topics = [(topic, event.revision) for topic, event in CATALOGUE.items()]
    db.execute(
        SQL["known"], {"topics": [t for t, _ in topics], "revisions": [r for _, r in topics]}
    )


def load(db: Any, events: Any) -> tuple[int, int]:
    """Fill the table `batch` from Arrow; return (number of events, last position).

    Events of an older revision are brought to today's by their upcasters, in Python; all others
    never become Python objects. Raises UndecodableEvent for a topic or revision not known here.
    """
    db.register("log_batch", events)
    db.execute(SQL["batch"])
    db.unregister("log_batch")
    for stream, version, topic, revision in db.execute(SQL["unknown"]).fetchall():
        known = CATALOGUE.get(topic)
        reason = (
            "no such topic in the catalogue"
            if known is None
            else f"stored with revision {revision}, this version of the ledger knows {known.revision}"
        )
        raise UndecodableEvent(stream, version, topic, reason)
    old = db.execute(SQL["old"]).fetchall()
    if old:
        _upcast(db, old)
    ((count, last),) = db.execute(SQL["extent"]).fetchall()
    for name in ("deleted", "forget"):
        db.execute(SQL[name])
    return int(count), int(last or 0)


def _upcast(db: Any, old: Sequence[tuple[int, str, int, str, bytes]]) -> None:
    position, stream, version, topic, _ = zip(*old, strict=True)
    shaped = [today(*row[1:]) for row in old]
    db.execute(SQL["drop_old"])
    db.register(
        "log_batch",
        arrow.table(
            position=arrow.int64(position),
            stream=arrow.string(stream),
            version=arrow.int64(version),
            topic=arrow.string(topic),
            facts=arrow.binary(shaped),
        ),
    )
    db.execute(SQL["add"])
    db.unregister("log_batch")
