"""SQL that is written once for all token buckets, by the list in runledger.usage.

A line with `<bucket>` stands for one line for each bucket. The name of its column replaces
`<bucket>`, and that of the column that counts its steps replaces `<bucket_steps>`.
"""

from collections.abc import Sequence
from typing import Final

from runledger.usage import COUNTED

BUCKET: Final = "<bucket>"
STEPS: Final = "<bucket_steps>"


def steps_column(bucket: str) -> str:
    """Return the name of the column that counts the steps that reported a bucket."""
    return f"{bucket.removesuffix('_tokens')}_steps"


def for_each_bucket(sql: str, buckets: Sequence[str] = COUNTED) -> str:
    """Return SQL in which each line for all buckets is repeated for each of them.

    `buckets` are the columns, in the order of the lines. DuckDB takes the comma at the end of the
    last of them.
    """
    return "".join(
        line.replace(BUCKET, bucket).replace(STEPS, steps_column(bucket))
        for line in sql.splitlines(keepends=True)
        for bucket in (buckets if BUCKET in line or STEPS in line else ("",))
    )
