"""Feedback: how a person judged a run, or one of its steps."""

from collections.abc import Collection
from typing import Unpack

from runledger.command_handling.command_options import TimedOptions
from runledger.errors import NotFound
from runledger.events import Feedback
from runledger.ids import check_id
from runledger.ledger.arguments import texts
from runledger.ledger.list_queries import ListQueries
from runledger.ledger.part import LedgerPart
from runledger.ledger.run_queries import RunQueries
from runledger.records import RunRecord, StepView, run_record
from runledger.run import commands


class FeedbackCommands(LedgerPart):
    """The last word counts; the same word again changes nothing."""

    async def record_run_feedback(
        self,
        run_id: str,
        feedback: Feedback | None,
        **options: Unpack[TimedOptions],
    ) -> RunRecord:
        """Record a person's judgement of a run, in any status; return the run.

        `feedback` is "positive" or "negative"; None takes an earlier judgement back. `at` is when
        it was given, with a time zone (default: now).

        Parameters:
            run_id: the id of the run.
            feedback: "positive" or "negative"; None takes an earlier judgement back.
            options: actor, expected_version, idempotency_key and, if it can be told, `at`; see
                CommandOptions.
        """
        command = commands.RecordRunFeedback(feedback)
        return run_record((await self.opened.execute(run_id, command, **options)).run)

    async def record_step_feedback(
        self,
        step_id: str,
        feedback: Feedback | None,
        *,
        tags: Collection[str] | None = None,
        run_id: str | None = None,
        **options: Unpack[TimedOptions],
    ) -> StepView:
        """Record a person's judgement of a step that has ended; return the step.

        `feedback` is "positive" or "negative"; None takes an earlier judgement back. `tags` take
        the place of the step's tags; None leaves them. Without `run_id`, the read models tell which
        run has the step (ReadModelsMissing if the ledger was opened without). `at` is when it was
        given, with a time zone (default: now). Raises NotFound for a step that is not there, and
        InvalidArgument for one that is pending.

        Parameters:
            step_id: the id of the step.
            feedback: "positive" or "negative"; None takes an earlier judgement back.
            tags: take the place of the step's tags; None leaves them.
            run_id: the run that has the step; without it, the read models are asked.
            options: actor, expected_version, idempotency_key and, if it can be told, `at`; see
                CommandOptions.
        """
        check_id("step", step_id)
        given = None if tags is None else texts("tags", tags)
        if run_id is None:
            run_id = (
                await ListQueries(self.opened).get_step(step_id, actor=options.get("actor"))
            ).run_id
        command = commands.RecordStepFeedback(step_id, feedback, given)
        await self.opened.execute(run_id, command, **options)
        for view in await RunQueries(self.opened).get_run_steps(run_id, actor=options.get("actor")):
            if view.step_id == step_id:
                return view
        raise NotFound("step", step_id)
