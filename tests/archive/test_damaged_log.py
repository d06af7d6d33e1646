"""An event that the disk has altered gets into no archive and no export."""

from contextlib import closing
from pathlib import Path

import pytest

from projections.archive.archive import Archive
from projections.archive.writer import archive
from runledger.errors import LogDamaged
from runledger.importers.event_lines.exporter import export_lines
from runledger.store import Store, open_store
from runledger.store.keeper import keep
from tests.archive.conftest import EVENTS
from tests.store.going_back import alter, take_away

SEGMENT = 600
BEFORE, AFTER = b'"recorded_at":"2', b'"recorded_at":"3'


@pytest.fixture
def kept(log: Store) -> Store:
    """A store all of whose events are in tiles."""
    keep(log, EVENTS, rest=True)
    assert log.tiles_end().size == log.head()
    return log


def write_archive(store: Store, folder: Path) -> int:
    """Archive a log in segments that end within tiles; return the last position."""
    return archive(store, folder, segment_events=SEGMENT).position


@pytest.mark.parametrize("position", [1, 255, 599, 601, 1_300, EVENTS])
def test_an_archive_ends_before_the_damage_and_goes_on_after_a_repair(
    kept: Store, url: str, tmp_path: Path, position: int
) -> None:
    alter(url, position, BEFORE, AFTER)
    with pytest.raises(
        LogDamaged, match=rf"position {position:,}: .* facts differ: .*verify --log"
    ):
        write_archive(kept, tmp_path / "archive")
    archived = Archive(tmp_path / "archive").head
    assert archived < position
    assert archived % SEGMENT == 0
    alter(url, position, AFTER, BEFORE)
    assert write_archive(kept, tmp_path / "archive") == kept.head()


def test_an_event_that_is_gone_ends_an_archive(kept: Store, url: str, tmp_path: Path) -> None:
    take_away(url, 700)
    with pytest.raises(LogDamaged, match="expected 256 events"):
        write_archive(kept, tmp_path / "archive")


@pytest.mark.parametrize("position", [1, 999, 1_001, EVENTS])
def test_an_export_ends_before_the_page_of_the_damage(kept: Store, url: str, position: int) -> None:
    whole = list(export_lines(kept))
    alter(url, position, BEFORE, AFTER)
    lines = []
    with pytest.raises(LogDamaged, match=rf"position {position:,}: "):
        lines += export_lines(kept)
    assert lines == whole[: len(lines)]
    alter(url, position, AFTER, BEFORE)
    assert list(export_lines(kept)) == whole


def test_a_log_without_tiles_is_archived(url: str, tmp_path: Path) -> None:
    with closing(open_store(url)) as store:
        assert write_archive(store, tmp_path / "archive") == store.head()
