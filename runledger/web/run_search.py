"""Which runs the list shows, as its address says it: every filter of `list_runs` by its name."""

from typing import Any, Final

from pydantic import Field

from projections.queries.run_filter import Operator, RunConditions, RunFilters, SortKey
from projections.queries.statuses import Status
from runledger.events import Feedback, StopReason
from runledger.parameters import last_moment, moment, nanoseconds, position_or_moment
from runledger.server.route import Strict
from runledger.web.run_columns import ColumnKey

COMPARED: Final = {"eq": "=", "gt": ">", "gte": "≥", "lt": "<", "lte": "≤"}


class AsOfNow(Strict):
    """`as_of` is a position of the log or a time: every number of the view is as it was then."""

    as_of: str | None = None

    def past(self) -> dict[str, Any]:
        """Return the argument of the ledger's methods."""
        return {} if self.as_of is None else {"as_of": position_or_moment(self.as_of)}


class RunSearch(AsOfNow):
    """The filters, the order and the page of a list of runs, as texts of an address.

    `duration` is a duration such as `90s` or `3m`; a time without a zone is UTC. `columns` are
    those that the table shows; none are the ones that it shows at first.
    """

    where: str | None = None
    run_id: str | None = None
    agent_id: str | None = None
    agent_ids: list[str] = Field(default_factory=list)
    statuses: list[Status] = Field(default_factory=list)
    stop_reason: StopReason | None = None
    background: bool | None = None
    template_family: str | None = None
    project_id: str | None = None
    conversation_id: str | None = None
    step_count: int | None = Field(default=None, ge=0)
    step_count_operator: Operator = "eq"
    tools_used: list[str] = Field(default_factory=list)
    duration: str | None = None
    duration_operator: Operator = "gte"
    duration_percentile: float | None = Field(default=None, ge=0, le=100)
    feedback: Feedback | None = None
    start_date: str | None = None
    end_date: str | None = None
    order_by: SortKey = "created_at"
    ascending: bool = False
    limit: int = Field(default=50, ge=1, le=1000)
    after: str | None = None
    before: str | None = None
    columns: list[ColumnKey] = Field(default_factory=list)

    def conditions(self) -> RunConditions:
        """Return the filters alone; raise InvalidArgument for a time or a duration that is none."""
        made = RunConditions(
            where=self.where,
            run_id=self.run_id,
            agent_id=self.agent_id,
            agent_ids=self.agent_ids,
            statuses=self.statuses,
            stop_reason=self.stop_reason,
            background=self.background,
            template_family=self.template_family,
            project_id=self.project_id,
            conversation_id=self.conversation_id,
            tools_used=self.tools_used,
            duration_percentile=self.duration_percentile,
            feedback=self.feedback,
        )
        if self.step_count is not None:
            made["step_count"] = self.step_count
            made["step_count_operator"] = self.step_count_operator
        if self.duration is not None:
            made["duration_filter"] = {
                "value": nanoseconds(self.duration),
                "operator": self.duration_operator,
            }
        if self.start_date is not None:
            made["start_date"] = moment(self.start_date)
        if self.end_date is not None:
            made["end_date"] = last_moment(self.end_date)
        return made

    def filters(self) -> RunFilters:
        """Return the filters with the order and the page."""
        return RunFilters(
            **self.conditions(),
            order_by=self.order_by,
            ascending=self.ascending,
            limit=self.limit,
            after=self.after,
            before=self.before,
            costs="cost" in self.columns,
        )


class Chip(Strict):
    """A filter in words, and which parameter says it."""

    words: str
    name: str
    value: str | None = None


_WORDS: Final = {
    "where": "where",
    "run_id": "run",
    "agent_id": "agent",
    "stop_reason": "stop reason",
    "template_family": "template",
    "project_id": "project",
    "conversation_id": "conversation",
    "feedback": "feedback",
    "start_date": "started since",
    "end_date": "started until",
}
_MANY: Final = {"agent_ids": "agent", "statuses": "status", "tools_used": "tool"}


def chips(search: RunSearch) -> list[Chip]:
    """Return every filter that is set, in words."""
    made = [
        Chip(words=f"{words} {getattr(search, name)}", name=name)
        for name, words in _WORDS.items()
        if getattr(search, name) is not None
    ]
    made += [
        Chip(words=f"{words} {value}", name=name, value=value)
        for name, words in _MANY.items()
        for value in getattr(search, name)
    ]
    if search.background is not None:
        words = "in the background" if search.background else "not in the background"
        made.append(Chip(words=words, name="background"))
    if search.step_count is not None:
        sign = COMPARED[search.step_count_operator]
        made.append(Chip(words=f"steps {sign} {search.step_count}", name="step_count"))
    if search.duration is not None:
        sign = COMPARED[search.duration_operator]
        made.append(Chip(words=f"duration {sign} {search.duration}", name="duration"))
    if search.duration_percentile is not None:
        words = f"slower than {search.duration_percentile:g} % of these"
        made.append(Chip(words=words, name="duration_percentile"))
    return made
