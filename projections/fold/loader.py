"""The loader: fills the event tables from a batch of the log, or of its archive."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import duckdb

from projections.fold.event_tables import STRANGE, EventTable, event_tables
from runledger.errors import LedgerError
from runledger.events import CATALOGUE
from runledger.sql_file import fill, literal, quoted, render, statements
from runledger.store.codec import today

SQL: Final = statements(Path(__file__).with_name("batch.sql"))


class Loaded(NamedTuple):
    """The content of the event tables. Python must inspect `unread` of the events. The tables are
    views if the batch lies in an archive."""

    events: int
    last: int
    unread: int
    topics: frozenset[str]
    views: bool | None = False


NOTHING: Final = Loaded(0, 0, 0, frozenset(CATALOGUE), None)
"""Before the first batch, and after one that failed: the next one makes the tables of all topics
that it does not have."""
_FillTable = Callable[[Any, str, EventTable], None]
"""Fills an event table from a source."""
_COLUMNS: Final = frozenset({"typed", "sound", "typed_one_by_one", "has", "have"})
_UNFIT: Final = (duckdb.DataError, duckdb.InvalidInputException)
"""The errors that SQL raises for a fact that is not of its declared type."""
FEW: Final = 1_000
"""Up to this many events, Python inspects them one by one."""


@runtime_checkable
class ArchivedEvents(Protocol):
    """Events in files, with the columns of event tables; see projections.archive.reader."""

    def columns(self) -> str:
        """Return the SQL of the events."""

    def facts(self) -> str:
        """Return the SQL of the events as the log has them."""

    def unread(self, db: Any) -> None:
        """Make the temporary table `unread`."""

    def unchanged(self) -> AbstractContextManager[None]:
        """Raise ArchiveDamaged if a file is altered while the block reads it."""


@runtime_checkable
class ArchivedFacts(Protocol):
    """Events in files whose facts are still to be parsed; see projections.archive.reader."""

    def facts(self) -> str:
        """Return the SQL of the events, with the columns of the log."""

    def unchanged(self) -> AbstractContextManager[None]:
        """Raise ArchiveDamaged if a file is altered while the block reads it."""


class LoggedEvents(NamedTuple):
    """Events as the log has them, in a table, by name as SQL writes it.

    `damaged` are those that are not what was recorded, and why, by position.
    """

    table: str
    events: int
    damaged: Mapping[int, str] = {}


Source = LoggedEvents | ArchivedEvents
"""The sources that event tables are filled from."""


@cache
def columns_digest() -> str:
    """Return the SHA-256 of the mapping of facts to columns: equal digests mean equal columns."""
    made = [sql for name, sql in SQL.items() if name in _COLUMNS]
    return sha256(repr((list(event_tables().values()), made)).encode()).hexdigest()


def prepare(db: Any) -> None:
    """Create the schema of the event tables; `db` is the connection that loads them."""
    db.execute(SQL["feed"])


def unchanged(source: Source) -> AbstractContextManager[None]:
    """Raise ArchiveDamaged if a file is altered while the block reads it."""
    return source.unchanged() if isinstance(source, ArchivedEvents) else nullcontext()


def load(db: Any, source: Source, before: Loaded) -> Loaded:
    """Fill the event tables; `before` is what they held."""
    views = isinstance(source, ArchivedEvents)
    if views != before.views:
        _make_room(db, views=views)
        before = NOTHING
    if isinstance(source, ArchivedEvents):
        with source.unchanged():
            return _look_at(db, source.columns())
    if source.events > FEW:
        return _load_many(db, source.table, before)
    return _load_few(db, source.table, before)


def _make_room(db: Any, *, views: bool) -> None:
    names = {table.name for table in event_tables().values()}
    for name, is_view in db.execute(SQL["kinds"]).fetchall():
        if name in names and is_view != views:
            db.execute(render(SQL["drop_view" if is_view else "drop_table"], name=name))


def _load_few(db: Any, source: str, before: Loaded) -> Loaded:
    # Planning the SQL that detects events of an older shape takes longer than Python needs to
    # inspect so few events, and longer than the rest of the fold. Doubtful events are left to that
    # SQL: the size of a batch makes no difference to what is projected.
    events = db.execute(fill(SQL["few"], source=source)).fetchall()
    if not all(_of_today(*event) for _, *event in events):
        return _load_many(db, source, before)
    topics = frozenset(topic for _, _, _, topic, _ in events)
    try:
        _fill_all(db, source, topics, before, _typed)
    except _UNFIT:
        return _load_many(db, source, before)
    return Loaded(len(events), max((event[0] for event in events), default=0), 0, topics)


def _load_many(db: Any, source: str, before: Loaded) -> Loaded:
    events, last, topics = _measure(db, source)
    _fill_all(db, source, topics, before, _checked)
    return Loaded(events, last, _unread(db), topics)


def _look_at(db: Any, source: str) -> Loaded:
    events, last, topics = _measure(db, source)
    # The tables of other topics have no rows.
    for table in event_tables().values():
        columns = _names(("position", "stream", "version", "topic", *table.facts, "doubtful"))
        pieces = {"columns": columns, "source": source, "topic": literal(table.topic)}
        db.execute(fill(SQL["viewed"], table=quoted(table.name), **pieces))
    _unite(db, source, topics)
    return Loaded(events, last, _unread(db), topics, views=True)


def _measure(db: Any, source: str) -> tuple[int, int, frozenset[str]]:
    found = db.execute(fill(SQL["topics"], source=source)).fetchall()
    events, last = sum(count for _, count, _ in found), max((last for *_, last in found), default=0)
    return events, last, frozenset(topic for topic, *_ in found)


def _unread(db: Any) -> int:
    ((unread,),) = db.execute(SQL["unread"]).fetchall()
    return int(unread)


def _of_today(stream: str, version: int, topic: str, facts: bytes) -> bool:
    try:
        return today(stream, version, topic, facts) == facts
    except LedgerError:
        return False


def _fill_all(
    db: Any, source: str, topics: frozenset[str], before: Loaded, fill_table: _FillTable
) -> None:
    for topic in topics & CATALOGUE.keys():
        fill_table(db, source, event_tables()[topic])
    for topic in before.topics & CATALOGUE.keys() - topics:
        _empty(db, event_tables()[topic])
    _unite(db, source, topics)


def _unite(db: Any, source: str, topics: frozenset[str]) -> None:
    known = [table for topic, table in event_tables().items() if topic in topics]
    parts = [(table.name, table.envelope) for table in known]
    if topics - CATALOGUE.keys():
        head = render(SQL["filled"], table=STRANGE)
        rows = fill(SQL["untyped"], source=source)
        db.execute(f"{head} {rows}", {"topics": list(CATALOGUE)})
        parts.append((STRANGE, ["position", "stream", "version", "topic", "doubtful", "facts"]))
    unite(db, SQL["batch"], "feed.main", parts)


def _fill(db: Any, table: EventTable, rows: str, parameters: dict[str, Any]) -> None:
    db.execute(f"{render(SQL['filled'], table=table.name)} {rows}", parameters)


def _typed(db: Any, source: str, table: EventTable) -> None:
    rows = fill(SQL["typed"], source=source)
    _fill(db, table, rows, {"topic": table.topic, "shape": table.shape})


def _checked(db: Any, source: str, table: EventTable) -> None:
    try:
        _typed(db, source, table)
        sound = _sound(db, source, table)
    except _UNFIT:
        sound = False
    if not sound:
        _fill(db, table, *one_by_one(table, source))


def _sound(db: Any, source: str, table: EventTable) -> bool:
    pieces = {
        "required": _sum("have", table.required),
        "all": _sum("have", table.facts),
        "source": source,
        "table": quoted(table.name),
    }
    values = {
        "topic": table.topic,
        "revision": table.revision,
        "required": len(table.required),
    }
    ((sound,),) = db.execute(fill(SQL["sound"], **pieces), values).fetchall()
    return bool(sound)


def one_by_one(table: EventTable, source: str) -> tuple[str, dict[str, Any]]:
    """Return the SQL of a table's rows, for events that may have an older shape, and its
    parameters."""
    optional = [fact for fact in table.facts if fact not in table.required]
    pieces = {
        "source": source,
        "required": _sum("has", table.required),
        "optional": _sum("has", optional),
    }
    return fill(SQL["typed_one_by_one"], **pieces), {
        "topic": table.topic,
        "shape": table.shape,
        "revision": table.revision,
        "required": len(table.required),
    }


def _empty(db: Any, table: EventTable) -> None:
    statement = f"{render(SQL['filled'], table=table.name)} {SQL['none']}"
    db.execute(statement, {"shape": table.shape})


def unite(db: Any, head: str, where: str, parts: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Create the relation of all events from the tables of a schema and their shared columns."""
    pieces = [
        fill(SQL["part"], columns=_names(columns), table=f"{where}.{quoted(name)}")
        for name, columns in parts
    ]
    db.execute(" ".join((head, SQL["nothing"], *pieces)))


def _sum(piece: str, facts: Iterable[str]) -> str:
    return " + ".join(render(SQL[piece], fact=fact) for fact in facts)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(quoted, columns))
