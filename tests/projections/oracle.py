"""The rows of the read models, computed a second way: events folded one by one, in plain Python.

It shares no code with the SQL, nor with the fold of a run in runledger.run. A row is a dictionary
by column name; JSON columns are Python values.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from runledger.events import (
    AgentRegistered,
    CallbackAttempted,
    HeartbeatRecorded,
    MessagesRecorded,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunDeleted,
    RunEvent,
    RunFailed,
    RunFeedbackRecorded,
    RunMetadataPatched,
    RunStarted,
    StepFeedbackRecorded,
    StepRecorded,
    StepStarted,
    ToolCallsDenied,
)
from runledger.store.protocol import StoredEvent
from runledger.usage import COUNTED as BUCKETS
from tests.projections.cost_oracle import cost_tables

Row = dict[str, Any]
Tables = dict[str, list[Row]]
ENDS = (RunCompleted, RunFailed, RunCancelled)
COUNTED = ("prompt_tokens", "completion_tokens", "total_tokens")


def tables(stored: Iterable[StoredEvent]) -> Tables:
    """Return the rows of every table of every read model after these events."""
    log = list(stored)
    gone = {row.stream for row in log if isinstance(row.event, RunDeleted)}
    streams: dict[str, list[StoredEvent]] = {}
    for row in log:
        if isinstance(row.event, RunEvent) and row.stream not in gone:
            streams.setdefault(row.stream, []).append(row)
    runs = [_run(events) for events in streams.values()]
    steps = [step for events in streams.values() for step in _steps(events)]
    durations = [sample for events in streams.values() for sample in _durations(events)]
    return {
        "runs": runs,
        "steps": steps,
        "tool_calls": [call for events in streams.values() for call in _tool_calls(events)],
        "agents": _agents(log, runs),
        "usage_totals": _usage_totals(steps),
        "run_durations": durations,
        "duration_percentiles": _percentiles(durations),
        **cost_tables(log, steps),
    }


def _run(events: list[StoredEvent]) -> Row:
    first = events[0].event
    assert isinstance(first, RunCreated)
    row: Row = {
        "run_id": events[0].stream,
        "born": first.born,
        "organization": first.organization,
        "agent_id": first.agent_id,
        "project_id": first.project_id,
        "conversation_id": first.conversation_id,
        "base_template_id": first.base_template_id,
        "background": first.background,
        "status": "created",
        "created_at": first.occurred_at,
        "run_start_ns": (first.occurred_at - datetime(1970, 1, 1, tzinfo=UTC))
        // timedelta(microseconds=1)
        * 1000,
        "metadata": dict(first.metadata),
        "request_config": first.request_config,
        "callback_url": first.callback_url,
        "created_position": events[0].position,
        "num_steps": 0,
        **dict.fromkeys(COUNTED, 0),
        **dict.fromkeys(
            (
                *BUCKETS,
                *("stop_reason", "started_at", "completed_at", "run_ns", "ended_position"),
                *("error_type", "error_message", "error_data", "approval_deadline"),
                *("callback_sent_at", "callback_status_code", "callback_error", "feedback"),
            )
        ),
    }
    tools: set[str] = set()
    tool_ids: set[str] = set()
    for stored in events:
        event = stored.event
        _lifecycle(row, stored)
        if isinstance(event, StepRecorded):
            row["num_steps"] += 1
            _count(row, event)
        elif isinstance(event, MessagesRecorded):
            calls = [call for message in event.messages for call in message.tool_calls]
            tools.update(call.name for call in calls)
            tool_ids.update(call.tool_id for call in calls if call.tool_id is not None)
            answered = any(message.approvals for message in event.messages)
            if event.approval_deadline is not None or answered:
                row["approval_deadline"] = event.approval_deadline
        elif isinstance(event, ToolCallsDenied):
            row["approval_deadline"] = None
        elif isinstance(event, RunMetadataPatched):
            kept = {k: v for k, v in row["metadata"].items() if k not in event.removed}
            row["metadata"] = kept | event.patch
        elif isinstance(event, RunFeedbackRecorded):
            row["feedback"] = event.feedback
        elif isinstance(event, CallbackAttempted):
            row["callback_sent_at"] = event.occurred_at
            row["callback_status_code"] = event.status_code
            row["callback_error"] = event.error
    row["tools_used"] = sorted(tools, key=str.encode)
    row["tool_ids"] = sorted(tool_ids, key=str.encode)
    row["last_event_at"] = max(stored.event.occurred_at for stored in events)
    row["last_recorded_at"] = events[-1].event.recorded_at
    row["last_position"] = events[-1].position
    row["version"] = events[-1].version
    return row


def _lifecycle(row: Row, stored: StoredEvent) -> None:
    event = stored.event
    works = (RunStarted, StepStarted, StepRecorded, MessagesRecorded, HeartbeatRecorded)
    if isinstance(event, works) and not getattr(event, "late", False):
        if row["status"] == "created":
            row["status"] = "running"
        if row["started_at"] is None:
            row["started_at"] = event.occurred_at
    elif isinstance(event, ENDS):
        row["status"] = {RunCompleted: "completed", RunFailed: "failed"}.get(
            type(event), "cancelled"
        )
        row["stop_reason"] = event.stop_reason
        row["ended_position"] = stored.position
        if row["completed_at"] is None:
            row["completed_at"] = event.occurred_at
            row["run_ns"] = event.run_ns
        if isinstance(event, RunFailed):
            for name in ("error_type", "error_message", "error_data"):
                row[name] = getattr(event, name)


def _count(row: Row, step: Any) -> None:
    """Add a step's tokens; a bucket that no step reported stays None."""
    for name in COUNTED:
        row[name] += _of(step, name) or 0
    for name in BUCKETS:
        count = _of(step, name)
        if count is not None:
            row[name] = (row[name] or 0) + count


def _of(step: Any, name: str) -> Any:
    return step[name] if isinstance(step, dict) else getattr(step, name)


STEP_FACTS = (
    *("provider_name", "provider_category", "provider_id", "model", "model_handle"),
    *("model_endpoint", "context_window_limit", "origin", "tid", *COUNTED, *BUCKETS),
    *("prompt_tokens_details", "completion_tokens_details", "usage_details"),
    *("input_includes_cache", "output_includes_reasoning", "total_derived"),
    *("input_rule", "output_rule", "stop_reason", "error_type"),
    *("error_data", "trace_id", "request_id", "step_start_ns", "step_ns"),
    *("llm_request_start_ns", "llm_request_ns", "tool_execution_ns"),
)


def _steps(events: list[StoredEvent]) -> list[Row]:
    rows: dict[str, Row] = {}
    for stored in events:
        event = stored.event
        if isinstance(event, StepFeedbackRecorded):
            judged = rows[event.step_id]
            judged["feedback"] = event.feedback
            judged["tags"] = judged["tags"] if event.tags is None else event.tags
        if not isinstance(event, StepStarted | StepRecorded):
            continue
        recorded = isinstance(event, StepRecorded)
        rows[event.step_id] = {
            "run_id": stored.stream,
            "step_id": event.step_id,
            "born": event.born,
            "organization": event.organization,
            "agent_id": event.agent_id,
            "project_id": event.project_id,
            "status": event.status if isinstance(event, StepRecorded) else "pending",
            "late": isinstance(event, StepRecorded) and event.late,
            "created_at": event.occurred_at,
            "position": stored.position,
            "feedback": None,
            "tags": event.tags if isinstance(event, StepRecorded) else [],
            **{name: getattr(event, name, None) if recorded else None for name in STEP_FACTS},
        }
        if isinstance(event, StepStarted):
            rows[event.step_id] |= {"provider_name": event.provider_name, "model": event.model}
    return list(rows.values())


def _tool_calls(events: list[StoredEvent]) -> list[Row]:
    """Fold what is said of each call, in whatever order it is said."""
    rows: dict[str, Row] = {}

    def row(stored: StoredEvent, tool_call_id: str) -> Row:
        event = stored.event
        assert isinstance(event, RunEvent)
        made = {
            "run_id": stored.stream,
            "tool_call_id": tool_call_id,
            "born": event.born,
            "organization": event.organization,
            "agent_id": event.agent_id,
            "project_id": event.project_id,
            "status": "open",
            "needs_approval": False,
            "denied": False,
            **dict.fromkeys(("step_id", "message_id", "name", "tool_id", "position", "called_at")),
            **dict.fromkeys(("approved", "returned_at", "return_status")),
        }
        return rows.setdefault(tool_call_id, made)

    for stored in events:
        event = stored.event
        if isinstance(event, ToolCallsDenied):
            for denied in event.tool_calls:
                row(stored, denied.tool_call_id).update(denied=True, status="denied")
        elif isinstance(event, MessagesRecorded):
            for message in event.messages:
                for call in message.tool_calls:
                    found = row(stored, call.tool_call_id)
                    found["needs_approval"] |= message.role == "approval"
                    if found["name"] is None:
                        found["step_id"], found["message_id"] = message.step_id, message.message_id
                        found["name"], found["tool_id"] = call.name, call.tool_id
                        found["called_at"] = event.occurred_at
                        found["position"] = stored.position
                for returned in message.tool_returns:
                    found = row(stored, returned.tool_call_id)
                    if found["return_status"] is None:
                        found["return_status"] = returned.status
                        found["returned_at"] = event.occurred_at
                    if not found["denied"]:
                        found["status"] = found["return_status"]
                for answer in message.approvals:
                    _answer(row(stored, answer.tool_call_id), answer.approve)
    return list(rows.values())


def _answer(call: Row, approve: bool) -> None:
    if not approve:
        call.update(approved=False, denied=True, status="denied")
    elif call["approved"] is None:
        call["approved"] = True


def _agents(log: list[StoredEvent], runs: list[Row]) -> list[Row]:
    """Return every agent that was seen; runs that were deleted leave no trace."""
    rows: dict[tuple[str, str], Row] = {}

    def row(organization: str, agent_id: str) -> Row:
        made: Row = {"organization": organization, "agent_id": agent_id}
        made |= dict.fromkeys(("project_id", "name", "agent_type", "registered_at"))
        for kind, value in (("run", "run_at"), ("ended_run", "stop_reason")):
            made |= dict.fromkeys((f"last_{kind}_id", f"last_{value}"))
        made |= dict.fromkeys(("last_run_position", "last_ended_position"))
        return rows.setdefault((organization, agent_id), made)

    for stored in log:
        event = stored.event
        if isinstance(event, AgentRegistered):
            agent = row(event.organization, event.agent_id)
            for name in ("project_id", "name", "agent_type"):
                agent[name] = getattr(event, name)
            if agent["registered_at"] is None:
                agent["registered_at"] = event.occurred_at
    for run in runs:
        agent = row(run["organization"], run["agent_id"])
        begun = run["created_at"], run["created_position"]
        if (
            agent["last_run_at"] is None
            or (agent["last_run_at"], agent["last_run_position"]) < begun
        ):
            agent["last_run_id"] = run["run_id"]
            agent["last_run_at"] = run["created_at"]
            agent["last_run_position"] = run["created_position"]
        if (run["ended_position"] or 0) > (agent["last_ended_position"] or 0):
            agent["last_ended_run_id"] = run["run_id"]
            agent["last_stop_reason"] = run["stop_reason"]
            agent["last_ended_position"] = run["ended_position"]
    return list(rows.values())


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _steps_of(bucket: str) -> str:
    return bucket.removesuffix("_tokens") + "_steps"


def _usage_totals(steps: list[Row]) -> list[Row]:
    rows: dict[tuple[Any, ...], Row] = {}
    for step in steps:
        if step["status"] == "pending":
            continue
        key = {
            "organization": step["organization"],
            "project_id": step["project_id"],
            "agent_id": step["agent_id"],
            "model": step["model"],
            "day": _day(step["created_at"]),
        }
        row = rows.setdefault(
            tuple(key.values()),
            {
                **key,
                "steps": 0,
                **dict.fromkeys(COUNTED, 0),
                **dict.fromkeys(BUCKETS),
                **{_steps_of(name): 0 for name in BUCKETS},
            },
        )
        row["steps"] += 1
        for name in BUCKETS:
            row[_steps_of(name)] += step[name] is not None
        _count(row, step)
    return list(rows.values())


def _durations(events: list[StoredEvent]) -> list[Row]:
    return [
        {
            "run_id": stored.stream,
            "born": stored.event.born,
            "organization": stored.event.organization,
            "project_id": stored.event.project_id,
            "agent_id": stored.event.agent_id,
            "day": _day(stored.event.occurred_at),
            "run_ns": stored.event.run_ns,
        }
        for stored in events
        if isinstance(stored.event, ENDS) and stored.event.run_ns is not None
    ]


def _percentiles(durations: list[Row]) -> list[Row]:
    groups: dict[tuple[Any, ...], list[int]] = {}
    names = ("organization", "project_id", "agent_id", "day")
    for sample in durations:
        groups.setdefault(tuple(sample[name] for name in names), []).append(sample["run_ns"])
    return [
        dict(zip(names, key, strict=True))
        | {"runs": len(values)}
        | {f"p{p}": percentile(values, p) for p in (50, 90, 95, 99)}
        for key, values in groups.items()
    ]


def percentile(values: list[int], p: float) -> float:
    """Return the exact percentile by linear interpolation between the two nearest ranks."""
    ordered = sorted(values)
    place = p / 100 * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
