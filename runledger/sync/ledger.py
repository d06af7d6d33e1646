"""SyncLedger: the methods of a RunLedger for programs without an event loop."""

from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from projections.publishing.record_file import RecordFile
from runledger.ledger import RunLedger
from runledger.ledger.callbacks import Callbacks
from runledger.ledger.expiry import Expiry
from runledger.ledger.external_runs import ExternalRuns
from runledger.ledger.feedback import FeedbackCommands
from runledger.ledger.following import Followers
from runledger.ledger.list_queries import ListQueries
from runledger.ledger.prices import Prices
from runledger.ledger.run_commands import LedgerCommands
from runledger.ledger.run_queries import RunQueries
from runledger.ledger.views import Views
from runledger.records import RunRecord
from runledger.run import Actor
from runledger.run_query import RunQuery
from runledger.sync.blocking import Iterating, Waiting
from runledger.sync.loop_thread import LoopThread

_P = ParamSpec("_P")
_T = TypeVar("_T")


class SyncRunQuery:
    """The runs that filters leave; nothing is asked before a method is called.

    `for run in query` gives every run, with a page of a thousand in memory at a time.

    Parameters:
        query: the question.
        thread: the thread of the ledger's event loop.
    """

    def __init__(self, query: RunQuery, thread: LoopThread) -> None:
        self._query = query
        self._thread = thread

    def page(
        self, *, limit: int = 50, after: str | None = None, before: str | None = None
    ) -> list[RunRecord]:
        """Return a page of the runs.

        Parameters:
            limit: runs on the page, 1,000 at most.
            after: the id of the run after which the page begins; None for the first page.
            before: the id of the run before which the page ends; None for no end.
        """
        return self._thread.wait(self._query.page(limit=limit, after=after, before=before))

    def pages(self) -> Iterator[list[RunRecord]]:
        """Yield all pages, of a thousand runs each."""
        return self._thread.iterate(self._query.pages())

    def __iter__(self) -> Iterator[RunRecord]:
        return self._thread.iterate(aiter(self._query))

    def arrow(self) -> RecordFile:
        """Return all runs as a table that has `__arrow_c_stream__`; see RunQuery.arrow."""
        return self._thread.wait(self._query.arrow())


def _opened_by(method: Callable[_P, RunLedger]) -> Callable[_P, "SyncLedger"]:
    @wraps(method)
    def open(*given: _P.args, **named: _P.kwargs) -> "SyncLedger":
        return SyncLedger(method(*given, **named))

    return open


class SyncLedger:
    """A ledger whose calls wait for their answer; also where an event loop runs, as in a notebook.

    It is open until `close`, or for the block of a `with`. The ledger's event loop runs in a thread
    of its own; several threads may use one SyncLedger.

    Parameters:
        ledger: the ledger, which is opened here.
    """

    def __init__(self, ledger: RunLedger) -> None:
        self.thread = LoopThread()
        self.ledger = ledger
        try:
            self.ledger = self.thread.wait(ledger.__aenter__())
        except BaseException:
            self.thread.close()
            raise

    def close(self) -> None:
        """Close the ledger; nothing happens if it is closed."""
        if self.thread.closed:
            return
        try:
            self.thread.wait(self.ledger.__aexit__(None, None, None))
        finally:
            self.thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, question: Callable[[RunLedger], Awaitable[_T]]) -> _T:
        """Return the answer to a question that has no method here, such as the operator's work.

        Parameters:
            question: called with the ledger, in the thread of its event loop.
        """

        async def answer() -> _T:
            return await question(self.ledger)

        return self.thread.wait(answer())

    @property
    def actor(self) -> Actor:
        """The actor of calls that name no other."""
        return self.ledger.actor

    def image_bytes(self, sha256: str) -> bytes:
        """Return the bytes of a stored image; see RunLedger.image_bytes.

        Parameters:
            sha256: the digest of the bytes, in hexadecimal digits.
        """
        return self.ledger.image_bytes(sha256)

    def runs(self, **filters: Any) -> SyncRunQuery:
        """Return a query about runs that is asked later: a page, each run, or all as a table.

        Parameters:
            filters: those of RunLedger.runs.
        """
        return SyncRunQuery(self.ledger.runs(**filters), self.thread)

    create_run = Waiting(LedgerCommands.create_run)
    start_run = Waiting(LedgerCommands.start_run)
    start_step = Waiting(LedgerCommands.start_step)
    record_step = Waiting(LedgerCommands.record_step)
    record_messages = Waiting(LedgerCommands.record_messages)
    patch_metadata = Waiting(LedgerCommands.patch_metadata)
    record_heartbeat = Waiting(LedgerCommands.record_heartbeat)
    register_agent = Waiting(LedgerCommands.register_agent)
    complete_run = Waiting(LedgerCommands.complete_run)
    fail_run = Waiting(LedgerCommands.fail_run)
    cancel_run = Waiting(LedgerCommands.cancel_run)
    cancel_runs = Waiting(LedgerCommands.cancel_runs)
    delete_run = Waiting(LedgerCommands.delete_run)
    update_run = Waiting(LedgerCommands.update_run)

    expire_runs = Waiting(Expiry.expire_runs)
    expire_approvals = Waiting(Expiry.expire_approvals)

    record_run_feedback = Waiting(FeedbackCommands.record_run_feedback)
    record_step_feedback = Waiting(FeedbackCommands.record_step_feedback)

    follow_run = Iterating(Followers.follow_run)
    follow_log = Iterating(Followers.follow_log)

    get_run_by_id = Waiting(RunQueries.get_run_by_id)
    get_run_usage = Waiting(RunQueries.get_run_usage)
    get_run_metrics = Waiting(RunQueries.get_run_metrics)
    get_run_request_config = Waiting(RunQueries.get_run_request_config)
    get_run_steps = Waiting(RunQueries.get_run_steps)
    get_stored_messages = Waiting(RunQueries.get_stored_messages)
    get_run_messages = Waiting(RunQueries.get_run_messages)
    get_agent = Waiting(RunQueries.get_agent)

    get_run_with_status = Waiting(ExternalRuns.get_run_with_status)

    list_runs = Waiting(ListQueries.list_runs)
    run_durations = Waiting(ListQueries.run_durations)
    list_steps = Waiting(ListQueries.list_steps)
    get_step = Waiting(ListQueries.get_step)
    usage_totals = Waiting(ListQueries.usage_totals)
    duration_percentiles = Waiting(ListQueries.duration_percentiles)
    list_agents = Waiting(ListQueries.list_agents)
    sql = Waiting(ListQueries.sql)
    project = Waiting(ListQueries.project)

    save_view = Waiting(Views.save_view)
    remove_view = Waiting(Views.remove_view)
    list_views = Waiting(Views.list_views)
    get_view = Waiting(Views.get_view)

    list_price_changes = Waiting(Prices.list_price_changes)
    get_model_prices = Waiting(Prices.get_model_prices)
    set_prices = Waiting(Prices.set_prices)
    list_own_prices = Waiting(Prices.list_own_prices)

    get_callback = Waiting(Callbacks.get_callback)
    list_callbacks = Waiting(Callbacks.list_callbacks)
    redeliver_callback = Waiting(Callbacks.redeliver_callback)
    redeliver_callbacks = Waiting(Callbacks.redeliver_callbacks)

    open = staticmethod(_opened_by(RunLedger.open))
