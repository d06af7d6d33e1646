"""The messages of the API: one model per message type, distinguished by `message_type`.

Field names are those of the replaced server and its clients. Several may share one `id`, that of
their stored message; `otid` distinguishes them.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from runledger.messages import Approval, ReturnPart

MessageType = Literal[
    "system_message",
    "user_message",
    "assistant_message",
    "reasoning_message",
    "hidden_reasoning_message",
    "tool_call_message",
    "tool_return_message",
    "approval_request_message",
    "approval_response_message",
    "summary_message",
    "event_message",
]
"""The last two are of later servers: they may be requested, but no stored message has them."""

Text = str | list[ReturnPart]


class _ApiMessage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str
    date: AwareDatetime | None
    name: str | None = None
    otid: str | None = None
    sender_id: str | None = None
    step_id: str | None = None
    is_err: Literal[True] | None = None
    seq_id: int | None = None
    run_id: str | None = None

    @field_serializer("date", when_used="json-unless-none")
    def _whole_seconds(self, date: datetime) -> str:
        return date.astimezone(UTC).isoformat(timespec="seconds")


class SystemMessage(_ApiMessage):
    """Instructions to the model."""

    message_type: Literal["system_message"] = "system_message"
    content: str


class UserMessage(_ApiMessage):
    """A message of the user: text, or text and image parts."""

    message_type: Literal["user_message"] = "user_message"
    content: Text


class AssistantMessage(_ApiMessage):
    """A message of the agent to the user: text, or parts if it includes images."""

    message_type: Literal["assistant_message"] = "assistant_message"
    content: Text


class ReasoningMessage(_ApiMessage):
    """The model's reasoning, native or prompted."""

    message_type: Literal["reasoning_message"] = "reasoning_message"
    source: Literal["reasoner_model", "non_reasoner_model"] = "non_reasoner_model"
    reasoning: str
    signature: str | None = None


class HiddenReasoningMessage(_ApiMessage):
    """Reasoning that the provider encrypted or withheld."""

    message_type: Literal["hidden_reasoning_message"] = "hidden_reasoning_message"
    state: Literal["redacted", "omitted"]
    hidden_reasoning: str | None = None


class ApiToolCall(BaseModel):
    """A call of a tool; `arguments` is JSON text."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    name: str
    arguments: str
    tool_call_id: str


class ToolCallMessage(_ApiMessage):
    """The calls of one message; `tool_call` is the first of `tool_calls`, for older clients."""

    message_type: Literal["tool_call_message"] = "tool_call_message"
    tool_call: ApiToolCall
    tool_calls: list[ApiToolCall]

    @model_serializer(mode="wrap")
    def _without_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Only in this type: older clients interpret a null as a delta of a stream.
        return {key: value for key, value in handler(self).items() if value is not None}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # By the serializer alone it would be any object, and match every other type.
        return handler({key: value for key, value in core_schema.items() if key != "serialization"})


class ApiToolReturn(BaseModel):
    """The result of a tool: text, or text and image parts."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    type: Literal["tool"] = "tool"
    tool_return: Text
    status: Literal["success", "error"]
    tool_call_id: str
    stdout: list[str] | None = None
    stderr: list[str] | None = None


class ToolReturnMessage(_ApiMessage):
    """The returns of one message; the single fields repeat the first, with images as text."""

    message_type: Literal["tool_return_message"] = "tool_return_message"
    tool_return: str
    status: Literal["success", "error"]
    tool_call_id: str
    stdout: list[str] | None = None
    stderr: list[str] | None = None
    tool_returns: list[ApiToolReturn]


class ApprovalRequestMessage(_ApiMessage):
    """Calls that wait for a person; `tool_call` is the first of `tool_calls`."""

    message_type: Literal["approval_request_message"] = "approval_request_message"
    tool_call: ApiToolCall
    tool_calls: list[ApiToolCall]


class ApprovalResponseMessage(_ApiMessage):
    """A person's answers, and returns of tools that ran on the client's side.

    `approval_request_id` is the first answer's tool_call_id, as the replaced server gives it.
    """

    message_type: Literal["approval_response_message"] = "approval_response_message"
    approvals: list[Annotated[Approval | ApiToolReturn, Field(discriminator="type")]] = []
    approve: bool | None = None
    approval_request_id: str | None = None
    reason: str | None = None


ApiMessage = Annotated[
    SystemMessage
    | UserMessage
    | AssistantMessage
    | ReasoningMessage
    | HiddenReasoningMessage
    | ToolCallMessage
    | ToolReturnMessage
    | ApprovalRequestMessage
    | ApprovalResponseMessage,
    Field(discriminator="message_type"),
]
