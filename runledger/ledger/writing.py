"""The commands of the ledger, one by one: what an agent loop reports."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from runledger.command_handler import now
from runledger.errors import InvalidArgument
from runledger.handles import RunHandle
from runledger.ids import check_id, new_id
from runledger.ledger.base import LedgerBase
from runledger.message_input import as_messages
from runledger.messages import Message
from runledger.records import RunRecord, run_record
from runledger.run import Actor, RunStatus, commands, status_of
from runledger.run.parties import Agent


class Cancellation(NamedTuple):
    """What came of a cancel: `cancelled` by this call, or `already_ended` as the record says."""

    outcome: Literal["cancelled", "already_ended"]
    run: RunRecord


class WritingLedger(LedgerBase):
    """Every method is idempotent: the same ids with the same content again change nothing.

    All take `actor` (organization and user), and `at`: the time when it happened, for history
    that is recorded later; it must know its time zone.
    """

    def run(
        self,
        *,
        agent_id: str,
        run_id: str | None = None,
        actor: Actor | None = None,
        **facts: Any,
    ) -> RunHandle:
        """Return a context manager that creates a run, and ends it as its block ends.

        `facts` are those of create_run. Leaving the block completes the run, an exception fails
        it, a cancelled task cancels it.
        """
        return RunHandle(self, actor, {"agent_id": agent_id, "run_id": run_id, **facts})

    async def create_run(
        self,
        agent_id: str,
        *,
        run_id: str | None = None,
        project_id: str | None = None,
        conversation_id: str | None = None,
        hold_conversation: bool = False,
        base_template_id: str | None = None,
        background: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        request_config: Mapping[str, Any] | None = None,
        callback_url: str | None = None,
        status: str = "created",
        stop_reason: str | None = None,
        exist_ok: bool = True,
        actor: Actor | None = None,
        at: datetime | None = None,
        correlation_id: str | None = None,
    ) -> RunRecord:
        """Create a run; return it.

        `status` other than created records the events that lead there. `hold_conversation` makes
        it the one active run of its conversation until it ends (ConversationBusy otherwise).
        Raises ContentConflict where the id was used for something else, or at all with
        `exist_ok=False`.
        """
        create = commands.CreateRun(
            agent_id,
            project_id,
            conversation_id,
            hold_conversation,
            base_template_id,
            background,
            metadata or {},
            request_config,
            callback_url,
            exist_ok,
        )
        fresh = run_id is None
        outcome = await self._execute(
            run_id or new_id("run"),
            create,
            *_history(status, stop_reason),
            actor=actor,
            at=at,
            correlation_id=correlation_id,
            fresh=fresh,
        )
        return run_record(outcome.run)

    async def start_run(
        self, run_id: str, *, actor: Actor | None = None, at: datetime | None = None
    ) -> RunRecord:
        """Say that work on the run began."""
        outcome = await self._execute(run_id, commands.StartRun(), actor=actor, at=at)
        return run_record(outcome.run)

    async def start_step(
        self,
        run_id: str,
        *,
        step_id: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> str:
        """Say that a step began, so that it is seen while it runs; return its id."""
        step_id = step_id or new_id("step")
        await self._execute(
            run_id, commands.StartStep(step_id, provider, model), actor=actor, at=at
        )
        return step_id

    async def record_step(
        self,
        run_id: str,
        *,
        step_id: str | None = None,
        provider: str | None = None,
        messages: Iterable[Message | Mapping[str, Any]] = (),
        approval_deadline: datetime | None = None,
        actor: Actor | None = None,
        at: datetime | None = None,
        **facts: Any,
    ) -> str:
        """Record a step that ended, with its usage and messages, in one append; return its id.

        `facts` are the fields of runledger.events.StepRecorded: model, prompt_tokens,
        completion_tokens, prompt_tokens_details, status, step_ns, … A step of a run that has ended
        is recorded as late: its tokens count, the outcome stays.
        """
        unknown = sorted(facts.keys() - _STEP_FACTS)
        if unknown:
            raise InvalidArgument(f"record_step: no such fact: {', '.join(unknown)}")
        if provider is not None:
            facts.setdefault("provider_name", provider)
        command = commands.RecordStep(
            check_id("step", step_id) if step_id else new_id("step"),
            facts,
            await as_messages(messages, self.store),
            approval_deadline,
        )
        await self._execute(run_id, command, actor=actor, at=at)
        return command.step_id

    async def record_messages(
        self,
        run_id: str,
        messages: Iterable[Message | Mapping[str, Any]],
        *,
        approval_deadline: datetime | None = None,
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> list[str]:
        """Record messages, skip those recorded before with the same content; return their ids."""
        made = await as_messages(messages, self.store)
        command = commands.RecordMessages(made, approval_deadline)
        await self._execute(run_id, command, actor=actor, at=at)
        return [message.id for message in made]

    async def patch_metadata(
        self,
        run_id: str,
        patch: Mapping[str, Any] | None = None,
        *,
        remove: Sequence[str] = (),
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> RunRecord:
        """Set top-level keys of the metadata, and take keys away; concurrent patches all survive."""
        command = commands.PatchMetadata(patch or {}, remove)
        return run_record((await self._execute(run_id, command, actor=actor, at=at)).run)

    async def record_heartbeat(
        self, run_id: str, *, actor: Actor | None = None, at: datetime | None = None
    ) -> None:
        """Say that the worker is alive; see expire_runs."""
        await self._execute(run_id, commands.RecordHeartbeat(), actor=actor, at=at)

    async def complete_run(
        self,
        run_id: str,
        *,
        stop_reason: str = "end_turn",
        run_ns: int | None = None,
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> RunRecord:
        """End the run well. Raises AlreadyEnded where it ended otherwise: the first end wins."""
        command = commands.CompleteRun(stop_reason, run_ns)
        return run_record((await self._execute(run_id, command, actor=actor, at=at)).run)

    async def fail_run(
        self,
        run_id: str,
        *,
        stop_reason: str = "error",
        error_type: str | None = None,
        error_message: str | None = None,
        error_data: Mapping[str, Any] | None = None,
        run_ns: int | None = None,
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> RunRecord:
        """End the run badly. Raises AlreadyEnded where it ended otherwise."""
        command = commands.FailRun(stop_reason, error_type, error_message, error_data, run_ns)
        return run_record((await self._execute(run_id, command, actor=actor, at=at)).run)

    async def cancel_run(
        self,
        run_id: str,
        *,
        reason: str | None = None,
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> Cancellation:
        """Cancel the run, deny its open tool calls and free its conversation, in one append."""
        outcome = await self._execute(run_id, commands.CancelRun(reason), actor=actor, at=at)
        return Cancellation(
            "cancelled" if outcome.events else "already_ended", run_record(outcome.run)
        )

    async def cancel_runs(
        self,
        *,
        agent_id: str | None = None,
        conversation_id: str | None = None,
        reason: str | None = None,
        actor: Actor | None = None,
    ) -> list[Cancellation]:
        """Cancel every open run of an agent or of a conversation, the newest first."""
        if (agent_id is None) == (conversation_id is None):
            raise InvalidArgument("cancel_runs: expected an agent_id or a conversation_id")
        organization = self._organization(actor)
        found = await self._ask(lambda q: q.open_runs(organization, agent_id, conversation_id))
        return [await self.cancel_run(run_id, reason=reason, actor=actor) for run_id in found]

    async def delete_run(self, run_id: str, *, actor: Actor | None = None) -> None:
        """Take the run out of every read model and getter; its id is never used again."""
        await self._execute(run_id, commands.DeleteRun(), actor=actor)

    async def update_run(
        self,
        run_id: str,
        *,
        status: str | None = None,
        stop_reason: str | None = None,
        completed_at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        remove_metadata: Sequence[str] = (),
        total_duration_ns: int | None = None,
        error_type: str | None = None,
        error_message: str | None = None,
        actor: Actor | None = None,
    ) -> RunRecord:
        """Map an update of fields onto the run's transitions, in one append.

        The metadata is patched first; a status then starts, completes, fails or cancels the run.
        Without a status, a stop_reason decides it. `completed_at` is the time of the end,
        `total_duration_ns` its duration.
        """
        if status is None and stop_reason is not None:
            status = _status(stop_reason).value
        orders: list[commands.Command] = []
        if metadata or remove_metadata:
            orders.append(commands.PatchMetadata(metadata or {}, remove_metadata))
        if status is not None:
            orders += _end(status, stop_reason, total_duration_ns, error_type, error_message)
        if not orders:
            return run_record(await self._load(run_id, actor))
        at = completed_at if status in _ENDS else None
        return run_record((await self._execute(run_id, *orders, actor=actor, at=at)).run)

    async def expire_runs(
        self, *, older_than: timedelta, actor: Actor | None = None, at: datetime | None = None
    ) -> list[str]:
        """Fail as lost the open runs that were silent for so long; return their ids."""
        moment = at or now()
        since = moment - older_than
        organization = self._organization(actor)
        expired = []
        for row in await self._ask(lambda q: q.silent_runs(since, organization)):
            command = commands.ExpireRun(since)
            outcome = await self._execute(row["run_id"], command, actor=actor, at=at)
            if outcome.events:
                expired.append(row["run_id"])
        return expired

    async def expire_approvals(
        self, *, actor: Actor | None = None, at: datetime | None = None
    ) -> list[str]:
        """Deny the open tool calls of runs whose approval deadline has passed; return their ids."""
        moment = at or now()
        organization = self._organization(actor)
        expired = []
        for row in await self._ask(lambda q: q.overdue_runs(moment, organization)):
            command = commands.ExpireApprovals()
            outcome = await self._execute(row["run_id"], command, actor=actor, at=moment)
            if outcome.events:
                expired.append(row["run_id"])
        return expired

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
        return await self.handler.register_agent(
            actor or self._actor,
            agent_id=check_id("agent", agent_id),
            project_id=project_id,
            name=name,
            agent_type=agent_type,
        )


_ENDS = ("completed", "failed", "cancelled")
_STEP_FACTS = frozenset(
    {
        "completion_tokens",
        "completion_tokens_details",
        "context_window_limit",
        "error_data",
        "error_type",
        "llm_request_ns",
        "llm_request_start_ns",
        "model",
        "model_endpoint",
        "model_handle",
        "origin",
        "prompt_tokens",
        "prompt_tokens_details",
        "provider_category",
        "provider_id",
        "provider_name",
        "request_id",
        "status",
        "step_ns",
        "step_start_ns",
        "stop_reason",
        "tags",
        "tid",
        "tool_execution_ns",
        "total_tokens",
        "trace_id",
    }
)


def _status(stop_reason: str) -> RunStatus:
    try:
        return status_of(stop_reason)
    except KeyError:
        raise InvalidArgument(f"stop_reason: no such stop reason {stop_reason!r}") from None


def _history(status: str, stop_reason: str | None) -> list[commands.Command]:
    """Return the commands that lead from created to the status."""
    if status == "created" and stop_reason is None:
        return []
    if status == "created":
        raise InvalidArgument(f"status 'created' has no stop_reason, found {stop_reason!r}")
    return _end(status, stop_reason, None, None, None)


def _end(
    status: str,
    stop_reason: str | None,
    run_ns: int | None,
    error_type: str | None,
    error_message: str | None,
) -> list[commands.Command]:
    if status == "running" and stop_reason is None:
        return [commands.StartRun()]
    if status == "completed":
        return [commands.CompleteRun(stop_reason or "end_turn", run_ns)]
    if status == "failed":
        return [commands.FailRun(stop_reason or "error", error_type, error_message, run_ns=run_ns)]
    if status == "cancelled" and stop_reason in (None, "cancelled"):
        return [commands.CancelRun(run_ns=run_ns)]
    raise InvalidArgument(
        f"status: expected running, completed, failed or cancelled with a stop_reason that fits, "
        f"found {status!r} with {stop_reason!r}"
    )
