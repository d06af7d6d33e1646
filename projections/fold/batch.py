"""A batch: consecutive events of the log, as the tables that every projection reads."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from projections.fold.event_tables import EventTable, event_tables
from projections.fold.loader import SQL, ArchivedEvents, Loaded, Source, one_by_one, unite
from projections.fold.step_prices import REVISIONS
from runledger.errors import LedgerError
from runledger.events import CATALOGUE, RunDeleted
from runledger.sql_file import parse, render
from runledger.store import arrow
from runledger.store.codec import today

DERIVED: Final = parse((Path(__file__).with_name("derived.sql")).read_text(encoding="utf-8"))
_MISFIT: Final = "a value does not fit the column that projections read it from"


@cache
def events_digest() -> str:
    """Return the SHA-256 of the definition of events: topics, revisions, fields and columns."""
    known = [
        (topic, event.revision, sorted((n, str(f)) for n, f in event.model_fields.items()))
        for topic, event in sorted(CATALOGUE.items())
    ]
    made = sorted(SQL.items()), [statement.sql for statement in DERIVED], REVISIONS
    return sha256(repr((known, list(event_tables().values()), made)).encode()).hexdigest()


class Batch:
    """The event tables as a fold reads them, through its own connection.

    Usually these are all events that were loaded. If some are left out, or had to be upcast to the
    current shape, tables of the same names shadow the loaded ones until the next batch. They are
    tables and not views: SQL that fails on an event would evaluate it before the view filters it
    out.
    """

    def __init__(self, db: Any) -> None:
        self._db = db
        # An earlier engine on the same connection may have left such tables.
        self._hidden = [name for (name,) in db.execute(SQL["hidden"]).fetchall()]
        self._reshaped: frozenset[str] = frozenset()
        db.execute(SQL["search"])
        for macro in ("given", "tier", "moment"):
            db.execute(SQL[macro])

    def uncover(self) -> None:
        """Drop these tables; outside a transaction, whose rollback could restore them."""
        if self._hidden:
            self._db.execute(SQL["uncover_batch"])
        for name in self._hidden:
            self._db.execute(render(SQL["uncover"], table=name))
        self._hidden = []

    def look(self) -> None:
        """Read all loaded events; the transaction keeps this view of them until it ends."""
        self._db.execute(SQL["look"])

    def begin_part(self) -> None:
        """Start with nothing left out: create the table `left_out`, empty."""
        self._db.execute(SQL["loaded"])
        self._db.execute(SQL["left_out"])

    def upcast(self, loaded: Loaded, source: Source) -> Mapping[int, str]:
        """Upcast the events that are not left out; return the reason of each failure by
        position."""
        poison, self._reshaped = self._reshape(source) if loaded.unread else ({}, frozenset())
        return poison

    def delete(self) -> None:
        """Leave out the events of runs that the batch deletes; these runs are in the table
        `deleted`."""
        pieces = SQL["deleted"], *self._rows(event_tables()[RunDeleted.topic]), SQL["by_run"]
        self._db.execute(" ".join(pieces))
        self._db.execute(SQL["leave_out_deleted"])

    def project(self, loaded: Loaded) -> None:
        """Read only the events that are not left out."""
        tables = [table for topic, table in event_tables().items() if topic in loaded.topics]
        for table in tables:
            head = render(SQL["filled_apart"], table=table.name)
            self._db.execute(" ".join((head, *self._rows(table))))
            self._hidden.append(table.name)
        parts = [(table.name, table.envelope) for table in tables]
        unite(self._db, SQL["batch_apart"], "temp.main", parts)

    def _rows(self, table: EventTable) -> list[str]:
        """Return the SQL that selects the table's events that are not left out, in current
        shape."""
        pieces = [render(SQL["projected"], table=table.name)]
        if table.topic in self._reshaped:
            pieces.append(render(SQL["reshaped"], table=_reshaped(table)))
        return pieces

    def _reshape(self, source: Source) -> tuple[dict[int, str], frozenset[str]]:
        db, poison, shaped = self._db, {}, []
        if isinstance(source, ArchivedEvents):
            source.unread(db)
        else:
            db.execute(SQL["unread_events"])
        for position, stream, version, topic, facts in db.execute(SQL["give_unread"]).fetchall():
            try:
                shaped.append(
                    (position, stream, version, topic, today(stream, version, topic, facts))
                )
            except LedgerError as e:
                poison[position] = str(e)
        position, stream, version, topic, facts = zip(*shaped, strict=True) if shaped else ((),) * 5
        db.register(
            "log_batch",
            arrow.table(
                position=arrow.int64(position),
                stream=arrow.string(stream),
                version=arrow.int64(version),
                topic=arrow.string(topic),
                facts=arrow.binary(facts),
            ),
        )
        for name in set(topic):
            table = event_tables()[name]
            rows, parameters = one_by_one(table, "log_batch")
            head = render(SQL["filled_apart"], table=_reshaped(table))
            db.execute(f"{head} {rows}", parameters)
            found = db.execute(render(SQL["misfits"], table=_reshaped(table))).fetchall()
            poison.update(dict.fromkeys((misfit for (misfit,) in found), _MISFIT))
        db.unregister("log_batch")
        return poison, frozenset(topic)


def _reshaped(table: EventTable) -> str:
    return f"reshaped_{table.name}"
