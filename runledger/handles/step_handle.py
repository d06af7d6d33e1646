"""The handle of a step: a context manager that collects its facts and records them once."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar, Unpack

from runledger.command_handling.message_input import as_message
from runledger.errors import InvalidArgument, LedgerError
from runledger.handles.commands import StepArguments
from runledger.handles.refusals import Refusals
from runledger.ids import new_id
from runledger.messages import Message
from runledger.run.step_facts import expect_known, step_facts
from runledger.usage import corrected, usage_facts, with_details

_TEXT_LIMIT: Final = 10_000
STOPPED: Final = (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)
"""Exceptions that end a block without a fault of the work; GeneratorExit: iteration was stopped."""
_T = TypeVar("_T")


class StepRecorder(Protocol):
    """The run of a step, which records it; see runledger.handles.RunHandle."""

    refusals: Refusals

    async def record_what_can_be(
        self, step_id: str, facts: Mapping[str, Any], messages: Any, refused: dict[str, str]
    ) -> None:
        """Record a step, in a reduced form if refused."""


class StepHandle:
    """A step in progress: collects messages and usage, and records all of it in one append.

    Refused content is left out and listed in the step's `error_data`, under `not_recorded`; the
    rest is recorded, with the tag `reduced`. RunHandle describes how the error is raised.
    """

    def __init__(self, run: StepRecorder, step_id: str | None, facts: StepArguments) -> None:
        self._run = run
        self.step_id = step_id or new_id("step")
        self._facts: dict[str, Any] = {}
        self._messages: list[Message] = []
        self._refused: dict[str, str] = {}
        self._began_ns = 0
        self._entered = False
        self._set(facts)

    async def __aenter__(self) -> Self:
        expect_first(self._entered, f"step {self.step_id!r}")
        self._entered = True
        self._began_ns = time.monotonic_ns()
        self._facts.setdefault("step_start_ns", time.time_ns())
        return self

    def messages(self, *messages: Message | Mapping[str, Any]) -> list[str]:
        """Add messages to the step; a mapping needs a `role` and gets an id. Returns the ids.

        Parameters:
            messages: the messages, in order; a mapping needs a `role`.
        """
        made = []
        for message in messages:
            try:
                made.append(as_message(message))
            except InvalidArgument as e:
                self._refuse("messages", e)
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
        """Set the usage that the provider reported; may be called again while an answer is
        streamed.

        Counts that are not given stay as they were, None at first; a total is dropped if later
        counts are given without one.

        Parameters:
            reported: the provider's own usage, an object or a mapping, as in
                runledger.usage.usage_facts; None if it is given by name.
            input_includes_cache: whether the input count includes the tokens read from and written
                to a cache; decided by arithmetic and provider by default.
            output_includes_reasoning: whether the output count includes the tokens of reasoning;
                decided in the same way by default.
            counts: prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details,
                completion_tokens_details, or any other names of a provider's usage.

        An impossible count is refused, and the others are kept.
        """
        told = self._reported(reported) | self._reported(counts)
        known = {
            "input_includes_cache": input_includes_cache,
            "output_includes_reasoning": output_includes_reasoning,
        }
        told |= {name: value for name, value in known.items() if value is not None}
        self._set(with_details(self._facts, told))

    def _reported(self, reported: object) -> dict[str, Any]:
        """Return the facts of a usage, without refused counts."""
        try:
            return usage_facts(reported)
        except InvalidArgument as e:
            self._refuse("usage", e)
        told: dict[str, Any] = {}
        for name, value in reported.items() if isinstance(reported, Mapping) else ():
            with suppress(InvalidArgument):
                told |= usage_facts({name: value})
        return told

    def fact(self, **facts: Unpack[StepArguments]) -> None:
        """Set any other fact of the step, such as `request_id` or `stop_reason`.

        Parameters:
            facts: the facts by name; one that was set before is replaced.

        An unknown fact and an impossible count are refused; the others are kept.
        """
        self._set(facts)

    def _set(self, facts: Mapping[str, Any]) -> None:
        """Set facts, except refused ones."""
        try:
            self._facts = self._with(facts)
        except InvalidArgument as e:
            given, error = facts, e
        else:
            return
        self._run.refusals.keep(f"step {self.step_id!r}", error)
        for name, value in given.items():
            try:
                self._facts = self._with({name: value})
            except InvalidArgument as e:
                self._refused[name] = str(e)

    def _refuse(self, what: str, error: LedgerError) -> None:
        self._refused[what] = self._run.refusals.keep(f"{what} of step {self.step_id!r}", error)

    def _with(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        if beside := sorted(facts.keys() & {"step_id", "messages", "actor"}):
            raise InvalidArgument(f"fact: not for {', '.join(beside)}; the step has its own")
        expect_known("step", facts.keys() - {"provider", "approval_deadline", "at"})
        both = corrected(self._facts, facts)
        step_facts(both)
        return both

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._facts.setdefault("step_ns", time.monotonic_ns() - self._began_ns)
        if exc is None:
            try:
                await to_its_end(self._record(self._facts))
            except LedgerError as e:
                if not self._run.refusals.logs:
                    raise
                self._run.refusals.keep(f"step {self.step_id!r}", e)
            return
        ended = {
            "status": "cancelled" if isinstance(exc, STOPPED) else "failed",
            "error_type": type(exc).__name__,
            "error_data": {"message": said(exc)},
        }
        try:
            await to_its_end(self._record({**self._facts, **ended}))
        except LedgerError as e:
            exc.add_note(f"Step {self.step_id!r} could not be recorded: {e}")

    async def _record(self, facts: Mapping[str, Any]) -> None:
        await self._run.record_what_can_be(self.step_id, facts, self._messages, self._refused)


def expect_first(entered: bool, what: str) -> None:
    """Raise InvalidArgument for a block that is entered for a second time."""
    if entered:
        raise InvalidArgument(f"{what}: its block was entered before; each begins with a handle")


async def to_its_end(recording: Coroutine[Any, Any, _T]) -> _T:
    """Wait for a recording to finish; a cancellation of the task does not stop it."""
    return await asyncio.shield(asyncio.ensure_future(recording))


def said(exc: BaseException) -> str:
    """Return the text of an exception in a form that can be stored, even if `str` fails."""
    try:
        text = str(exc)
    except Exception as e:
        text = f"a text that could not be made: {type(e).__name__}"
    return text[:_TEXT_LIMIT].encode(errors="backslashreplace").decode()
