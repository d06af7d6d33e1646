"""The columns of the list of runs: what each is called, orders by, and whether it is shown."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from projections.queries.run_filter import SortKey
from runledger.records import RunRecord

ColumnKey = Literal[
    "tools",
    "started",
    "duration",
    "steps",
    "tokens",
    "stop",
    "project",
    "conversation",
    "template",
    "prompt",
    "completion",
    "feedback",
    "error",
    "cost",
]


class ListColumn(NamedTuple):
    """One column; `at_first` is whether it is shown to a reader that has chosen none.

    `order` is the order that its head leads to, and `fields` are those of a run that a file of the
    columns contains.
    """

    key: ColumnKey
    title: str
    order: SortKey | None
    fields: Sequence[str]
    at_first: bool = True
    number: bool = False


COLUMNS: Final = (
    ListColumn("tools", "Tools", None, ("tools_used",)),
    ListColumn("started", "Started", "created_at", ("created_at",)),
    ListColumn("duration", "Duration", "duration", ("run_ns",), number=True),
    ListColumn("steps", "Steps", "num_steps", ("num_steps",), number=True),
    ListColumn("tokens", "Tokens", "total_tokens", ("total_tokens",), number=True),
    ListColumn("stop", "Stop reason", "stop_reason", ("stop_reason",)),
    ListColumn("project", "Project", "project_id", ("project_id",)),
    ListColumn("conversation", "Conversation", "conversation_id", ("conversation_id",), False),
    ListColumn("template", "Template", "base_template_id", ("base_template_id",), False),
    ListColumn("prompt", "Tokens in", "prompt_tokens", ("prompt_tokens",), False, True),
    ListColumn(
        "completion", "Tokens out", "completion_tokens", ("completion_tokens",), False, True
    ),
    ListColumn("feedback", "Feedback", "feedback", ("feedback",), False),
    ListColumn("error", "Error", "error_type", ("error_type", "error_message"), False),
    ListColumn("cost", "Cost", "cost_usd", ("cost_usd", "incomplete_steps"), False, True),
)
_ALWAYS: Final = ("run_id", "status", "agent_id")


def shown_columns(chosen: Sequence[ColumnKey]) -> list[ListColumn]:
    """Return the columns of a list, in their order: those that are chosen, else those at first."""
    return [column for column in COLUMNS if (column.key in chosen if chosen else column.at_first)]


def file_fields(chosen: Sequence[ColumnKey]) -> list[str]:
    """Return the fields of a run that a file has: those of the chosen columns, else all."""
    if not chosen:
        return list(RunRecord.model_fields)
    columns = shown_columns(chosen)
    return [*_ALWAYS, *(name for column in columns for name in column.fields)]
