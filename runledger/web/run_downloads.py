"""The list of runs as a file: every run that the filters leave, not only the page."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.responses import Response, StreamingResponse

from runledger.errors import NotFound
from runledger.records import RunRecord
from runledger.run_query import RunQuery
from runledger.server.call import Call
from runledger.server.tables import MEDIA, csv_rows
from runledger.web.run_columns import file_fields
from runledger.web.run_search import RunSearch
from runledger.web.table_file import sql_type, table_file

_Write = Callable[[list[RunRecord], bool], bytes]


async def download(call: Call[RunSearch, None], form: str) -> Response:
    """Return every run of the filters as CSV, lines of JSON, Parquet or Arrow."""
    names = file_fields(call.query.columns)
    search = call.query
    asked: Any = {**search.filters(), **search.past(), "actor": call.actor}
    # A file without a choice has every column.
    asked["costs"] = "cost_usd" in names
    for name in ("limit", "after", "before"):
        del asked[name]
    pages = RunQuery(call.ledger.list_runs, asked).pages()
    # Wrong filters and a position that is not there are refused before the first byte.
    first: list[RunRecord] = await anext(pages, [])
    if form in ("parquet", "arrow"):
        fields = RunRecord.model_fields
        types = {name: sql_type(fields[name].annotation) for name in names}
        return await table_file(_pieces(first, pages, _jsonl(names)), types, "runs", form)
    write = _csv(names) if form == "csv" else _jsonl(names)
    return StreamingResponse(
        _pieces(first, pages, write),
        headers={"Content-Disposition": f'attachment; filename="runs.{form}"'},
        media_type=MEDIA[form],
    )


async def _pieces(
    first: list[RunRecord], pages: AsyncIterator[list[RunRecord]], write: _Write
) -> AsyncIterator[bytes]:
    yield write(first, True)
    try:
        async for page in pages:
            yield write(page, False)
    except NotFound as e:
        # Cut off rather than ended well: a file that looks whole would be missing rows.
        raise ConnectionAbortedError(str(e)) from e


def _csv(names: list[str]) -> _Write:
    def write(records: list[RunRecord], head: bool) -> bytes:
        return csv_rows(records, names, head=head)

    return write


def _jsonl(names: list[str]) -> _Write:
    kept = set(names)

    def write(records: list[RunRecord], _: bool) -> bytes:
        return b"".join(record.model_dump_json(include=kept).encode() + b"\n" for record in records)

    return write
