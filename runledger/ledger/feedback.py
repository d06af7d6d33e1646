"""Feedback: a person's judgement of a run, or of one of its steps."""

from collections.abc import Collection
from typing import Unpack

from runledger.arguments import texts
from runledger.command_handling.command_options import TimedOptions
from runledger.errors import NotFound
from runledger.events import Feedback
from runledger.ids import check_id
from runledger.ledger.list_queries import ListQueries
from runledger.ledger.part import LedgerPart
from runledger.ledger.run_queries import RunQueries
from runledger.records import RunRecord, StepView, run_record
from runledger.run import commands


class FeedbackCommands(LedgerPart):
    """The last feedback replaces earlier feedback; the same feedback again changes nothing."""

    async def record_run_feedback(
        self,
        run_id: str,
        feedback: Feedback | None,
        **options: Unpack[TimedOptions],
    ) -> RunRecord:
        """Record a person's feedback on a run, in any status; return the run.

        `feedback` is "positive" or "negative"; None withdraws earlier feedback. `at` is when it was
        given, with a time zone (default: now).

        Parameters:
            run_id: the id of the run.
            feedback: "positive" or "negative"; None withdraws earlier feedback.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
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
        """Record a person's feedback on a step that has ended; return the step.

        `feedback` is "positive" or "negative"; None withdraws earlier feedback. `tags` replace the
        step's tags; None leaves them. Without `run_id`, the run is found in the read models
        (ReadModelsMissing if the ledger was opened without). `at` is when it was given, with a time
        zone (default: now).

        Parameters:
            step_id: the id of the step.
            feedback: "positive" or "negative"; None withdraws earlier feedback.
            tags: replace the step's tags; None leaves them.
            run_id: the run that has the step; found in the read models by default.
            options: actor, expected_version, idempotency_key, and `at` in TimedOptions; see
                CommandOptions.

        Raises:
            NotFound: if there is no such step.
            InvalidArgument: if the step is pending.
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
