"""What is recorded of a run that was made of spans."""

from runledger.events import MessagesRecorded, StepRecorded
from runledger.importers.otlp.run import Recorded
from runledger.importers.otlp.step import COUNTED_ABOVE
from runledger.store import Store


def recorded(store: Store, run_id: str) -> Recorded:
    """Return what is recorded of a run."""
    counted: set[str] = set()
    ids: set[str] = set()
    told: set[str] = set()
    for row in store.read_stream(run_id, 0, None, False):
        if isinstance(row.event, StepRecorded):
            ids.add(row.event.step_id)
            if COUNTED_ABOVE not in row.event.tags:
                counted.add(row.event.step_id)
            if row.event.prompt_tokens or row.event.completion_tokens:
                told.add(row.event.step_id)
        elif isinstance(row.event, MessagesRecorded):
            ids.update(message.message_id for message in row.event.messages)
    return Recorded(counted, ids, told)
