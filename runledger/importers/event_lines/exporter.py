"""Writes the log as lines of events, in its order, with the blobs that they refer to."""

import json
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any, Final

from projections.publishing.target_file import Kind
from runledger.errors import InvalidArgument, LedgerError
from runledger.importers.event_lines.format import blob_line, event_line, read_line
from runledger.importers.source_file import DAMAGE, opened
from runledger.store import Store
from runledger.store.checked_rows import expect_undamaged

_LONGEST: Final = 64 << 20
"""Most bytes of a first line that are read; the lines of an export are shorter."""
PAGE: Final = 1_000
"""Events in memory at a time."""


class Damage:
    """The events of an export that an import would refuse: how many, and the first of them."""

    def __init__(self) -> None:
        self.events = 0
        self.position = 0
        self.reason = ""

    def look_at(self, position: int, line: bytes) -> None:
        """Count an event whose line cannot be read again."""
        try:
            # In JSON this is whitespace, in a line it is the end.
            if b"\n" in line[:-1]:
                raise InvalidArgument("facts or contents: expected one line, found more")
            read_line(line)
        except LedgerError as e:
            self.events += 1
            if self.events == 1:
                self.position, self.reason = position, str(e)


def export_lines(
    store: Store,
    *,
    after: int = 0,
    streams: Container[str] | None = None,
    progress: Callable[[int], None] = lambda _: None,
    damage: Damage | None = None,
) -> Iterator[bytes]:
    """Yield a line for every event after `after` that is recorded at the time of the call.

    With `streams`, these are the events of those alone. An event that cannot be read is written as
    it is stored; `damage` counts those. Raises LogDamaged before the page of an event that is not
    what was recorded.
    """
    head = store.head()
    written: set[str] = set()
    while after < head:
        rows = [row for row in store.read_log(after, PAGE, contents=True) if row.position <= head]
        if not rows:
            return
        expect_undamaged(store, rows)
        for row in rows:
            if streams is not None and row.stream not in streams:
                continue
            if row.contents is not None and b'"blob"' in row.contents:
                for digest in _referred(row.contents):
                    if digest not in written:
                        written.add(digest)
                        yield from _blob(store, digest)
            line = event_line(row)
            if damage is not None:
                damage.look_at(row.position, line)
            yield line
        after = rows[-1].position
        progress(len(rows))


def _is_export(path: Path) -> bool:
    """Whether a file is empty, or begins with a line in the ledger's format."""
    try:
        with opened(path) as source:
            line = source.stream.readline(_LONGEST)
            if line:
                read_line(line)
    except (*DAMAGE, LedgerError):
        return False
    return True


EXPORT: Final = Kind("an export of events", _is_export)


def _blob(store: Store, digest: str) -> Iterator[bytes]:
    kept = store.get_blob(digest)
    # Erased bytes are left out; the reference to them is exported.
    if kept is not None:
        yield blob_line(digest, *kept)


def _referred(contents: bytes) -> Iterator[str]:
    try:
        value = json.loads(contents)
    except (ValueError, RecursionError):
        return  # An unreadable event has no references.
    yield from _blobs(value)


def _blobs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") == "blob" and isinstance(value.get("sha256"), str):
            yield value["sha256"]
        for inner in value.values():
            yield from _blobs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _blobs(inner)
