"""A log of Inspect, as one JSON document or as a zip of several: its samples one by one."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from runledger.errors import ImportFailed
from runledger.importers.foreign import Foreign
from runledger.importers.json_stream import JsonStream
from runledger.importers.report import Advance
from runledger.importers.source_file import opened

SUFFIXES: Final = (".json", ".json.gz", ".eval")
_HEADERS: Final = ("header.json", "_journal/start.json")
"""The members of a zip that describe the evaluation: at its end, or while it is running."""
_BROKEN: Final = (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, RecursionError)


class Sample(NamedTuple):
    """A sample of the log, and the log's description of the evaluation; `place` names it in
    messages."""

    place: str
    evaluation: Foreign
    given: Any


def samples(path: Path, advance: Advance) -> Iterator[Sample]:
    """Yield the samples of a log, one in memory at a time.

    Samples that were yielded before an error are valid.

    Raises:
        ImportFailed: if the file is not a log, or is damaged.
    """
    if path.suffix == ".eval":
        yield from _zipped(path, advance)
    else:
        yield from _document(path, advance)


def _document(path: Path, advance: Advance) -> Iterator[Sample]:
    with opened(path) as source:
        stream = JsonStream(source.stream)
        evaluation: Foreign | None = None
        done = 0
        for key in stream.members():
            if key == "eval":
                evaluation = _evaluation(stream.value())
            elif key == "samples" and evaluation is not None:
                for number, given in enumerate(stream.elements()):
                    yield Sample(f"{path}: samples[{number}]", evaluation, given)
                    advance(source.file.tell() - done)
                    done = source.file.tell()
            else:
                stream.value()
        if evaluation is None:
            raise ImportFailed("expected an object with `eval` before `samples`")


def _zipped(path: Path, advance: Advance) -> Iterator[Sample]:
    try:
        with zipfile.ZipFile(path) as parts:
            names = parts.namelist()
            header = next((name for name in _HEADERS if name in names), None)
            if header is None:
                raise ImportFailed(f"expected one of {', '.join(_HEADERS)} in the zip, found none")
            whole = json.loads(parts.read(header))
            evaluation = _evaluation(whole.get("eval") if isinstance(whole, dict) else None)
            for part in parts.infolist():
                if part.filename.startswith("samples/") and part.filename.endswith(".json"):
                    given = json.loads(parts.read(part), parse_constant=lambda _: None)
                    yield Sample(f"{path}: {part.filename}", evaluation, given)
                    advance(part.compress_size)
    except _BROKEN as e:
        raise ImportFailed(f"the zip cannot be read: {e}") from e


def _evaluation(given: Any) -> Foreign:
    if not isinstance(given, dict):
        raise ImportFailed(f"eval: expected an object, found {given!r:.80}")
    return Foreign(given, "eval")
