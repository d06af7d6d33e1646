"""A question about runs that is asked when its answer is wanted: a page, each run, or a table."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from projections.publishing.record_file import RecordFile
from runledger.records import RunRecord

_PAGE: Final = 1_000


class RunQuery:
    """The runs that filters leave; nothing is asked before a method is called.

    `async for run in query` gives every run, with a page of a thousand in memory at a time.

    Parameters:
        ask: the ledger's `list_runs`.
        filters: its filters and its order, without a page.
    """

    def __init__(
        self, ask: Callable[..., Awaitable[list[RunRecord]]], filters: dict[str, Any]
    ) -> None:
        self._ask = ask
        self._filters = filters

    async def page(
        self, *, limit: int = 50, after: str | None = None, before: str | None = None
    ) -> list[RunRecord]:
        """Return a page of the runs.

        Parameters:
            limit: runs on the page, 1,000 at most.
            after: the id of the run after which the page begins; None for the first page.
            before: the id of the run before which the page ends; None for no end.
        """
        return await self._ask(**self._filters, limit=limit, after=after, before=before)

    async def pages(self) -> AsyncIterator[list[RunRecord]]:
        """Yield all pages, of a thousand runs each."""
        page = await self.page(limit=_PAGE)
        while page:
            yield page
            # A page that is not full is the last one.
            page = await self.page(limit=_PAGE, after=page[-1].run_id) if len(page) == _PAGE else []

    async def __aiter__(self) -> AsyncIterator[RunRecord]:
        async for page in self.pages():
            for run in page:
                yield run

    async def arrow(self) -> RecordFile:
        """Return all runs as a table that has `__arrow_c_stream__`.

        `pyarrow.table(t)`, `polars.DataFrame(t)`, `pandas.DataFrame.from_arrow(t)` and DuckDB read
        it. The rows are in a temporary file, which is deleted with the table.
        """
        table = RecordFile(RunRecord)
        async for page in self.pages():
            table.add(page)
        return table
