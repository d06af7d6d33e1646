"""The commands of a ledger that the handles of an agent loop call."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypedDict, Unpack

from runledger.messages import Message
from runledger.records import RunRecord
from runledger.run import Actor
from runledger.run.step_facts import StepFacts


class RunFacts(TypedDict, total=False):
    """The facts of a new run, as `create_run` takes them, except for its ids and its end."""

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
    """The facts of a step and the other arguments of `record_step`, except for ids and messages."""

    provider: str | None
    approval_deadline: datetime | None
    at: datetime | None


class RunCommands(Protocol):
    """The commands that handles call; see runledger.ledger.run_commands and run_endings."""

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
        metadata: Mapping[str, Any] | None = None,
        actor: Actor | None = None,
    ) -> RunRecord:
        """Complete the run, and set keys of its metadata; return it."""

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
        """Set or remove keys of the metadata; return the run."""

    async def record_heartbeat(
        self, run_id: str, *, actor: Actor | None = None, at: datetime | None = None
    ) -> None:
        """Record that the worker is alive."""
