"""The archive: every byte of the log, in segments that are never touched again."""

import shutil
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from projections.archive.archive import MANIFEST, Archive
from projections.archive.log_source import archived_log
from projections.archive.reader import ArchiveReader
from projections.archive.writer import UNFINISHED, archive
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.replay.replay import build
from runledger.errors import ArchiveDamaged, ArchiveError
from runledger.store import Store, open_store
from runledger.store.protocol import EncodedEvent, StreamWrite
from scripts.bench.generate import Load, generate
from tests.projections.reading import contents, projected


def archived_rows(folder: Path) -> list[tuple]:
    """Return the events of an archive as a store returns them, from the files alone."""
    with closing(duckdb.connect()) as db:
        return db.execute(
            "SELECT position, stream, version, topic, facts, contents"
            f" FROM '{folder}/events-*.parquet' JOIN '{folder}/raw-*.parquet' USING (position)"
            " ORDER BY position"
        ).fetchall()


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.parquet")}


def append(store: Store, stream: str, *events: EncodedEvent) -> None:
    store.append([(StreamWrite(stream, 0, events),)])


@pytest.mark.slow
def test_every_event_is_archived_byte_for_byte(store_url: str, tmp_path: Path) -> None:
    generate(store_url, 700)
    with closing(open_store(store_url)) as store:
        append(store, "odd", EncodedEvent("not.a.topic", b"\xff not JSON", b"\x00"))
        done = archive(store, tmp_path / "a", segment_events=300)
        rows = store.read_log(0, 10_000, contents=True)
    assert archived_rows(tmp_path / "a") == [tuple(row) for row in rows]
    assert done.position == rows[-1].position
    assert done.events == len(rows)
    assert done.segments == 3
    Archive(tmp_path / "a").verify()


def test_a_later_call_adds_what_came_since_and_touches_nothing_else(
    log: Store, tmp_path: Path
) -> None:
    archive(log, tmp_path / "a", segment_events=1_200)
    before = files(tmp_path / "a")
    assert archive(log, tmp_path / "a").segments == 0
    append(log, "odd", *[EncodedEvent("not.a.topic", b"{}", None)] * 3)
    done = archive(log, tmp_path / "a")
    assert (done.segments, done.events, done.position) == (1, 3, log.head())
    after = files(tmp_path / "a")
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 2
    assert len(archived_rows(tmp_path / "a")) == log.head()


def test_an_empty_log_has_an_empty_archive(tmp_path: Path) -> None:
    with closing(open_store(f"sqlite:///{tmp_path}/empty.db")) as store:
        assert archive(store, tmp_path / "a") == (0, 0, 0)
    assert Archive(tmp_path / "a").head == 0


def test_contents_that_are_large_make_segments_smaller(
    log: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.archive.writer.SEGMENT_BYTES", 300_000)
    monkeypatch.setattr("projections.archive.writer.CHUNK_BYTES", 100_000)
    done = archive(log, tmp_path / "a")
    assert done.segments > 3
    assert len(archived_rows(tmp_path / "a")) == log.head()


@pytest.mark.parametrize("batch_events", [700, 50_000])
def test_a_replay_from_the_archive_makes_what_one_from_the_store_makes(
    log: Store, tmp_path: Path, batch_events: int
) -> None:
    archive(log, tmp_path / "a", segment_events=1_000)
    head = log.head()
    with closing(log.log_reader()) as reader:
        from_store = projected(reader, head, 50_000)
    with closing(ArchiveReader(Archive(tmp_path / "a"))) as reader:
        assert projected(reader, head, batch_events) == from_store
    assert len(from_store["runs"]) > 200


def test_gaps_between_positions_end_nothing(log: Store, tmp_path: Path) -> None:
    """PostgreSQL leaves gaps where an append was refused."""
    archive(log, tmp_path / "a", segment_events=1_000)
    folder = tmp_path / "a"
    with closing(duckdb.connect()) as db:
        segment = Archive(folder).manifest.segments[1]
        for file in (segment.columns, segment.raw):
            db.execute(
                f"COPY (FROM '{folder}/{file.name}' WHERE position NOT BETWEEN 1200 AND 1700)"
                f" TO '{folder}/{file.name}.new' (FORMAT parquet)"
            )
            (folder / f"{file.name}.new").replace(folder / file.name)
    _sign(folder)
    with closing(ArchiveReader(Archive(folder))) as reader:
        generation = Generation(":memory:")
        assert Engine(generation, reader, batch_events=400).catch_up(log.head()) == log.head()
        generation.close()


def test_columns_of_another_version_are_made_anew_from_the_facts(
    log: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    archive(log, folder, segment_events=1_200)
    with closing(ArchiveReader(Archive(folder))) as reader:
        right = projected(reader, log.head(), 1_000)
    with closing(duckdb.connect()) as db:
        for segment in Archive(folder).manifest.segments:
            name = f"{folder}/{segment.columns.name}"
            db.execute(
                f"COPY (SELECT * REPLACE (2 * prompt_tokens AS prompt_tokens) FROM '{name}')"
                f" TO '{name}.new' (FORMAT parquet)"
            )
            Path(f"{name}.new").replace(name)
    _sign(folder)
    with closing(ArchiveReader(Archive(folder))) as reader:
        assert projected(reader, log.head(), 1_000) != right, "columns of this version are trusted"
    _sign(folder, shape="of another version")
    with closing(ArchiveReader(Archive(folder))) as reader:
        assert projected(reader, log.head(), 1_000) == right


@pytest.mark.parametrize("others", [{0}, {1}, {0, 2}, {1, 2}])
@pytest.mark.parametrize("batch_events", [300, 5_000])
def test_columns_of_two_versions_lie_side_by_side(
    log: Store, tmp_path: Path, others: set[int], batch_events: int
) -> None:
    """Topics that come as columns are viewed, the others are put into tables, one after the other."""
    folder = tmp_path / "a"
    archive(log, folder, segment_events=600)
    append(log, "odd", EncodedEvent("not.a.topic", b"{}", None))
    _sign(folder, shape="of another version", only=others)
    generation = Generation(":memory:")
    source = Archive(folder)
    with closing(ArchiveReader(source)) as reader:
        Engine(generation, reader, batch_events=batch_events).catch_up(source.head)
    with closing(log.log_reader()) as reader:
        Engine(generation, reader).catch_up(log.head())
        assert contents(generation) == projected(reader, log.head(), 50_000)
    generation.close()


def _sign(folder: Path, shape: str | None = None, only: set[int] | None = None) -> None:
    """Make the manifest vouch for the files that are there; of all segments, or only of some."""
    from hashlib import sha256

    opened = Archive.__new__(Archive)
    opened.folder = folder
    manifest = opened._load()
    signed = []
    for number, segment in enumerate(manifest.segments):
        found = {}
        for kind in ("columns", "raw"):
            file = getattr(segment, kind)
            data = (folder / file.name).read_bytes()
            digest = sha256(data).hexdigest()
            found[kind] = file.model_copy(update={"size": len(data), "sha256": digest})
        if shape is not None and (only is None or number in only):
            found["shape"] = shape
        signed.append(segment.model_copy(update=found))
    text = manifest.model_copy(update={"segments": tuple(signed)}).model_dump_json()
    (folder / MANIFEST).write_text(text)


def test_what_a_killed_run_left_is_removed_and_written_again(log: Store, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / UNFINISHED / "spill").mkdir(parents=True)
    for name in ("spill/1.tmp", "raw-0.parquet"):
        (folder / UNFINISHED / name).write_bytes(b"half")
    (folder / "events-000000000001-000000000007.parquet").write_bytes(b"half")
    (folder / MANIFEST).write_text('{"format": 1, "segments": []}')
    (folder / "notes.txt").write_text("not ours")
    archive(log, folder, segment_events=2_000)
    Archive(folder).verify()
    assert len(files(folder)) == 4
    assert (folder / "notes.txt").exists()
    assert not list(folder.glob(".*"))


def test_the_archive_of_another_log_is_neither_continued_nor_replayed(
    log: Store, tmp_path: Path
) -> None:
    archive(log, tmp_path / "a", segment_events=1_000)
    generate(f"sqlite:///{tmp_path}/other.db", 5_000, Load(seed=2))
    with closing(open_store(f"sqlite:///{tmp_path}/other.db")) as other:
        append(other, "odd", EncodedEvent("not.a.topic", b"{}", None))
        before = files(tmp_path / "a")
        with pytest.raises(ArchiveError, match="it is the archive of another log"):
            archive(other, tmp_path / "a")
        with pytest.raises(ArchiveError, match="it is the archive of another log"):
            build(other, tmp_path / "live.duckdb", source=archived_log(tmp_path / "a"))
    with closing(open_store(f"sqlite:///{tmp_path}/empty.db")) as empty:
        with pytest.raises(ArchiveError, match="found none: it is the archive of another log"):
            archive(empty, tmp_path / "a")
    assert files(tmp_path / "a") == before


def test_one_process_archives_at_a_time(
    log: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.archive.writer.PATIENCE_SECONDS", 0.5)
    with log.leadership("archive") as alone:
        assert alone
        with closing(open_store(log.url)) as other:
            with pytest.raises(ArchiveError, match="another process is archiving this log"):
                archive(other, tmp_path / "a")


def damage(folder: Path, kind: str, how: str) -> str:
    """Damage a file of the second segment; return its name."""
    name = getattr(Archive(folder).manifest.segments[1], kind).name
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if how == "altered":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    elif how == "cut":
        path.write_bytes(data[:-1])
    return name


@pytest.mark.parametrize(
    ("how", "words"),
    [("missing", "is missing"), ("altered", "expected SHA-256"), ("cut", "bytes, found")],
)
@pytest.mark.parametrize("kind", ["columns", "raw"])
def test_a_damaged_file_is_named(folder: Path, kind: str, how: str, words: str) -> None:
    name = damage(folder, kind, how)
    with pytest.raises(ArchiveDamaged, match=f"{name}.*{words}"):
        Archive(folder).verify()


def test_a_replay_stops_at_an_altered_segment_and_keeps_what_came_before(
    log: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    archive(log, folder, segment_events=1_000)
    damage(folder, "columns", "altered")
    generation = Generation(":memory:")
    with closing(ArchiveReader(Archive(folder))) as reader:
        with pytest.raises(ArchiveDamaged, match="expected SHA-256"):
            Engine(generation, reader, batch_events=1_000).catch_up(log.head())
    assert generation.position == 1_000
    with closing(log.log_reader()) as reader:
        assert Engine(generation, reader).catch_up(log.head()) == log.head()
        assert contents(generation) == projected(reader, log.head(), 50_000)
    generation.close()


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("{", ArchiveDamaged, "Invalid JSON"),
        ('{"format": 2}', ArchiveError, "written by a newer version of runledger"),
        ("{}", ArchiveDamaged, "format: Field required"),
        ('{"format": 1, "mine": []}', ArchiveDamaged, "segments: Field required"),
        (None, ArchiveDamaged, "expected a manifest.json beside its segments, found none"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(
    log: Store, tmp_path: Path, text: str | None, error: type[Exception], words: str
) -> None:
    folder = tmp_path / "a"
    archive(log, folder)
    (folder / MANIFEST).unlink()
    if text is not None:
        (folder / MANIFEST).write_text(text)
    with pytest.raises(error, match=words):
        Archive(folder)
    before = files(folder)
    with pytest.raises(error, match=words):
        archive(log, folder)
    assert files(folder) == before


def test_segments_that_a_manifest_does_not_name_are_not_taken_for_a_killed_runs(
    log: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    archive(log, folder, segment_events=1_000)
    before = files(folder)
    (folder / MANIFEST).write_text('{"format": 1, "segments": []}')
    for use in (Archive, lambda folder: archive(log, folder)):
        with pytest.raises(ArchiveDamaged, match="expected one segment at most that manifest.json"):
            use(folder)
    assert files(folder) == before


def test_a_manifest_without_one_of_its_segments_is_refused(log: Store, tmp_path: Path) -> None:
    archive(log, tmp_path / "a", segment_events=1_000)
    manifest = Archive(tmp_path / "a").manifest
    left = manifest.model_copy(update={"segments": manifest.segments[:1] + manifest.segments[2:]})
    (tmp_path / "a" / MANIFEST).write_text(left.model_dump_json())
    with pytest.raises(ArchiveDamaged, match="after position 1000"):
        Archive(tmp_path / "a")


def test_a_copy_of_the_archive_is_the_archive(log: Store, tmp_path: Path) -> None:
    archive(log, tmp_path / "a", segment_events=1_000)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    append(log, "odd", EncodedEvent("not.a.topic", b"{}", None))
    assert archive(log, tmp_path / "b").events == 1
    Archive(tmp_path / "b").verify()
