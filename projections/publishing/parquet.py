"""Read models as Parquet: a folder per table, in it a folder per day."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from projections.files.duckdb_connection import connect
from projections.files.durable_file import expect_written, only_writer, write_text
from projections.fold.generation import MEMORY_LIMIT
from runledger.errors import InvalidArgument, ReadModelsError
from runledger.sql_file import statements

SQL: Final = statements(Path(__file__).with_name("parquet.sql"))
NOTE: Final = "export.json"


class Exported(NamedTuple):
    """What was exported: where to, up to which position, how many rows of each table."""

    path: Path
    position: int
    rows: dict[str, int]


def export(copy_to: Callable[[Path], int], folder: str | Path) -> Exported:
    """Write every table of the read models under `folder`, in place of an earlier export.

    `copy_to` writes them into a file and returns their position.
    A table whose rows have a day or a time is partitioned as `table/day=2026-01-31/…`, the others
    are `table.parquet`. All is of one position, which `export.json` tells. Raises InvalidArgument
    where the folder holds anything that is not an export, ReadModelsError where it cannot be
    written.
    """
    target = Path(folder).absolute()
    _expect_ours(target)
    work = target.with_name(f".{target.name}.export")
    with only_writer(work), expect_written(target, ReadModelsError):
        part, before = work / "part", work / "before"
        if before.exists() and not target.exists():
            # Killed between the two renames below.
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
            write_text(part / NOTE, note + "\n")
        except BaseException:
            shutil.rmtree(work)
            raise
        if target.exists():
            os.rename(target, before)
        os.rename(part, target)
        shutil.rmtree(work)
    return Exported(target, position, rows)


def _expect_ours(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise InvalidArgument(
            f"export: {str(target)!r}: expected an empty folder or an earlier export, found a file"
        )
    if target.exists() and not (target / NOTE).exists() and any(target.iterdir()):
        raise InvalidArgument(
            f"export: {str(target)!r}: expected an empty folder or an earlier export, found "
            f"other files"
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
