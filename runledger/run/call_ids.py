"""Tool call ids made unique within a run: some models call every call `call_0`."""

from collections.abc import Iterable, Sequence

from runledger.events import CallFacts, MessageFacts
from runledger.run.state import Run


def unique_calls(run: Run, messages: Sequence[MessageFacts]) -> list[MessageFacts]:
    """Return the facts with every repeated call id numbered (`call_0#2`), and returns resolved.

    A call in an approval request is the open call of that id; a call in any other message is a
    call of its own. A return, and an answer, belong to the oldest call of that id that is open.
    """
    if not any(m.tool_calls or m.tool_returns or m.approvals for m in messages):
        return list(messages)
    calls = _Calls(run)
    return [calls.message(message) for message in messages]


class _Calls:
    """The run's calls as they will be after each message of an append."""

    def __init__(self, run: Run) -> None:
        self._used: dict[str, int] = {}
        self._run = run
        self._open: dict[str, list[str]] = {}
        for unique, call in run.open_calls.items():
            self._open.setdefault(call.raw_id, []).append(unique)

    def message(self, message: MessageFacts) -> MessageFacts:
        return message.model_copy(
            update={
                "tool_calls": list(self._call(message.role, message.tool_calls)),
                "tool_returns": [
                    returned.model_copy(update={"tool_call_id": self._close(returned.tool_call_id)})
                    for returned in message.tool_returns
                ],
                "approvals": [
                    answer.model_copy(update={"tool_call_id": self._find(answer.tool_call_id)})
                    for answer in message.approvals
                ],
            }
        )

    def _call(self, role: str, calls: Iterable[CallFacts]) -> Iterable[CallFacts]:
        for call in calls:
            raw = call.tool_call_id
            if role == "approval" and self._open.get(raw):
                yield self._named(call, self._open[raw][-1])
                continue
            used = self._used.get(raw, self._run.call_counts.get(raw, 0)) + 1
            self._used[raw] = used
            unique = raw if used == 1 else f"{raw}#{used}"
            self._open.setdefault(raw, []).append(unique)
            yield self._named(call, unique)

    @staticmethod
    def _named(call: CallFacts, unique: str) -> CallFacts:
        if unique == call.tool_call_id:
            return call
        return call.model_copy(update={"tool_call_id": unique, "raw_id": call.tool_call_id})

    def _find(self, raw: str) -> str:
        found = self._open.get(raw)
        return found[0] if found else raw

    def _close(self, raw: str) -> str:
        found = self._open.get(raw)
        return found.pop(0) if found else raw
