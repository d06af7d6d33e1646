"""SQL that is written once for all token buckets, by the list in runledger.usage.

A line with `<bucket>` stands for one line for each bucket. The name of its column replaces
`<bucket>`, and that of the column that counts its steps replaces `<bucket_steps>`. A line with
`<disjoint_bucket>` is repeated for those that add up to all tokens, and no others.
"""

from collections.abc import Sequence
from typing import Final

from runledger.usage import BUCKETS, COUNTED

BUCKET: Final = "<bucket>"
STEPS: Final = "<bucket_steps>"
DISJOINT: Final = "<disjoint_bucket>"


def steps_column(bucket: str) -> str:
    """Return the name of the column that counts the steps that reported a bucket."""
    return f"{bucket.removesuffix('_tokens')}_steps"


def for_each_bucket(
    sql: str, counted: Sequence[str] = COUNTED, disjoint: Sequence[str] = BUCKETS
) -> str:
    """Return SQL in which each line for all buckets is repeated for each of them.

    `counted` are the columns of all buckets and `disjoint` those that add up, in the order of the
    lines. DuckDB accepts the comma at the end of the last one.
    """
    return "".join(
        line.replace(BUCKET, bucket).replace(STEPS, steps_column(bucket)).replace(DISJOINT, bucket)
        for line in sql.splitlines(keepends=True)
        for bucket in _repeated(line, counted, disjoint)
    )


def _repeated(line: str, counted: Sequence[str], disjoint: Sequence[str]) -> Sequence[str]:
    if BUCKET in line or STEPS in line:
        return counted
    return disjoint if DISJOINT in line else ("",)
