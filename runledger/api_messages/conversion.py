"""Converts one stored message to API messages, in order."""

from collections.abc import Callable, Iterator, Set
from typing import Any, Final

from runledger.api_messages.models import (
    ApiMessage,
    ApiToolReturn,
    ApprovalRequestMessage,
    ApprovalResponseMessage,
    AssistantMessage,
    HiddenReasoningMessage,
    ReasoningMessage,
    SystemMessage,
    ToolCallMessage,
    ToolReturnMessage,
    UserMessage,
)
from runledger.api_messages.request_config import RequestConfig
from runledger.api_messages.speech import calls_of, said_by
from runledger.api_messages.sub_ids import otid_of
from runledger.messages import (
    Approval,
    Base64Image,
    BlobImage,
    ContentPart,
    ImageContent,
    Message,
    OmittedReasoningContent,
    ReasoningContent,
    RedactedReasoningContent,
    ReturnPart,
    SummarizedReasoningContent,
    TextContent,
    ToolReturn,
)
from runledger.tool_returns import Blobs, inline_image, returns_of, tool_return_to_text
from runledger.tool_returns import unwrap_return as unwrap

_SPEAKS_IN_TEXT: Final = (None, "letta_v1_agent")
"""Agent types whose text is for the user; others reason in text and answer through a tool."""


def to_api_messages(
    message: Message,
    *,
    agent_type: str | None = None,
    request_config: RequestConfig | None = None,
    run_id: str | None = None,
    spoken: Set[str] = frozenset(),
    blobs: Blobs | None = None,
) -> list[ApiMessage]:
    """Return the API messages of a stored message: none, one or many, which share its id.

    `request_config.include_return_message_types` is not applied: the index of each is its place in
    the full list. `spoken` are ids of calls shown as assistant messages: their returns have no
    content and are left out. With `blobs`, stored images have their bytes.
    """
    shown = _Shown(message, run_id)
    config = request_config or RequestConfig()
    if message.role == "system":
        shown.add(SystemMessage, keeps_otid=True, content=message.text())
    elif message.role == "user":
        shown.add(UserMessage, keeps_otid=True, content=_user_content(message, blobs))
    elif message.role == "tool":
        _show_returns(shown, spoken, blobs)
    else:
        _show_content(shown, agent_type in _SPEAKS_IN_TEXT, blobs)
        calls = calls_of(message)
        if message.role == "assistant":
            _show_calls(shown, config)
        elif calls:
            shown.add(ApprovalRequestMessage, tool_call=calls[0], tool_calls=calls)
        else:
            _show_answers(shown, blobs)
    return shown.messages


class _Shown:
    """Collects the API messages of one stored message, and gives each its sub-id."""

    def __init__(self, message: Message, run_id: str | None) -> None:
        self.message, self._run_id = message, run_id
        self.messages: list[ApiMessage] = []

    def add(self, kind: Callable[..., Any], *, keeps_otid: bool = False, **fields: Any) -> None:
        message = self.message
        # Only an API message for the whole stored message may have the id that its sender gave it.
        given = message.otid if keeps_otid else None
        self.messages.append(
            kind(
                id=message.id,
                date=message.created_at,
                name=message.name,
                otid=given or otid_of(message.id, len(self.messages)),
                sender_id=message.sender_id,
                step_id=message.step_id,
                is_err=message.is_err or None,
                run_id=self._run_id,
                **fields,
            )
        )


def _with_bytes(part: ReturnPart, blobs: Blobs | None) -> ReturnPart:
    if blobs is None or not isinstance(part, ImageContent):
        return part
    if not isinstance(part.source, BlobImage):
        return part
    try:
        found = inline_image(part.source, blobs)
    except LookupError:
        # Erased bytes leave a dangling reference; the page must remain readable.
        return part
    if found is None:
        return part
    media_type, data = found
    source = Base64Image(media_type=media_type, data=data, detail=part.source.detail)
    return ImageContent(source=source)


def _user_content(message: Message, blobs: Blobs | None) -> str | list[ReturnPart]:
    parts = [
        _with_bytes(part, blobs)
        for part in message.content or ()
        if isinstance(part, TextContent | ImageContent)
    ]
    if len(parts) > 1 or any(isinstance(part, ImageContent) for part in parts):
        return parts
    return message.text()


def _show_content(shown: _Shown, speaks_in_text: bool, blobs: Blobs | None) -> None:
    for piece in _pieces(shown.message, speaks_in_text):
        if isinstance(piece, list):
            if any(isinstance(part, ImageContent) for part in piece):
                shown.add(AssistantMessage, content=[_with_bytes(part, blobs) for part in piece])
            else:
                texts = (part.text for part in piece if isinstance(part, TextContent))
                shown.add(AssistantMessage, content="".join(texts))
        elif isinstance(piece, TextContent):
            shown.add(ReasoningMessage, reasoning=piece.text)
        elif isinstance(piece, ReasoningContent):
            shown.add(
                ReasoningMessage,
                source="reasoner_model" if piece.is_native else "non_reasoner_model",
                reasoning=piece.reasoning,
                signature=piece.signature,
            )
        elif isinstance(piece, SummarizedReasoningContent):
            summary = sorted(piece.summary, key=lambda part: part.index)
            shown.add(
                ReasoningMessage,
                source="reasoner_model",
                reasoning="\n\n".join(part.text for part in summary),
                signature=piece.encrypted_content,
            )
        elif isinstance(piece, RedactedReasoningContent):
            shown.add(HiddenReasoningMessage, state="redacted", hidden_reasoning=piece.data)
        elif isinstance(piece, OmittedReasoningContent):
            shown.add(HiddenReasoningMessage, state="omitted")


def _pieces(
    message: Message, speaks_in_text: bool
) -> Iterator[ContentPart | list[TextContent | ImageContent]]:
    """Yield the content parts, adjacent spoken ones as one list; empty texts are left out."""
    speech: list[TextContent | ImageContent] = []
    for part in message.content or ():
        if isinstance(part, TextContent) and not part.text:
            continue
        if isinstance(part, ImageContent) or (speaks_in_text and isinstance(part, TextContent)):
            speech.append(part)
            continue
        if speech:
            yield speech
            speech = []
        yield part
    if speech:
        yield speech


def _show_calls(shown: _Shown, config: RequestConfig) -> None:
    others = []
    for call in calls_of(shown.message):
        said = said_by(call, config)
        if said is None:
            others.append(call)
        else:
            shown.add(AssistantMessage, content=said)
    if others:
        shown.add(ToolCallMessage, tool_call=others[0], tool_calls=others)


def _api_return(item: ToolReturn, call_id: str | None, blobs: Blobs | None) -> ApiToolReturn:
    response = item.func_response
    return ApiToolReturn(
        tool_return=[_with_bytes(part, blobs) for part in response]
        if isinstance(response, list)
        else unwrap(response or "")[0],
        status=item.status,
        tool_call_id=item.tool_call_id or call_id or "",
        stdout=item.stdout,
        stderr=item.stderr,
    )


def _show_returns(shown: _Shown, spoken: Set[str], blobs: Blobs | None) -> None:
    returns = [
        _api_return(item, shown.message.tool_call_id, blobs)
        for item in returns_of(shown.message)
        if item.tool_call_id not in spoken
    ]
    if returns:
        first = returns[0]
        shown.add(
            ToolReturnMessage,
            tool_return=tool_return_to_text(first.tool_return) or "",
            status=first.status,
            tool_call_id=first.tool_call_id,
            stdout=first.stdout,
            stderr=first.stderr,
            tool_returns=returns,
        )


def _show_answers(shown: _Shown, blobs: Blobs | None) -> None:
    message = shown.message
    answers = [
        item if isinstance(item, Approval) else _api_return(item, message.tool_call_id, blobs)
        for item in message.approvals or ()
    ]
    first = next((item for item in answers if isinstance(item, Approval)), None)
    approve = message.approve
    if approve is None and first is not None:
        approve = first.approve
    shown.add(
        ApprovalResponseMessage,
        keeps_otid=True,
        approvals=answers,
        approve=approve,
        approval_request_id=answers[0].tool_call_id if answers else message.approval_request_id,
        reason=message.denial_reason or (first.reason if first else None),
    )
