"""The commands of the ledger by which an agent loop reports its runs."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Unpack

from runledger.command_handling.command_options import TimedOptions
from runledger.handles import OnError, RunFacts, RunHandle
from runledger.ids import check_id
from runledger.ledger.creation import creation
from runledger.ledger.run_endings import RunEndings
from runledger.messages import Message
from runledger.records import RunRecord, run_record
from runledger.run import Actor, commands
from runledger.run.parties import Agent
from runledger.run.receipts import check_key
from runledger.run.step_facts import StepFacts, expect_known


class LedgerCommands(RunEndings):
    """Every method is idempotent: the same ids with the same content again change nothing.

    All take `actor` (organization and user), and `at`: the time when it happened, for history that
    is recorded later, with a time zone.
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
        """Return a context manager that creates a run, and ends it when its block ends.

        Leaving the block completes the run, an exception fails it, a cancelled task or a generator
        that is closed early cancels it.

        Parameters:
            agent_id: the agent of the run.
            run_id: the id of the run; a generated one by default.
            actor: acts instead of the ledger's own actor.
            on_error: how to treat errors of recording in the block: "raise" raises them once the
                outcome of the work is recorded, "log" logs them. Refused content is recorded in a
                reduced form in both cases.
            facts: those of create_run.
        """
        return RunHandle(self, actor, agent_id, run_id, facts, on_error)

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
        status: str | None = None,
        stop_reason: str | None = None,
        completed_at: datetime | None = None,
        run_ns: int | None = None,
        exist_ok: bool = True,
        actor: Actor | None = None,
        at: datetime | None = None,
        correlation_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> RunRecord:
        """Create a run; return it.

        A `status` other than created, or a `stop_reason`, records the events that lead there; a run
        that has ended already has a duration only if `completed_at` (with `at`) or `run_ns` is
        given. `hold_conversation` makes it the one active run of its conversation until it ends
        (ConversationBusy otherwise). `callback_url` is called when the run has ended.
        `idempotency_key` is as in CommandOptions.

        Parameters:
            agent_id: the agent that works on the run.
            run_id: its id; a generated one by default.
            project_id: the project; that of the agent by default.
            conversation_id: the conversation that the run belongs to; none by default.
            hold_conversation: True makes it the one active run of its conversation until it ends.
            base_template_id: the template that the agent was made from; none by default.
            background: whether the run is in the background, without a waiting caller; unknown by
                default.
            metadata: the caller's own keys and values, as JSON; none by default.
            request_config: the configuration of the request, stored unchanged; none by default.
            callback_url: called when the run has ended; none by default.
            status: records the events that lead to this status; "created" by default.
            stop_reason: determines the status if none is given.
            completed_at: the end of a run that has ended already; needs `at`.
            run_ns: the duration of a run that has ended already, in nanoseconds.
            exist_ok: False refuses an existing id, even with the same content.
            actor: acts instead of the ledger's own actor; queries are about its organization.
            at: the time when it happened, with a zone, for history that is recorded later; now by
                default.
            correlation_id: the caller's id, which is stored in the events; none by default.
            idempotency_key: 1 to 255 printable ASCII characters that make the command happen once.

        Raises:
            ConversationBusy: if another run holds the conversation.
            UrlRefused: if the callback_url could never be called.
            ContentConflict: if the id was used with other content, or at all with `exist_ok=False`.
        """
        made = creation(
            self.opened.callbacks.policy,
            agent_id,
            project_id=project_id,
            conversation_id=conversation_id,
            hold_conversation=hold_conversation,
            base_template_id=base_template_id,
            background=background,
            metadata=metadata,
            request_config=request_config,
            callback_url=callback_url,
            status=status,
            stop_reason=stop_reason,
            completed_at=completed_at,
            run_ns=run_ns,
            exist_ok=exist_ok,
            at=at,
        )
        outcome = await self.opened.execute(
            run_id or self.opened.new_id("run", idempotency_key, actor),
            *made.commands,
            actor=actor,
            at=at,
            times=made.times,
            correlation_id=correlation_id,
            idempotency_key=idempotency_key,
            fresh=run_id is None and idempotency_key is None,
        )
        return run_record(outcome.run)

    async def start_run(self, run_id: str, **options: Unpack[TimedOptions]) -> RunRecord:
        """Record that work on the run began.

        Parameters:
            run_id: the id of the run.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.
        """
        outcome = await self.opened.execute(run_id, commands.StartRun(), **options)
        return run_record(outcome.run)

    async def start_step(
        self,
        run_id: str,
        *,
        step_id: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        **options: Unpack[TimedOptions],
    ) -> str:
        """Record that a step began, so that it is visible while it runs; return its id.

        Parameters:
            run_id: the id of the run.
            step_id: its id; a generated one by default.
            provider: the provider of the model; unknown by default.
            model: the model that is called; unknown by default.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.
        """
        step_id = step_id or self.opened.new_id(
            "step", options.get("idempotency_key"), options.get("actor")
        )
        await self.opened.execute(run_id, commands.StartStep(step_id, provider, model), **options)
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
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        at: datetime | None = None,
        **facts: Unpack[StepFacts],
    ) -> str:
        """Record a step that ended, with its usage and messages, in one append; return its id.

        `facts` are the fields of runledger.events.StepRecorded: model, prompt_tokens,
        completion_tokens, prompt_tokens_details, status, step_ns, … A step of a run that has ended
        is recorded as late: its tokens are counted, the outcome stays. A message without an id gets
        one that is derived from the run, the step and its index in `messages`, so that a repeated
        step is recognised by `step_id`; other content at the same index raises ContentConflict.

        Parameters:
            run_id: the id of the run.
            step_id: its id; a generated one by default.
            provider: the provider of the model; unknown by default.
            messages: the messages of the step, in order; none by default.
            approval_deadline: when open tool calls that need an approval are denied; never by
                default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
            expected_version: the version that the run must have; any by default.
            idempotency_key: 1 to 255 printable ASCII characters that make the command happen once.
            at: the time when it happened, with a zone, for history that is recorded later; now by
                default.
            facts: facts of the step; see the fields of StepFacts.
        """
        command = await self.step_command(
            run_id,
            step_id or self.opened.new_id("step", idempotency_key, actor),
            facts if provider is None else {"provider_name": provider, **facts},
            messages,
            approval_deadline,
            actor,
        )
        await self.opened.execute(
            run_id,
            command,
            actor=actor,
            expected_version=expected_version,
            idempotency_key=idempotency_key,
            at=at,
        )
        return command.step_id

    async def step_command(
        self,
        run_id: str,
        step_id: str,
        facts: StepFacts,
        messages: Iterable[Message | Mapping[str, Any]],
        approval_deadline: datetime | None,
        actor: Actor | None,
    ) -> commands.RecordStep:
        """Return the command that records a step, with checked arguments and stored images."""
        expect_known("record_step", facts)
        whole = (check_id("run", run_id), check_id("step", step_id))
        made = await self.opened.messages(run_id, messages, actor, whole)
        return commands.RecordStep(step_id, facts, made, approval_deadline)

    async def record_messages(
        self,
        run_id: str,
        messages: Iterable[Message | Mapping[str, Any]],
        *,
        approval_deadline: datetime | None = None,
        **options: Unpack[TimedOptions],
    ) -> list[str]:
        """Record messages, skip those recorded before with the same content; return their ids.

        A repeated call is recognised by the ids of its messages, or by its `idempotency_key`, from
        which the ids are derived. Without either, a message gets a new id each time, and is
        recorded again.

        Parameters:
            run_id: the id of the run.
            messages: the messages, in order; a mapping needs a `role`.
            approval_deadline: when open tool calls that need an approval are denied; never by
                default.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.
        """
        actor, key = options.get("actor"), options.get("idempotency_key")
        whole = None if key is None else (self.opened.organization(actor), check_key(key))
        made = await self.opened.messages(run_id, messages, actor, whole)
        command = commands.RecordMessages(made, approval_deadline)
        await self.opened.execute(run_id, command, **options)
        return [message.id for message in made]

    async def patch_metadata(
        self,
        run_id: str,
        patch: Mapping[str, Any] | None = None,
        *,
        remove: Collection[str] = (),
        **options: Unpack[TimedOptions],
    ) -> RunRecord:
        """Set and remove top-level keys of the metadata; concurrent patches are all applied.

        Parameters:
            run_id: the id of the run.
            patch: the keys to set, with their values.
            remove: the keys to remove.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.
        """
        command = commands.PatchMetadata(patch or {}, remove)
        return run_record((await self.opened.execute(run_id, command, **options)).run)

    async def record_heartbeat(self, run_id: str, **options: Unpack[TimedOptions]) -> None:
        """Record that the worker is alive; see expire_runs.

        Parameters:
            run_id: the id of the run.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.
        """
        await self.opened.execute(run_id, commands.RecordHeartbeat(), **options)

    async def register_agent(
        self,
        agent_id: str,
        *,
        project_id: str | None = None,
        name: str | None = None,
        agent_type: str | None = None,
        actor: Actor | None = None,
    ) -> Agent:
        """Register an agent, or change its project, name or type; return it.

        Parameters:
            agent_id: the id of the agent.
            project_id: its project; none by default.
            name: its name for people; none by default.
            agent_type: its type, which determines how its messages are shown; none by default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        return await self.opened.handler.register_agent(
            self.opened.acting(actor),
            agent_id=check_id("agent", agent_id),
            project_id=project_id,
            name=name,
            agent_type=agent_type,
        )
