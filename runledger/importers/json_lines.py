"""Reads files of JSON lines that another program may be writing at the same time."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from runledger.errors import ImportFailed
from runledger.importers.foreign import Foreign
from runledger.importers.report import Advance, ImportReport
from runledger.importers.source_file import DAMAGE, opened

SUFFIXES: Final = (".jsonl", ".jsonl.gz")


class RawLine(NamedTuple):
    """A line of a file, `offset` bytes after its beginning; `place` names it in messages."""

    offset: int
    place: str
    text: bytes


def raw_lines(
    path: Path, report: ImportReport, advance: Advance, offset: int = 0
) -> Iterator[RawLine]:
    """Yield the lines from an offset on; damage is reported, and ends them.

    Raises:
        ImportFailed: if the file cannot be opened.
    """
    with opened(path) as source:
        if offset:
            source.stream.seek(offset)
        done, place, number = source.file.tell(), offset, 0
        while True:
            number += 1
            where = f"{path}: line {number:,}" + (f" after byte {offset:,}" if offset else "")
            try:
                text = source.stream.readline()
            except DAMAGE as e:
                report.refuse(where, f"the file is damaged: {e}")
                return
            if not text:
                return
            yield RawLine(place, where, text)
            place += len(text)
            advance(source.file.tell() - done)
            done = source.file.tell()


def parsed(raw: RawLine, report: ImportReport) -> Foreign | None:
    """Return a line's object, or None if there is none.

    A last line without a line end is still being written, and is ignored. Any other line that is
    not an object is refused.
    """
    if not raw.text.strip():
        return None
    try:
        given = json.loads(raw.text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as e:
        if raw.text.endswith(b"\n"):
            report.refuse(raw.place, f"expected an object in JSON: {e}")
        return None
    if not isinstance(given, dict):
        report.refuse(raw.place, f"expected an object, found {given!r:.80}")
        return None
    return Foreign(given)


def files_in(paths: Iterable[Path], suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """Return the files, and the files in folders with these suffixes, by path, each once.

    Raises:
        ImportFailed: if a path is neither a file nor a folder.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found = (one for one in path.rglob("*") if one.name.endswith(suffixes))
            files.update(dict.fromkeys(sorted(found)))
        elif path.exists():
            files[path] = None
        else:
            raise ImportFailed("expected a file or a folder, found none")
    return list(files)
