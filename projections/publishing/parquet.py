"""Read models as Parquet: a folder per table, in it a folder per day."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from projections.files.duckdb_connection import connect
from projections.files.write_errors import expect_written
from projections.fold.generation import MEMORY_LIMIT
from runledger.durable_file import only_writer, write_text
from runledger.errors import InvalidArgument, ReadModelsError
from runledger.sql_file import statements

SQL: Final = statements(Path(__file__).with_name("parquet.sql"))
NOTE: Final = "export.json"
_OF_WORK: Final = frozenset({"part", "before", "copy.duckdb", "copy.duckdb.wal", "spill"})
"""The names that an export creates in the folder in which it is assembled."""


class Exported(NamedTuple):
    """The result of an export: its folder, its position, and the number of rows of each table."""

    path: Path
    position: int
    rows: dict[str, int]


def export(
    copy_to: Callable[[Path], int], folder: str | Path, *, overwrite: bool = False
) -> Exported:
    """Write every table of the read models under `folder`: new, empty, or an earlier export.

    `copy_to` writes the read models into a file and returns their position. A table whose rows have
    a day or a time is partitioned as `table/day=2026-01-31/…`, the others are `table.parquet`. All
    files are as of one position, which `export.json` states.

    Raises:
        InvalidArgument: if the folder has an export and `overwrite` is false, or if it has any
            other file.
        ReadModelsError: if the export cannot be written.
    """
    target = Path(folder).absolute()
    _expect_ours(target, overwrite)
    work = target.with_name(f".{target.name}.export")
    _expect_work(work)
    with only_writer(work), expect_written(target, ReadModelsError):
        part, before = work / "part", work / "before"
        if before.exists() and not target.exists():
            # A process was killed between the two renames below.
            os.rename(before, target)
        shutil.rmtree(before, ignore_errors=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        copy = work / "copy.duckdb"
        copy.unlink(missing_ok=True)
        try:
            position = copy_to(copy)
            rows = _write(copy, part, work)
            note = json.dumps({"position": position, "rows": rows}, indent=1)
            write_text(part / NOTE, note + "\n", alone=True)
        except BaseException:
            shutil.rmtree(work)
            raise
        if target.exists():
            os.rename(target, before)
        os.rename(part, target)
        shutil.rmtree(work)
    return Exported(target, position, rows)


def _expect_ours(target: Path, overwrite: bool) -> None:
    place = f"export: {str(target)!r}: expected a new or empty folder"
    if target.exists() and not target.is_dir():
        raise InvalidArgument(f"{place}, found a file")
    if not target.exists() or not any(target.iterdir()):
        return
    if not overwrite and (target / NOTE).exists():
        raise InvalidArgument(
            f"{place}, found an export; name another one, or add `--overwrite` to replace it"
        )
    if strange := next(_strange(target), None):
        raise InvalidArgument(f"{place} or an earlier export, found {str(strange)!r} there")


def _strange(folder: Path) -> Iterator[Path]:
    """Yield the files that no export wrote into a folder; all of them if there is no export."""
    tables = _exported_tables(folder / NOTE)
    for path in folder.iterdir():
        if path.name == NOTE and tables:
            continue
        name = path.name.removesuffix(".parquet")
        if name not in tables or path.is_symlink():
            yield path
        elif path.is_dir():
            yield from (found for found in path.rglob("*") if not _is_of_partition(found))


def _exported_tables(note: Path) -> frozenset[str]:
    """Return the names of the tables that are listed in an export's `export.json`."""
    try:
        found = json.loads(note.read_bytes())
        return frozenset(found["rows"]) if "position" in found else frozenset()
    except (OSError, ValueError, TypeError, KeyError):
        return frozenset()


def _is_of_partition(path: Path) -> bool:
    if path.is_symlink():
        return False
    day = path.name.startswith("day=") and path.is_dir()
    return day or (path.suffix == ".parquet" and path.parent.name.startswith("day="))


def _expect_work(work: Path) -> None:
    """Refuse a folder with the name of the working folder, unless an export left it."""
    if work.exists() and (not work.is_dir() or {p.name for p in work.iterdir()} - _OF_WORK):
        raise InvalidArgument(
            f"export: {str(work)!r}: expected no such file or folder, in which the export is put "
            f"together, found one; move it away, or choose another folder for the export"
        )


def _write(copy: Path, part: Path, work: Path) -> dict[str, int]:
    rows = {}
    db: Any
    with closing(connect(memory_limit=MEMORY_LIMIT, temp_directory=str(work / "spill"))) as db:
        db.execute(SQL["utc"])
        db.execute(SQL["attach"], {"path": str(copy)})
        db.execute(SQL["use"])
        for table, clock in db.execute(SQL["tables"]).fetchall():
            if clock is None:
                db.execute(SQL["whole"], {"table": table, "path": str(part / f"{table}.parquet")})
            elif clock == "day":
                db.execute(SQL["by_day"], {"table": table, "path": str(part / table)})
            else:
                given = {"table": table, "path": str(part / table), "clock": clock}
                db.execute(SQL["by_clock"], given)
            ((count,),) = db.execute(SQL["count"], {"table": table}).fetchall()
            rows[table] = int(count)
    return rows
