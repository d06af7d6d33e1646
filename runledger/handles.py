"""The handles of an agent loop: a run and a step as context managers that record how they end."""

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypedDict, TypeVar, Unpack

from runledger.command_handling.message_input import as_message
from runledger.errors import AlreadyEnded, InvalidArgument, LedgerError
from runledger.ids import new_id
from runledger.messages import Message
from runledger.records import RunRecord
from runledger.run import STATUS_OF, Actor
from runledger.run.step_facts import StepFacts, expect_known, step_facts
from runledger.usage import corrected, usage_facts, with_details

_LOG: Final = logging.getLogger("runledger.handles")
_TEXT_LIMIT: Final = 10_000
_T = TypeVar("_T")


class RunFacts(TypedDict, total=False):
    """The facts of a run that begins, as `create_run` takes them, but for its ids and its end."""

    project_id: str | None
    conversation_id: str | None
    hold_conversation: bool
    base_template_id: str | None
    background: bool | None
    metadata: Mapping[str, Any] | None
    request_config: Mapping[str, Any] | None
    callback_url: str | None
    exist_ok: bool
    at: datetime | None
    correlation_id: str | None


class StepArguments(StepFacts, total=False):
    """The facts of a step with what `record_step` takes beside them, but for ids and messages."""

    provider: str | None
    approval_deadline: datetime | None
    at: datetime | None


class RunCommands(Protocol):
    """The commands that handles give; see runledger.ledger.run_commands and run_endings."""

    async def create_run(
        self,
        agent_id: str,
        *,
        run_id: str | None = None,
        status: str | None = None,
        actor: Actor | None = None,
        **facts: Unpack[RunFacts],
    ) -> RunRecord:
        """Create a run; return it."""

    async def update_run(
        self,
        run_id: str,
        *,
        stop_reason: str | None = None,
        total_duration_ns: int | None = None,
        actor: Actor | None = None,
    ) -> RunRecord:
        """Complete the run; return it."""

    async def fail_run(
        self,
        run_id: str,
        *,
        error_type: str,
        error_message: str,
        run_ns: int | None = None,
        actor: Actor | None = None,
    ) -> RunRecord:
        """Fail the run; return it."""

    async def cancel_run(
        self, run_id: str, *, reason: str | None = None, actor: Actor | None = None
    ) -> object:
        """Cancel the run."""

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
        **facts: Unpack[StepFacts],
    ) -> str:
        """Record a step that ended; return its id."""

    async def record_messages(
        self,
        run_id: str,
        messages: Iterable[Message | Mapping[str, Any]],
        *,
        approval_deadline: datetime | None = None,
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> list[str]:
        """Record messages; return their ids."""

    async def patch_metadata(
        self,
        run_id: str,
        patch: Mapping[str, Any] | None = None,
        *,
        remove: Collection[str] = (),
        actor: Actor | None = None,
        at: datetime | None = None,
    ) -> RunRecord:
        """Set keys of the metadata, or take some away; return the run."""

    async def record_heartbeat(
        self, run_id: str, *, actor: Actor | None = None, at: datetime | None = None
    ) -> None:
        """Record that the worker is alive."""


class RunHandle:
    """A run in progress: its block's end completes it, an exception fails it, a cancel cancels.

    The exception of the block is what its caller sees, whatever becomes of recording it: a note
    on it says where that was refused.
    """

    def __init__(
        self,
        ledger: RunCommands,
        actor: Actor | None,
        agent_id: str,
        run_id: str | None,
        facts: RunFacts,
    ) -> None:
        self._ledger = ledger
        self._actor = actor
        self._facts = facts
        self._stop_reason = "end_turn"
        self._began_ns = 0
        self._entered = False
        self._agent_id = agent_id
        self.run_id = run_id or new_id("run")

    async def __aenter__(self) -> Self:
        _expect_first(self._entered, f"run {self.run_id!r}")
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
            # The block will not be entered, hence never left; but the run may be in the log.
            await _to_its_end(self._withdraw(creating))
            raise
        # The monotonic clock: a step of the wall clock must not make a run last a year.
        self._began_ns = time.monotonic_ns()
        return self

    async def _withdraw(self, creating: "asyncio.Future[RunRecord]") -> None:
        try:
            await creating
        except LedgerError:
            return  # There is none.
        try:
            await self._cancel()
        except LedgerError:
            _LOG.warning("run %r: could not be cancelled", self.run_id, exc_info=True)

    def stop(self, stop_reason: str) -> None:
        """Say why the run will end when its block is left: end_turn unless said otherwise.

        Its status follows from the reason. Raises InvalidArgument for an unknown one.

        Parameters:
            stop_reason: one of the 13 stop reasons.
        """
        if not isinstance(stop_reason, str) or stop_reason not in STATUS_OF:
            raise InvalidArgument(
                f"stop: expected one of {', '.join(STATUS_OF)}, found {stop_reason!r:.80}"
            )
        self._stop_reason = stop_reason

    def step(self, *, step_id: str | None = None, **facts: Unpack[StepArguments]) -> "StepHandle":
        """Return a step of this run as a context manager.

        Parameters:
            step_id: the id of the step; a fresh one by default.
            facts: facts of the step that are known when it begins, as in record_step.
        """
        return StepHandle(self, step_id, facts)

    async def messages(
        self,
        *messages: Message | Mapping[str, Any],
        approval_deadline: datetime | None = None,
        at: datetime | None = None,
    ) -> list[str]:
        """Record messages outside of a step; return their ids.

        Parameters:
            messages: the messages; a mapping needs a `role` and gets an id.
            approval_deadline: when open tool calls that need an approval are denied; never without.
            at: when it happened; now by default.
        """
        return await self._ledger.record_messages(
            self.run_id, messages, approval_deadline=approval_deadline, actor=self._actor, at=at
        )

    async def patch_metadata(
        self,
        patch: Mapping[str, Any] | None = None,
        *,
        remove: Collection[str] = (),
        at: datetime | None = None,
    ) -> RunRecord:
        """Set keys of the run's metadata, or take some away; return the run.

        Parameters:
            patch: the keys to set, with their values.
            remove: the keys to take away.
            at: when it happened; now by default.
        """
        return await self._ledger.patch_metadata(
            self.run_id, patch, remove=remove, actor=self._actor, at=at
        )

    async def heartbeat(self) -> None:
        """Say that the worker is alive."""
        await self._ledger.record_heartbeat(self.run_id, actor=self._actor)

    async def record_step(
        self,
        *,
        step_id: str | None = None,
        messages: Iterable[Message | Mapping[str, Any]] = (),
        **facts: Unpack[StepArguments],
    ) -> str:
        """Record a step of this run that ended; return its id.

        Parameters:
            step_id: the id of the step; a fresh one by default.
            messages: the messages of the step, in order.
            facts: as in the ledger's record_step.
        """
        return await self._ledger.record_step(
            self.run_id, step_id=step_id, messages=messages, actor=self._actor, **facts
        )

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run_ns = time.monotonic_ns() - self._began_ns
        if exc is None:
            # Shielded here and below: a cancellation must not leave the run open.
            await _to_its_end(
                self._ledger.update_run(
                    self.run_id,
                    stop_reason=self._stop_reason,
                    total_duration_ns=run_ns,
                    actor=self._actor,
                )
            )
            return
        try:
            if isinstance(exc, asyncio.CancelledError | KeyboardInterrupt):
                await _to_its_end(self._cancel())
            else:
                failing = self._ledger.fail_run(
                    self.run_id,
                    error_type=type(exc).__name__,
                    error_message=_said(exc),
                    run_ns=run_ns,
                    actor=self._actor,
                )
                await _to_its_end(failing)
        except AlreadyEnded:
            # Somebody ended the run meanwhile, and the first end wins.
            return
        except LedgerError as e:
            exc.add_note(f"The end of run {self.run_id!r} could not be recorded: {e}")

    async def _cancel(self) -> None:
        await self._ledger.cancel_run(
            self.run_id, reason="the task was cancelled", actor=self._actor
        )


class StepHandle:
    """A step in progress: collects messages and usage, and records all of it in one append.

    The exception of the block is what its caller sees, as with a run. Where what was said of the
    step is refused then, that it failed is recorded all the same.
    """

    def __init__(self, run: RunHandle, step_id: str | None, facts: StepArguments) -> None:
        self._run = run
        self.step_id = step_id or new_id("step")
        self._facts: dict[str, Any] = {}
        self._messages: list[Message] = []
        self._began_ns = 0
        self._entered = False
        self._set(facts)

    async def __aenter__(self) -> Self:
        _expect_first(self._entered, f"step {self.step_id!r}")
        self._entered = True
        self._began_ns = time.monotonic_ns()
        self._facts.setdefault("step_start_ns", time.time_ns())
        return self

    def messages(self, *messages: Message | Mapping[str, Any]) -> list[str]:
        """Add messages to the step; a mapping needs a `role`, gets an id. Returns the ids.

        Parameters:
            messages: the messages, in order; a mapping needs a `role`.
        """
        made = [as_message(message) for message in messages]
        self._messages += made
        return [message.id for message in made]

    def usage(
        self,
        reported: object = None,
        /,
        *,
        input_includes_cache: bool | None = None,
        output_includes_reasoning: bool | None = None,
        **counts: object,
    ) -> None:
        """Say what the provider reported, as it came; may be said again while an answer streams in.

        What is not given stays as it was, at first None; a total is dropped if later counts come
        without one.

        Parameters:
            reported: the provider's own usage, an object or a mapping, as in
                runledger.usage.usage_facts; None if it is given by name.
            input_includes_cache, output_includes_reasoning: whether the numbers do, if known.
            counts: prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details,
                completion_tokens_details, or any other names of a provider's usage.
            input_includes_cache: whether the input count includes the tokens read from and written
                to a cache; decided by arithmetic and provider without.
            output_includes_reasoning: whether the output count includes the tokens of reasoning;
                decided likewise without.

        Raises:
            InvalidArgument: for counts that cannot be.
        """
        told = usage_facts(reported) | usage_facts(counts)
        known = {
            "input_includes_cache": input_includes_cache,
            "output_includes_reasoning": output_includes_reasoning,
        }
        told |= {name: value for name, value in known.items() if value is not None}
        self._set(with_details(self._facts, told))

    def fact(self, **facts: Unpack[StepArguments]) -> None:
        """Set any other fact of the step, such as `request_id` or `stop_reason`.

        Parameters:
            facts: the facts by name; one that was set before is replaced.

        Raises:
            InvalidArgument: for a fact that no step has, and for counts that cannot be.
        """
        self._set(facts)

    def _set(self, facts: Mapping[str, Any]) -> None:
        if beside := sorted(facts.keys() & {"step_id", "messages", "actor"}):
            raise InvalidArgument(f"fact: not for {', '.join(beside)}; the step has its own")
        expect_known("step", facts.keys() - {"provider", "approval_deadline", "at"})
        both = corrected(self._facts, facts)
        step_facts(both)
        self._facts = both

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._facts.setdefault("step_ns", time.monotonic_ns() - self._began_ns)
        if exc is None:
            await _to_its_end(self._record(self._facts))
            return
        cancelled = isinstance(exc, asyncio.CancelledError | KeyboardInterrupt)
        ended = {
            "status": "cancelled" if cancelled else "failed",
            "error_type": type(exc).__name__,
            "error_data": {"message": _said(exc)},
        }
        try:
            await _to_its_end(self._record_failed(ended))
        except LedgerError as e:
            exc.add_note(f"Step {self.step_id!r} could not be recorded: {e}")

    async def _record_failed(self, ended: Mapping[str, Any]) -> None:
        try:
            await self._record({**self._facts, **ended})
        except InvalidArgument:
            await self._record({**ended, "step_ns": self._facts["step_ns"]})
            raise

    async def _record(self, facts: Mapping[str, Any]) -> None:
        await self._run.record_step(step_id=self.step_id, messages=self._messages, **facts)


def _expect_first(entered: bool, what: str) -> None:
    if entered:
        raise InvalidArgument(f"{what}: its block was entered before; each begins with a handle")


async def _to_its_end(recording: Coroutine[Any, Any, _T]) -> _T:
    """Wait for what is being recorded; a task that is cancelled meanwhile does not stop it."""
    return await asyncio.shield(asyncio.ensure_future(recording))


def _said(exc: BaseException) -> str:
    """Return the text of an exception as it can be stored, whatever its author made of it."""
    try:
        text = str(exc)
    except Exception as e:
        text = f"a text that could not be made: {type(e).__name__}"
    return text[:_TEXT_LIMIT].encode(errors="backslashreplace").decode()
