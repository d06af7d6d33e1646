"""Messages as the ledger stores them: roles, content parts, tool calls, tool returns, approvals.

The shapes are those of the replaced run manager's stored messages. `runledger.api_messages`
converts them to the API's messages, and `runledger.tool_returns` to the payloads of providers.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    Strict,
)

from runledger.utc import UtcTime

Role = Literal["system", "user", "assistant", "tool", "approval"]
# The bound makes pydantic validate the key: half a surrogate pair is refused, never replaced.
Json = dict[Annotated[str, Field(min_length=0)], JsonValue]
# The model as a whole is not strict: JSON has no times, and a list may be given as a tuple.
# Booleans and numbers exist in JSON, so converting "yes" or True would record a guess.
Truth = Annotated[bool, Strict()]
Number = Annotated[int, Strict()]
Text = Annotated[str, Field(min_length=1)]


def whole_number(value: Any) -> Any:
    """Return a float that is a whole number, such as 50.0, as an integer; other values
    unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class TextContent(_Part):
    """Plain text."""

    type: Literal["text"] = "text"
    text: str
    signature: str | None = None


class UrlImage(_Part):
    """An image at an external URL."""

    type: Literal["url"] = "url"
    url: str


class Base64Image(_Part):
    """An image inside the message; replaced by a BlobImage before it is appended."""

    type: Literal["base64"] = "base64"
    media_type: str = "image/png"
    data: str
    detail: str | None = None


class LettaImage(_Part):
    """An image by the file id of the replaced server."""

    type: Literal["letta"] = "letta"
    file_id: str
    media_type: str | None = None
    data: str | None = None
    detail: str | None = None


class BlobImage(_Part):
    """An image whose bytes are in the store's blobs, addressed by their SHA-256."""

    type: Literal["blob"] = "blob"
    sha256: str
    media_type: str
    size: Number = Field(ge=0, description="bytes")
    detail: str | None = None
    source_url: str | None = None


ImageSource = Annotated[
    UrlImage | Base64Image | LettaImage | BlobImage, Field(discriminator="type")
]


class ImageContent(_Part):
    """An image."""

    type: Literal["image"] = "image"
    source: ImageSource


class ToolCallContent(_Part):
    """A tool call in the provider's own part form."""

    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    input: Json
    signature: str | None = None


class ToolReturnContent(_Part):
    """A tool return in the provider's own part form."""

    type: Literal["tool_return"] = "tool_return"
    tool_call_id: str
    content: str
    is_error: Truth


class ReasoningContent(_Part):
    """The model's reasoning."""

    type: Literal["reasoning"] = "reasoning"
    is_native: Truth
    reasoning: str
    signature: str | None = None


class RedactedReasoningContent(_Part):
    """Reasoning that the provider has encrypted."""

    type: Literal["redacted_reasoning"] = "redacted_reasoning"
    data: str


class OmittedReasoningContent(_Part):
    """Reasoning that the provider withheld."""

    type: Literal["omitted_reasoning"] = "omitted_reasoning"
    signature: str | None = None


class SummaryPart(_Part):
    """One piece of a reasoning summary."""

    index: Number
    text: str


class SummarizedReasoningContent(_Part):
    """Reasoning that the provider has summarized."""

    type: Literal["summarized_reasoning"] = "summarized_reasoning"
    id: str
    summary: list[SummaryPart]
    encrypted_content: str | None = None


ContentPart = Annotated[
    TextContent
    | ImageContent
    | ToolCallContent
    | ToolReturnContent
    | ReasoningContent
    | RedactedReasoningContent
    | OmittedReasoningContent
    | SummarizedReasoningContent,
    Field(discriminator="type"),
]
ReturnPart = Annotated[TextContent | ImageContent, Field(discriminator="type")]


class Function(_Part):
    """The name of the called function and its arguments as JSON text."""

    name: str
    arguments: str


class ToolCall(_Part):
    """A call of a tool, in OpenAI's shape; `tool_id` is the registry's id of the tool, if known."""

    id: str
    type: Literal["function"] = "function"
    function: Function
    tool_id: str | None = None
    requestor: str | None = None


class ToolReturn(_Part):
    """The result of a tool; `func_response` is text, or text and image parts."""

    type: Literal["tool"] = "tool"
    tool_call_id: str | None = None
    status: Literal["success", "error"] = "success"
    func_response: str | list[ReturnPart] | None = None
    stdout: list[str] | None = None
    stderr: list[str] | None = None


class Approval(_Part):
    """A person's answer to one tool call that waits for approval."""

    type: Literal["approval"] = "approval"
    tool_call_id: str
    approve: Truth
    reason: str | None = None


def _as_parts(value: Any) -> Any:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


class Message(BaseModel):
    """One stored message. `content` given as text becomes one text part.

    A message of role `approval` with `tool_calls` requests approval; one without them answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    id: str
    role: Role
    content: Annotated[list[ContentPart] | None, BeforeValidator(_as_parts)] = None
    created_at: UtcTime | None = None
    name: str | None = None
    model: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    tool_returns: list[ToolReturn] | None = None
    approvals: list[Annotated[Approval | ToolReturn, Field(discriminator="type")]] | None = None
    approval_request_id: str | None = None
    approve: Truth | None = None
    denial_reason: str | None = None
    step_id: str | None = None
    otid: str | None = None
    sender_id: str | None = None
    group_id: str | None = None
    is_err: Truth | None = None
    extra: Json | None = None
    """The parts of an imported message for which there is no field above."""

    def text(self) -> str:
        """Return the text parts joined by newlines; empty when there are none."""
        parts = self.content or []
        return "\n".join(part.text for part in parts if isinstance(part, TextContent))


class CallFacts(BaseModel):
    """The facts of a tool call.

    `tool_call_id` is unique within the run; `raw_id` is the model's own id if it was not unique.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    tool_call_id: str
    name: str
    tool_id: str | None = None
    raw_id: str | None = None


class ReturnFacts(BaseModel):
    """The facts of a tool return."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    tool_call_id: str
    status: Literal["success", "error"]


class ApprovalFacts(BaseModel):
    """The facts of a person's answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    tool_call_id: str
    approve: Truth


class MessageFacts(BaseModel):
    """The facts of a message: ids, role, names; no text."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    message_id: Text
    role: Role
    step_id: str | None = None
    tool_calls: list[CallFacts] = Field(default_factory=list)
    tool_returns: list[ReturnFacts] = Field(default_factory=list)
    approvals: list[ApprovalFacts] = Field(default_factory=list)
