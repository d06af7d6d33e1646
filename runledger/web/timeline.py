"""Where the time of a run went: steps and tool calls on one axis, in the order of the log."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple

from runledger.events import MessagesRecorded
from runledger.records import RunRecord, StepView, nanoseconds
from runledger.store.protocol import StoredEvent

BAND: Final = 250
_LONG_STEPS: Final = (60, 120, 300, 600, 1200, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of the waterfall. Times are nanoseconds since the run began; None is not known.

    `together` is how many tools were called at once with this one, itself included.
    """

    kind: str
    name: str
    at: int | None
    took: int | None
    number: int | None = None
    failed: bool = False
    together: int = 1
    step: StepView | None = None
    x: float = 0.0
    width: float = 0.0


class Band(NamedTuple):
    """A column: the share of its time that models and tools took, and its first step."""

    model: float
    tool: float
    first: int | None


def bars(run: RunRecord, steps: Sequence[StepView], events: Sequence[StoredEvent]) -> list[Bar]:
    """Return the rows of the waterfall: each step, and below it the calls that it made."""
    begin = run.run_start_ns
    calls = _calls(events, begin)
    made: list[Bar] = []
    for number, step in enumerate(steps, 1):
        made.append(step_bar(step, number, begin))
        made.extend(calls.pop(step.step_id, ()))
    made.extend(call for rest in calls.values() for call in rest)
    return made


def placed(rows: Sequence[Bar], whole: int) -> list[Bar]:
    """Return the rows with their places on the axis, in percent of the whole."""
    if whole <= 0:
        return list(rows)
    result = []
    for row in rows:
        if row.at is None:
            result.append(row)
            continue
        x = min(max(100 * row.at / whole, 0), 99.7)
        width = min(max(100 * (row.took or 0) / whole, 0.3), 100 - x)
        result.append(replace(row, x=round(x, 2), width=round(width, 2)))
    return result


def length(run: RunRecord, rows: Sequence[Bar]) -> int:
    """Return the nanoseconds of the axis: of the run, or until the last thing that is known."""
    ends = [(row.at or 0) + (row.took or 0) for row in rows]
    last = nanoseconds(run.last_event_at) - run.run_start_ns
    return max([run.run_ns or 0, last, *ends, 1])


def ticks(whole: int) -> list[tuple[float, int]]:
    """Return places in percent and nanoseconds of the axis, four to seven of them."""
    seconds = whole / 1e9
    small = [n * 10.0**power for power in range(-6, 2) for n in (1, 2, 5)]
    step = next(
        (s for s in (*small, *_LONG_STEPS) if seconds / s <= 6), 86400 * (seconds // 518400 + 1)
    )
    return [
        (round(100 * n * step / seconds, 2), int(n * step * 1e9))
        for n in range(int(seconds / step) + 1)
    ]


def step_bar(step: StepView, number: int, begin: int) -> Bar:
    """Return the row of a step; `begin` is when the run began."""
    took = step.step_ns if step.step_ns is not None else step.llm_request_ns
    start = step.step_start_ns if step.step_start_ns is not None else step.llm_request_start_ns
    ended = nanoseconds(step.created_at)
    at = start - begin if start is not None else ended - begin - (took or 0)
    return Bar(
        "step",
        step.model or step.provider_name or step.origin or "step",
        at,
        took,
        number,
        step.status == "failed",
        step=step,
    )


def _calls(events: Sequence[StoredEvent], begin: int) -> dict[str | None, list[Bar]]:
    """Return the tool calls of each step: from the message that calls to the one that returns."""
    called: dict[str, tuple[str | None, str, datetime]] = {}
    returned: dict[str, tuple[datetime, str]] = {}
    for stored in events:
        if not isinstance(stored.event, MessagesRecorded):
            continue
        at = stored.event.occurred_at
        for message in stored.event.messages:
            for call in message.tool_calls:
                called.setdefault(call.tool_call_id, (message.step_id, call.name, at))
            for back in message.tool_returns:
                returned.setdefault(back.tool_call_id, (at, back.status))
    made: dict[str | None, list[Bar]] = {}
    for call_id, (step_id, name, at) in called.items():
        end, status = returned.get(call_id, (None, "open"))
        took = None if end is None else nanoseconds(end) - nanoseconds(at)
        row = Bar("tool", name, nanoseconds(at) - begin, took, failed=status == "error")
        made.setdefault(step_id, []).append(row)
    return {step_id: side_by_side(rows) for step_id, rows in made.items()}


def side_by_side(calls: Sequence[Bar]) -> list[Bar]:
    """Return the calls of a step, each with how many were made in the moment in which it was."""
    at_once = Counter(call.at for call in calls)
    return [replace(call, together=at_once[call.at]) for call in calls]
