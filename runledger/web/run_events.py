"""The events of a run as a list says them: when, what, and in a few words."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from runledger.events import (
    Event,
    MessagesRecorded,
    RunFailed,
    StepRecorded,
    StepStarted,
)
from runledger.records import nanoseconds
from runledger.store.protocol import StoredEvent


class ShownEvent(BaseModel):
    """One event; `after_ns` are nanoseconds since the run was created, `facts` all but contents."""

    number: int
    position: int
    topic: str
    occurred_at: datetime
    after_ns: int
    says: str
    facts: dict[str, Any]


def shown_events(
    stored: Sequence[StoredEvent], before: int, created_at: datetime
) -> list[ShownEvent]:
    """Return events as they are listed.

    Parameters:
        stored: the events of a page.
        before: how many events of the run come before them.
        created_at: when the run was created.
    """
    begin = nanoseconds(created_at)
    return [
        ShownEvent(
            number=number,
            position=row.position,
            topic=row.event.topic,
            occurred_at=row.event.occurred_at,
            after_ns=nanoseconds(row.event.occurred_at) - begin,
            says=_says(row.event),
            facts=row.event.model_dump(
                mode="json", exclude=set(row.event.contents), exclude_none=True
            ),
        )
        for number, row in enumerate(stored, before + 1)
    ]


def _says(event: Event) -> str:
    if isinstance(event, StepRecorded):
        used = f"{event.prompt_tokens or 0:,} in, {event.completion_tokens or 0:,} out"
        return f"{event.model or event.origin or 'a step'}: {used}, {event.status}"
    if isinstance(event, StepStarted):
        return f"{event.model or 'a step'} begins"
    if isinstance(event, MessagesRecorded):
        return "; ".join(_message(one) for one in event.messages[:3])
    if isinstance(event, RunFailed):
        return ", ".join(
            word for word in (event.stop_reason, event.error_type, event.error_message) if word
        )
    for name in ("stop_reason", "reason", "status_code", "feedback"):
        said = getattr(event, name, None)
        if said is not None:
            return f"{name.replace('_', ' ')}: {said}"
    return ""


def _message(message: Any) -> str:
    if message.tool_calls:
        return f"{message.role} calls {', '.join(call.name for call in message.tool_calls)}"
    if message.tool_returns:
        return f"a tool returns: {', '.join(back.status for back in message.tool_returns)}"
    if message.approvals:
        return ", ".join("approved" if one.approve else "denied" for one in message.approvals)
    return f"{message.role} speaks"
