"""Runs an analyst's SELECT in a separate process with limits.

DuckDB's memory limit applies to its buffers only: `repeat('x', 2000000000)` takes 4 GB, and reacts
to an interruption late. The size of a process can be limited, and it can be killed.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from runledger.errors import InvalidArgument

_CHILD: Final = "projections.queries.sql_child"


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """Bytes and seconds; `seconds` is from the start of the process to the end of its answer."""

    seconds: float = 10.0
    rows: int = 10_000
    answer: int = 16 << 20
    memory: int = 1536 << 20
    buffers: str = "256MiB"


class SqlAnswer(NamedTuple):
    """Columns, and rows as lines of JSON; `truncated` says that there are more than the limits."""

    columns: Sequence[str]
    lines: Sequence[bytes]
    truncated: bool


class SqlKilled(Exception):
    """The process was killed because it took too long, or by the operating system."""


async def ask_in_process(file: Path, statement: str, limits: SqlLimits) -> SqlAnswer:
    """Return the answer of one SELECT over a copy of read models.

    Parameters:
        file: the copy; only the process of the statement reads it.
        statement: in DuckDB's SQL.
        limits: the limits of the process.

    Raises:
        InvalidArgument: if DuckDB refuses the statement, or if it is not a SELECT.
        SqlKilled: if the process was killed.
    """
    asked = {"file": str(file), "statement": statement, **asdict(limits)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        _CHILD,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        async with asyncio.timeout(limits.seconds):
            out, _ = await process.communicate(json.dumps(asked).encode())
    except TimeoutError:
        raise SqlKilled(f"sql: expected an answer within {limits.seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _answer(out)


def _answer(out: bytes) -> SqlAnswer:
    first, *lines = out.split(b"\n")
    if not first or not lines:
        raise SqlKilled("sql: the process of the statement ended before its answer")
    told: dict[str, Any] = json.loads(first)
    if "error" in told:
        raise InvalidArgument(told["error"])
    *rows, last, _ = lines
    end: dict[str, Any] = json.loads(last)
    if "error" in end:
        raise InvalidArgument(end["error"])
    return SqlAnswer(told["columns"], rows, end["truncated"])
