"""A batch that could not be loaded leaves no rows to the next one."""

from collections.abc import Iterator
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from projections.archive.archive import Archive
from projections.archive.reader import ArchiveReader
from projections.fold import loader
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from runledger.errors import ProjectionFailed
from runledger.store import Store, open_store
from runledger.store.protocol import LogReader
from tests.projections.oracle import Tables
from tests.projections.reading import contents, projected

pytestmark = pytest.mark.slow


@pytest.fixture(params=["store", "archive", "archive of two versions"])
def reader(log: Store, request: pytest.FixtureRequest) -> Iterator[LogReader]:
    """A reader of a log."""
    if request.param == "store":
        with closing(log.log_reader()) as opened:
            yield opened
        return
    source = Archive(request.getfixturevalue("folder"))
    if request.param == "archive of two versions":
        first, *others = source.manifest.segments
        rest = (segment.model_copy(update={"shape": "other"}) for segment in others)
        source.manifest = source.manifest.model_copy(update={"segments": (first, *rest)})
    with closing(ArchiveReader(source)) as reader:
        yield reader


@cache
def _whole(generated_log: Path, upto: int) -> Tables:
    with closing(open_store(f"sqlite:///{generated_log}")) as store:
        with closing(store.log_reader()) as reader:
            return projected(reader, upto, 50_000)


@pytest.mark.parametrize("reached", [10, 1_000])
@pytest.mark.parametrize("step", ["_make_room", "_empty", "_unite"])
def test_it_is_an_error_of_ours_and_the_next_batch_is_none_the_worse(
    log: Store,
    generated_log: Path,
    reader: LogReader,
    reached: int,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise duckdb.OutOfMemoryException("could not allocate block")

    generation = Generation(":memory:")
    engine = Engine(generation, reader)
    engine.catch_up(reached)
    with monkeypatch.context() as patch:
        patch.setattr(loader, step, fail)
        # Not every step is taken with every reader.
        with suppress(ProjectionFailed):
            engine.catch_up(log.head())
    reached = engine.position
    for upto in sorted({min(reached + more, log.head()) for more in (1, 7, log.head())}):
        assert engine.catch_up(upto) == upto
        assert contents(generation) == _whole(generated_log, upto)
    generation.close()
