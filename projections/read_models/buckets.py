"""SQL that is written once for all token buckets, by the list in runledger.usage.

A line with `<bucket>` stands for one line for each bucket. The name of its column replaces
`<bucket>`, and that of the column that counts its steps replaces `<bucket_steps>`, as
`<bucket_usd>` becomes that of its cost. A line with `<disjoint_bucket>` is repeated for those that
add up to all tokens, one with `<input_bucket>` for those that add up to all input, and one with
`<cache_bucket_usd>` for those of the input that a cache had or got.
"""

import re
from collections.abc import Sequence
from typing import Final

from runledger.usage import BUCKETS, COUNTED, INPUT

BUCKET: Final = "<bucket>"
DISJOINT: Final = "<disjoint_bucket>"
OF_INPUT: Final = "<input_bucket>"
OF_CACHE: Final = "<cache_bucket_"
_OTHER_COLUMN: Final = re.compile(r"<(?:cache_)?bucket_(\w+)>")


def beside(bucket: str, what: str) -> str:
    """Return the name of another column of a bucket: that of `steps` counts those that reported it.

    bucket: the name of its column of tokens. what: the end of the other name.
    """
    return f"{bucket.removesuffix('_tokens')}_{what}"


def for_each_bucket(
    sql: str, counted: Sequence[str] = COUNTED, disjoint: Sequence[str] = BUCKETS
) -> str:
    """Return SQL in which each line for all buckets is repeated for each of them.

    `counted` are the columns of all buckets and `disjoint` those that add up, in the order of the
    lines. DuckDB accepts the comma at the end of the last one.
    """
    return "".join(
        _named(line, bucket)
        for line in sql.splitlines(keepends=True)
        for bucket in _repeated(line, counted, disjoint)
    )


def _named(line: str, bucket: str) -> str:
    for place in (BUCKET, DISJOINT, OF_INPUT):
        line = line.replace(place, bucket)
    return _OTHER_COLUMN.sub(lambda found: beside(bucket, found[1]), line)


def _repeated(line: str, counted: Sequence[str], disjoint: Sequence[str]) -> Sequence[str]:
    if OF_CACHE in line:
        return INPUT[1:]
    if BUCKET in line or _OTHER_COLUMN.search(line):
        return counted
    if OF_INPUT in line:
        return INPUT
    return disjoint if DISJOINT in line else ("",)
