"""Tables as files that data tools read: Parquet and Arrow, from rows as lines of JSON."""

import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, get_args

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from projections.queries.row_file import write_rows
from runledger.server.tables import MEDIA

FORMS: Final = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet", "arrow": "Arrow"}
"""The same for people."""

_TYPES: Final[Mapping[Any, str]] = {
    str: "VARCHAR",
    int: "BIGINT",
    float: "DOUBLE",
    bool: "BOOLEAN",
    datetime: "TIMESTAMPTZ",
    list[str]: "VARCHAR[]",
}


def sql_type(annotation: Any) -> str:
    """Return the type of a column for a field of a record; an object becomes a text of JSON."""
    kinds = [one for one in get_args(annotation) or (annotation,) if one is not type(None)]
    return _TYPES.get(annotation, _TYPES.get(kinds[0] if len(kinds) == 1 else None, "VARCHAR"))


async def table_file(
    lines: AsyncIterator[bytes],
    types: Mapping[str, str] | None,
    name: str,
    form: str,
    headers: Mapping[str, str] | None = None,
) -> FileResponse:
    """Return a file as a download; it is removed when it was sent.

    Parameters:
        lines: pieces of lines of JSON, each line an object.
        types: the type of each column, or None to take those that the values have.
        name: the name of the download, without its ending.
        form: `parquet` or `arrow` (an IPC stream).
        headers: more headers of the answer.
    """
    folder = tempfile.TemporaryDirectory(prefix="runledger-download-")
    try:
        source, target = Path(folder.name) / "rows.jsonl", Path(folder.name) / name
        longest = 0
        with source.open("wb") as out:
            async for piece in lines:
                longest = max(longest, *map(len, piece.splitlines()), 0)
                out.write(piece)
        await run_in_threadpool(write_rows, source, target, types, form, longest)
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        target,
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{form}"',
            **(headers or {}),
        },
        media_type=MEDIA[form],
        background=BackgroundTask(folder.cleanup),
    )


def unlike(names: Iterable[str]) -> list[str]:
    """Return the names of columns, a number behind one that was there before."""
    made: list[str] = []
    for name in names:
        number, free = 1, name
        while free in made:
            free, number = f"{name}_{number}", number + 1
        made.append(free)
    return made
