"""Runs in every state, made by the decisions themselves, and a command for every event."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

from runledger.events import Event
from runledger.messages import Approval, Function, Message, ToolCall
from runledger.run import Actor, Envelope, Run, decide, evolve
from runledger.run import commands as c

RUN = "run-00000000-0000-4000-8000-000000000001"
STEP = "step-00000000-0000-4000-8000-000000000001"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_seconds = count(1)


def envelope(at: datetime | None = None) -> Envelope:
    """Return an envelope a second after the one before it; `at` is the caller's own time."""
    now = BEGIN + timedelta(seconds=next(_seconds))
    return Envelope(Actor("org"), at or now, now, explicit_time=at is not None)


def message(number: int, text: str = "hello") -> Message:
    return Message(
        id=f"message-00000000-0000-4000-8000-{number:012}",
        role="user",
        content=text,
        created_at=BEGIN,
    )


def asking(number: int = 900) -> Message:
    """A message in which the model asks for a person's approval."""
    call = ToolCall(id="call-1", function=Function(name="refund", arguments="{}"))
    return message(number).model_copy(update={"role": "approval", "tool_calls": [call]})


def answer(number: int, approve: bool) -> Message:
    answers = [Approval(tool_call_id="call-1", approve=approve)]
    return message(number).model_copy(update={"role": "approval", "approvals": answers})


class History:
    """A run and the events that led to it."""

    def __init__(self, *commands: c.Command) -> None:
        self.run: Run | None = None
        self.events: list[Event] = []
        for command in commands:
            self.do(command)

    def do(self, command: c.Command, at: datetime | None = None) -> list[Event]:
        """Decide the command on the run as it is, and fold what follows."""
        decided = decide(self.run, command, envelope(at), self._priors())
        for event in decided:
            self.events.append(event)
            self.run = evolve(self.run, RUN, len(self.events), event)
        return decided

    def _priors(self) -> dict[str, Event]:
        if self.run is None:
            return {}
        keys = {RUN: 1, **self.run.steps, **self.run.messages}
        return {key: self.events[version - 1] for key, version in keys.items()}


CREATE = c.CreateRun("agent-a", metadata={"n": 1}, callback_url="https://example.com/done")
PATHS: dict[str, Sequence[c.Command]] = {
    "created": (CREATE,),
    "running": (CREATE, c.StartRun()),
    "completed": (CREATE, c.CompleteRun()),
    "awaiting": (
        CREATE,
        c.RecordMessages([asking()], BEGIN),
        c.CompleteRun("requires_approval"),
    ),
    "failed": (CREATE, c.FailRun(error_type="Boom")),
    "cancelled": (CREATE, c.CancelRun()),
    "deleted": (CREATE, c.DeleteRun()),
}
"""State → commands that lead to it."""
