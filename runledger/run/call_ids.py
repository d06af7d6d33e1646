"""Tool call ids made unique within a run: some models call every call `call_0`."""

from collections.abc import Iterable, Sequence

from runledger.events import ApprovalFacts, CallFacts, MessageFacts
from runledger.messages import Message
from runledger.run.message_facts import describe_message
from runledger.run.state import Run


def unique_calls(run: Run, messages: Sequence[Message]) -> list[MessageFacts]:
    """Return the facts with every repeated call id numbered (`call_0#2`), and returns resolved.

    A call in an approval request is the open call of that id; a call in any other message is a
    call of its own. A return, and an answer, belong to the oldest call of that id that is open. An
    answer to a whole request (`approve`, `approval_request_id`) is one to each open call of it.
    """
    facts = [describe_message(message) for message in messages]
    if not any(
        about.tool_calls or about.tool_returns or about.approvals or message.approve is not None
        for about, message in zip(facts, messages, strict=True)
    ):
        return facts
    calls = _Calls(run)
    return [calls.message(about, given) for about, given in zip(facts, messages, strict=True)]


class _Calls:
    """The run's calls as they will be after each message of an append."""

    def __init__(self, run: Run) -> None:
        self._used: dict[str, int] = {}
        self._run = run
        self._open: dict[str, list[str]] = {}
        self._asked: dict[str, str | None] = {}
        for unique, call in run.open_calls.items():
            self._open.setdefault(call.raw_id, []).append(unique)
            self._asked[unique] = call.requested_by

    def message(self, message: MessageFacts, given: Message) -> MessageFacts:
        named = message.model_copy(
            update={
                "tool_calls": list(self._call(message)),
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
        if not message.approvals:
            named = named.model_copy(update={"approvals": self._whole(given)})
        for answer in named.approvals:
            if not answer.approve:
                self._asked.pop(answer.tool_call_id, None)
        return named

    def _whole(self, given: Message) -> list[ApprovalFacts]:
        """Return what an answer to a whole request says of each call that it left open."""
        request, approve = given.approval_request_id, given.approve
        if given.role != "approval" or request is None or approve is None:
            return []
        asked = [unique for unique, by in self._asked.items() if by == request]
        return [ApprovalFacts(tool_call_id=unique, approve=approve) for unique in asked]

    def _call(self, message: MessageFacts) -> Iterable[CallFacts]:
        asks = message.role == "approval"
        for call in message.tool_calls:
            raw = call.tool_call_id
            if asks and self._open.get(raw):
                unique = self._open[raw][-1]
            else:
                used = self._used.get(raw, self._run.call_counts.get(raw, 0)) + 1
                self._used[raw] = used
                unique = raw if used == 1 else f"{raw}#{used}"
                self._open.setdefault(raw, []).append(unique)
            if asks:
                self._asked[unique] = message.message_id
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
        unique = found.pop(0) if found else raw
        self._asked.pop(unique, None)
        return unique
