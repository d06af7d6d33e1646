"""Runs are a function of the set of a trace's spans, and each token is counted once."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from made_traces import Made, delivered, traces

from runledger.importers.otlp.conventions import Conventions, Kind, KindRow, conventions
from runledger.importers.otlp.run import Recorded, Run, Trace
from runledger.importers.otlp.span import Span
from runledger.importers.otlp.step import COUNTED_ABOVE
from runledger.run import commands as c

ORGANIZATION = "acme"
FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
MANY = settings(FEW, max_examples=3_000, phases=(Phase.generate,))


def tokens(facts: Any) -> int:
    return (facts.get("prompt_tokens") or 0) + (facts.get("completion_tokens") or 0)


def steps(runs: Sequence[Run]) -> list[c.RecordStep]:
    told = [command for run in runs for _, command in run.commands()]
    return [command for command in told if isinstance(command, c.RecordStep)]


def counts_are_right(made: Made, table: Conventions) -> bool:
    found = steps(Trace(made.spans, ORGANIZATION, table).runs())
    right = sum(tokens(step.facts) for step in found) == made.tokens
    return right and len(found) == made.calls


@FEW
@given(traces())
def test_each_token_is_counted_once_in_every_dialect(made: Made) -> None:
    assert counts_are_right(made, conventions())


def _without(value: str) -> Conventions:
    return _with(value, Kind.OTHER)


def _with(value: str, kind: Kind) -> Conventions:
    table = conventions()
    return replace(
        table,
        kinds=tuple(
            KindRow(row.attribute, {k: kind if k == value else v for k, v in row.values.items()})
            for row in table.kinds
        ),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        _without("chat"),
        _without("LLM"),
        replace(
            conventions(),
            counts={**conventions().counts, "output": conventions().counts["input"]},
        ),
        _with("CHAIN", Kind.LLM),
    ],
    ids=["chat is no call", "LLM is no call", "output read from input", "a chain is a call"],
)
def test_a_wrong_row_of_the_table_is_noticed(wrong: Conventions) -> None:
    # The same examples each time, and many: that none of a few shows the fault would be chance.
    find(
        traces(),
        lambda made: not counts_are_right(made, wrong),
        settings=MANY,
        random=Random(16),
    )


@FEW
@given(st.data())
def test_order_pieces_and_repetition_change_nothing(data: st.DataObject) -> None:
    made = data.draw(traces())
    mixed = [span for piece in delivered(data.draw, made.spans) for span in piece]
    once = [list(run.commands()) for run in Trace(made.spans, ORGANIZATION).runs()]
    assert [list(run.commands()) for run in Trace(mixed, ORGANIZATION).runs()] == once


@FEW
@given(st.data())
def test_a_span_read_back_gives_the_same_runs(data: st.DataObject) -> None:
    made = data.draw(traces())
    again = [Span.from_json(span.to_json()) for span in made.spans]
    once = [list(run.commands()) for run in Trace(made.spans, ORGANIZATION).runs()]
    assert [list(run.commands()) for run in Trace(again, ORGANIZATION).runs()] == once


@FEW
@given(st.data())
def test_late_spans_are_neither_lost_nor_counted_twice(data: st.DataObject) -> None:
    made = data.draw(traces())
    seen: list[Span] = []
    known: dict[str, Recorded] = {}
    counted: dict[str, int] = {}
    for piece in delivered(data.draw, made.spans):
        seen += piece
        for run in Trace(seen, ORGANIZATION).runs(known) if seen else ():
            here = known.get(run.run_id, Recorded())
            own, ids = set(here.counted), set(here.ids)
            for step in steps([run]):
                if step.step_id in ids:
                    continue
                ids.add(step.step_id)
                counted[step.step_id] = tokens(step.facts)
                if COUNTED_ABOVE not in step.facts["tags"]:
                    own.add(step.step_id)
            known[run.run_id] = Recorded(own, ids)
    # A link between two spans that comes after both were recorded shows that one is too many.
    twice = Trace(made.spans, ORGANIZATION).twice(known)
    over = sum((span.counts.input or 0) + (span.counts.output or 0) for span in twice)
    assert sum(counted.values()) - over == made.tokens
