"""The table of dialects: how providers define input and output, with a source for each row."""

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from runledger.usage.counts import bare

FILE: Final = Path(__file__).with_name("dialects.toml")


class Includes(NamedTuple):
    """Whether the input includes the cache and the output the reasoning; None if unknown."""

    cache: bool | None = None
    reasoning: bool | None = None


class Dialect(NamedTuple):
    """A row: the names of a provider, what it means, a source, and a worked example.

    `usage` is an answer of its API, `buckets` are the resulting counts by the names of Buckets and
    of the one-hour cache writes; a missing bucket was not reported.
    """

    name: str
    providers: tuple[str, ...]
    includes: Includes
    source: str
    usage: Mapping[str, Any]
    buckets: Mapping[str, int]


_UNKNOWN: Final = Includes()


@cache
def dialects() -> tuple[Dialect, ...]:
    """Return the rows of dialects.toml in their order."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["dialect"]
    return tuple(
        Dialect(
            row["name"],
            tuple(row["providers"]),
            Includes(row["input_includes_cache"], row["output_includes_reasoning"]),
            row["source"],
            json.loads(row["usage"]),
            row["buckets"],
        )
        for row in rows
    )


@cache
def _by_provider() -> dict[str, Includes]:
    return {bare(name): row.includes for row in dialects() for name in row.providers}


def includes(provider: str | None) -> Includes:
    """Return what a provider's input and output include; any of its names is accepted.

    provider: a name, of which case and separators do not count; None or an unknown one has no row.
    """
    return _by_provider().get(bare(provider), _UNKNOWN) if provider else _UNKNOWN
