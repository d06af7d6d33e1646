"""The runs that a partial replay projects again, and the part of the log that they need."""

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import nanoarrow as na
from pydantic import BaseModel, ConfigDict, ValidationError

from projections.archive.reader import ArchivedPart
from projections.files.duckdb_connection import connect
from runledger.errors import InvalidArgument, describe
from runledger.events import CATALOGUE
from runledger.ids import check_id
from runledger.span import check_span
from runledger.sql_file import statements
from runledger.store import Store
from runledger.store.protocol import LogReader
from runledger.utc import UtcTime

SQL: Final = statements(Path(__file__).with_name("selection.sql"))
SCAN_EVENTS: Final = 50_000


class Selection(BaseModel):
    """Selects the runs that have an event for which all conditions hold; times are those of
    recording.

    `events_of_type` are topics such as `run.step_recorded`; `until` is exclusive. An empty field is
    no condition, but at least one field must be given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    runs: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    since: UtcTime | None = None
    until: UtcTime | None = None
    events_of_type: tuple[str, ...] = ()

    def check(self) -> "Selection":
        """Return the selection; InvalidArgument if it is empty or has an unknown topic."""
        if self == Selection():
            raise InvalidArgument("partial replay: expected runs, agents, a time or event types")
        check_span("partial replay", since=self.since, until=self.until)
        for run_id in self.runs:
            check_id("run", run_id)
        unknown = sorted(set(self.events_of_type) - CATALOGUE.keys())
        if unknown:
            raise InvalidArgument(
                f"events of type: expected topics of runs such as run.step_recorded, found "
                f"{', '.join(unknown)}"
            )
        return self

    def parameters(self) -> dict[str, list[str] | datetime | None]:
        """Return the values that the scan of the log needs."""
        return {
            "runs": list(self.runs) or None,
            "agents": list(self.agents) or None,
            "topics": list(self.events_of_type) or None,
            "since": self.since,
            "until": self.until,
        }


def selection(**given: Any) -> Selection:
    """Return the checked selection; raise InvalidArgument that names every fault."""
    try:
        return Selection(**given).check()
    except ValidationError as e:
        raise InvalidArgument(f"partial replay: {describe(e)}") from e


class Touched:
    """The runs that a selection touches, and readers for their part of the log."""

    def __init__(self, store: Store, selection: Selection, upto: int) -> None:
        self._store = store
        self._db: Any = connect(memory_limit="256MiB")
        self._db.execute(SQL["touched"])
        parameters = selection.check().parameters()
        with closing(store.log_reader()) as reader:
            after = 0
            while after < upto and (batch := reader.read(after, upto, SCAN_EVENTS)) is not None:
                after = _register(self._db, batch) or upto
                self._db.execute(SQL["touch"], parameters)
        self._db.execute(SQL["agents"])
        self.runs = [run_id for (run_id,) in self._db.execute(SQL["runs"]).fetchall()]
        self.organizations = [name for (name,) in self._db.execute(SQL["organizations"]).fetchall()]

    def reader(self, part: str) -> "PartReader":
        """Return a reader of the events of the touched runs (`of_runs`) or of their agents
        (`of_agents`)."""
        return PartReader(self._store.log_reader(), self._db.cursor(), SQL[part])

    def close(self) -> None:
        """Delete the list of runs."""
        self._db.close()


class PartReader:
    """A log reader that returns a part of the events; see runledger.store.protocol.LogReader."""

    def __init__(self, reader: LogReader, db: Any, which: str) -> None:
        self._reader = reader
        self._db = db
        self._which = which

    def read(self, after: int, upto: int, limit: int) -> Any:
        """Return the next events of this part as Arrow, or None."""
        while after < upto and (batch := self._reader.read(after, upto, limit)) is not None:
            after = _register(self._db, batch) or upto
            part = na.ArrayStream(self._db.sql(self._which)).read_all()
            if len(part):
                return part
        return None

    def close(self) -> None:
        """Close the reader and the database."""
        self._reader.close()
        self._db.close()


def _register(db: Any, batch: Any) -> int | None:
    """Make a batch readable as `log_batch`; return its last position, None if it is empty."""
    # Some readers return a stream, which can be read only once; here it is read more often.
    if isinstance(batch, ArchivedPart):
        with batch.unchanged():
            events = na.ArrayStream(db.sql(batch.facts())).read_all()
    else:
        events = na.ArrayStream(batch).read_all()
    db.register("log_batch", events)
    ((last,),) = db.execute(SQL["last"]).fetchall()
    return None if last is None else int(last)
