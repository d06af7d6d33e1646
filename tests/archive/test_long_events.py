"""Events that are so long that few of them fit into memory at once."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from projections.archive.archive import Archive
from projections.archive.reader import ArchiveReader
from projections.archive.writer import archive
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from runledger.errors import ProjectionFailed, ReadModelsError
from runledger.store import Store, open_store
from scripts.bench.generate import Row, fill_sqlite, rows
from tests.projections.reading import contents, projected

pytestmark = pytest.mark.slow

EVENTS = 600
LONG = 300_000
LITTLE = "96MiB"


def long_rows() -> Iterator[Row]:
    """Yield events of which some have long facts and some long contents."""
    for row in rows():
        text = f"{row.version} ".encode().ljust(LONG, b"x")
        facts = row.facts.replace(b'"metadata":{', b'"metadata":{"text":"' + text + b'",')
        body = row.contents and row.contents.replace(b'"role":', b'"name":"' + text + b'","role":')
        yield row._replace(facts=facts, contents=body)


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path_factory.mktemp('long')}/runs.db"
    open_store(url).close()
    fill_sqlite(url, islice(long_rows(), EVENTS), EVENTS)
    opened = open_store(url)
    yield opened
    opened.close()


def test_a_batch_that_does_not_fit_into_memory_is_halved(long_log: Store, tmp_path: Path) -> None:
    with closing(long_log.log_reader()) as reader:
        expected = projected(reader, EVENTS, EVENTS)
    with (
        closing(long_log.log_reader()) as reader,
        closing(Generation(tmp_path / "a.duckdb", memory_limit=LITTLE)) as generation,
    ):
        assert Engine(generation, reader).catch_up(EVENTS) == EVENTS
        assert contents(generation) == expected
    assert len(expected["runs"]) > 40


def test_an_event_that_does_not_fit_alone_ends_the_projection(
    long_log: Store, tmp_path: Path
) -> None:
    with (
        closing(long_log.log_reader()) as reader,
        closing(Generation(tmp_path / "a.duckdb", memory_limit="12MiB")) as generation,
    ):
        with pytest.raises((ProjectionFailed, ReadModelsError)):
            Engine(generation, reader).catch_up(EVENTS)


def test_long_events_are_archived_in_little_memory(
    long_log: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.archive.writer.MEMORY_LIMIT", "320MiB")
    assert archive(long_log, tmp_path / "a").events == EVENTS
    with closing(long_log.log_reader()) as reader:
        expected = projected(reader, EVENTS, EVENTS)
    with closing(ArchiveReader(Archive(tmp_path / "a"))) as reader:
        assert projected(reader, EVENTS, EVENTS) == expected
