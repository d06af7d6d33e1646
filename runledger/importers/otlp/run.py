"""The spans of a trace → its runs: a pure function of the set of spans, not of their order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from runledger.ids import derived_id, foreign_id
from runledger.importers.otlp.conventions import Conventions, conventions
from runledger.importers.otlp.conversation import Conversation
from runledger.importers.otlp.counting import Counting, counted
from runledger.importers.otlp.groups import Group, groups
from runledger.importers.otlp.reading import LONGEST_FACT, Reader, as_text
from runledger.importers.otlp.span import Span
from runledger.importers.otlp.step import LONGEST_MESSAGE, moment, step_facts
from runledger.importers.otlp.tool import ToolRun, tool_runs
from runledger.importers.otlp.trace import Node, trees
from runledger.importers.recorder import Timed
from runledger.messages import Function, Message, ToolCall, ToolReturn
from runledger.run import commands as c

SOURCE: Final = "otel"
LARGEST_METADATA: Final = 16_384
"""Characters of attributes that a run's metadata holds: of its own span, and of the resource."""
PART_OF: Final = "otel.part_of"
"""The key of the metadata of a run that turned out to be a part of another one, which it names."""
_MOST: Final = 50


class Recorded(NamedTuple):
    """What is recorded of a run: the steps with their own numbers, all ids of steps and messages,
    the steps that have counts of tokens, and whether it is marked as a part of another run."""

    counted: Set[str] = frozenset()
    ids: Set[str] = frozenset()
    reported: Set[str] = frozenset()
    part: bool = False


class Dropped(NamedTuple):
    """How many spans of a trace are no longer kept, and the runs that were made while they were."""

    spans: int
    runs: Sequence[str]


class Trace:
    """The spans of one trace, sorted out."""

    def __init__(
        self,
        spans: Iterable[Span],
        organization: str,
        table: Conventions | None = None,
        dropped: Dropped | None = None,
    ) -> None:
        """Sort out the spans of one trace, given in any order, some perhaps more than once.

        dropped: what is known of spans that came before and are no longer kept; spans whose parent
            may be among them belong to the runs that were made of them.
        """
        self.reader = Reader(table or conventions())
        self.nodes = trees(spans, self.reader)
        self.trace_id = self.nodes[0].span.trace_id if self.nodes else ""
        self._organization = organization
        self.dropped = dropped.spans if dropped else 0
        self.groups = groups(self.nodes)
        if dropped and dropped.runs:
            self.groups = self._adopted(dropped.runs)

    def run_id(self, group: Group) -> str:
        """Return the id of a run."""
        own = derived_id("run", SOURCE, self._organization, self.trace_id, group.key)
        return group.run_id or own

    def _adopted(self, runs: Sequence[str]) -> list[Group]:
        """Return the groups, those without a root as parts of runs that are recorded."""
        found: dict[str, Group] = {}
        for group in self.groups:
            run_id = self.run_id(group)
            if any(node.top.orphan for node in group.nodes):
                run_id = run_id if run_id in runs else runs[0]
                adopted = found.setdefault(run_id, Group(group.key, None, run_id))
                adopted.nodes.extend(group.nodes)
            elif run_id in found:
                group.nodes.extend(found[run_id].nodes)
                found[run_id] = group
            else:
                found[run_id] = group
        for group in found.values():
            group.nodes.sort(key=lambda node: node.order)
        return sorted(found.values(), key=lambda group: (group.start_ns, group.key))

    @property
    def logged(self) -> bool:
        """Whether only log events report it, by session: no span will have its end."""
        rows = [self.reader.log(node.span) for node in self.nodes]
        return bool(rows) and all(row is not None and row.program for row in rows)

    def runs(self, recorded: Mapping[str, Recorded] | None = None) -> list["Run"]:
        """Return the runs.

        recorded: what is recorded of this trace, by the ids of its runs; a step that is recorded
            counts, and stays in its run, even if spans that came later would say otherwise.
        """
        known = recorded or {}
        recorded_spans, place = self._recorded(known)
        counting = counted(self.nodes, recorded_spans, self._below_recorded(known))
        return [
            Run(self.run_id(group), group, self.reader, counting, place, self.dropped)
            for group in self.groups
        ]

    def twice(self, recorded: Mapping[str, Recorded]) -> list[Node]:
        """Return the spans whose numbers are recorded although a span above was with the same."""
        return counted(self.nodes, self._recorded(recorded)[0]).twice

    def _below_recorded(self, known: Mapping[str, Recorded]) -> Set[str]:
        """Return the ids of spans whose parent is no longer kept, and was recorded with counts."""
        orphans = [node.span for node in self.nodes if self.dropped and node.orphan]
        return {
            span.span_id
            for span in orphans
            for run_id, one in known.items()
            if derived_id("step", run_id, span.parent_id) in one.reported
        }

    def _recorded(self, known: Mapping[str, Recorded]) -> tuple[Set[str], Mapping[str, str]]:
        """Return the ids of spans that are recorded as steps, and the runs where spans are."""
        recorded_spans: set[str] = set()
        place: dict[str, str] = {}
        for run_id in sorted(known):
            for node in self.nodes:
                span_id = node.span.span_id
                step_id = derived_id("step", run_id, span_id)
                if step_id in known[run_id].counted:
                    recorded_spans.add(span_id)
                if step_id in known[run_id].ids or _called(run_id, span_id) in known[run_id].ids:
                    place.setdefault(span_id, run_id)
        return recorded_spans, place


@dataclass(slots=True, frozen=True)
class Run:
    """A run of a trace."""

    run_id: str
    group: Group
    reader: Reader
    counting: Counting
    place: Mapping[str, str]
    """Ids of spans that are recorded → the run that they are recorded in."""
    dropped: int = 0
    """Spans of the trace that came before and are no longer kept."""

    @property
    def agent_name(self) -> str:
        """The name of the agent, else that of the service."""
        head = self.group.head
        named = None if head is None else self.reader.fact(head.span, "agent")
        names = (self.reader.fact(node.span, "agent") for node in self.group.nodes)
        return named or next((name for name in names if name), None) or self._service or "otel"

    @property
    def has_head(self) -> bool:
        """Whether the span that is the run has come."""
        return self.group.head is not None

    @property
    def names_agent(self) -> bool:
        """Whether any span names the agent."""
        return any(self.reader.fact(node.span, "agent") for node in self.group.nodes)

    @property
    def agent_id(self) -> str:
        """The id of the agent."""
        return foreign_id("agent", self.agent_name)

    @property
    def _service(self) -> str | None:
        names = (as_text(node.span.resource.get("service.name")) for node in self.group.nodes)
        return next((name for name in names if name), None)

    @property
    def steps(self) -> list[Node]:
        """The spans that become steps of this run."""
        inside = {node.span.span_id for node in self.group.nodes}
        return [
            node
            for node in self.counting.steps
            if node.span.span_id in inside and self._is_here(node)
        ]

    @property
    def tools(self) -> list[ToolRun]:
        """The tools that ran in this run."""
        ran = tool_runs(self.group.nodes, self.reader)
        return [tool for tool in ran if self._is_here(tool.node)]

    def _is_here(self, node: Node) -> bool:
        return self.place.get(node.span.span_id, self.run_id) == self.run_id

    def commands(self, *, ended: bool = True) -> Iterator[Timed]:
        """Yield what happened with its times.

        ended: whether to end a run whose own span is missing, by its last span; False while that
            one may still come.
        """
        began = moment(self.group.start_ns)
        yield began, self._creation()
        yield began, c.StartRun()
        steps, step_of = self.steps, dict[str, str]()
        events: list[tuple[int, int, str, Node | ToolRun]] = [
            (node.span.start_ns, 0, node.span.span_id, node) for node in steps
        ]
        events += [
            (tool.node.span.start_ns, 1, tool.node.span.span_id, tool) for tool in self.tools
        ]
        last, conversation = "", Conversation(self.run_id, self.reader)
        for start_ns, _, span_id, one in sorted(events, key=lambda event: event[:3]):
            if isinstance(one, ToolRun):
                agent = one.node.agent.span.span_id if one.node.agent else ""
                yield from self._tool(one, step_of.get(agent, last) or None)
                continue
            step_id = derived_id("step", self.run_id, span_id)
            around = self._around(one)
            facts = step_facts(one, self.reader, around, bare=span_id in self.counting.bare)
            sources = [one, *around, *(below for below in one.children if below.record)]
            ended_at = moment(max(start_ns, one.span.end_ns))
            asked, answers = conversation.call(sources, moment(start_ns), ended_at, step_id)
            if asked:
                yield moment(start_ns), c.RecordMessages(asked)
            yield moment(start_ns), c.RecordStep(step_id, facts, answers)
            last = step_of[one.agent.span.span_id if one.agent else ""] = step_id
        inside = {node.span.span_id for node in self.group.nodes}
        twice = [n.span.span_id for n in self.counting.twice if n.span.span_id in inside]
        if twice:
            yield moment(self.group.end_ns), c.PatchMetadata({"otel.counted_twice": twice})
        if self.dropped:
            without = {"otel.assembled_without": self.dropped}
            yield moment(self.group.end_ns), c.PatchMetadata(without)
        if ended or self.group.head is not None:
            yield moment(self.group.end_ns), self._end()

    def _around(self, node: Node) -> list[Node]:
        """Return the wrappers of a call that wrap no other call that counts, the nearest first."""
        families: dict[str, int] = {}
        for step in self.counting.steps:
            one = step.wrapper
            while one is not None:
                families[one.span.span_id] = families.get(one.span.span_id, 0) + 1
                one = one.wrapper
        found, wrapper = [], node.wrapper
        while wrapper is not None:
            if families.get(wrapper.span.span_id) == 1:
                found.append(wrapper)
            wrapper = wrapper.wrapper
        return found

    def _creation(self) -> c.CreateRun:
        named = (self.reader.fact(node.span, "conversation") for node in self._head_first())
        conversation = next((text for text in named if text), None)
        spaces = (as_text(n.span.resource.get("service.namespace")) for n in self._head_first())
        return c.CreateRun(
            self.agent_id,
            project_id=next((space for space in spaces if space), None),
            conversation_id=foreign_id("conversation", conversation) if conversation else None,
            metadata=self._metadata(conversation),
        )

    def _head_first(self) -> list[Node]:
        head = self.group.head
        return [*([head] if head else []), *self.group.nodes]

    def _metadata(self, conversation: str | None) -> dict[str, Any]:
        nodes, head = self.group.nodes, self.group.head
        resource: dict[str, Any] = {}
        for node in nodes:
            resource |= node.span.resource
        scopes = {f"{n.span.scope_name} {n.span.scope_version}".strip() for n in nodes}
        links = sorted({link for node in nodes for link in node.span.links})
        facts: dict[str, Any] = {
            "source": SOURCE,
            "trace_id": nodes[0].span.trace_id,
            "session_id": conversation,
            "agent_name": self.agent_name,
            "otel.name": head.span.name[:LONGEST_FACT] if head else None,
            "otel.span_id": self.group.key,
            "otel.head_missing": None if head else True,
            "otel.resource": _fitting(sorted(resource.items())),
            "otel.scopes": sorted(scope[:LONGEST_FACT] for scope in scopes if scope)[:_MOST],
            "otel.linked_traces": links[:_MOST],
            "otel.left_out": self._left_out(),
            "otel.attributes": _fitting(self.reader.unmapped(head.span)) if head else {},
        }
        return {key: value for key, value in facts.items() if value not in (None, [], {}, "")}

    def _left_out(self) -> list[dict[str, Any]]:
        """Return the numbers that spans of this run report and that are not added."""
        inside = {node.span.span_id for node in self.group.nodes}
        return [
            {
                "span_id": one.node.span.span_id,
                "name": one.node.span.name[:LONGEST_FACT],
                "input": one.node.counts.input,
                "output": one.node.counts.output,
                "because": one.reason,
            }
            for one in self.counting.left_out
            if one.node.span.span_id in inside
        ][:_MOST]

    def _tool(self, tool: ToolRun, step_id: str | None) -> Iterator[Timed]:
        span = tool.node.span
        began, ended = moment(span.start_ns), moment(max(span.start_ns, span.end_ns))
        function = Function(name=tool.name, arguments=tool.arguments)
        called = self._message(
            "assistant",
            f"{span.span_id}/call",
            began,
            step_id=step_id,
            tool_calls=[ToolCall(id=tool.call_id, function=function)],
        )
        returned = ToolReturn(
            tool_call_id=tool.call_id,
            status="error" if tool.failed else "success",
            func_response=tool.result,
        )
        result = self._message(
            "tool",
            f"{span.span_id}/return",
            ended,
            step_id=step_id,
            tool_call_id=tool.call_id,
            tool_returns=[returned],
        )
        yield began, c.RecordMessages([called])
        yield ended, c.RecordMessages([result])

    def _message(self, role: str, key: str, at: datetime, **fields: Any) -> Message:
        message_id = derived_id("message", self.run_id, key)
        return Message.model_validate({"id": message_id, "role": role, "created_at": at, **fields})

    def _end(self) -> c.CompleteRun | c.FailRun | c.CancelRun:
        run_ns = self.group.end_ns - self.group.start_ns
        took = run_ns if run_ns < 2**63 else None
        head = self.group.head
        if head is None or not head.span.failed:
            return c.CompleteRun("end_turn", took)
        reason = head.span.status_message[:LONGEST_MESSAGE] or None
        if self.reader.cancelled(head.span):
            return c.CancelRun(reason or self.reader.error(head.span), took)
        return c.FailRun("error", self.reader.error(head.span), reason, run_ns=took)


def _called(run_id: str, span_id: str) -> str:
    """Return the id of the message by which a tool's span is recorded as called."""
    return derived_id("message", run_id, f"{span_id}/call")


def _fitting(attributes: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return attributes in their order, as far as there is room for them."""
    room, kept = LARGEST_METADATA, dict[str, Any]()
    for name, value in attributes:
        size = len(name) + len(as_text(value) or "")
        if size <= room:
            kept[name] = value
            room -= size
    return kept


def by_trace(spans: Iterable[Span]) -> Mapping[str, list[Span]]:
    """Return spans by the ids of their traces."""
    found: dict[str, list[Span]] = {}
    for span in spans:
        found.setdefault(span.trace_id, []).append(span)
    return found
