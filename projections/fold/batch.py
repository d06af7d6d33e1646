"""A batch: consecutive events of the log, as the tables that every projection reads."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from projections.fold.event_tables import EventTable, event_tables
from projections.fold.loader import SQL, ArchivedEvents, Loaded, Source, one_by_one, unite
from runledger.errors import LedgerError
from runledger.events import CATALOGUE, RunDeleted
from runledger.sql_file import parse, render
from runledger.store import arrow
from runledger.store.codec import today

DERIVED: Final = parse((Path(__file__).with_name("derived.sql")).read_text(encoding="utf-8"))
_MISFIT: Final = "a value does not fit the column that projections read it from"


@cache
def events_digest() -> str:
    """Return the SHA-256 of what an event is here: topics, revisions, fields, and their columns."""
    known = [
        (topic, event.revision, sorted((n, str(f)) for n, f in event.model_fields.items()))
        for topic, event in sorted(CATALOGUE.items())
    ]
    made = sorted(SQL.items()), [statement.sql for statement in DERIVED]
    return sha256(repr((known, list(event_tables().values()), made)).encode()).hexdigest()


class Batch:
    """What a fold sees of the event tables, through its own connection.

    Mostly that is everything that was loaded. Where some of it is left out, or had to be brought
    into today's shape, tables of the same names lie before those that were loaded until the next
    batch. Not views: SQL that cannot take an event would meet it before the view leaves it out.
    """

    def __init__(self, db: Any) -> None:
        self._db = db
        # An engine on the same connection may have left some.
        self._hidden = [name for (name,) in db.execute(SQL["hidden"]).fetchall()]
        self._reshaped: frozenset[str] = frozenset()
        db.execute(SQL["search"])
        db.execute(SQL["given"])

    def uncover(self) -> None:
        """Take such tables away; outside of a transaction, whose end could bring them back."""
        if self._hidden:
            self._db.execute(SQL["uncover_batch"])
        for name in self._hidden:
            self._db.execute(render(SQL["uncover"], table=name))
        self._hidden = []

    def look(self) -> None:
        """See everything, as it is loaded at this moment and until the transaction ends."""
        self._db.execute(SQL["look"])

    def begin_part(self) -> None:
        """Leave nothing out so far: the table `left_out` is empty."""
        self._db.execute(SQL["loaded"])
        self._db.execute(SQL["left_out"])

    def upcast(self, loaded: Loaded, source: Source) -> Mapping[int, str]:
        """Bring what is not left out into today's shape; return the reason, by position, where
        that fails."""
        poison, self._reshaped = self._reshape(source) if loaded.unread else ({}, frozenset())
        return poison

    def delete(self) -> None:
        """Leave out what the batch has of runs that it deletes; they are in the table `deleted`."""
        pieces = SQL["deleted"], *self._rows(event_tables()[RunDeleted.topic]), SQL["by_run"]
        self._db.execute(" ".join(pieces))
        self._db.execute(SQL["leave_out_deleted"])

    def project(self, loaded: Loaded) -> None:
        """See what is not left out."""
        tables = [table for topic, table in event_tables().items() if topic in loaded.topics]
        for table in tables:
            head = render(SQL["filled_apart"], table=table.name)
            self._db.execute(" ".join((head, *self._rows(table))))
            self._hidden.append(table.name)
        parts = [(table.name, table.envelope) for table in tables]
        unite(self._db, SQL["batch_apart"], "temp.main", parts)

    def _rows(self, table: EventTable) -> list[str]:
        """Return the SQL of what a table has that is not left out, in today's shape."""
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
