"""Recognises the format of a file by its beginning; its name is not used."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, get_args

from runledger.errors import ImportFailed
from runledger.importers.json_stream import JsonStream
from runledger.importers.source_file import DAMAGE, opened

Format = Literal["claude-code", "codex", "pi", "langfuse", "inspect", "tau2", "otel", "jsonl"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
SUFFIXES: Final = (".json", ".json.gz", ".jsonl", ".jsonl.gz", ".eval")

_HEAD: Final = 1 << 16
_ZIP: Final = b"PK\x03\x04"
_SPANS: Final = (
    {"trace_id", "span_id"},
    {"context", "parent_id", "start_time"},
    {"span_count", "spans"},
    {"session_id", "span_count"},
)
"""Keys of spans as SDKs print them, and of the object in which CloudWatch wraps them."""
_CLAUDE_CODE: Final = frozenset({"file-history-snapshot", "summary"})
"""Types of first lines of Claude Code without a session id."""


def recognised(path: Path) -> Format | None:
    """Return the format of a file, or None if no importer reads it.

    Raises:
        ImportFailed: if the file cannot be opened.
    """
    head = _head(path)
    if head.startswith(_ZIP):
        return "inspect" if _is_evaluation(path) else None
    first = head.lstrip().removeprefix(b"[").lstrip()
    line = first.partition(b"\n")[0]
    with suppress(ValueError, RecursionError):
        whole = json.loads(line)
        if isinstance(whole, dict) and (found := _by_line(whole)) is not None:
            return found
    return _by_keys(set(_keys(first))) or ("otel" if _is_jaeger(first) else None)


def _is_jaeger(document: bytes) -> bool:
    return document.startswith(b"{") and all(
        f'"{key}"'.encode() in document for key in ("data", "spans", "traceID", "operationName")
    )


def _head(path: Path) -> bytes:
    with opened(path) as source:
        pieces: list[bytes] = []
        size = 0
        with suppress(*DAMAGE):
            while size < _HEAD and (piece := source.stream.read1(_HEAD)):
                pieces.append(piece)
                size += len(piece)
        return b"".join(pieces)


def _is_evaluation(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as parts:
            names = set(parts.namelist())
    except (zipfile.BadZipFile, OSError):
        return False
    return bool(names & {"header.json", "_journal/start.json"})


def _by_line(line: dict[str, Any]) -> Format | None:
    """Return the format of lines, by the first one."""
    kind = line.get("type")
    if {"stream", "version", "topic"} <= line.keys() or {"blob", "media_type"} <= line.keys():
        return "jsonl"
    if kind == "session" and "id" in line:
        return "pi"
    if kind == "session_meta" and "payload" in line:
        return "codex"
    if isinstance(kind, str) and ("sessionId" in line or kind in _CLAUDE_CODE):
        return "claude-code"
    return None


def _by_keys(keys: set[str]) -> Format | None:
    """Return the format of a document, or of a long first line, by the keys read so far."""
    if {"stream", "version", "topic"} <= keys or {"blob", "media_type"} <= keys:
        return "jsonl"
    if {"sessionId", "type"} <= keys:
        return "claude-code"
    if {"timestamp", "type", "payload"} <= keys:
        return "codex"
    if keys & {"trace", "observations"} or {"projectId", "timestamp", "environment"} <= keys:
        return "langfuse"
    if "eval" in keys:
        return "inspect"
    if keys & {"resourceSpans", "batches"} or any(span <= keys for span in _SPANS):
        return "otel"
    if "info" in keys and keys <= {"info", "simulations", "tasks", "timestamp"}:
        return "tau2"
    return None


def _keys(document: bytes) -> Iterator[str]:
    """Yield the keys of an object up to the end of its truncated text."""
    with suppress(ImportFailed):
        yield from _skipped(JsonStream(io.BytesIO(document)))


def _skipped(stream: JsonStream) -> Iterator[str]:
    for key in stream.members():
        yield key
        stream.value()
