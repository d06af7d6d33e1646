"""The handle of a run: a context manager that records how the run ends."""

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack

from runledger.command_handling.message_input import as_message
from runledger.errors import (
    AlreadyEnded,
    Conflict,
    ContentConflict,
    InvalidArgument,
    LedgerError,
    StoreRefused,
)
from runledger.handles.commands import RunCommands, RunFacts, StepArguments
from runledger.handles.refusals import NOT_RECORDED, OnError, Refusals, marked, recordable
from runledger.handles.step_handle import STOPPED, StepHandle, expect_first, said, to_its_end
from runledger.ids import is_id, new_id
from runledger.messages import Message
from runledger.records import RunRecord
from runledger.run import STATUS_OF, Actor

_LOG: Final = logging.getLogger("runledger.handles")
_CANCELLED: Final = "the task was cancelled"
_REFUSED: Final = (InvalidArgument, ContentConflict, StoreRefused)
"""The errors of refused content: with less content it can be recorded."""
_T = TypeVar("_T")


class RunHandle:
    """A run in progress: the end of its block completes it, an exception fails it, a cancellation
    cancels it.

    The recorded outcome is the one of the work, and its caller gets it too. If the ledger refuses
    content in the block, it is recorded in a reduced form, with the refused content and the reason
    under `not_recorded`. The error is raised once the run has ended, logged if `on_error` is "log",
    or added as a note to the exception of the block if there is one. A generator that is closed
    early cancels the run, as a cancelled task does.
    """

    def __init__(
        self,
        ledger: RunCommands,
        actor: Actor | None,
        agent_id: str,
        run_id: str | None,
        facts: RunFacts,
        on_error: OnError = "raise",
    ) -> None:
        self.refusals = Refusals(on_error)
        self._unrecorded: dict[str, str] = {}
        self._ledger = ledger
        self._actor = actor
        self._facts = facts
        self._stop_reason = "end_turn"
        self._began_ns = 0
        self._entered = False
        self._agent_id = agent_id
        self.run_id = run_id or new_id("run")

    async def __aenter__(self) -> Self:
        expect_first(self._entered, f"run {self.run_id!r}")
        self._entered = True
        creating = asyncio.ensure_future(
            self._ledger.create_run(
                self._agent_id,
                run_id=self.run_id,
                status="running",
                actor=self._actor,
                **self._facts,
            )
        )
        try:
            await asyncio.shield(creating)
        except asyncio.CancelledError:
            # The block will not be entered and never left, but the run may be in the log.
            await to_its_end(self._withdraw(creating))
            raise
        except LedgerError as e:
            # A conflict means that the work must not start: another run holds the conversation.
            if isinstance(e, Conflict) or not self.refusals.logs:
                raise
            self.refusals.keep(f"the creation of run {self.run_id!r}", e)
        # Measured by the monotonic clock: a change of the wall clock must not affect the duration.
        self._began_ns = time.monotonic_ns()
        return self

    async def _withdraw(self, creating: "asyncio.Future[RunRecord]") -> None:
        try:
            await creating
        except LedgerError:
            return  # There is no run.
        try:
            await self._cancel()
        except LedgerError:
            _LOG.warning("run %r: could not be cancelled", self.run_id, exc_info=True)

    def stop(self, stop_reason: str) -> None:
        """Set the reason with which the run ends when its block is left; end_turn by default.

        The reason determines the status. An unknown reason is refused and changes nothing.

        Parameters:
            stop_reason: one of the 13 stop reasons.
        """
        if isinstance(stop_reason, str) and stop_reason in STATUS_OF:
            self._stop_reason = stop_reason
            return
        error = InvalidArgument(
            f"stop: expected one of {', '.join(STATUS_OF)}, found {stop_reason!r:.80}"
        )
        self._unrecorded["stop_reason"] = self.refusals.keep(f"run {self.run_id!r}", error)

    def step(self, *, step_id: str | None = None, **facts: Unpack[StepArguments]) -> StepHandle:
        """Return a step of this run as a context manager.

        Parameters:
            step_id: the id of the step; a fresh one by default.
            facts: facts of the step that are known at its beginning, as in record_step.
        """
        return StepHandle(self, step_id, facts)

    async def messages(
        self,
        *messages: Message | Mapping[str, Any],
        approval_deadline: datetime | None = None,
        at: datetime | None = None,
    ) -> list[str]:
        """Record messages outside a step; return the ids of the recorded ones.

        Parameters:
            messages: the messages; a mapping needs a `role` and gets an id.
            approval_deadline: when open tool calls that need an approval are denied; never by
                default.
            at: when it happened; now by default.
        """

        async def record(given: Sequence[Message | Mapping[str, Any]]) -> list[str]:
            return await self._ledger.record_messages(
                self.run_id, given, approval_deadline=approval_deadline, actor=self._actor, at=at
            )

        try:
            return await record(messages)
        except _REFUSED as e:
            self._refuse("messages", e)
        return [id for one in messages for id in await self._unless_refused(record([one]), [])]

    async def patch_metadata(
        self,
        patch: Mapping[str, Any] | None = None,
        *,
        remove: Collection[str] = (),
        at: datetime | None = None,
    ) -> RunRecord:
        """Set or remove keys of the run's metadata; return the run.

        Parameters:
            patch: the keys to set, with their values.
            remove: the keys to remove.
            at: when it happened; now by default.
        """

        async def record(given: Mapping[str, Any], taken: Collection[str]) -> RunRecord:
            return await self._ledger.patch_metadata(
                self.run_id, given, remove=taken, actor=self._actor, at=at
            )

        try:
            return await record(patch or {}, remove)
        except _REFUSED as e:
            self._refuse("metadata", e)
        for key, value in patch.items() if isinstance(patch, Mapping) else ():
            await self._unless_refused(record({key: value}, ()), None)
        return await record({}, ())

    async def heartbeat(self) -> None:
        """Record that the worker is alive."""
        try:
            await self._ledger.record_heartbeat(self.run_id, actor=self._actor)
        except LedgerError as e:
            if not self.refusals.logs:
                raise
            self.refusals.keep(f"a heartbeat of run {self.run_id!r}", e)

    def _refuse(self, what: str, error: LedgerError) -> None:
        self._unrecorded[what] = self.refusals.keep(f"{what} of run {self.run_id!r}", error)

    async def _unless_refused(self, recording: Coroutine[Any, Any, _T], otherwise: _T) -> _T:
        try:
            return await recording
        except _REFUSED:
            return otherwise

    async def record_step(
        self,
        *,
        step_id: str | None = None,
        messages: Iterable[Message | Mapping[str, Any]] = (),
        **facts: Unpack[StepArguments],
    ) -> str:
        """Record a step of this run that ended, in a reduced form if refused; return its id.

        Parameters:
            step_id: the id of the step; a fresh one by default.
            messages: the messages of the step, in order.
            facts: as in the ledger's record_step.
        """
        given = messages if isinstance(messages, str | bytes | Mapping) else tuple(messages)
        step_id = step_id or new_id("step")
        await self.record_what_can_be(step_id, dict(facts), given, {})
        return step_id

    async def record_what_can_be(
        self, step_id: str, facts: Mapping[str, Any], messages: Any, refused: dict[str, str]
    ) -> None:
        """Record a step: completely, without the refused content, or at least its facts.

        Parameters:
            step_id: the id of the step.
            facts: as in the ledger's record_step.
            messages: the messages of the step.
            refused: the reasons of earlier refusals for this step.
        """
        what = f"step {step_id!r}"
        try:
            await self._record(step_id, marked(facts, refused), messages)
            return
        except _REFUSED as e:
            if isinstance(e, ContentConflict) and e.kind == "step":
                raise
            error = e
        if not isinstance(step_id, str) or not is_id("step", step_id):
            refused["step_id"] = f"{step_id!r:.80}"
            step_id = new_id("step")
        kept, beside = recordable(facts)
        refused |= beside
        reason = self.refusals.keep(what, error)
        try:
            if beside:
                await self._record(step_id, marked(kept, refused), messages)
                return
        except _REFUSED as e:
            reason = str(e)
        refused["messages"] = reason
        await self._record(step_id, marked(kept, refused), ())
        for message in messages if isinstance(messages, tuple | list) else ():
            one = self._record_message(step_id, message)
            await self._unless_refused(one, None)

    async def _record(self, step_id: str, facts: Mapping[str, Any], messages: Any) -> None:
        await self._ledger.record_step(
            self.run_id, step_id=step_id, messages=messages, actor=self._actor, **facts
        )

    async def _record_message(self, step_id: str, given: Message | Mapping[str, Any]) -> None:
        message = as_message(given)
        if message.step_id is None:
            message = message.model_copy(update={"step_id": step_id})
        await self._ledger.record_messages(self.run_id, [message], actor=self._actor)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run_ns = time.monotonic_ns() - self._began_ns
        if exc is None:
            told = {"metadata": {NOT_RECORDED: self._unrecorded}} if self._unrecorded else {}
            ending = self._ledger.update_run(
                self.run_id,
                stop_reason=self._stop_reason,
                total_duration_ns=run_ns,
                actor=self._actor,
                **told,
            )
            try:
                # Shielded here and below: a cancellation must not leave the run open.
                await to_its_end(ending)
            except LedgerError as e:
                self.refusals.keep(f"the end of run {self.run_id!r}", e)
            self.refusals.settle()
            return
        self.refusals.note(exc)
        try:
            if isinstance(exc, STOPPED):
                closed = isinstance(exc, GeneratorExit)
                reason = "the generator was closed before its end" if closed else _CANCELLED
                await to_its_end(self._cancel(reason))
            else:
                failing = self._ledger.fail_run(
                    self.run_id,
                    error_type=type(exc).__name__,
                    error_message=said(exc),
                    run_ns=run_ns,
                    actor=self._actor,
                )
                await to_its_end(failing)
        except AlreadyEnded:
            # Another task ended the run meanwhile, and the first end wins.
            return
        except LedgerError as e:
            exc.add_note(f"The end of run {self.run_id!r} could not be recorded: {e}")

    async def _cancel(self, reason: str = _CANCELLED) -> None:
        await self._ledger.cancel_run(self.run_id, reason=reason, actor=self._actor)
