"""Tool returns as the model's provider takes them: four payloads, one text rule, one truncation.

Pure functions. The bytes of a BlobImage come through a callable, so that nothing here reads a store.
"""

import json
import mimetypes
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from runledger.errors import InvalidArgument
from runledger.messages import (
    Base64Image,
    BlobImage,
    ImageContent,
    ImageSource,
    LettaImage,
    Message,
    ReturnPart,
    TextContent,
    ToolReturn,
    ToolReturnContent,
    UrlImage,
)

Payload = dict[str, Any]
Blobs = Callable[[str], bytes]
"""Gives the bytes of an image by their SHA-256."""

Status = Literal["success", "error"]
OPENAI_ID_LENGTH: Final = 29
DEFAULT_MEDIA_TYPE: Final = "image/png"
_OMITTED: Final = "[Image omitted]"


def wrap_return(text: str, status: Status, at: datetime) -> str:
    """Return the JSON envelope in which a tool's text goes to the model; `at` is shown in UTC."""
    return json.dumps(
        {
            "status": "OK" if status == "success" else "Failed",
            "message": text,
            "time": at.astimezone(UTC).strftime("%Y-%m-%d %I:%M:%S %p %Z%z"),
        },
        indent=2,
        ensure_ascii=False,
    )


def unwrap_return(text: str) -> tuple[str, Status | None]:
    """Return the text and status inside an envelope; text that is no envelope is itself, None."""
    try:
        envelope = json.loads(text)
        status: Status = {"OK": "success", "Failed": "error"}[envelope["status"]]
        message = envelope["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return text, None
    shown = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    return shown, status


def returns_of(message: Message) -> list[ToolReturn]:
    """Return a message's tool returns, each with its call id if any is known.

    A tool message without `tool_returns` has one per ToolReturnContent, or else its whole content
    is the return, whose status is `is_err` or what the envelope says.
    """
    if message.tool_returns:
        if len(message.tool_returns) > 1:
            return message.tool_returns
        [only] = message.tool_returns
        return [only.model_copy(update={"tool_call_id": only.tool_call_id or message.tool_call_id})]
    if message.role != "tool":
        return []
    inside = [
        ToolReturn(
            tool_call_id=part.tool_call_id,
            status="error" if part.is_error else "success",
            func_response=part.content,
        )
        for part in message.content or ()
        if isinstance(part, ToolReturnContent)
    ]
    if inside:
        return inside
    parts: list[ReturnPart] = [
        part for part in message.content or () if isinstance(part, TextContent | ImageContent)
    ]
    if all(isinstance(part, TextContent) for part in parts):
        text = message.text()
        status = "error" if message.is_err else unwrap_return(text)[1] or "success"
        response: str | list[ReturnPart] = text
    else:
        status, response = "error" if message.is_err else "success", parts
    return [ToolReturn(tool_call_id=message.tool_call_id, status=status, func_response=response)]


def tool_return_to_text(response: str | list[ReturnPart] | None) -> str | None:
    """Return a tool return as text alone: texts by line, then how many images were left out."""
    if response is None or isinstance(response, str):
        return response or None
    texts = [part.text for part in response if isinstance(part, TextContent)]
    images = len(response) - len(texts)
    omitted = "" if not images else _OMITTED if images == 1 else f"[{images} images omitted]"
    return " ".join(filter(None, ("\n".join(texts), omitted))) or None


def truncate(text: str, limit: int | None) -> str:
    """Return the first `limit` characters and how many follow; the whole text without a limit."""
    if limit is None or len(text) <= limit:
        return text
    return f"{text[:limit]}... [truncated {len(text) - limit} chars]"


def openai_call_id(tool_call_id: str) -> str:
    """Return a call id as short as OpenAI is sent it, on the call and on the return alike."""
    return tool_call_id[:OPENAI_ID_LENGTH]


def to_openai_chat(message: Message, *, limit: int | None = None) -> list[Payload]:
    """Return Chat Completions messages, one per return; images become a placeholder text."""
    return [
        {
            "role": "tool",
            "tool_call_id": openai_call_id(call_id),
            "content": truncate(tool_return_to_text(item.func_response) or "", limit),
        }
        for call_id, item in _called(message)
    ]


def to_openai_responses(
    message: Message, blobs: Blobs, *, limit: int | None = None
) -> list[Payload]:
    """Return function_call_output items of the Responses API, one per return."""

    def part(item: ReturnPart) -> Payload:
        if isinstance(item, TextContent):
            return {"type": "input_text", "text": truncate(item.text, limit)}
        url = _image_url(item.source, blobs)
        if url is None:
            return {"type": "input_text", "text": _OMITTED}
        detail = getattr(item.source, "detail", None) or "auto"
        return {"type": "input_image", "image_url": url, "detail": detail}

    return [
        {
            "type": "function_call_output",
            "call_id": openai_call_id(call_id),
            "output": _text_or_parts(item, part, limit),
        }
        for call_id, item in _called(message)
    ]


def to_anthropic(message: Message, blobs: Blobs, *, limit: int | None = None) -> Payload:
    """Return one user message with a tool_result block per return; errors are marked as such."""

    def part(item: ReturnPart) -> Payload:
        if isinstance(item, TextContent):
            return {"type": "text", "text": truncate(item.text, limit)}
        inline = _inline(item.source, blobs)
        if inline is not None:
            media_type, data = inline
            source = {"type": "base64", "data": data, "media_type": media_type}
            return {"type": "image", "source": source}
        if isinstance(item.source, UrlImage):
            return {"type": "image", "source": {"type": "url", "url": item.source.url}}
        return {"type": "text", "text": _OMITTED}

    blocks = [
        {
            "type": "tool_result",
            "tool_use_id": call_id,
            "content": _text_or_parts(item, part, limit),
            **({"is_error": True} if item.status == "error" else {}),
        }
        for call_id, item in _called(message)
    ]
    return {"role": "user", "content": blocks}


def to_google(
    message: Message,
    blobs: Blobs,
    *,
    limit: int | None = None,
    names: Mapping[str, str] | None = None,
) -> Payload:
    """Return one function message: a functionResponse per return, its images as sibling parts.

    `names` gives the called function of each call id; without it the message's name, or the call
    id, stands for all.
    """
    parts: list[Payload] = []
    for call_id, item in _called(message):
        name = (names or {}).get(call_id) or message.name or call_id
        if isinstance(item.func_response, list):
            text, images = _google_parts(item.func_response, blobs, limit)
        else:
            text, images = truncate(item.func_response or "", limit), []
        response = {"name": name, "content": _json_or_text(text)}
        parts += [{"functionResponse": {"name": name, "response": response}}, *images]
    return {"role": "function", "parts": parts}


def _google_parts(
    response: list[ReturnPart], blobs: Blobs, limit: int | None
) -> tuple[str, list[Payload]]:
    texts, images, omitted = [], [], 0
    for part in response:
        if isinstance(part, TextContent):
            texts.append(part.text)
        elif (image := _google_image(part.source, blobs)) is not None:
            images.append(image)
        else:
            omitted += 1
    lines = [truncate("\n".join(texts), limit)] if texts else []
    lines += [f"[{len(images)} image(s) attached]"] if images else []
    lines += [_OMITTED] * omitted
    return "\n".join(lines), images


def _google_image(source: ImageSource, blobs: Blobs) -> Payload | None:
    inline = _inline(source, blobs)
    if inline is not None:
        media_type, data = inline
        return {"inlineData": {"data": data, "mimeType": media_type}}
    if isinstance(source, UrlImage):
        media_type = mimetypes.guess_type(urlsplit(source.url).path)[0] or DEFAULT_MEDIA_TYPE
        return {"fileData": {"fileUri": source.url, "mimeType": media_type}}
    return None


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"function_response": text}


def _called(message: Message) -> Iterator[tuple[str, ToolReturn]]:
    """Yield each return with the call that it answers; raise InvalidArgument where none is known."""
    for item in returns_of(message):
        if not item.tool_call_id:
            raise InvalidArgument(
                f"message {message.id!r}: expected a tool_call_id on every return, found none on one"
            )
        yield item.tool_call_id, item


def _text_or_parts(
    item: ToolReturn, part: Callable[[ReturnPart], Payload], limit: int | None
) -> str | list[Payload]:
    if isinstance(item.func_response, list):
        return [part(each) for each in item.func_response] or ""
    return truncate(item.func_response or "", limit)


def _inline(source: ImageSource, blobs: Blobs) -> tuple[str, str] | None:
    """Return the media type and base64 text of an image whose bytes are at hand."""
    if isinstance(source, Base64Image):
        return source.media_type or DEFAULT_MEDIA_TYPE, source.data
    if isinstance(source, LettaImage) and source.data:
        return source.media_type or DEFAULT_MEDIA_TYPE, source.data
    if isinstance(source, BlobImage):
        return source.media_type, b64encode(blobs(source.sha256)).decode("ascii")
    return None


def _image_url(source: ImageSource, blobs: Blobs) -> str | None:
    inline = _inline(source, blobs)
    if inline is not None:
        media_type, data = inline
        return f"data:{media_type};base64,{data}"
    return source.url if isinstance(source, UrlImage) else None
