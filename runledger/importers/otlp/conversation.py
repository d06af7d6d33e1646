"""The messages of a run: what its calls sent and answered, each once, as every call repeats all."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256

from runledger.ids import derived_id
from runledger.importers.otlp.reading import Reader
from runledger.importers.otlp.span_messages import SpanMessage, answered, sent
from runledger.importers.otlp.trace import Node
from runledger.messages import Message


class Conversation:
    """Gives the messages of a run's calls, asked in the order of time.

    The id of a message follows from the agent, its role and texts, and how many equal ones the same
    history has before it: so a message that a later call repeats is the same.
    """

    def __init__(self, run_id: str, reader: Reader) -> None:
        self._run_id = run_id
        self._names = reader.table.messages
        self._seen: set[str] = set()

    def call(
        self, sources: Sequence[Node], began: datetime, ended: datetime, step_id: str | None
    ) -> tuple[list[Message], list[Message]]:
        """Return the new messages that were sent, and the answers.

        sources: the spans of the call, the one that counts first; the first that has texts is
            taken.
        """
        try:
            asked = next((found for one in sources if (found := sent(one.span, self._names))), [])
            answers = next(
                (found for one in sources if (found := answered(one.span, self._names))), []
            )
        except RecursionError:
            # A text that is nested so deep is no message; the counts of the call must not be lost.
            return [], []
        agent = sources[0].agent.span.span_id if sources[0].agent else ""
        ids = list(self._ids(agent, [*asked, *answers]))
        before = [
            self._made(message_id, one, began, None)
            for message_id, one in zip(ids, asked, strict=False)
            if self._is_new(message_id)
        ]
        after = [
            self._made(message_id, one, ended, step_id)
            for message_id, one in zip(ids[len(asked) :], answers, strict=True)
            if self._is_new(message_id)
        ]
        return before, after

    def _ids(self, agent: str, history: Sequence[SpanMessage]) -> Iterator[str]:
        times: Counter[str] = Counter()
        for one in history:
            digest = sha256(json.dumps(one).encode()).hexdigest()
            yield derived_id("message", self._run_id, agent, digest, str(times[digest]))
            times[digest] += 1

    def _is_new(self, message_id: str) -> bool:
        new = message_id not in self._seen
        self._seen.add(message_id)
        return new

    def _made(
        self, message_id: str, one: SpanMessage, at: datetime, step_id: str | None
    ) -> Message:
        return Message(
            id=message_id, role=one.role, created_at=at, content=list(one.parts), step_id=step_id
        )
