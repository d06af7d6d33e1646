"""Why spans became what they are, and what today's table would make of those that are stored."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from runledger.events import StepRecorded
from runledger.ids import derived_id
from runledger.importers.otlp.claims import claimed
from runledger.importers.otlp.conventions import Kind
from runledger.importers.otlp.recorded import recorded
from runledger.importers.otlp.run import Dropped, Trace
from runledger.importers.otlp.span import Span
from runledger.importers.otlp.step import COUNTED_ABOVE
from runledger.run import commands as c
from runledger.store import Store
from runledger.store.spans import TraceRow


class ExplainedSpan(NamedTuple):
    """A span of a trace: its kind and the rule for it, what it became, and what was left out.

    `input` and `output` are its counts; `left_out` is the reason why they are not added.
    """

    span_id: str
    name: str
    kind: Kind
    rule: str
    became: str
    run_id: str | None
    input: int | None
    output: int | None
    left_out: str | None


class Difference(NamedTuple):
    """What is recorded, and what the table of conventions would make of the same spans now."""

    trace_id: str
    run_id: str
    what: str
    recorded: str
    now: str


def explained(store: Store, row: TraceRow) -> list[ExplainedSpan]:
    """Return the spans of a trace in the order of time, and what each became."""
    trace = _trace(store, row)
    known = {run_id: recorded(store, run_id) for run_id in json.loads(row.runs)}
    became: dict[str, tuple[str, str]] = {}
    values: dict[str, str] = {}
    for run in trace.runs(known):
        for node in run.group.nodes:
            became[node.span.span_id] = ("nothing of its own", run.run_id)
        if run.group.head is not None:
            became[run.group.head.span.span_id] = ("the run", run.run_id)
        for tool in run.tools:
            became[tool.node.span.span_id] = (f"tool call {tool.call_id}", run.run_id)
        for node in run.steps:
            span_id = node.span.span_id
            step = f"step {derived_id('step', run.run_id, span_id)}"
            before = became[span_id][0]
            both = f"{before}, {step}" if before != "nothing of its own" else step
            became[span_id] = (both, run.run_id)
        values |= {one.node.span.span_id: one.reason for one in run.counting.left_out}
    found = []
    for node in sorted(trace.nodes, key=lambda node: node.order):
        span = node.span
        what, run_id = became.get(span.span_id, ("nothing: no run in this trace", None))
        found.append(
            ExplainedSpan(
                span.span_id,
                span.name,
                node.kind,
                node.rule,
                what,
                run_id,
                node.counts.input,
                node.counts.output,
                values.get(span.span_id),
            )
        )
    return found


def differences(store: Store, row: TraceRow) -> list[Difference]:
    """Return how the runs of a trace would differ if all its spans came today; none if not at all.

    Compared are the runs, and the steps of each with their tokens. Of a trace of which some spans
    are no longer kept whole, nothing can be compared.
    """
    if row.dropped:
        return []
    trace = _trace(store, row)
    now = {
        run.run_id: {
            command.step_id: _tokens(command.facts)
            for _, command in run.commands(ended=False)
            if isinstance(command, c.RecordStep)
        }
        for run in trace.runs()
    }
    before = {run_id: _recorded_tokens(store, run_id) for run_id in json.loads(row.runs)}
    found = []
    for run_id in sorted(now.keys() | before.keys()):
        then, today = before.get(run_id), now.get(run_id)
        if then is None or today is None:
            sides = ("no run" if one is None else f"{len(one)} steps" for one in (then, today))
            found.append(Difference(row.trace_id, run_id, "run", *sides))
            continue
        for step_id in sorted(then.keys() | today.keys()):
            if then.get(step_id) != today.get(step_id):
                values = (then.get(step_id, "no step"), today.get(step_id, "no step"))
                found.append(Difference(row.trace_id, run_id, step_id, *values))
    return found


def _trace(store: Store, row: TraceRow) -> Trace:
    texts = store.spans.of_trace(row.organization, row.trace_id)
    spans = [Span.from_json(text) for text in texts]
    kept = claimed(store.spans, row.organization, spans, look=True).spans
    dropped = Dropped(row.dropped, json.loads(row.runs)) if row.dropped else None
    return Trace(kept, row.organization, dropped=dropped)


def _recorded_tokens(store: Store, run_id: str) -> dict[str, str]:
    events = (stored.event for stored in store.read_stream(run_id, 0, None, False))
    return {
        event.step_id: _tokens(
            {"tags": event.tags}
            if COUNTED_ABOVE in event.tags
            else {
                "prompt_tokens": event.prompt_tokens,
                "completion_tokens": event.completion_tokens,
            }
        )
        for event in events
        if isinstance(event, StepRecorded)
    }


def _tokens(facts: Mapping[str, object]) -> str:
    return f"{facts.get('prompt_tokens') or 0} in, {facts.get('completion_tokens') or 0} out"
