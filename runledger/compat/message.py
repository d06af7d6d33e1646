"""The stored message of the replaced server: converted to and from the ledger's, and to the
API's."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Self

from pydantic import Field, field_validator

from runledger.api_messages import ApiMessage, RequestConfig, spoken_calls, to_api_messages
from runledger.compat.enums import MessageRole
from runledger.compat.schemas import LettaBase, now
from runledger.ids import new_id
from runledger.messages import Approval, ContentPart, ToolCall, ToolReturn
from runledger.messages import Message as StoredMessage
from runledger.records import RunRecord

ToolIds = Callable[[str], str | None]
"""Returns the id of a tool by its name, None if it has none."""


class Message(LettaBase):
    """One stored message; `agent_id`, `run_id` and the creator are not stored in it."""

    id_prefix = "message"
    id: str = Field(default_factory=lambda: new_id("message"), pattern=r"^message-[a-fA-F0-9]{8}")
    created_at: datetime = Field(default_factory=now)
    created_by_id: str | None = None
    last_updated_by_id: str | None = None
    updated_at: datetime | None = None
    agent_id: str | None = None
    model: str | None = None
    role: MessageRole
    content: list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    step_id: str | None = None
    run_id: str | None = None
    otid: str | None = None
    tool_returns: list[ToolReturn] | None = None
    group_id: str | None = None
    sender_id: str | None = None
    batch_item_id: str | None = None
    conversation_id: str | None = None
    is_err: bool | None = None
    approval_request_id: str | None = None
    approve: bool | None = None
    denial_reason: str | None = None
    approvals: list[Approval | ToolReturn] | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _text_is_a_part(cls, value: Any) -> Any:
        return [{"type": "text", "text": value}] if isinstance(value, str) else value

    @field_validator("content", "tool_calls", "tool_returns", "approvals", mode="before")
    @classmethod
    def _any_model(cls, value: Any) -> Any:
        """Accept the models of other libraries too, such as openai's tool calls."""
        if not isinstance(value, list):
            return value
        return [item.model_dump() if hasattr(item, "model_dump") else item for item in value]

    @field_validator("tool_calls", mode="after")
    @classmethod
    def _none_for_no_calls(cls, value: list[ToolCall] | None) -> list[ToolCall] | None:
        return value or None

    @classmethod
    def of(cls, stored: StoredMessage, run: RunRecord) -> Self:
        """Convert a message of a run from the ledger's form."""
        shared = StoredMessage.model_fields.keys() & cls.model_fields.keys()
        return cls(
            **{name: getattr(stored, name) for name in shared},
            agent_id=run.agent_id,
            run_id=run.run_id,
            conversation_id=run.conversation_id,
        )

    @staticmethod
    def to_letta_messages_from_list(
        messages: Iterable["Message"],
        use_assistant_message: bool = True,
        assistant_message_tool_name: str = "send_message",
        assistant_message_tool_kwarg: str = "message",
        reverse: bool = True,
        text_is_assistant_message: bool = False,
    ) -> list[ApiMessage]:
        """Return the API messages of stored messages; `reverse` reverses those of each message."""
        config = RequestConfig(
            use_assistant_message=use_assistant_message,
            assistant_message_tool_name=assistant_message_tool_name,
            assistant_message_tool_kwarg=assistant_message_tool_kwarg,
        )
        given = [(message.stored(), message.run_id) for message in messages]
        spoken = frozenset(chain.from_iterable(spoken_calls(one, config) for one, _ in given))
        shown = (
            to_api_messages(
                one,
                agent_type="letta_v1_agent" if text_is_assistant_message else "letta_agent",
                request_config=config,
                run_id=run_id,
                spoken=spoken,
            )
            for one, run_id in given
        )
        return [each for group in shown for each in (group[::-1] if reverse else group)]

    def stored(self, tool_ids: ToolIds | None = None) -> StoredMessage:
        """Convert to the ledger's message; calls get the ids of their tools if known."""
        shared = StoredMessage.model_fields.keys() & Message.model_fields.keys()
        fields = {name: getattr(self, name) for name in shared}
        if self.created_at.tzinfo is None:
            fields["created_at"] = self.created_at.replace(tzinfo=UTC)
        if tool_ids is not None and self.tool_calls:
            fields["tool_calls"] = [
                call.model_copy(update={"tool_id": call.tool_id or tool_ids(call.function.name)})
                for call in self.tool_calls
            ]
        return StoredMessage.model_validate({**fields, "role": self.role.value})
