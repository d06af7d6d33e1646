"""The runs of an organization, folded from the stored events by plain Python, and filtered so."""

import json
import operator
from collections.abc import Iterable
from datetime import datetime
from math import ceil, floor
from typing import Any

from runledger.store.protocol import StoredRow

COMPARE = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def run_rows(log: Iterable[StoredRow], organization: str) -> list[dict[str, Any]]:
    """Return what the log says of each run that is not deleted, in the order of creation."""
    runs: dict[str, dict[str, Any]] = {}
    for row in log:
        facts = json.loads(row.facts)
        if facts["organization"] != organization or not row.topic.startswith("run."):
            continue
        run = runs.setdefault(
            row.stream,
            {"run_id": row.stream, "status": "created", "stop_reason": None, "run_ns": None,
             "num_steps": 0, "total_tokens": 0, "prompt_tokens": 0, "completion_tokens": 0,
             "error_type": None, "tools": set(), "ended": False,
             "feedback": None},
        )  # fmt: skip
        _apply(run, row.topic, facts)
    return [run for run in runs.values() if not run.get("deleted")]


def _apply(run: dict[str, Any], topic: str, facts: dict[str, Any]) -> None:
    if topic == "run.created":
        run.update(
            {
                name: facts.get(name)
                for name in (
                    "agent_id", "project_id", "conversation_id", "base_template_id", "background")
            },
            created_at=datetime.fromisoformat(facts["occurred_at"]),
        )  # fmt: skip
    elif topic in ("run.completed", "run.failed", "run.cancelled"):
        run.update(status=topic.removeprefix("run."), stop_reason=facts["stop_reason"])
        if not run["ended"]:
            run.update(ended=True, run_ns=facts.get("run_ns"), error_type=facts.get("error_type"))
    elif topic == "run.feedback_recorded":
        run["feedback"] = facts.get("feedback")
    elif topic == "run.deleted":
        run["deleted"] = True
    elif topic in ("run.started", "run.step_recorded", "run.messages_recorded"):
        if run["status"] == "created":
            run["status"] = "running"
        run["num_steps"] += topic == "run.step_recorded"
        for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
            run[name] += facts.get(name) or 0
        for message in facts.get("messages", ()):
            for call in message.get("tool_calls", ()):
                run["tools"] |= {call["name"], call.get("tool_id")}


def matching(rows: list[dict[str, Any]], asked: dict[str, Any]) -> list[str]:
    """Return the ids of the runs that a list with these parameters shows, unpaged, in order."""
    kept = [row for row in rows if all(_keeps(row, name, asked) for name in asked)]
    if asked.get("duration_percentile") is not None:
        kept = [row for row in kept if row["run_ns"] is not None]
        if kept:
            threshold = percentile([row["run_ns"] for row in kept], asked["duration_percentile"])
            kept = [row for row in kept if row["run_ns"] >= threshold]
    order_by = asked.get("order_by") or "created_at"
    if order_by != "created_at":
        # Equal values are in the order of the log, in which the rows come.
        column = "run_ns" if order_by == "duration" else order_by
        having = [row for row in kept if row[column] is not None]
        order = [(row[column], place, row) for place, row in enumerate(having)]
    else:
        order = [(row["created_at"], row["run_id"], row) for row in kept]
    order.sort(key=lambda entry: entry[:2], reverse=not asked.get("ascending"))
    kept = [row for _, _, row in order]
    return [row["run_id"] for row in kept]


def percentile(values: list[int], percent: float) -> float:
    """Return the percentile with linear interpolation."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * (percent / 100)
    low, high = ordered[floor(place)], ordered[ceil(place)]
    return low + (high - low) * (place - floor(place))


def _keeps(row: dict[str, Any], name: str, asked: dict[str, Any]) -> bool:
    value = asked[name]
    match name:
        case "statuses":
            return not value or row["status"] in value
        case "agent_ids":
            return not value or row["agent_id"] in value
        case "background":
            return value is None or bool(row["background"]) == value
        case "step_count":
            return COMPARE[asked.get("step_count_operator", "eq")](row["num_steps"], value)
        case "tools_used":
            return not value or not row["tools"].isdisjoint(value)
        case "duration_filter":
            return row["run_ns"] is not None and COMPARE[value["operator"]](
                row["run_ns"], value["value"]
            )
        case "start_date":
            return bool(row["created_at"] >= value)
        case "end_date":
            return bool(row["created_at"] <= value)
        case "template_family":
            return bool(row["base_template_id"] == value)
        case "run_id" | "agent_id" | "stop_reason" | "project_id" | "conversation_id" | "feedback":
            return bool(row[name] == value)
    return True
