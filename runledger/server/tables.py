"""Lists as tables for other tools: CSV, lines of JSON, Parquet and Arrow, as `Accept` asks for."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pydantic import BaseModel

from projections.publishing.record_file import RecordFile
from runledger.server.route import JSON, NDJSON

MEDIA: Final = {
    "csv": "text/csv",
    "jsonl": NDJSON,
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""The forms of a table, and how Content-Type names them."""

TABLES: Final = (JSON, *MEDIA.values())
"""What a list is answered as."""

_FORMS: Final = {media: form for form, media in MEDIA.items()}


def accepted(accept: str, kinds: Sequence[str]) -> str:
    """Return the content type that a request prefers; the first one if it accepts none of them.

    Parameters:
        accept: the value of the header `Accept`, empty for none.
        kinds: the content types that there are.

    Source: RFC 9110, section 12.5.1; of equal weights, the one that is named first is preferred.
    """
    ranges = (_weighed(part) for part in accept.lower().split(","))
    wanted = sorted((one for one in ranges if one[0] > 0), key=lambda one: -one[0])
    for _, pattern in wanted:
        for kind in kinds:
            if fnmatchcase(kind, pattern):
                return kind
    return kinds[0]


def _weighed(part: str) -> tuple[float, str]:
    wanted, *parameters = (one.strip() for one in part.split(";"))
    weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    try:
        return float(weight), wanted
    except ValueError:
        return 0.0, wanted


def write_table(records: Sequence[BaseModel], record: type[BaseModel], media: str) -> bytes:
    """Return records as a table.

    Parameters:
        records: the rows; few enough to be in memory.
        record: the class of the rows, whose fields are the columns.
        media: one of the content types in MEDIA.
    """
    form = _FORMS[media]
    if form == "csv":
        return csv_rows(records, list(record.model_fields), head=True)
    if form == "jsonl":
        return b"".join(one.model_dump_json().encode() + b"\n" for one in records)
    with closing(RecordFile(record)) as file, TemporaryDirectory(prefix="runledger-table-") as at:
        file.add(records)
        target = Path(at, "rows")
        file.write(target, form)
        return target.read_bytes()


def csv_rows(records: Iterable[BaseModel], names: Sequence[str], *, head: bool) -> bytes:
    """Return records as CSV; NULL is empty, lists and objects are JSON.

    Parameters:
        records: the rows.
        names: the fields that are written, in their order.
        head: whether the names of the columns come first.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if head:
        writer.writerow(names)
    for record in records:
        row = record.model_dump(mode="json", include=set(names))
        writer.writerow(_cell(row[name]) for name in names)
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
