"""Batches: many commands in one call; adjacent commands of a run are one append, all or none."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

from runledger.command_handling.batch import Outcome
from runledger.errors import InvalidArgument, LedgerError, StoreUnavailable
from runledger.events import Event, MessagesRecorded
from runledger.ids import check_id
from runledger.ledger.creation import creation
from runledger.ledger.run_commands import LedgerCommands
from runledger.run import Actor, commands
from runledger.run.commands import Command
from runledger.run.receipts import check_key

_AT_ONCE: Final = 256
"""Runs that are processed concurrently, so that their appends share a commit."""

_MADE_OF: Final[Mapping[str, tuple[type[Any], Collection[str]]]] = {
    "start_run": (commands.StartRun, ()),
    "start_step": (commands.StartStep, ("step_id", "provider", "model")),
    "patch_metadata": (commands.PatchMetadata, ("patch", "remove")),
    "record_heartbeat": (commands.RecordHeartbeat, ()),
    "complete_run": (commands.CompleteRun, ("stop_reason", "run_ns")),
    "fail_run": (
        commands.FailRun,
        ("stop_reason", "error_type", "error_message", "error_data", "run_ns"),
    ),
    "cancel_run": (commands.CancelRun, ("reason",)),
    "delete_run": (commands.DeleteRun, ()),
    "record_run_feedback": (commands.RecordRunFeedback, ("feedback",)),
}
"""Method → its command, and the arguments that are passed unchanged."""

_RENAMED: Final = {"provider": "provider_name"}


class BatchLine(NamedTuple):
    """A command of a batch: the method's name and arguments; `number` counts the lines from 1.

    `error` is the reason if it is not a command: then neither it nor adjacent lines of the same run
    are recorded.
    """

    number: int
    op: str
    run_id: str | None
    arguments: Mapping[str, Any]
    error: InvalidArgument | None = None


class LineResult(NamedTuple):
    """The result of a line; `position` is the last one of its append, None if nothing was appended.

    `error` is the reason of a refusal, the same for all lines of an append.
    """

    number: int
    status: Literal["recorded", "unchanged", "refused"]
    run_id: str
    step_id: str | None = None
    message_ids: tuple[str, ...] = ()
    position: int | None = None
    error: LedgerError | None = None


class _Prepared(NamedTuple):
    line: BatchLine
    run_id: str
    commands: tuple[Command, ...]
    times: tuple[datetime, ...]
    step_id: str | None
    message_ids: tuple[str, ...]


class Batches(LedgerCommands):
    """Executes collected commands of an agent loop."""

    async def record_batch(
        self,
        lines: Sequence[BatchLine],
        *,
        idempotency_key: str | None = None,
        actor: Actor | None = None,
    ) -> list[LineResult]:
        """Execute the commands: those of one run in order, different runs concurrently.

        Parameters:
            lines: the commands.
            idempotency_key: makes every append of the batch happen once; ids that were not given
                are derived from it and the line's number.
            actor: acts instead of the ledger's own actor.

        Returns:
            A result for each line, in order; a refused line does not stop the others.

        Raises:
            InvalidArgument: if there is no key and a line creates an object without an id.
            StoreUnavailable: if the store does not answer; the same batch with the same key may be
                sent again.
        """
        key = None if idempotency_key is None else _digest(check_key(idempotency_key))
        named = [(self._run_id(line, key, actor), line) for line in lines]
        chains: dict[str, list[list[BatchLine]]] = {}
        for run_id, group in groupby(named, key=lambda pair: pair[0]):
            chains.setdefault(run_id, []).append([line for _, line in group])
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one_run(run_id: str, groups: Iterable[list[BatchLine]]) -> list[LineResult]:
            async with turns:
                done = [await self._append(run_id, group, key, actor) for group in groups]
                return [result for results in done for result in results]

        made = await asyncio.gather(*(one_run(*chain) for chain in chains.items()))
        return sorted(result for results in made for result in results)

    def _run_id(self, line: BatchLine, key: str | None, actor: Actor | None) -> str:
        if line.run_id is not None:
            return line.run_id
        if line.error is not None:
            return f"of line {line.number}"
        return self._made_id("run", line, key, actor)

    def _made_id(self, kind: str, line: BatchLine, key: str | None, actor: Actor | None) -> str:
        if key is None:
            raise InvalidArgument(
                f"line {line.number}: expected the id of a {kind}, or an idempotency key for the "
                f"batch, from which one follows"
            )
        return self.opened.new_id(kind, f"{key}.{line.number}", actor)

    async def _append(
        self, run_id: str, group: Sequence[BatchLine], key: str | None, actor: Actor | None
    ) -> list[LineResult]:
        try:
            prepared = [await self._prepare(run_id, line, key, actor) for line in group]
            outcome = await self.opened.execute(
                run_id,
                *(command for one in prepared for command in one.commands),
                times=_times(prepared),
                actor=actor,
                idempotency_key=None if key is None else f"{key}.{group[0].number}",
            )
        except StoreUnavailable:
            # The error concerns the store, not the line: the caller repeats the whole batch.
            raise
        except LedgerError as e:
            return [LineResult(line.number, "refused", run_id, error=e) for line in group]
        return [_result(one, outcome) for one in prepared]

    async def _prepare(
        self, run_id: str, line: BatchLine, key: str | None, actor: Actor | None
    ) -> _Prepared:
        if line.error is not None:
            raise line.error
        check_id("run", run_id)
        given = dict(line.arguments)
        at: datetime | None = given.pop("at", None)
        step_id: str | None = given.get("step_id")
        made: tuple[Command, ...]
        times: tuple[datetime, ...] = ()
        if line.op in ("start_step", "record_step"):
            step_id = step_id or self._made_id("step", line, key, actor)
            given["step_id"] = step_id
        if line.op == "create_run":
            made, times = creation(self.opened.callbacks.policy, **given, at=at)
        elif line.op == "record_step":
            made = (await self._step(run_id, given, actor),)
        elif line.op == "record_messages":
            made = (await self._messages(run_id, line, given, key, actor),)
        elif line.op in _MADE_OF:
            command, names = _MADE_OF[line.op]
            taken = {_RENAMED.get(n, n): given[n] for n in names if given.get(n) is not None}
            if line.op == "record_run_feedback":
                taken = {"feedback": given["feedback"]}
            made = (command(**taken),)
        else:
            raise InvalidArgument(f"line {line.number}: no such op: {line.op!r:.80}")
        if at is not None and not times:
            times = (at,) * len(made)
        ids = tuple(message.id for one in made for message in getattr(one, "messages", ()))
        return _Prepared(line, run_id, made, times, step_id, ids)

    async def _step(
        self, run_id: str, given: Mapping[str, Any], actor: Actor | None
    ) -> commands.RecordStep:
        facts = dict(given.get("facts") or {})
        if given.get("provider") is not None:
            facts.setdefault("provider_name", given["provider"])
        return await self.step_command(
            run_id,
            given["step_id"],
            facts,  # type: ignore[arg-type]  # step_command refuses unknown facts
            given.get("messages", ()),
            given.get("approval_deadline"),
            actor,
        )

    async def _messages(
        self,
        run_id: str,
        line: BatchLine,
        given: Mapping[str, Any],
        key: str | None,
        actor: Actor | None,
    ) -> commands.RecordMessages:
        if key is None and not all(one.get("id") for one in given["messages"]):
            raise InvalidArgument(
                f"line {line.number}: expected an id of every message, or an idempotency key for "
                f"the batch, from which they follow"
            )
        whole = None if key is None else (self.opened.organization(actor), f"{key}.{line.number}")
        made = await self.opened.messages(run_id, given["messages"], actor, whole)
        return commands.RecordMessages(made, given.get("approval_deadline"))


def _times(prepared: Sequence[_Prepared]) -> tuple[datetime, ...]:
    """Return a time for each command, or none; the clock's time would differ in a retry."""
    times = tuple(time for one in prepared for time in one.times)
    if times and any(not one.times for one in prepared):
        first = next(one.line.number for one in prepared if not one.times)
        raise InvalidArgument(
            f"line {first}: expected `at`, as on the other lines of the run beside it"
        )
    return times


def _result(prepared: _Prepared, outcome: Outcome) -> LineResult:
    recorded = not outcome.repeated and any(_leads_to(prepared, event) for event in outcome.events)
    return LineResult(
        prepared.line.number,
        "recorded" if recorded else "unchanged",
        prepared.run_id,
        prepared.step_id,
        prepared.message_ids,
        outcome.position if recorded else None,
    )


def _leads_to(prepared: _Prepared, event: Event) -> bool:
    if isinstance(event, MessagesRecorded):
        return any(body.id in prepared.message_ids for body in event.bodies)
    if event.topic not in _TOPICS[prepared.line.op]:
        return False
    return prepared.step_id in (None, getattr(event, "step_id", None))


_TOPICS: Final[Mapping[str, Collection[str]]] = {
    "create_run": ("run.created",),
    "start_run": ("run.started",),
    "start_step": ("run.step_started",),
    "record_step": ("run.step_recorded",),
    "record_messages": (),
    "patch_metadata": ("run.metadata_patched",),
    "record_heartbeat": ("run.heartbeat_recorded",),
    "complete_run": ("run.completed",),
    "fail_run": ("run.failed",),
    "cancel_run": ("run.cancelled",),
    "delete_run": ("run.deleted",),
    "record_run_feedback": ("run.feedback_recorded",),
}
"""Method → topics of the events that it leads to."""

OPS: Final = tuple(_TOPICS)
"""The commands that a line of a batch can be."""


def _digest(key: str) -> str:
    return sha256(key.encode("ascii")).hexdigest()[:40]
