"""Spans are kept whole for a while; afterwards a late one is still counted once, or marked."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from runledger import RunLedger
from runledger.importers.otlp.assembly import Assembler, Waiting
from runledger.importers.otlp.span import Span
from runledger.run import Actor
from runledger.store import Store
from runledger.store.spans import SpanRow

TRACE = "0af7651916cd43dd8448eb211c80319c"
BEGIN = 1_767_600_000_000_000_000
ORGANIZATION = Actor().organization
AT_ONCE = Waiting(0.0, 0.0, 0.0, 0.0)


def told(number: int, parent: int, **attributes: Any) -> Span:
    return Span(
        TRACE,
        f"{number:016x}",
        f"{parent:016x}" if parent else "",
        f"span {number}",
        BEGIN + number,
        BEGIN + 1_000_000,
        attributes={key.replace("__", "."): one for key, one in attributes.items()},
    )


def agent(number: int, parent: int = 0, **more: Any) -> Span:
    return told(number, parent, gen_ai__operation__name="invoke_agent", **more)


def chat(number: int, parent: int, used: int) -> Span:
    counts = {"gen_ai__usage__input_tokens": used, "gen_ai__usage__output_tokens": 0}
    return told(number, parent, gen_ai__operation__name="chat", **counts)


def put(store: Store, *spans: Span) -> None:
    rows = [SpanRow(ORGANIZATION, span.trace_id, span.span_id, span.to_json()) for span in spans]
    store.spans.put(rows, time.time())


def drop(store: Store) -> int:
    return store.spans.drop(0.0, time.time() + 60, 100)


def in_ledger(open_ledger: Callable[[], RunLedger], play: Callable[[RunLedger, Any], Any]) -> Any:
    async def played() -> Any:
        async with open_ledger() as ledger:
            assembler = Assembler(ledger.store, ledger.handler, AT_ONCE)

            async def assemble() -> list[Any]:
                while await assembler.assemble():
                    continue
                await ledger.project()
                return list(await ledger.list_runs())

            return await play(ledger, assemble)

    return asyncio.run(played())


def tokens(ledger: RunLedger, run_id: str) -> int:
    rows = ledger.store.read_stream(run_id, 0, None, False)
    return sum(getattr(row.event, "prompt_tokens", 0) or 0 for row in rows)


def test_a_span_that_is_sent_again_after_its_content_was_dropped_changes_nothing(
    open_ledger: Callable[[], RunLedger],
) -> None:
    async def play(ledger: RunLedger, assemble: Any) -> None:
        spans = [agent(1), chat(2, 1, 10)]
        put(ledger.store, *spans)
        (run,) = await assemble()
        assert drop(ledger.store) == 1
        assert ledger.store.spans.of_trace(ORGANIZATION, TRACE) == []
        counts = ledger.store.spans.counts(ORGANIZATION)
        assert (counts.spans, counts.dropped) == (2, 2)
        before = ledger.store.head()
        put(ledger.store, *spans)
        (again,) = await assemble()
        assert (again.run_id, ledger.store.head()) == (run.run_id, before)
        # Nothing is left to drop, and the keys are not counted again.
        drop(ledger.store)
        assert ledger.store.spans.counts(ORGANIZATION).dropped == 2

    in_ledger(open_ledger, play)


def test_a_late_span_is_a_marked_step_of_the_run_it_belongs_to(
    open_ledger: Callable[[], RunLedger],
) -> None:
    async def play(ledger: RunLedger, assemble: Any) -> None:
        put(ledger.store, agent(1), told(2, 1), chat(3, 1, 10))
        (run,) = await assemble()
        drop(ledger.store)
        # One below the run's own span, one below a span that nothing is known of any more.
        put(ledger.store, chat(4, 1, 5), chat(5, 2, 3))
        (after,) = await assemble()
        assert (after.run_id, after.metadata["otel.assembled_without"]) == (run.run_id, 3)
        assert tokens(ledger, run.run_id) == 18
        drop(ledger.store)
        assert ledger.store.spans.counts(ORGANIZATION).dropped == 5
        put(ledger.store, chat(6, 2, 1))
        (last,) = await assemble()
        assert (last.run_id, tokens(ledger, run.run_id)) == (run.run_id, 19)

    in_ledger(open_ledger, play)


def test_a_late_span_below_a_counted_one_is_not_counted_again(
    open_ledger: Callable[[], RunLedger],
) -> None:
    async def play(ledger: RunLedger, assemble: Any) -> None:
        declared = {"gen_ai__usage__input_tokens": 10, "gen_ai__usage__output_tokens": 0}
        put(ledger.store, agent(1), agent(2, 1, **declared))
        (run,) = await assemble()
        drop(ledger.store)
        put(ledger.store, chat(3, 2, 10))
        (after,) = await assemble()
        assert (after.run_id, tokens(ledger, run.run_id)) == (run.run_id, 10)

    in_ledger(open_ledger, play)


def test_spans_of_refused_traces_stay_and_are_tried_again(
    open_ledger: Callable[[], RunLedger],
) -> None:
    async def play(ledger: RunLedger, assemble: Any) -> None:
        put(ledger.store, agent(1), chat(2, 1, 10))
        (run,) = await assemble()
        table = ledger.store.spans
        (row,) = table.traces(ORGANIZATION, TRACE)
        from runledger.store.spans import SavedTrace

        refused = row._replace(note=json.dumps({"refused": ["the disk was full"]}))
        table.save([SavedTrace(refused)], time.time(), ledger.store.epoch)
        assert drop(ledger.store) == 0
        assembler = Assembler(ledger.store, ledger.handler, AT_ONCE)
        assert await assembler.retry(ORGANIZATION, ["0" * 32]) == 0
        assert await assembler.retry(ORGANIZATION) == 1
        (after,) = await assemble()
        assert after.run_id == run.run_id
        assert table.counts(ORGANIZATION).refused == 0
        assert drop(ledger.store) == 1

    in_ledger(open_ledger, play)


def test_the_first_source_of_a_call_keeps_it(open_stores: Callable[[], Store]) -> None:
    one, other = open_stores(), open_stores()
    assert one.spans.claim("acme", "files", ["a", "b"]) == set()
    assert other.spans.claim("acme", "events", ["b", "c"]) == {"b"}
    assert one.spans.told_by_others("acme", "files", ["a", "b", "c", "d"]) == {"c"}
    assert other.spans.claim("umbrella", "events", ["a"]) == set()
