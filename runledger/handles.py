"""The handles of an agent loop: a run and a step as context managers that record how they end."""

import asyncio
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from runledger.errors import AlreadyEnded, InvalidArgument
from runledger.ids import new_id
from runledger.message_input import as_message
from runledger.messages import Message
from runledger.run import Actor

if TYPE_CHECKING:
    from runledger.ledger.writing import WritingLedger

_TEXT_LIMIT = 10_000


class RunHandle:
    """A run in progress: its block's end completes it, an exception fails it, a cancel cancels."""

    def __init__(self, ledger: "WritingLedger", actor: Actor | None, facts: dict[str, Any]) -> None:
        self._ledger = ledger
        self._actor = actor
        self._facts = facts
        self._stop_reason = "end_turn"
        self._began_ns = 0
        self.run_id = facts.pop("run_id", None) or new_id("run")

    async def __aenter__(self) -> Self:
        await self._ledger.create_run(
            **self._facts, run_id=self.run_id, status="running", actor=self._actor
        )
        # The monotonic clock: a step of the wall clock must not make a run last a year.
        self._began_ns = time.monotonic_ns()
        return self

    def stop(self, stop_reason: str) -> None:
        """Say why the run will end when its block is left: end_turn unless said otherwise."""
        self._stop_reason = stop_reason

    def step(
        self, *, provider: str | None = None, model: str | None = None, **facts: Any
    ) -> "StepHandle":
        """Return a step of this run as a context manager; `facts` as in record_step."""
        return StepHandle(self, {"provider": provider, "model": model, **facts})

    async def messages(self, *messages: Message | Mapping[str, Any], **options: Any) -> list[str]:
        """Record messages outside of a step; return their ids."""
        return await self._ledger.record_messages(
            self.run_id, messages, actor=self._actor, **options
        )

    async def patch_metadata(self, patch: Mapping[str, Any], **options: Any) -> None:
        """Set keys of the run's metadata."""
        await self._ledger.patch_metadata(self.run_id, patch, actor=self._actor, **options)

    async def heartbeat(self) -> None:
        """Say that the worker is alive."""
        await self._ledger.record_heartbeat(self.run_id, actor=self._actor)

    async def record_step(self, **facts: Any) -> None:
        """Record a step of this run; `facts` as in the ledger's record_step."""
        await self._ledger.record_step(self.run_id, actor=self._actor, **facts)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run_ns = time.monotonic_ns() - self._began_ns
        end = self._ledger.complete_run, {"stop_reason": self._stop_reason, "run_ns": run_ns}
        if exc is None:
            await end[0](self.run_id, actor=self._actor, **end[1])  # type: ignore[arg-type]
            return
        try:
            if isinstance(exc, asyncio.CancelledError | KeyboardInterrupt):
                cancelling = self._ledger.cancel_run(
                    self.run_id, reason="the task was cancelled", actor=self._actor
                )
                # Shielded: a second cancellation must not leave the run open.
                await asyncio.shield(asyncio.ensure_future(cancelling))
            else:
                await self._ledger.fail_run(
                    self.run_id,
                    error_type=type(exc).__name__,
                    error_message=str(exc)[:_TEXT_LIMIT],
                    run_ns=run_ns,
                    actor=self._actor,
                )
        except AlreadyEnded:
            # Somebody ended the run meanwhile, and the first end wins; what went wrong in the
            # block is the error that its caller must see.
            return


class StepHandle:
    """A step in progress: collects messages and usage, and records all of it in one append."""

    def __init__(self, run: RunHandle, facts: dict[str, Any]) -> None:
        self._run = run
        self._facts = facts
        self._messages: list[Message] = []
        self._began_ns = 0
        self.step_id = facts.pop("step_id", None) or new_id("step")

    async def __aenter__(self) -> Self:
        self._began_ns = time.monotonic_ns()
        self._facts.setdefault("step_start_ns", time.time_ns())
        return self

    def messages(self, *messages: Message | Mapping[str, Any]) -> list[str]:
        """Add messages to the step; a mapping needs a `role`, gets an id. Returns the ids."""
        made = [as_message(message) for message in messages]
        self._messages += made
        return [message.id for message in made]

    def usage(
        self,
        *,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        total_tokens: int | None = None,
        prompt_tokens_details: Mapping[str, Any] | None = None,
        completion_tokens_details: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what the provider reported, raw; what it did not report stays None."""
        self._facts.update(
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            total_tokens=total_tokens,
            prompt_tokens_details=prompt_tokens_details,
            completion_tokens_details=completion_tokens_details,
        )

    def fact(self, **facts: Any) -> None:
        """Set any other fact of the step, such as `request_id` or `stop_reason`."""
        if "step_id" in facts:
            raise InvalidArgument("fact: the step has its id already")
        self._facts.update(facts)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._facts.setdefault("step_ns", time.monotonic_ns() - self._began_ns)
        if exc is not None:
            cancelled = isinstance(exc, asyncio.CancelledError | KeyboardInterrupt)
            self._facts["status"] = "cancelled" if cancelled else "failed"
            self._facts["error_type"] = type(exc).__name__
            self._facts["error_data"] = {"message": str(exc)[:_TEXT_LIMIT]}
        recording = self._run.record_step(
            step_id=self.step_id, messages=self._messages, **self._facts
        )
        await asyncio.shield(asyncio.ensure_future(recording))
