"""Files of an archive that change while it is open: said, and no event is blamed for it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from projections.archive.archive import MANIFEST, Archive
from projections.archive.reader import ArchiveReader
from projections.archive.store import ArchiveStore, open_log
from projections.fold import parking
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from runledger.errors import ArchiveDamaged, ArchiveError, StoreUnavailable
from runledger.sql_file import Statement
from runledger.store import Store
from tests.archive.test_archive import damage
from tests.projections.reading import contents, projected
from tests.store.closing import close_under

HOW = ["missing", "altered", "cut", "overwritten"]
Use = Callable[[], object]


def harm(folder: Path, kind: str, how: str) -> None:
    """Damage a file of the second segment."""
    if how != "overwritten":
        damage(folder, kind, how)
        return
    path = folder / getattr(Archive(folder).manifest.segments[1], kind).name
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)


class Harmed(Engine):
    """An engine under whose reading a file is damaged."""

    harm: Use | None = None

    def _statements(self, topics: frozenset[str]) -> Iterator[tuple[str, Statement]]:
        if self.harm is not None:
            self.harm()
            self.harm = None
        return super()._statements(topics)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", ["columns", "raw"])
def test_a_store_names_the_file(folder: Path, kind: str, how: str) -> None:
    with closing(open_log(f"archive:{folder}")) as store:
        assert len(store.read_log(0, 9_999, contents=True)) == 2_500
        harm(folder, kind, how)
        assert len(store.read_log(0, 1_000, contents=True)) == 1_000
        with pytest.raises(ArchiveDamaged, match=str(folder)):
            store.read_log(1_000, 1, contents=True)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", ["columns", "raw"])
def test_a_store_names_the_file_that_changes_under_its_hands(
    folder: Path, kind: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(ArchiveStore(f"archive:{folder}")) as store:
        relation = store._files.relation

        def late(files: Any) -> str:
            if getattr(store._archive.manifest.segments[1], kind) in files:
                harm(folder, kind, how)
            return relation(files)

        monkeypatch.setattr(store._files, "relation", late)
        with pytest.raises(ArchiveDamaged, match=str(folder)):
            store.read_log(1_000, 1, contents=True)


@pytest.mark.parametrize("how", HOW)
def test_a_part_of_a_segment_that_is_not_there_any_more_is_named(folder: Path, how: str) -> None:
    with closing(ArchiveReader(Archive(folder))) as reader:
        assert reader.read(1_000, 1_500, 100) is not None
        harm(folder, "columns", how)
        with pytest.raises(ArchiveDamaged, match=str(folder)):
            reader.read(1_000, 1_500, 100)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", ["columns", "raw"])
def test_facts_that_are_parsed_again_are_of_files_that_did_not_change(
    folder: Path, kind: str, how: str
) -> None:
    with closing(ArchiveReader(Archive(folder))) as reader, closing(duckdb.connect()) as db:
        part = reader.read(1_000, 2_000, 1_000)
        assert part is not None
        with part.unchanged():
            assert len(db.execute(part.facts()).fetchall()) == 1_000

        def read() -> None:
            with part.unchanged():
                facts = part.facts()
                harm(folder, kind, how)
                db.execute(facts)

        with pytest.raises(ArchiveDamaged, match=str(folder)):
            read()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("batch_events", [400, 1_000])
def test_a_fold_parks_nothing_when_a_file_changes_under_it(
    log: Store, folder: Path, how: str, batch_events: int
) -> None:
    path = folder / Archive(folder).manifest.segments[1].columns.name
    sound = path.read_bytes()
    generation = Generation(":memory:")
    with closing(ArchiveReader(Archive(folder))) as reader:
        engine = Harmed(generation, reader, batch_events=batch_events)
        engine.catch_up(1_000)
        engine.harm = lambda: harm(folder, "columns", how)
        with pytest.raises(ArchiveDamaged, match=str(folder)):
            engine.catch_up(log.head())
        assert generation.position == 1_000
        assert parking.parked(generation.cursor()) == []
        path.unlink(missing_ok=True)
        path.write_bytes(sound)
        assert engine.catch_up(log.head()) == log.head()
    with closing(log.log_reader()) as reader:
        assert contents(generation) == projected(reader, log.head(), 50_000)
    generation.close()


def test_a_file_that_is_as_it_was_written_is_read_again(folder: Path) -> None:
    with closing(open_log(f"archive:{folder}")) as store:
        before = store.read_log(0, 9_999, contents=True)
        for path in folder.glob("*.parquet"):
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data)
        assert store.read_log(0, 9_999, contents=True) == before


def test_a_closed_archive_refuses_to_be_read(folder: Path) -> None:
    store = open_log(f"archive:{folder}")
    reader = store.log_reader()
    for opened in (reader, store, reader, store):
        opened.close()
    for use in (
        lambda: store.read_stream("a"),
        lambda: store.read_log(0, 1),
        store.head,
        store.facts,
        store.log_reader,
        lambda: store.get_blob("ab" * 32),
        lambda: store.checkpoint("callbacks"),
        lambda: reader.read(0, 9, 9),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            use()


@pytest.mark.parametrize("_time", range(5))
def test_closing_under_readers_is_told_to_each(folder: Path, _time: int) -> None:
    store = open_log(f"archive:{folder}")
    uses: list[Callable[[int], object]] = [
        lambda _: store.read_stream("run-of-nobody"),
        lambda _: store.read_log(0, 500, contents=True),
        lambda _: store.head(),
    ]
    failures = close_under(store, uses)
    assert [type(e) for e in failures] == [StoreUnavailable] * 3


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError(13, "Permission denied"), ArchiveError),
        (OSError(5, "Input/output error"), ArchiveError),
        (FileNotFoundError(2, "No such file"), ArchiveDamaged),
        (NotADirectoryError(20, "Not a directory"), ArchiveDamaged),
        (IsADirectoryError(21, "Is a directory"), ArchiveDamaged),
    ],
)
@pytest.mark.parametrize("call", ["stat", "open"])
def test_what_the_system_says_of_a_file_is_said_with_its_name(
    folder: Path,
    call: str,
    error: OSError,
    expected: type[ArchiveError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = Archive(folder)
    name = opened.manifest.segments[1].raw.name
    before = getattr(Path, call)

    def fail(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == name:
            raise error
        return before(path, *args, **kwargs)

    monkeypatch.setattr(Path, call, fail)
    with pytest.raises(ArchiveError, match=name) as raised:
        opened.verify()
    assert type(raised.value) is expected
    if call == "stat":
        with pytest.raises(expected, match=name):
            Archive(folder)


@pytest.mark.parametrize("name", ["manifest.json/x", "", "a\0b"])
def test_a_name_that_is_no_file_is_damage(folder: Path, name: str) -> None:
    manifest = Archive(folder).manifest
    first = manifest.segments[0]
    odd = first.model_copy(update={"raw": first.raw.model_copy(update={"name": name})})
    left = manifest.model_copy(update={"segments": (odd, *manifest.segments[1:])})
    (folder / MANIFEST).write_text(left.model_dump_json())
    with pytest.raises(ArchiveDamaged, match="archive: "):
        Archive(folder)
