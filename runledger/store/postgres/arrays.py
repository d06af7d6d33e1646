"""Arrays in PostgreSQL's binary form, packed whole: psycopg's own dumper visits every element.

The layout is that of array_send (src/backend/utils/adt/arrayfuncs.c): dimensions, a flag for
NULLs, the element type, length and lower bound, then every element with its length.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from struct import Struct, pack
from typing import Any, ClassVar

from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER = Struct(">iiIii")
_LENGTH = Struct(">i").pack
_NULL = _LENGTH(-1)


class Array:
    """An array ready to be sent."""

    __slots__ = ("data",)

    def __init__(self, element_oid: int, length: int, elements: bytes, *, nulls: bool) -> None:
        header = _HEADER.pack(1, nulls, element_oid, length, 1)
        self.data = header + elements


class Int4Array(Array):
    """int[]"""

    __slots__ = ()

    def __init__(self, values: Sequence[int]) -> None:
        pairs = chain.from_iterable((4, value) for value in values)
        super().__init__(23, len(values), pack(f">{2 * len(values)}i", *pairs), nulls=False)


class Int8Array(Array):
    """bigint[]"""

    __slots__ = ()

    def __init__(self, values: Sequence[int]) -> None:
        pairs = chain.from_iterable((8, value) for value in values)
        super().__init__(20, len(values), pack(">" + "iq" * len(values), *pairs), nulls=False)


class TextArray(Array):
    """text[]"""

    __slots__ = ()

    def __init__(self, values: Sequence[str]) -> None:
        super().__init__(25, len(values), _joined([v.encode() for v in values]), nulls=False)


class ByteaArray(Array):
    """bytea[]; None is NULL"""

    __slots__ = ()

    def __init__(self, values: Sequence[bytes | None]) -> None:
        super().__init__(17, len(values), _joined(values), nulls=None in values)


def _joined(values: Iterable[bytes | None]) -> bytes:
    return b"".join(_NULL if v is None else _LENGTH(len(v)) + v for v in values)


class _ArrayDumper(Dumper):
    format = Format.BINARY
    _array_oid: ClassVar[int]

    def __init__(self, cls: type, context: Any = None) -> None:
        super().__init__(cls, context)
        self.oid = self._array_oid

    def dump(self, obj: Array) -> bytes:
        return obj.data


class _Int4ArrayDumper(_ArrayDumper):
    _array_oid = 1007


class _Int8ArrayDumper(_ArrayDumper):
    _array_oid = 1016


class _TextArrayDumper(_ArrayDumper):
    _array_oid = 1009


class _ByteaArrayDumper(_ArrayDumper):
    _array_oid = 1001


def register(connection: Any) -> None:
    """Teach a connection to send these arrays."""
    connection.adapters.register_dumper(Int4Array, _Int4ArrayDumper)
    connection.adapters.register_dumper(Int8Array, _Int8ArrayDumper)
    connection.adapters.register_dumper(TextArray, _TextArrayDumper)
    connection.adapters.register_dumper(ByteaArray, _ByteaArrayDumper)
