"""Lists of steps over runs, and single steps by their ids, from the read model `steps`."""

import json
from collections.abc import Callable
from typing import Any, Final

from projections.queries.step_filter import SQL, StepFilter
from runledger.errors import NotFound
from runledger.records import StepView

Rows = Callable[[str, dict[str, Any]], list[dict[str, Any]]]
"""Returns the rows of a statement with its parameters."""

_JSON: Final = (
    "prompt_tokens_details",
    "completion_tokens_details",
    "usage_details",
    "error_data",
)


def list_steps(rows: Rows, organization: str, asked: StepFilter) -> list[StepView]:
    """Return a page of steps in the requested order; NotFound for an unknown cursor."""
    names, values = asked.conditions(organization)
    backwards = asked.before is not None
    ascending = (asked.order == "asc") != backwards
    if asked.cursor is not None:
        at = _one(rows, "cursor", organization, asked.cursor, "it is the cursor of a page")
        values.update(cursor_time=at["created_at"], cursor_position=at["position"])
        names.append("newer" if ascending else "older")
    order = SQL["oldest_first" if ascending else "newest_first"]
    found = rows(f"{SQL['select']} {_where(names)} {order}", {**values, "limit": asked.limit})
    views = [_view(row) for row in found]
    return views[::-1] if backwards else views


def get_step(rows: Rows, organization: str, step_id: str) -> StepView:
    """Return a step; NotFound if no run of the organization has it."""
    return _view(_one(rows, "select", organization, step_id))


def _one(
    rows: Rows, statement: str, organization: str, step_id: str, hint: str = ""
) -> dict[str, Any]:
    scope = {"organization": organization, "step_id": step_id}
    found = rows(SQL[statement] + _where(list(scope)), scope)
    if not found:
        raise NotFound("step", step_id, hint)
    return found[0]


def _where(names: list[str]) -> str:
    return " WHERE " + " AND ".join(SQL[name] for name in names)


def _view(row: dict[str, Any]) -> StepView:
    parsed = {name: json.loads(row[name]) for name in _JSON if row[name] is not None}
    return StepView(**{**row, **parsed})
