"""The buckets of tokens as the page draws them: their order and their colours never change."""

from collections.abc import Mapping
from typing import Any, Final

from runledger.web.charts import Mark, shares

BUCKETS: Final = (
    ("cache read", "v-read", "cache_read_tokens"),
    ("cache write", "v-write", "cache_write_tokens"),
    ("fresh input", "v-fresh", "fresh_input_tokens"),
    ("output", "v-output", "output_tokens"),
    ("reasoning", "v-reason", "reasoning_tokens"),
)


def bucket_bar(row: Mapping[str, Any], width: float = 84) -> list[Mark]:
    """Return the shares of the buckets of a run, a step or a total; empty if none is known."""
    return shares([(name, fill, row.get(column)) for name, fill, column in BUCKETS], width)
