"""The process of one SELECT: it limits itself, opens the copy, and writes lines of JSON.

The first line has the columns or the error, the last line whether rows are missing; each row is a
list.
"""

import json
import resource
import sys
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

_AT_ONCE = 500


def main() -> None:
    """Read the request from stdin and write the answer to stdout."""
    asked = json.loads(sys.stdin.buffer.read())
    _limit(asked["memory"], asked["seconds"])
    # Imported only now, so that the limits also apply to the loaded modules.
    from runledger.errors import InvalidArgument

    try:
        for line in _lines(asked):
            sys.stdout.buffer.write(line + b"\n")
    except (InvalidArgument, MemoryError) as e:
        said = str(e) or "sql: the statement takes more memory than it may"
        sys.stdout.buffer.write(json.dumps({"error": said}).encode("ascii") + b"\n")
    sys.stdout.buffer.flush()


def _limit(memory: int, seconds: float) -> None:
    whole = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))
    # The answer is written to a pipe; no file may be written, not even a truncated one.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _lines(asked: dict[str, Any]) -> Iterator[bytes]:
    import duckdb

    from projections.files.duckdb_connection import connect
    from projections.queries.queries import Queries
    from runledger.errors import InvalidArgument
    from runledger.sql_file import statements

    try:
        db = connect(
            asked["file"],
            read_only=True,
            enable_external_access=False,
            allow_community_extensions=False,
            memory_limit=asked["buffers"],
            threads=1,
            temp_directory="",
        )
        db.execute(statements(Path(__file__).with_suffix(".sql"))["settings"])
    except duckdb.Error as e:
        raise InvalidArgument(f"sql: the copy cannot be opened: {type(e).__name__}") from e
    columns, rows = Queries(db).sql_rows(asked["statement"], lambda *taken: taken)
    yield _json({"columns": columns})
    size = 0
    for number, row in enumerate(rows):
        line = _json(row)
        size += len(line)
        if number >= asked["rows"] or size > asked["answer"]:
            yield _json({"truncated": True})
            return
        yield line
    yield _json({"truncated": False})


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value, default=_plain, allow_nan=False).encode("ascii")
    except ValueError:
        return json.dumps(_finite(value), default=_plain).encode("ascii")


def _finite(value: Any) -> Any:
    """Return the value with null for NaN and infinities, which JSON cannot express."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    return value


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return str(value)


if __name__ == "__main__":
    main()
