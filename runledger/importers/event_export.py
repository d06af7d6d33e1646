"""Writes the log as lines of events, in its order, with the blobs that they refer to."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from projections.target_file import Kind
from runledger.errors import LedgerError
from runledger.importers.event_lines import blob_line, event_line, read_line
from runledger.importers.source_file import DAMAGE, opened
from runledger.store import Store

_LONGEST: Final = 64 << 20
"""Of a first line that is looked at; the lines of an export are shorter."""
PAGE: Final = 1_000
"""Events in memory at a time."""


def export_lines(
    store: Store, *, after: int = 0, progress: Callable[[int], None] = lambda _: None
) -> Iterator[bytes]:
    """Yield a line for every event beyond `after` that is recorded at the time of the call."""
    head = store.head()
    written: set[str] = set()
    while after < head:
        rows = [row for row in store.read_log(after, PAGE, contents=True) if row.position <= head]
        if not rows:
            return
        for row in rows:
            if row.contents is not None and b'"blob"' in row.contents:
                for digest in _blobs(json.loads(row.contents)):
                    if digest not in written:
                        written.add(digest)
                        yield from _blob(store, digest)
            yield event_line(row)
        after = rows[-1].position
        progress(len(rows))


def _is_export(path: Path) -> bool:
    """Whether a file is empty, or begins with a line of the ledger's own."""
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
    # Bytes that were erased stay away; the reference to them goes along.
    if kept is not None:
        yield blob_line(digest, *kept)


def _blobs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") == "blob" and isinstance(value.get("sha256"), str):
            yield value["sha256"]
        for inner in value.values():
            yield from _blobs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _blobs(inner)
