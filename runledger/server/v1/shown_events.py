"""The events of a run as the official client is shown them, one by one, as they are recorded."""

from typing import Final

from runledger.api_messages import ApiMessage, RequestConfig, spoken_calls, to_api_messages
from runledger.events import MessagesRecorded
from runledger.records import RunRecord
from runledger.store.protocol import StoredEvent
from runledger.tool_returns import Blobs

_INDEX_BITS: Final = 20
"""One event is shown as fewer messages than 2²⁰; a run has fewer than 2³³ events."""


class ShownEvents:
    """Shows the events of one run in their order, as the list of its messages shows them.

    A `seq_id` is the event's version in the run, times 2²⁰, plus the place within the event: it
    rises, it is the same after a restart, and a client in JavaScript can hold it.
    """

    def __init__(self, run: RunRecord, agent_type: str | None, blobs: Blobs) -> None:
        self._run_id, self._agent_type, self._blobs = run.run_id, agent_type, blobs
        self._config = RequestConfig.read(run.request_config)
        self._spoken: set[str] = set()

    def show(self, stored: StoredEvent, after: int) -> list[ApiMessage]:
        """Return what an event is shown as, behind the seq_id `after`; most are shown as nothing.

        Blocks where images are read. Every event of the run must be given, in order: what a call
        says decides whether its return is shown.
        """
        if not isinstance(stored.event, MessagesRecorded):
            return []
        wanted = self._config.include_return_message_types
        messages: list[ApiMessage] = []
        for body in stored.event.bodies:
            self._spoken |= spoken_calls(body, self._config)
            messages += to_api_messages(
                body,
                agent_type=self._agent_type,
                request_config=self._config,
                run_id=self._run_id,
                spoken=self._spoken,
                blobs=self._blobs,
            )
        first = stored.version << _INDEX_BITS
        return [
            message.model_copy(update={"seq_id": first + index})
            for index, message in enumerate(messages)
            if first + index > after and (not wanted or message.message_type in wanted)
        ]
