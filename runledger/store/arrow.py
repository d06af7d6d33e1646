"""Arrow arrays from Python columns, by their buffers: no object is made per value."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import nanoarrow as na


def int64(values: Sequence[int]) -> Any:
    """Return an int64 array."""
    return na.c_array_from_buffers(na.int64(), len(values), [None, array("q", values)])


def joined_binary(lengths: Sequence[int], data: bytes) -> Any:
    """Return a binary array of values that lie end to end (2 GiB at most)."""
    return _joined(na.binary(), lengths, data)


def joined_string(lengths: Sequence[int], data: bytes) -> Any:
    """Return a string array of UTF-8 values that lie end to end (2 GiB at most)."""
    return _joined(na.string(), lengths, data)


def _joined(type: Any, lengths: Iterable[int], data: bytes) -> Any:
    offsets = array("i", accumulate(lengths, initial=0))
    return na.c_array_from_buffers(type, len(offsets) - 1, [None, offsets, data])


def binary(values: Sequence[bytes]) -> Any:
    """Return a binary array (2 GiB at most)."""
    return _joined(na.binary(), map(len, values), b"".join(values))


def optional_binary(values: Sequence[bytes | None]) -> Any:
    """Return a binary array with nulls (2 GiB at most)."""
    return na.c_array(values, na.binary())


def string(values: Sequence[str]) -> Any:
    """Return a string array (2 GiB at most)."""
    encoded = [value.encode() for value in values]
    return _joined(na.string(), map(len, encoded), b"".join(encoded))


def table(**columns: Any) -> Any:
    """Return a struct array of the columns; DuckDB reads it by name like a table."""
    return na.Array(chunk(**columns))


def chunk(**columns: Any) -> Any:
    """Return columns as a part of a table."""
    schema = na.struct({name: na.Schema(column.schema) for name, column in columns.items()})
    length = len(next(iter(columns.values())))
    return na.c_array_from_buffers(schema, length, [None], children=list(columns.values()))


def chunked(chunks: Iterable[Any]) -> Any:
    """Return one table of all parts, one part at least; each has 2 GiB a column of its own."""
    return na.Array.from_chunks(chunks)
