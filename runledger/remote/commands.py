"""The commands of a remote ledger: what an agent loop reports."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar, Unpack

from pydantic import TypeAdapter

from runledger.command_handling.command_options import CommandOptions, TimedOptions
from runledger.errors import InvalidArgument
from runledger.events import Feedback
from runledger.handles import OnError, RunFacts, RunHandle
from runledger.ids import check_id, new_id
from runledger.messages import Message
from runledger.records import Cancellation, RunRecord, StepView
from runledger.remote.answers import (
    AGENT,
    ALL_CANCELLED,
    CANCELLED,
    MESSAGE_IDS,
    STEP,
    STEP_ID,
    Cancelled,
)
from runledger.remote.part import (
    NOTHING,
    RUN,
    RemotePart,
    agent_path,
    given,
    run_path,
)
from runledger.run import Actor
from runledger.run.parties import Agent
from runledger.run.step_facts import StepFacts, expect_known

_T = TypeVar("_T")
Messages = Iterable[Message | Mapping[str, Any]]


class RemoteCommands(RemotePart):
    """The methods of runledger.ledger.run_commands, run_endings and feedback; see there.

    A command that gets no answer is sent again with its key until one comes, so that it happens
    once; StoreUnavailable is raised if none comes within the ledger's `retry_for`.
    """

    def run(
        self,
        *,
        agent_id: str,
        run_id: str | None = None,
        actor: Actor | None = None,
        on_error: OnError = "raise",
        **facts: Unpack[RunFacts],
    ) -> RunHandle:
        """Return a context manager that creates a run, and ends it as its block ends."""
        return RunHandle(self, actor, agent_id, run_id, facts, on_error)

    async def create_run(
        self,
        agent_id: str,
        *,
        run_id: str | None = None,
        status: str | None = None,
        stop_reason: str | None = None,
        completed_at: datetime | None = None,
        run_ns: int | None = None,
        idempotency_key: str | None = None,
        actor: Actor | None = None,
        **facts: Unpack[RunFacts],
    ) -> RunRecord:
        """Create a run; return it."""
        if facts.pop("correlation_id", None) is not None:
            raise InvalidArgument(
                "correlation_id: expected none, as the events remember the key of the request"
            )
        body = {
            **facts,
            "agent_id": agent_id,
            "run_id": run_id,
            "status": status,
            "stop_reason": stop_reason,
            "completed_at": completed_at,
            "run_ns": run_ns,
        }
        return await self._connection.command(
            "POST", "runs", RUN, given(body), idempotency_key=idempotency_key, actor=actor
        )

    async def start_run(self, run_id: str, **options: Unpack[TimedOptions]) -> RunRecord:
        """Say that work on the run began."""
        return await self._run(run_id, "/start", {}, options)

    async def record_heartbeat(self, run_id: str, **options: Unpack[TimedOptions]) -> None:
        """Say that the worker is alive."""
        if _alone(options):
            await self._command(run_id, "/heartbeat", NOTHING, {}, options)
        else:
            await self._in_batch("record_heartbeat", run_id, {}, options)

    async def start_step(
        self,
        run_id: str,
        *,
        step_id: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        **options: Unpack[TimedOptions],
    ) -> str:
        """Say that a step began, so that it is seen while it runs; return its id."""
        body = {"step_id": step_id, "provider": provider, "model": model}
        if _alone(options):
            return (await self._command(run_id, "/steps/start", STEP_ID, body, options)).step_id
        step_id = step_id or new_id("step")
        await self._in_batch("start_step", run_id, {**body, "step_id": step_id}, options)
        return step_id

    async def record_step(
        self,
        run_id: str,
        *,
        step_id: str | None = None,
        provider: str | None = None,
        messages: Messages = (),
        approval_deadline: datetime | None = None,
        actor: Actor | None = None,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        at: datetime | None = None,
        **facts: Unpack[StepFacts],
    ) -> str:
        """Record a step that ended, with its usage and messages, in one append; return its id."""
        expect_known("record_step", facts)
        options: TimedOptions = {
            "actor": actor,
            "expected_version": expected_version,
            "idempotency_key": idempotency_key,
            "at": at,
        }
        body = {
            "step_id": step_id,
            "provider": provider,
            "messages": _messages(messages),
            "approval_deadline": approval_deadline,
            "facts": facts,
        }
        if _alone(options):
            return (await self._command(run_id, "/steps", STEP_ID, body, options)).step_id
        step_id = step_id or new_id("step")
        await self._in_batch("record_step", run_id, {**body, "step_id": step_id}, options)
        return step_id

    async def record_messages(
        self,
        run_id: str,
        messages: Messages,
        *,
        approval_deadline: datetime | None = None,
        **options: Unpack[TimedOptions],
    ) -> list[str]:
        """Record messages, skip those recorded before with the same content; return their ids."""
        given_messages = _messages(messages)
        body = {"messages": given_messages, "approval_deadline": approval_deadline}
        if _alone(options):
            recorded = await self._command(run_id, "/messages", MESSAGE_IDS, body, options)
            return recorded.message_ids
        named = [
            {"id": new_id("message"), **one} if isinstance(one, Mapping) else one
            for one in given_messages
        ]
        await self._in_batch("record_messages", run_id, {**body, "messages": named}, options)
        return [one["id"] for one in named]

    async def patch_metadata(
        self,
        run_id: str,
        patch: Mapping[str, Any] | None = None,
        *,
        remove: Collection[str] = (),
        **options: Unpack[TimedOptions],
    ) -> RunRecord:
        """Set top-level keys of the metadata, take keys away; concurrent patches all survive."""
        return await self._run(
            run_id, "/metadata", {"patch": patch, "remove": _keys("remove", remove)}, options
        )

    async def complete_run(
        self,
        run_id: str,
        *,
        stop_reason: str = "end_turn",
        run_ns: int | None = None,
        **options: Unpack[TimedOptions],
    ) -> RunRecord:
        """End the run well; AlreadyEnded if it ended otherwise."""
        body = {"stop_reason": stop_reason, "run_ns": run_ns}
        return await self._run(run_id, "/complete", body, options)

    async def fail_run(
        self,
        run_id: str,
        *,
        stop_reason: str = "error",
        error_type: str | None = None,
        error_message: str | None = None,
        error_data: Mapping[str, Any] | None = None,
        run_ns: int | None = None,
        **options: Unpack[TimedOptions],
    ) -> RunRecord:
        """End the run badly; AlreadyEnded if it ended otherwise."""
        body = {
            "stop_reason": stop_reason,
            "error_type": error_type,
            "error_message": error_message,
            "error_data": error_data,
            "run_ns": run_ns,
        }
        return await self._run(run_id, "/fail", body, options)

    async def cancel_run(
        self, run_id: str, *, reason: str | None = None, **options: Unpack[TimedOptions]
    ) -> Cancellation:
        """Cancel the run, deny its open tool calls and free its conversation, in one append."""
        done = await self._command(run_id, "/cancel", CANCELLED, {"reason": reason}, options)
        return _cancellation(done)

    async def cancel_runs(
        self,
        *,
        agent_id: str | None = None,
        conversation_id: str | None = None,
        without_conversation: bool = False,
        reason: str | None = None,
        actor: Actor | None = None,
    ) -> list[Cancellation]:
        """Cancel every open run of an agent or of a conversation; the newest is first in the list.

        After a lost answer it is sent again: what was cancelled then is not in the list.
        """
        body = {
            "agent_id": agent_id,
            "conversation_id": conversation_id,
            "without_conversation": without_conversation,
            "reason": reason,
        }
        done = await self._connection.command(
            "POST", "runs/cancel", ALL_CANCELLED, given(body), actor=actor
        )
        return [_cancellation(one) for one in done]

    async def delete_run(self, run_id: str, **options: Unpack[CommandOptions]) -> None:
        """Take the run out of every read model and getter; its id is never used again."""
        await self._connection.command("DELETE", run_path(run_id), NOTHING, **options)

    async def update_run(
        self,
        run_id: str,
        *,
        status: str | None = None,
        stop_reason: str | None = None,
        completed_at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        remove_metadata: Collection[str] = (),
        total_duration_ns: int | None = None,
        error_type: str | None = None,
        error_message: str | None = None,
        **options: Unpack[CommandOptions],
    ) -> RunRecord:
        """Map an update of fields onto the run's transitions, in one append; return the run."""
        body = {
            "status": status,
            "stop_reason": stop_reason,
            "completed_at": completed_at,
            "metadata": metadata,
            "remove_metadata": _keys("remove_metadata", remove_metadata),
            "total_duration_ns": total_duration_ns,
            "error_type": error_type,
            "error_message": error_message,
        }
        return await self._connection.command(
            "PATCH", run_path(run_id), RUN, given(body), **options
        )

    async def record_run_feedback(
        self, run_id: str, feedback: Feedback | None, **options: Unpack[TimedOptions]
    ) -> RunRecord:
        """Record a person's judgement of a run, in any status; return the run."""
        return await self._run(run_id, "/feedback", {}, options, feedback=feedback)

    async def record_step_feedback(
        self,
        step_id: str,
        feedback: Feedback | None,
        *,
        tags: Collection[str] | None = None,
        run_id: str | None = None,
        **options: Unpack[TimedOptions],
    ) -> StepView:
        """Record a person's judgement of a step that has ended; return the step."""
        at = options.get("at")
        named = None if tags is None else _keys("tags", tags)
        body = {**given({"tags": named, "run_id": run_id, "at": at}), "feedback": feedback}
        path = f"steps/{check_id('step', step_id)}/feedback"
        return await self._connection.command("POST", path, STEP, body, **_untimed(options))

    async def redeliver_callback(self, run_id: str, **options: Unpack[CommandOptions]) -> None:
        """Ask for a run's callback to be sent again, with the same webhook-id, at once."""
        await self._connection.command("POST", run_path(run_id, "/callback"), NOTHING, **options)

    async def register_agent(
        self,
        agent_id: str,
        *,
        project_id: str | None = None,
        name: str | None = None,
        agent_type: str | None = None,
        actor: Actor | None = None,
    ) -> Agent:
        """Make an agent known, or tell its new project, name or type; return it."""
        body = given({"project_id": project_id, "name": name, "agent_type": agent_type})
        return await self._connection.command("PUT", agent_path(agent_id), AGENT, body, actor=actor)

    async def _in_batch(
        self, op: str, run_id: str, body: Mapping[str, Any], options: TimedOptions
    ) -> None:
        sent = given({**body, "at": options.get("at")})
        await self._batcher.submit(op, check_id("run", run_id), sent)

    async def _run(
        self,
        run_id: str,
        rest: str,
        body: Mapping[str, Any],
        options: TimedOptions,
        **always: Any,
    ) -> RunRecord:
        return await self._command(run_id, rest, RUN, body, options, **always)

    async def _command(
        self,
        run_id: str,
        rest: str,
        answer: TypeAdapter[_T],
        body: Mapping[str, Any],
        options: TimedOptions,
        **always: Any,
    ) -> _T:
        sent = {**given({**body, "at": options.get("at")}), **always}
        return await self._connection.command(
            "POST", run_path(run_id, rest), answer, sent, **_untimed(options)
        )


def _alone(options: TimedOptions) -> bool:
    """Whether a command is sent by itself: a batch has one key and actor for all, no versions."""
    beside = (options.get(name) for name in ("actor", "expected_version", "idempotency_key"))
    return any(value is not None for value in beside)


def _untimed(options: TimedOptions) -> CommandOptions:
    return {
        "actor": options.get("actor"),
        "expected_version": options.get("expected_version"),
        "idempotency_key": options.get("idempotency_key"),
    }


def _cancellation(done: Cancelled) -> Cancellation:
    return Cancellation("cancelled" if done.outcome == "cancelled" else "already_ended", done.run)


def _messages(messages: Messages) -> list[Any]:
    if isinstance(messages, str | bytes | Mapping | Message) or not isinstance(messages, Iterable):
        raise InvalidArgument(f"messages: expected a list of messages, found {messages!r:.80}")
    return [
        one.model_dump(mode="json", exclude_none=True) if isinstance(one, Message) else one
        for one in messages
    ]


def _keys(name: str, keys: Collection[str]) -> list[str]:
    if isinstance(keys, str | bytes | Mapping) or not isinstance(keys, Collection):
        raise InvalidArgument(f"{name}: expected a list of texts, found {keys!r:.80}")
    return list(keys)
