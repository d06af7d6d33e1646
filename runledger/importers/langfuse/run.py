"""The pure mapping of a trace to a run."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from runledger.errors import InvalidArgument
from runledger.ids import derived_id, foreign_id
from runledger.importers.foreign import Foreign, digest_of
from runledger.importers.langfuse.observation import (
    Kind,
    Observation,
    model_calls,
    observation,
    roots,
)
from runledger.importers.recorder import DIGEST, Timed
from runledger.messages import Function, Message, TextContent, ToolCall, ToolReturn
from runledger.run import commands as c

SOURCE: Final = "langfuse"
_CACHE_READ: Final = (
    "input_cached_tokens",
    "cache_read_input_tokens",
    "input_cache_read",
    "prompt_details.cache_read",
)
_CACHE_WRITE: Final = (
    "cache_creation_input_tokens",
    "input_cache_creation",
    "prompt_details.cache_write",
)
_REASONING: Final = (
    "output_reasoning_tokens",
    "output_reasoning",
    "completion_details.reasoning",
)
_PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_KEPT: Final = ("name", "environment", "release", "version", "tags", "userId", "totalCost")


class Trace:
    """One trace of an export: its commands and its identity."""

    def __init__(self, given: dict[str, Any], organization: str) -> None:
        """Read the trace; InvalidArgument with the place if the content is wrong."""
        inner = given.get("trace")
        self._trace = Foreign(inner if isinstance(inner, dict) else given, "trace")
        holder = Foreign(given) if "observations" in given else self._trace
        self.trace_id = self._trace.text("id") or ""
        if not self.trace_id:
            raise self._trace.fault("id", "the id of the trace")
        self._observations = [observation(one) for one in holder.objects("observations")]
        if not self._observations:
            raise holder.fault("observations", "a list of observations")
        project = self._trace.text("projectId") or ""
        self.run_id = derived_id("run", SOURCE, organization, project, self.trace_id)
        self.digest = digest_of(given)
        self.agent_name = self._trace.text("name") or "langfuse"
        self.agent_id = foreign_id("agent", self.agent_name)

    def commands(self) -> Iterator[Timed]:
        """Yield the commands with their times; InvalidArgument if the content is wrong."""
        tops = roots(self._observations)
        began = min(one.began for one in self._observations)
        ended = max(one.ended or one.began for one in self._observations)
        session = self._trace.text("sessionId")
        yield (
            began,
            c.CreateRun(
                self.agent_id,
                conversation_id=foreign_id("conversation", session) if session else None,
                metadata=self._metadata(session),
            ),
        )
        yield began, c.StartRun()
        asked = _text(self._trace.fields.get("input"))
        if asked:
            yield began, c.RecordMessages([self._message("user", "input", asked, began)])
        yield from self._calls(tops)
        answered = _text(self._trace.fields.get("output"))
        if answered:
            yield ended, c.RecordMessages([self._message("assistant", "output", answered, ended)])
        yield ended, self._end(tops, (ended - began).total_seconds())

    def _calls(self, tops: list[Observation]) -> Iterator[Timed]:
        calls = model_calls(tops)
        tools = sorted(self._tools(tops), key=lambda one: one.began)
        events = [*((one.began, 0, one) for one in calls), *((one.began, 1, one) for one in tools)]
        step_id: str | None = None
        for _, is_tool, one in sorted(events, key=lambda event: event[:2]):
            if is_tool:
                yield from self._tool(one, step_id)
            else:
                step_id = derived_id("step", self.run_id, one.observation_id)
                yield one.ended or one.began, c.RecordStep(step_id, _facts(one, self.trace_id))

    def _tools(self, observations: list[Observation], above: str = "") -> Iterator[Observation]:
        """Yield the tool calls; a call nested in one of the same name is the same call."""
        for one in observations:
            name = _tool_name(one) if one.kind is Kind.TOOL else ""
            if name and name != above:
                yield one
            yield from self._tools(one.children, name or above)

    def _tool(self, one: Observation, step_id: str | None) -> Iterator[Timed]:
        call_id = one.attribute("gen_ai.tool.call.id", "tool_call.id") or one.observation_id
        function = Function(
            name=_tool_name(one), arguments=_text(one.source.fields.get("input")) or "{}"
        )
        called = self._message(
            "assistant",
            f"{one.observation_id}/call",
            None,
            one.began,
            step_id=step_id,
            tool_calls=[ToolCall(id=call_id, function=function)],
        )
        yield one.began, c.RecordMessages([called])
        ended = one.ended or one.began
        returned = ToolReturn(
            tool_call_id=call_id,
            status="error" if one.failed else "success",
            func_response=_text(one.source.fields.get("output")),
        )
        result = self._message(
            "tool",
            f"{one.observation_id}/return",
            None,
            ended,
            step_id=step_id,
            tool_call_id=call_id,
            tool_returns=[returned],
        )
        yield ended, c.RecordMessages([result])

    def _message(
        self, role: str, key: str, text: str | None, at: datetime, **fields: Any
    ) -> Message:
        message_id = derived_id("message", self.run_id, key)
        content = [TextContent(text=text)] if text else None
        return Message.model_validate(
            {"id": message_id, "role": role, "created_at": at, "content": content, **fields}
        )

    def _metadata(self, session: str | None) -> dict[str, Any]:
        kept = {key: self._trace.fields.get(key) for key in _KEPT}
        return {
            "source": SOURCE,
            "trace_id": self.trace_id,
            "langfuse_project_id": self._trace.text("projectId"),
            "session_id": session,
            **{key: value for key, value in kept.items() if value not in (None, [], "")},
            DIGEST: self.digest,
        }

    @staticmethod
    def _end(tops: list[Observation], seconds: float) -> c.CompleteRun | c.FailRun:
        run_ns = round(seconds * 1e9)
        failed = next((one for one in tops if one.failed), None)
        if failed is None:
            return c.CompleteRun("end_turn", run_ns)
        return c.FailRun("error", "error", failed.source.text("statusMessage"), run_ns=run_ns)


def _facts(one: Observation, trace_id: str) -> dict[str, Any]:
    usage = dict(one.usage)
    parts = {
        "prompt_tokens_details": {
            "cached_tokens": _taken(usage, _CACHE_READ),
            "cache_creation_tokens": _taken(usage, _CACHE_WRITE),
        },
        "completion_tokens_details": {"reasoning_tokens": _taken(usage, _REASONING)},
    }
    details = {
        name: {key: count for key, count in part.items() if count is not None}
        for name, part in parts.items()
    }
    took = None if one.ended is None else round((one.ended - one.began).total_seconds() * 1e9)
    began_ns = round(one.began.timestamp() * 1_000_000) * 1_000
    error = one.source.text("statusMessage")
    return {
        "provider_name": one.attribute(*_PROVIDER),
        "model": one.source.text("model"),
        "prompt_tokens": usage.get("input"),
        "completion_tokens": usage.get("output"),
        "total_tokens": usage.get("total"),
        **{name: part for name, part in details.items() if part},
        "status": "failed" if one.failed else "success",
        "error_type": "error" if one.failed else None,
        "error_data": {"message": error} if one.failed and error else None,
        "trace_id": trace_id,
        "step_start_ns": began_ns,
        "step_ns": took if took is None or took >= 0 else None,
        "tags": [] if one.kind is Kind.LLM else ["usage-only"],
    }


def _taken(usage: dict[str, int], names: tuple[str, ...]) -> int | None:
    """Return the first count among the names that is not 0, else 0 if there was one, else None."""
    found = [usage[name] for name in names if name in usage]
    return next((count for count in found if count), found[0] if found else None)


def _tool_name(one: Observation) -> str:
    named = one.attribute("gen_ai.tool.name", "tool.name")
    if named:
        return named
    return one.name.removeprefix("execute_tool ").removeprefix("running tool: ") or "?"


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def as_trace(given: Any, organization: str) -> Trace:
    """Return the trace of one document; InvalidArgument if it is not a trace."""
    if not isinstance(given, dict):
        raise InvalidArgument(f"expected an object, found {given!r:.80}")
    return Trace(given, organization)
