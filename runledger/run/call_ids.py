"""Makes tool call ids unique within a run, because some models give every call the id `call_0`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from runledger.messages import ApprovalFacts, CallFacts, Message, MessageFacts, ReturnFacts
from runledger.run.message_facts import describe_message
from runledger.run.state import Run

UNNAMED: Final = "call"
"""The id of a call without one; like every repeated id, it is numbered (`call#2`)."""


def unique_calls(run: Run, messages: Sequence[Message]) -> list[MessageFacts]:
    """Return the facts with every repeated call id numbered (`call_0#2`), and returns resolved.

    A call in an approval request is the open call with that id; a call in any other message is a
    new call. A return or an answer belongs to the oldest open call with that id, and with the
    message's `name` if it has one. A return without an id belongs to a call without an id; if there
    is none, to an open call of its name, or to the only open call; otherwise to no call, and it is
    not recorded as a fact. An answer to a whole request (`approve`, `approval_request_id`) answers
    each open call of the request.
    """
    facts = [describe_message(message) for message in messages]
    if not any(
        about.tool_calls or about.tool_returns or about.approvals or message.approve is not None
        for about, message in zip(facts, messages, strict=True)
    ):
        return facts
    calls = _Calls(run)
    return [calls.message(about, given) for about, given in zip(facts, messages, strict=True)]


class _Open(NamedTuple):
    """An open call: its id within the run, and the name of its tool."""

    unique: str
    name: str


class _Calls:
    """The run's calls as they are after each message of an append."""

    def __init__(self, run: Run) -> None:
        self._used: dict[str, int] = {}
        self._run = run
        self._open: dict[str, list[_Open]] = {}
        self._asked: dict[str, str | None] = {}
        for unique, call in run.open_calls.items():
            self._open.setdefault(call.raw_id, []).append(_Open(unique, call.name))
            self._asked[unique] = call.requested_by

    def message(self, message: MessageFacts, given: Message) -> MessageFacts:
        named = message.model_copy(
            update={
                "tool_calls": list(self._call(message)),
                "tool_returns": list(self._returns(message, given.name)),
                "approvals": [
                    answer.model_copy(
                        update={"tool_call_id": self._find(answer.tool_call_id, given.name)}
                    )
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
        """Return the answers to the open calls of a request that is answered as a whole."""
        request, approve = given.approval_request_id, given.approve
        if given.role != "approval" or request is None or approve is None:
            return []
        asked = [unique for unique, by in self._asked.items() if by == request]
        return [ApprovalFacts(tool_call_id=unique, approve=approve) for unique in asked]

    def _call(self, message: MessageFacts) -> Iterable[CallFacts]:
        asks = message.role == "approval"
        for call in message.tool_calls:
            raw = call.tool_call_id or UNNAMED
            if asks and self._open.get(raw):
                unique = _named_first(self._open[raw][::-1], call.name).unique
            else:
                used = self._used.get(raw, self._run.call_counts.get(raw, 0)) + 1
                self._used[raw] = used
                unique = raw if used == 1 else f"{raw}#{used}"
                self._open.setdefault(raw, []).append(_Open(unique, call.name))
            if asks:
                self._asked[unique] = message.message_id
            yield self._named(call, raw, unique)

    @staticmethod
    def _named(call: CallFacts, raw: str, unique: str) -> CallFacts:
        if unique == call.tool_call_id:
            return call
        raw_id = None if unique == raw else raw
        return call.model_copy(update={"tool_call_id": unique, "raw_id": raw_id})

    def _find(self, raw: str, name: str | None) -> str:
        found = self._open.get(raw or UNNAMED)
        return _named_first(found, name).unique if found else raw or UNNAMED

    def _returns(self, message: MessageFacts, name: str | None) -> Iterator[ReturnFacts]:
        for returned in message.tool_returns:
            raw = returned.tool_call_id
            unique = self._close(raw, name) if raw else self._close_unnamed(name)
            if unique is not None:
                yield returned.model_copy(update={"tool_call_id": unique})

    def _close(self, raw: str, name: str | None) -> str:
        found = self._open.get(raw)
        if not found:
            return raw
        call = _named_first(found, name)
        found.remove(call)
        self._asked.pop(call.unique, None)
        return call.unique

    def _close_unnamed(self, name: str | None) -> str | None:
        if self._open.get(UNNAMED):
            return self._close(UNNAMED, name)
        left = [(raw, call) for raw, calls in self._open.items() for call in calls]
        fitting = [raw for raw, call in left if call.name == name]
        if fitting:
            return self._close(fitting[0], name)
        return self._close(left[0][0], name) if len(left) == 1 else None


def _named_first(calls: Sequence[_Open], name: str | None) -> _Open:
    """Return the first call with a name, or the first of all if no call has it."""
    return next((call for call in calls if call.name == name), calls[0])
