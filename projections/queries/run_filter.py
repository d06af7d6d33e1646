"""The filter of a list of runs: checks every parameter and selects named conditions in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypedDict, Unpack

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    Strict,
    ValidationError,
)

from projections.queries.statuses import Status
from projections.queries.where.expression import Expression, narrowed, read
from projections.read_models.catalog import queries
from runledger.errors import InvalidArgument, describe
from runledger.events import Feedback, StopReason
from runledger.messages import Truth
from runledger.span import check_span
from runledger.utc import as_utc

SQL: Final = queries("runs")
# The bound makes pydantic validate the text: half a surrogate pair is refused here, not by DuckDB.
Text = Annotated[str, Field(min_length=1)]
Words = Annotated[str, Field(min_length=0)]
Date = Annotated[AwareDatetime, Strict(), AfterValidator(as_utc)]
Operator = Literal["eq", "gt", "gte", "lt", "lte"]
SortKey = Literal[
    "created_at",
    "duration",
    "num_steps",
    "total_tokens",
    "agent_id",
    "status",
    "stop_reason",
    "project_id",
    "conversation_id",
    "base_template_id",
    "prompt_tokens",
    "completion_tokens",
    "error_type",
    "feedback",
    "cost_usd",
]
"""What a list of runs is ordered by: `duration`, `cost_usd`, or a column of the read model."""
COST: Final = "cost_usd"
"""The order by what the steps of a run cost, which lies in a table of its own."""
MAX_LIMIT: Final = 1000
Born = Mapping[str | None, int]
"""The values of `born` for the runs that a filter names, as far as they are known."""


_PAGE: Final = frozenset({"order_by", "ascending", "limit", "after", "before", "costs"})


class DurationFilter(BaseModel):
    """Keeps runs whose duration compares with `value`, in nanoseconds, by an operator."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    value: Annotated[NonNegativeInt, Strict()]
    operator: Operator = "gt"


class RunFilter(BaseModel):
    """The filters, the order and the page of a list of runs. Empty lists and texts filter nothing.

    `where` is a condition in the filter language (docs/where.md), beside the other filters.
    `duration_percentile` keeps the runs at least as slow as that percentile (0 to 100, linear
    interpolation) of exactly the runs that pass all other filters. `after` and `before` are run
    ids: the page beyond the cursor in the requested order, or the one on its near side. An order by
    anything but `created_at` is over the runs that have a value there. `costs` says that the
    runs of the page are returned with what they cost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    where: Words | None = None
    run_id: Words | None = None
    agent_id: Words | None = None
    agent_ids: list[Words] | None = None
    statuses: list[Status] | None = None
    stop_reason: StopReason | None = None
    background: Truth | None = None
    template_family: Words | None = None
    project_id: Words | None = None
    conversation_id: Words | None = None
    step_count: Annotated[NonNegativeInt, Strict()] | None = None
    step_count_operator: Operator = "eq"
    tools_used: list[Words] | None = None
    duration_filter: DurationFilter | None = None
    duration_percentile: float | None = Field(default=None, ge=0, le=100, strict=True)
    feedback: Feedback | None = None
    start_date: Date | None = None
    end_date: Date | None = None
    order_by: SortKey = "created_at"
    ascending: Truth = False
    limit: int = Field(default=50, ge=1, le=MAX_LIMIT, strict=True)
    after: Text | None = None
    before: Text | None = None
    costs: Truth = False

    @property
    def order_column(self) -> str:
        """The column of the read model that the order is by, or the SQL of the cost."""
        if self.order_by == COST:
            return SQL[COST]
        return "run_ns" if self.order_by == "duration" else self.order_by

    @property
    def cursor(self) -> str | None:
        """The id of the run at which the page begins or ends."""
        return self.after or self.before

    @property
    def expression(self) -> Expression | None:
        """What `where` says, None if it is empty; InvalidExpression for another language."""
        return read(self.where) if self.where and self.where.strip() else None

    @property
    def percentile(self) -> float | None:
        """The percentile of the duration, of either way to write it."""
        asked = self.expression
        return (
            self.duration_percentile
            if asked is None or asked.percentile is None
            else asked.percentile
        )

    def conditions(self, organization: str, born: Born) -> tuple[list[str], dict[str, Any]]:
        """Return the conditions of all filters but the percentile and `where`, and the parameters
        of all."""
        names = ["organization"]
        values: dict[str, Any] = {"organization": organization}
        if (asked := self.expression) is not None:
            values.update(asked.values)
        if self.run_id in born:
            names.append("born")
            values["born"] = born[self.run_id]
        given = {
            "run_id": self.run_id,
            "agent_id": self.agent_id,
            "agent_ids": self.agent_ids,
            "statuses": self.statuses,
            "stop_reason": self.stop_reason,
            "template_family": self.template_family,
            "project_id": self.project_id,
            "conversation_id": self.conversation_id,
            "feedback": self.feedback,
        }
        tools = self.tools_used or []
        if len(tools) == 1:
            given["tool"] = tools[0]
        else:
            given["tools_used"] = tools
        for name, value in given.items():
            if value:
                names.append(name)
                values[name] = value
        times: dict[str, datetime | bool | None] = {
            "background": self.background,
            "start_date": self.start_date,
            "end_date": self.end_date,
        }
        for name, moment in times.items():
            if moment is not None:
                names.append(name)
                values[name] = moment
        if self.step_count is not None:
            names.append(f"step_count_{self.step_count_operator}")
            values["step_count"] = self.step_count
        if self.duration_filter is not None:
            names.append(f"duration_{self.duration_filter.operator}")
            values["duration"] = self.duration_filter.value
        return names, values


class RunConditions(TypedDict, total=False):
    """The filters of RunFilter as keywords of a call; None and empty lists filter nothing."""

    where: str | None
    run_id: str | None
    agent_id: str | None
    agent_ids: Sequence[str] | None
    statuses: Sequence[Status] | None
    stop_reason: StopReason | None
    background: bool | None
    template_family: str | None
    project_id: str | None
    conversation_id: str | None
    step_count: int | None
    step_count_operator: Operator
    tools_used: Sequence[str] | None
    duration_filter: DurationFilter | Mapping[str, Any] | None
    duration_percentile: float | None
    start_date: datetime | None
    end_date: datetime | None
    feedback: Feedback | None


class RunFilters(RunConditions, total=False):
    """The fields of RunFilter as keywords of a call, with the order and the page."""

    order_by: SortKey
    ascending: bool
    limit: int
    after: str | None
    before: str | None
    costs: bool


def run_filter(call: str, /, **filters: Unpack[RunFilters]) -> RunFilter:
    """Return the checked filter of a call.

    Raises:
        InvalidArgument: if a parameter is wrong; the message names every wrong parameter.
    """
    try:
        made = RunFilter.model_validate(filters)
    except ValidationError as e:
        raise InvalidArgument(f"{call}: {describe(e)}") from e
    check_span(call, start_date=made.start_date, end_date=made.end_date)
    if made.after is not None and made.before is not None:
        raise InvalidArgument(f"{call}: expected `after` or `before`, found both")
    if made.step_count is None and made.step_count_operator != "eq":
        raise InvalidArgument(
            f"{call}: expected a step_count beside step_count_operator, "
            f"found {made.step_count_operator!r} alone"
        )
    asked = made.expression
    if asked is not None and asked.percentile is not None and made.duration_percentile is not None:
        raise InvalidArgument(f"{call}: expected one percentile, found one in `where` and another")
    return made


def unpaged_filter(call: str, /, **filters: Unpack[RunConditions]) -> RunFilter:
    """Return the checked filter of a call without pages; parameters of order and page are
    refused."""
    if of_a_page := sorted(_PAGE & filters.keys()):
        raise InvalidArgument(f"{call}: expected filters alone, found {', '.join(of_a_page)}")
    return run_filter(call, **filters)


def where(names: list[str], asked: Expression | None = None) -> str:
    """Return the named conditions and those of an expression, joined."""
    named = " WHERE " + " AND ".join(SQL[name] for name in names)
    return named if asked is None else narrowed(named, asked.condition)
