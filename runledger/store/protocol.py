"""A store: atomic appends with verdicts, streams, the log in order, blobs, locks."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from runledger.errors import InvalidArgument
from runledger.events import Event
from runledger.store.lease import SECONDS
from runledger.store.spans import SpanTable

LOCK_SECONDS: Final = 30.0
"""How long a statement waits for a lock that another connection holds, on every database."""

if TYPE_CHECKING:
    from runledger.store.log_mark import LogMark
    from runledger.store.tiles import Tile, TilesEnd

READS: Final = "archive"
"""The leadership of who writes an archive: of the store, it only reads."""


class EncodedEvent(NamedTuple):
    """An event as it is stored: facts and contents as JSON bytes, apart."""

    topic: str
    facts: bytes
    contents: bytes | None


@dataclass(frozen=True, slots=True)
class StreamWrite:
    """Events for one stream, one at least; `expected` is the version that it must have, 0 for none.

    Raises InvalidArgument.
    """

    stream: str
    expected: int
    events: tuple[EncodedEvent, ...]

    def __post_init__(self) -> None:
        if self.expected < 0 or not self.events:
            raise InvalidArgument(
                f"stream {self.stream!r}: expected a version of 0 or more and one event or more, "
                f"found version {self.expected} and {len(self.events)} events"
            )


Append = tuple[StreamWrite, ...]
"""Writes that are recorded together or not at all, in this order; at least one.

A stream that comes again expects the version that the write before left it with.
"""


class Recorded(NamedTuple):
    """The append is durable; its events have the positions from `first` to `last`."""

    first: int
    last: int


class Conflicted(NamedTuple):
    """Nothing was recorded: `stream` has version `found`, not `expected`."""

    stream: str
    expected: int
    found: int


Verdict = Recorded | Conflicted


class StoredEvent(NamedTuple):
    """An event read back; `version` counts from 1 in its stream, `position` from 1 in the log."""

    position: int
    stream: str
    version: int
    event: Event


class StoredRow(NamedTuple):
    """The same as stored, not decoded."""

    position: int
    stream: str
    version: int
    topic: str
    facts: bytes
    contents: bytes | None


class LogReader(Protocol):
    """Reads the log in position order as Arrow, for one thread at a time.

    A batch has the columns position (int64), stream (string), version (int64), topic (string) and
    facts (binary), and speaks the Arrow PyCapsule interface.
    """

    def read(self, after: int, upto: int, limit: int) -> Any:
        """Return the events with after < position <= upto, `limit` at most, or None if none are.

        A batch may be a stream: it is consumed once, before the next read, and where the
        connection breaks meanwhile, its consumer fails. Raises StoreUnavailable.
        """

    def close(self) -> None:
        """Give the connection back."""


class Store(Protocol):
    """One log. All methods block; all but `append` may be called from any thread."""

    url: str

    @property
    def epoch(self) -> int:
        """How often the log was found to have gone back; what was read before may be gone."""

    def expect_writable(self) -> None:
        """Raise OnlyRead where nothing can be appended."""

    def append(self, appends: Sequence[Append]) -> list[Verdict]:
        """Record the appends in one transaction, each with its own verdict, in the given order.

        No stream may occur in two of them. Raises StoreUnavailable when nothing is known to be
        recorded; an append that was recorded by an attempt that got no answer counts as recorded.
        Where the log turns out to have lost events, what was not recorded is a conflict.
        Raises StoreRefused, with nothing recorded, for what the database cannot take.
        """

    def read_stream(
        self, stream: str, after: int = 0, upto: int | None = None, contents: bool = True
    ) -> list[StoredEvent]:
        """Return a stream's events with after < version <= upto, in order."""

    def read_log(
        self,
        after: int,
        limit: int,
        topics: Sequence[str] = (),
        contents: bool = False,
        upto: int | None = None,
        organization: str | None = None,
    ) -> list[StoredRow]:
        """Return events with after < position <= upto, in order, of these topics or of all.

        With `organization`, of this one alone: the store looks at the facts, and raises
        StoreUnavailable if those that name it are no JSON.
        """

    def head(self) -> int:
        """Return the last position, 0 for an empty log."""

    def log_reader(self) -> LogReader:
        """Open a reader with a connection of its own."""

    def put_blob(self, sha256: str, media_type: str, data: bytes) -> None:
        """Keep bytes under their SHA-256; keeping them again changes nothing."""

    def get_blob(self, sha256: str) -> tuple[str, bytes] | None:
        """Return (media type, bytes), or None."""

    def leadership(self, name: str, seconds: float = SECONDS) -> AbstractContextManager[bool]:
        """Hold the named lease for the block; gives False at once if another holder has it.

        A thread renews it; if the process is stopped or killed, it runs out after `seconds`.
        """

    def leads(self, name: str) -> bool:
        """Say whether a lease taken by `leadership` still runs."""

    def checkpoint(self, name: str) -> int:
        """Return the position that a follower of the log saved, 0 if it never did."""

    def save_checkpoint(self, name: str, position: int, read: "LogMark | None" = None) -> bool:
        """Keep the position up to which the follower has nothing left to do.

        Return False, and keep nothing, if the log has not the event `read`, the last one that the
        follower has read: both in one transaction, so that a server that took over with an older
        log never gets the checkpoint of another one.
        """

    def notes(self, prefix: str) -> dict[str, str]:
        """Return the notes whose names begin so, in the order of their names."""

    def save_note(self, name: str, text: str) -> None:
        """Keep a text beside the log under its name; a later one takes its place."""

    @property
    def spans(self) -> SpanTable:
        """The spans that are kept beside the log until runs are made of them."""

    def facts(self) -> dict[str, str]:
        """Return what `doctor` shows: versions, durability settings, file or server."""

    def tiles(self, after: int, limit: int) -> "list[Tile]":
        """Return tiles whose first position is beyond one, in order; see runledger.store.tiles."""

    def tile(self, number: int) -> "Tile | None":
        """Return the tile with a number, from 0; None if there is none."""

    def tiles_end(self) -> "TilesEnd":
        """Return how many events tiles hold, and up to which position."""

    def put_tile(self, tile: "Tile") -> bool:
        """Keep a tile, in the place of the beginning of it if that is kept.

        Return False, and keep nothing, unless what is kept with its number is its beginning, and
        the log has its events, and no others, after those of the tile before: all in one
        transaction, so that a server that took over with an older log, or a restored file, never
        gets a tile of events that it lacks.
        """

    def damage(self) -> str | None:
        """Return the first fault that the database's own check finds, None for none.

        It reads the whole database; None also if the database has no check of its own.
        """

    def close(self) -> None:
        """Close every connection; readers must be closed before."""
