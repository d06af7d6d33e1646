"""Arrow arrays from Python columns, by their buffers: no object is made per value."""

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import nanoarrow as na


def int64(values: Sequence[int]) -> Any:
    """Return an int64 array."""
    return na.c_array_from_buffers(na.int64(), len(values), [None, array("q", values)])


def _bytes(values: Sequence[bytes], type: Any) -> Any:
    offsets = array("i", accumulate(map(len, values), initial=0))
    return na.c_array_from_buffers(type, len(values), [None, offsets, b"".join(values)])


def binary(values: Sequence[bytes]) -> Any:
    """Return a binary array (2 GiB at most)."""
    return _bytes(values, na.binary())


def optional_binary(values: Sequence[bytes | None]) -> Any:
    """Return a binary array with nulls (2 GiB at most)."""
    return na.c_array(values, na.binary())


def string(values: Sequence[str]) -> Any:
    """Return a string array (2 GiB at most)."""
    return _bytes([value.encode() for value in values], na.string())


def table(**columns: Any) -> Any:
    """Return a struct array of the columns; DuckDB reads it by name like a table."""
    schema = na.struct({name: na.Schema(column.schema) for name, column in columns.items()})
    length = len(next(iter(columns.values())))
    return na.Array(
        na.c_array_from_buffers(schema, length, [None], children=list(columns.values()))
    )
