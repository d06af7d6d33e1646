"""What is recorded of a run that was made of spans."""

from runledger.events import MessagesRecorded, RunMetadataPatched, StepRecorded
from runledger.importers.otlp.run import PART_OF, Recorded
from runledger.importers.otlp.step import COUNTED_ABOVE
from runledger.store import Store


def recorded(store: Store, run_id: str) -> Recorded:
    """Return what is recorded of a run."""
    counted: set[str] = set()
    ids: set[str] = set()
    reported: set[str] = set()
    part = False
    for row in store.read_stream(run_id, 0, None, False):
        if isinstance(row.event, StepRecorded):
            ids.add(row.event.step_id)
            if COUNTED_ABOVE not in row.event.tags:
                counted.add(row.event.step_id)
            if row.event.prompt_tokens or row.event.completion_tokens:
                reported.add(row.event.step_id)
        elif isinstance(row.event, MessagesRecorded):
            ids.update(message.message_id for message in row.event.messages)
        elif isinstance(row.event, RunMetadataPatched):
            part = PART_OF in row.event.patch or (part and PART_OF not in row.event.removed)
    return Recorded(counted, ids, reported, part)
