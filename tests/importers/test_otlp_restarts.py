"""The laws of the receiver on a real store, with a new process for every piece that comes."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from made_traces import Made, delivered, traces

from runledger import RunLedger
from runledger.events import RunMetadataPatched, StepRecorded
from runledger.importers.otlp.assembly import Assembler, Waiting
from runledger.importers.otlp.run import Trace
from runledger.importers.otlp.span import Span
from runledger.importers.otlp.step import COUNTED_ABOVE
from runledger.run import Actor
from runledger.store.spans import SpanRow

ORGANIZATION = Actor().organization
OF_THE_MOMENT = ("event_id", "recorded_at", "born")
# A second each: the law itself has many examples without a store, in test_otlp_laws.py.
FEW = settings(
    max_examples=12, deadline=None, database=None, phases=(Phase.explicit, Phase.generate)
)
AT_ONCE = Waiting(0.0, 0.0, 0.0)
QUIET_FOR_LONG = Waiting(3_600.0, 3_600.0, 0.0)


def rows(spans: Sequence[Span]) -> list[SpanRow]:
    return [SpanRow(ORGANIZATION, one.trace_id, one.span_id, one.to_json()) for one in spans]


async def received(url: str, pieces: Sequence[Sequence[Span]], waiting: Waiting) -> None:
    """Let each piece come to a process of its own, which assembles what is due, and ends."""
    for piece in pieces:
        async with RunLedger.open(url, None) as ledger:
            if piece:
                ledger.store.spans.put(rows(piece), time.time())
            while await Assembler(ledger.store, ledger.handler, waiting).assemble():
                continue


async def recorded(url: str, run_ids: Sequence[str]) -> dict[str, list[Any]]:
    async with RunLedger.open(url, None) as ledger:
        return {
            run_id: [row.event for row in ledger.store.read_stream(run_id, 0, None, False)]
            for run_id in run_ids
        }


def without_ids(events: Sequence[Any]) -> list[Any]:
    told = [event.model_dump() for event in events]
    return [{k: v for k, v in one.items() if k not in OF_THE_MOMENT} for one in told]


@pytest.mark.slow
@FEW
@given(st.data())
def test_a_set_that_is_complete_gives_equal_runs_after_any_restarts(data: st.DataObject) -> None:
    made: Made = data.draw(traces())
    ids = [run.run_id for run in Trace(made.spans, ORGANIZATION).runs()]
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        urls = [f"sqlite:///{Path(folder)}/runs.db" for folder in (one, other)]

        async def both() -> list[dict[str, list[Any]]]:
            await received(urls[0], [made.spans], AT_ONCE)
            await received(urls[1], delivered(data.draw, made.spans), QUIET_FOR_LONG)
            await received(urls[1], [[]], AT_ONCE)
            return [await recorded(url, ids) for url in urls]

        at_once, in_pieces = asyncio.run(both())
    assert all(at_once.values())
    for run_id in ids:
        assert without_ids(in_pieces[run_id]) == without_ids(at_once[run_id])


@pytest.mark.slow
@FEW
@given(st.data())
def test_whatever_comes_late_the_runs_and_tokens_are_equal_or_marked(data: st.DataObject) -> None:
    made: Made = data.draw(traces())
    (whole,) = Trace(made.spans, ORGANIZATION).runs()
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/runs.db"

        async def told() -> dict[str, list[Any]]:
            await received(url, delivered(data.draw, made.spans), AT_ONCE)
            async with RunLedger.open(url, None) as ledger:
                (row,) = ledger.store.spans.traces(ORGANIZATION, whole.group.nodes[0].span.trace_id)
                return await recorded(url, sorted(set(_ids(row.runs))))

        streams = asyncio.run(told())
    events = [event for one in streams.values() for event in one]
    steps = [event for event in events if isinstance(event, StepRecorded)]
    counted = [step for step in steps if COUNTED_ABOVE not in step.tags]
    total = sum((step.prompt_tokens or 0) + (step.completion_tokens or 0) for step in counted)
    patches = [event for event in events if isinstance(event, RunMetadataPatched)]
    marks = [key for patch in patches for key in patch.patch if key == "otel.counted_twice"]
    marked = {
        run_id: [patch for patch in events if isinstance(patch, RunMetadataPatched)]
        for run_id, events in streams.items()
    }
    assert [run_id for run_id, told in marked.items() if not is_part(told)] == [whole.run_id]
    assert total == made.tokens or marks
    assert total >= made.tokens
    assert len(counted) == made.calls or marks or len(steps) > len(counted)


def is_part(patches: Sequence[RunMetadataPatched]) -> bool:
    part = False
    for one in patches:
        part = "otel.part_of" in one.patch or (part and "otel.part_of" not in one.removed)
    return part


def _ids(runs: str) -> list[str]:
    import json

    return list(json.loads(runs))
