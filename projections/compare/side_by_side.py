"""The live generation and another one, at one position, in one connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from projections.archive.store import checked_log
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.generations.live import LiveReadModels
from projections.generations.snapshot import Snapshot
from runledger.errors import ReadModelsError
from runledger.store import Store


@contextmanager
def side_by_side(
    store: Store, live: LiveReadModels, file: Path
) -> Iterator[tuple[Snapshot, Generation]]:
    """Yield a snapshot of the live generation and the other one: caught up, closed and attached.

    The live generation continues to be projected.
    """
    other = Generation(file)
    try:
        # The live one first: it must not be behind the other one.
        live.catch_up()
        with live.snapshot() as snapshot:
            _follow(store, other, snapshot.position)
            other.close()
            snapshot.attach(file)
            yield snapshot, other
    finally:
        other.close()


def _follow(store: Store, other: Generation, position: int) -> None:
    reader = checked_log(store)
    try:
        Engine(other, reader, log=store).catch_up(position)
    finally:
        reader.close()
    if other.position != position:
        raise ReadModelsError(
            f"read models {str(other.path)!r}: expected position {position}, that of the live "
            f"ones, found {other.position}; were they made from this log?"
        )
