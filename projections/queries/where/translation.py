"""The filters of a list of runs as one expression of the filter language."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from projections.queries.run_filter import RunFilter
from projections.queries.where.expression import read
from runledger.sql_file import literal

_SIGNS: Final = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def expression_of(asked: RunFilter) -> str:
    """Return the expression that keeps the same runs as a filter; `true` if it keeps all.

    The order and the page are not part of it.
    """
    return " AND ".join(_conditions(asked)) or "true"


def both(*texts: str | None) -> str | None:
    """Return expressions joined by AND; None if there is none.

    Raises:
        InvalidExpression: if one of them is not in the language.
    """
    return " AND ".join(_part(text) for text in texts if text and text.strip()) or None


def _part(text: str) -> str:
    # The line break ends a comment in it. A percentile is only understood beside the others, and
    # an expression that has one is joined by AND already.
    ended = f"{text.strip()}\n" if "--" in text else text.strip()
    return f"({ended})" if read(text).percentile is None else ended


def _conditions(asked: RunFilter) -> Iterator[str]:
    if asked.where and asked.where.strip():
        yield _part(asked.where)
    equal = {
        "run_id": asked.run_id,
        "agent_id": asked.agent_id,
        "stop_reason": asked.stop_reason,
        "base_template_id": asked.template_family,
        "project_id": asked.project_id,
        "conversation_id": asked.conversation_id,
        "feedback": asked.feedback,
    }
    yield from (f"{name} = {literal(value)}" for name, value in equal.items() if value)
    for name, values in (("agent_id", asked.agent_ids), ("status", asked.statuses)):
        if values:
            yield f"{name} IN ({', '.join(literal(value) for value in values)})"
    if asked.background is not None:
        # A run without the fact counts as not in the background.
        yield "background IS TRUE" if asked.background else "background IS NOT TRUE"
    if asked.step_count is not None:
        yield f"num_steps {_SIGNS[asked.step_count_operator]} {asked.step_count}"
    if asked.tools_used:
        yield _tools(asked.tools_used)
    if asked.duration_filter is not None:
        yield f"run_ns {_SIGNS[asked.duration_filter.operator]} {asked.duration_filter.value}"
    if asked.start_date is not None:
        yield f"created_at >= {_time(asked.start_date)}"
    if asked.end_date is not None:
        yield f"created_at <= {_time(asked.end_date)}"
    if asked.duration_percentile is not None:
        yield f"percentile(duration) >= {asked.duration_percentile!r}"


def _tools(tools: Sequence[str]) -> str:
    found = (
        f"list_contains({column}, {literal(tool)})"
        for tool in tools
        for column in ("tools_used", "tool_ids")
    )
    return f"({' OR '.join(found)})"


def _time(moment: datetime) -> str:
    return literal(moment.isoformat())
