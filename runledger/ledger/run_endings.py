"""The commands that end a run, and the update of a run's fields."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Unpack

from runledger.arguments import check_flags
from runledger.command_handling.command_options import CommandOptions, TimedOptions
from runledger.errors import IllegalTransition, InvalidArgument, NotFound
from runledger.ids import check_id
from runledger.ledger.field_update import ENDS, status_for, transition
from runledger.ledger.part import LedgerPart
from runledger.records import Cancellation, RunRecord, run_record
from runledger.run import Actor, RunStatus, commands


class RunEndings(LedgerPart):
    """The first end wins: a later, different end is refused with AlreadyEnded."""

    async def complete_run(
        self,
        run_id: str,
        *,
        stop_reason: str = "end_turn",
        run_ns: int | None = None,
        **options: Unpack[TimedOptions],
    ) -> RunRecord:
        """Complete the run; AlreadyEnded is raised if it ended otherwise.

        Parameters:
            run_id: the id of the run.
            stop_reason: why it ended; "end_turn" by default.
            run_ns: the measured duration in nanoseconds; the time since the creation by default.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.
        """
        command = commands.CompleteRun(stop_reason, run_ns)
        return run_record((await self.opened.execute(run_id, command, **options)).run)

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
        """Fail the run; AlreadyEnded is raised if it ended otherwise.

        Parameters:
            run_id: the id of the run.
            stop_reason: why it ended; "error" by default.
            error_type: the class of the error; none by default.
            error_message: the text of the error; none by default.
            error_data: more data about the error, as JSON; none by default.
            run_ns: the measured duration in nanoseconds; the time since the creation by default.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.
        """
        command = commands.FailRun(stop_reason, error_type, error_message, error_data, run_ns)
        return run_record((await self.opened.execute(run_id, command, **options)).run)

    async def cancel_run(
        self,
        run_id: str,
        *,
        reason: str | None = None,
        **options: Unpack[TimedOptions],
    ) -> Cancellation:
        """Cancel the run, deny its open tool calls and release its conversation, in one append.

        Parameters:
            run_id: the id of the run.
            reason: the reason, as text that is stored; none by default.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.
        """
        outcome = await self.opened.execute(run_id, commands.CancelRun(reason), **options)
        return Cancellation(
            "cancelled" if outcome.events or outcome.repeated else "already_ended",
            run_record(outcome.run),
        )

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

        `without_conversation` leaves out the agent's runs that belong to a conversation. Read
        models are required (ReadModelsMissing otherwise). A run that ends meanwhile is reported as
        already ended, a run that is deleted meanwhile is left out.

        Parameters:
            agent_id: the agent whose open runs are cancelled.
            conversation_id: the conversation whose open runs are cancelled.
            without_conversation: True leaves out the agent's runs that belong to a conversation.
            reason: the reason, as text that is stored; none by default.
            actor: acts instead of the ledger's own actor; queries are about its organization.
        """
        if (agent_id is None) == (conversation_id is None):
            raise InvalidArgument("cancel_runs: expected an agent_id or a conversation_id")
        if agent_id is not None:
            check_id("agent", agent_id)
        check_flags(without_conversation=without_conversation)
        if without_conversation and conversation_id is not None:
            raise InvalidArgument("cancel_runs: expected without_conversation beside an agent_id")
        if conversation_id is not None:
            check_id("conversation", conversation_id)
        organization = self.opened.organization(actor)
        found = await self.opened.ask(
            lambda q: q.open_runs(
                organization,
                agent_id,
                conversation_id,
                without_conversation=without_conversation,
            )
        )
        cancelled = await asyncio.gather(
            *(self.cancel_run(run_id, reason=reason, actor=actor) for run_id in found),
            return_exceptions=True,
        )
        done = []
        for result in cancelled:
            if isinstance(result, Cancellation):
                done.append(result)
            elif not isinstance(result, NotFound):
                raise result
        return done

    async def delete_run(self, run_id: str, **options: Unpack[CommandOptions]) -> None:
        """Remove the run from every read model and getter; its id is never used again.

        Parameters:
            run_id: the id of the run.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.
        """
        await self.opened.execute(run_id, commands.DeleteRun(), **options)

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
        """Translate an update of fields into the run's transitions, in one append; return the run.

        The metadata is patched first, and keys of `remove_metadata` are removed; a status then
        starts, completes, fails or cancels the run. A stop_reason without a status determines it.
        `completed_at` is the time of the end and `total_duration_ns` its duration: both need an
        end. AlreadyEnded is raised, with nothing changed, if the run ended otherwise.

        Parameters:
            run_id: the id of the run.
            status: the new status; unchanged by default.
            stop_reason: why it ended; determines the status if none is given.
            completed_at: when it ended; only with an end.
            metadata: keys of the metadata to set.
            remove_metadata: keys of the metadata to remove.
            total_duration_ns: the duration in nanoseconds; only with an end.
            error_type: the class of the error; none by default.
            error_message: the text of the error; none by default.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.
        """
        asked = status_for(status, stop_reason)
        if asked not in ENDS and (completed_at is not None or total_duration_ns is not None):
            raise InvalidArgument(
                "update_run: completed_at and total_duration_ns belong to an end, found "
                + ("no status" if asked is None else f"status {asked.value!r}")
            )
        orders: list[commands.Command] = []
        if metadata or remove_metadata:
            orders.append(commands.PatchMetadata(metadata or {}, remove_metadata))
        if asked is RunStatus.CREATED:
            found = (await self.opened.load(run_id, options.get("actor"))).state
            if found != asked:
                raise IllegalTransition(run_id, "status created", found, (asked,))
        elif asked is not None:
            orders += transition(
                asked,
                stop_reason,
                run_ns=total_duration_ns,
                error_type=error_type,
                error_message=error_message,
            )
        if not orders:
            return run_record(await self.opened.load(run_id, options.get("actor")))
        return run_record(
            (await self.opened.execute(run_id, *orders, at=completed_at, **options)).run
        )
