"""The pure mapping of a sample to a run."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from runledger.errors import InvalidArgument, describe
from runledger.ids import derived_id, foreign_id
from runledger.importers.foreign import Foreign, digest_of
from runledger.importers.inspect_ai.log_file import Sample
from runledger.importers.recorder import DIGEST, Timed
from runledger.messages import (
    ContentPart,
    Function,
    Message,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolReturn,
)
from runledger.run import commands as c

SOURCE: Final = "inspect"
_ATTACHMENT: Final = "attachment://"
_STOP_REASONS: Final = {
    "stop": "end_turn",
    "max_tokens": "max_tokens_exceeded",
    "model_length": "max_tokens_exceeded",
}
_ROLES: Final = {"user": "user", "system": "system"}
_KEPT: Final = ("eval_id", "run_id", "task", "task_id", "task_version", "model", "created")


class SampleRun:
    """One sample in one epoch: its commands and its identity."""

    def __init__(self, sample: Sample, organization: str) -> None:
        """Read the sample; InvalidArgument with the place if the content is wrong."""
        if not isinstance(sample.given, dict):
            raise InvalidArgument(f"expected an object, found {sample.given!r:.80}")
        self._sample, self._eval = Foreign(sample.given), sample.evaluation
        evaluation = self._eval.text("run_id")
        if evaluation is None:
            raise self._eval.fault("run_id", "the id of the evaluation's run")
        key = self._sample.text("uuid") or f"{self._named('id')}/{self._named('epoch')}"
        # One run of Inspect may hold several evaluations, whose samples have the same numbers.
        about = self._eval.text("eval_id") or self._eval.text("task_id") or ""
        self.run_id = derived_id("run", SOURCE, organization, evaluation, about, key)
        self.digest = digest_of(sample.given)
        self.agent_name = f"{self._eval.text('task') or '?'} ({self._eval.text('model') or '?'})"
        named = ("inspect", self._eval.text("task"), self._eval.text("model"))
        self.agent_id = foreign_id("agent", "-".join(filter(None, named)))
        self._attachments = self._sample.object("attachments") or Foreign({})
        self._callers: dict[str, str] = {}

    def _named(self, key: str) -> str:
        value = self._sample.fields.get(key)
        if value is None:
            raise self._sample.fault(key, "a value that distinguishes the sample")
        return str(value)

    def commands(self) -> Iterator[Timed]:
        """Yield the commands with their times; InvalidArgument if the content is wrong."""
        events = list(_flat(self._sample))
        times = [at for event in events for at in (_time(event), event.time("completed")) if at]
        began = self._sample.time("started_at") or min(times, default=None)
        if began is None:
            raise self._sample.fault("events", "events with times")
        run_ns = self._sample.seconds_as_ns("total_time")
        ended = self._sample.time("completed_at") or max(times, default=None)
        if ended is None:
            ended = began + timedelta(microseconds=(run_ns or 0) / 1000)
        project = self._eval.text("task")
        yield began, c.CreateRun(self.agent_id, project, metadata=self._metadata())
        yield began, c.StartRun()
        asked = list(self._asked(began))
        if asked:
            yield began, c.RecordMessages(asked)
        for number, event in enumerate(events):
            kind, at = event.text("event"), _time(event) or began
            if kind == "model" and not event.flag("pending"):
                yield event.time("completed") or at, self._step(event, number, at)
            elif kind == "tool" and not event.flag("pending"):
                yield from self._tool(event, number, at)
        yield ended, self._end(run_ns)

    def _metadata(self) -> dict[str, Any]:
        kept = {f"inspect_{key}": self._eval.fields.get(key) for key in _KEPT}
        scores = self._sample.object("scores") or Foreign({})
        values = {
            name: score.get("value") if isinstance(score, dict) else score
            for name, score in scores.fields.items()
        }
        return {
            "source": SOURCE,
            **{key: value for key, value in kept.items() if value is not None},
            "sample_id": self._sample.fields.get("id"),
            "epoch": self._sample.fields.get("epoch"),
            "scores": values,
            "limit": self._sample.fields.get("limit"),
            "error_retries": len(list(self._sample.objects("error_retries"))),
            DIGEST: self.digest,
        }

    def _asked(self, at: datetime) -> Iterator[Message]:
        given = self._sample.fields.get("input")
        if isinstance(given, str):
            yield self._message("user", "input", at, content=self._parts(given))
            return
        for number, message in enumerate(self._sample.objects("input")):
            role = _ROLES.get(message.text("role") or "")
            if role is not None:
                parts = self._parts(message.fields.get("content"))
                yield self._message(role, f"input/{number}", at, content=parts)

    def _step(self, event: Foreign, number: int, at: datetime) -> c.RecordStep:
        step_id = derived_id("step", self.run_id, event.text("uuid") or str(number))
        output = event.object("output") or Foreign({})
        choice = next(output.objects("choices"), Foreign({}))
        message, completed = choice.object("message"), event.time("completed")
        messages = []
        if message is not None:
            calls = [self._call(call, step_id) for call in message.objects("tool_calls")]
            messages.append(
                self._message(
                    "assistant",
                    f"model/{number}",
                    completed or at,
                    step_id=step_id,
                    model=output.text("model"),
                    content=self._parts(message.fields.get("content")) or None,
                    tool_calls=calls or None,
                )
            )
        return c.RecordStep(step_id, self._facts(event, output, choice, at), messages)

    def _facts(
        self, event: Foreign, output: Foreign, choice: Foreign, at: datetime
    ) -> dict[str, Any]:
        usage = output.object("usage") or Foreign({})
        handle, completed = event.text("model") or "", event.time("completed")
        error = event.text("error") or output.text("error")
        details = {
            "cached_tokens": usage.count("input_tokens_cache_read"),
            "cache_creation_tokens": usage.count("input_tokens_cache_write"),
        }
        thought = usage.count("reasoning_tokens")
        took = None if completed is None else (completed - at) // timedelta(microseconds=1) * 1_000
        tags = ["cached-response"] if event.text("cache") == "read" else []
        return {
            "provider_name": handle.partition("/")[0] if "/" in handle else None,
            "model": output.text("model") or handle or None,
            "model_handle": handle or None,
            "prompt_tokens": usage.count("input_tokens"),
            "completion_tokens": usage.count("output_tokens"),
            "total_tokens": usage.count("total_tokens"),
            "prompt_tokens_details": {k: v for k, v in details.items() if v is not None},
            "completion_tokens_details": None if thought is None else {"reasoning_tokens": thought},
            "status": "failed" if error else "success",
            "error_type": "error" if error else None,
            "error_data": {"message": error} if error else None,
            "stop_reason": _STOP_REASONS.get(choice.text("stop_reason") or ""),
            "step_start_ns": round(at.timestamp() * 1_000_000) * 1_000,
            "step_ns": took if took is None or took >= 0 else None,
            "llm_request_ns": event.seconds_as_ns("working_time"),
            "tags": [*tags, "retried"] if event.count("retries") else tags,
        }

    def _call(self, call: Foreign, step_id: str) -> ToolCall:
        call_id, function = call.text("id") or "call", call.text("function") or "?"
        self._callers[call_id] = step_id
        arguments = json.dumps(call.fields.get("arguments") or {}, ensure_ascii=False)
        return ToolCall(id=call_id, function=Function(name=function, arguments=arguments))

    def _tool(self, event: Foreign, number: int, at: datetime) -> Iterator[Timed]:
        call_id, completed = event.text("id") or "call", event.time("completed") or at
        step_id = self._callers.get(call_id)
        if step_id is None:
            # A solver called the tool directly: no model's answer has the call.
            call = self._call(event, "")
            called = self._message("assistant", f"call/{number}", at, tool_calls=[call])
            yield at, c.RecordMessages([called])
        error = event.object("error")
        text = error.text("message") if error else self._result_text(event.fields.get("result"))
        returned = ToolReturn(
            tool_call_id=call_id, status="error" if error else "success", func_response=text
        )
        message = self._message(
            "tool",
            f"tool/{number}",
            completed,
            step_id=step_id or None,
            tool_call_id=call_id,
            tool_returns=[returned],
        )
        yield completed, c.RecordMessages([message])

    def _result_text(self, result: Any) -> str:
        if isinstance(result, list):
            parts = self._parts(result)
            return "\n".join(part.text for part in parts if isinstance(part, TextContent))
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        return self._attached(text)

    def _attached(self, text: str) -> str:
        if not text.startswith(_ATTACHMENT):
            return text
        found = self._attachments.fields.get(text.removeprefix(_ATTACHMENT))
        return found if isinstance(found, str) else text

    def _parts(self, content: Any) -> list[ContentPart]:
        """Return text and reasoning; for an image or a file, only a placeholder."""
        if isinstance(content, str):
            return [TextContent(text=self._attached(content))] if content else []
        parts: list[ContentPart] = []
        for part in content if isinstance(content, list) else []:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind == "text":
                parts.append(TextContent(text=self._attached(str(part.get("text", "")))))
            elif kind == "reasoning":
                thought = self._attached(str(part.get("reasoning", "")))
                parts.append(ReasoningContent(is_native=True, reasoning=thought))
            else:
                parts.append(TextContent(text=f"[{kind} left out]"))
        return parts

    def _message(self, role: str, key: str, at: datetime, **fields: Any) -> Message:
        message_id = derived_id("message", self.run_id, key)
        try:
            return Message.model_validate(
                {"id": message_id, "role": role, "created_at": at, **fields}
            )
        except ValidationError as e:
            raise InvalidArgument(f"{key}: {describe(e)}") from e

    def _end(self, run_ns: int | None) -> c.CompleteRun | c.FailRun | c.CancelRun:
        error, limit = self._sample.object("error"), self._sample.object("limit")
        if error is not None:
            return c.FailRun("error", "error", error.text("message"), run_ns=run_ns)
        kind = limit.text("type") if limit else None
        if kind is None:
            return c.CompleteRun("end_turn", run_ns)
        if kind == "message":
            return c.CompleteRun("max_steps", run_ns)
        if kind == "operator":
            return c.CancelRun("stopped by the operator", run_ns)
        if kind in ("token", "context"):
            return c.FailRun("max_tokens_exceeded", f"{kind}_limit", run_ns=run_ns)
        return c.FailRun("error", f"{kind}_limit", run_ns=run_ns)


def _flat(holder: Foreign) -> Iterator[Foreign]:
    """Yield the events; those nested in a tool's or a subtask's event come after it."""
    for event in holder.objects("events"):
        yield event
        yield from _flat(event)


def _time(event: Foreign) -> datetime | None:
    return event.time("timestamp")
