"""The filter of a list of steps over runs: checks every parameter and selects conditions in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from projections.queries.run_filter import MAX_LIMIT, Date, Text, Words
from projections.read_models.catalog import queries
from runledger.errors import InvalidArgument, describe
from runledger.events import Feedback
from runledger.messages import Truth
from runledger.span import check_span

SQL: Final = queries("steps")


class StepFilter(BaseModel):
    """The filters, the order and the page of a list of steps. Empty lists and texts filter nothing.

    `trace_ids` and `tags` keep the steps that have any of them, `has_feedback` those with or
    without feedback. `start_date` is included, `end_date` is not. `after` and `before` are step
    ids: the page beyond the cursor in the requested order, or the one on its near side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    run_id: Words | None = None
    agent_id: Words | None = None
    model: Words | None = None
    project_id: Words | None = None
    trace_ids: list[Words] | None = None
    tags: list[Words] | None = None
    feedback: Feedback | None = None
    has_feedback: Truth | None = None
    start_date: Date | None = None
    end_date: Date | None = None
    order: Literal["asc", "desc"] = "desc"
    limit: int = Field(default=50, ge=1, le=MAX_LIMIT, strict=True)
    after: Text | None = None
    before: Text | None = None

    @property
    def cursor(self) -> str | None:
        """The id of the step at which the page begins or ends."""
        return self.after or self.before

    def conditions(self, organization: str) -> tuple[list[str], dict[str, Any]]:
        """Return the names of the conditions of all filters, and their parameters."""
        given: dict[str, Any] = {
            "organization": organization,
            "run_id": self.run_id,
            "agent_id": self.agent_id,
            "model": self.model,
            "project_id": self.project_id,
            "trace_ids": self.trace_ids,
            "tags": self.tags,
            "feedback": self.feedback,
            "start_date": self.start_date,
            "end_date": self.end_date,
        }
        values = {name: value for name, value in given.items() if value}
        if self.has_feedback is not None:
            values["has_feedback"] = self.has_feedback
        return list(values), values


class StepFilters(TypedDict, total=False):
    """The fields of StepFilter as keywords of a call; None and empty lists filter nothing."""

    run_id: str | None
    agent_id: str | None
    model: str | None
    project_id: str | None
    trace_ids: Sequence[str] | None
    tags: Sequence[str] | None
    start_date: datetime | None
    end_date: datetime | None
    feedback: Feedback | None
    has_feedback: bool | None
    order: Literal["asc", "desc"]
    limit: int
    after: str | None
    before: str | None


def step_filter(call: str, /, **filters: Unpack[StepFilters]) -> StepFilter:
    """Return the checked filter of a call; raise InvalidArgument that names every fault."""
    try:
        made = StepFilter.model_validate(filters)
    except ValidationError as e:
        raise InvalidArgument(f"{call}: {describe(e)}") from e
    check_span(call, exclusive=True, start_date=made.start_date, end_date=made.end_date)
    if made.after is not None and made.before is not None:
        raise InvalidArgument(f"{call}: expected `after` or `before`, found both")
    return made
