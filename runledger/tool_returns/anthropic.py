"""Tool returns for Anthropic: one user message with a tool_result block per return."""

from runledger.messages import Message, ReturnPart, TextContent, UrlImage
from runledger.tool_returns.image_bytes import Blobs, inline_image
from runledger.tool_returns.returns import (
    IMAGE_OMITTED,
    Payload,
    answered_calls,
    text_or_parts,
    truncate,
)


def to_anthropic(message: Message, blobs: Blobs, *, limit: int | None = None) -> Payload:
    """Return one user message with a tool_result block per return; errors are marked as such."""

    def part(item: ReturnPart) -> Payload:
        if isinstance(item, TextContent):
            return {"type": "text", "text": truncate(item.text, limit)}
        found = inline_image(item.source, blobs)
        if found is not None:
            media_type, data = found
            source = {"type": "base64", "data": data, "media_type": media_type}
            return {"type": "image", "source": source}
        if isinstance(item.source, UrlImage):
            return {"type": "image", "source": {"type": "url", "url": item.source.url}}
        return {"type": "text", "text": IMAGE_OMITTED}

    blocks = [
        {
            "type": "tool_result",
            "tool_use_id": call_id,
            "content": text_or_parts(item, part, limit),
            **({"is_error": True} if item.status == "error" else {}),
        }
        for call_id, item in answered_calls(message)
    ]
    return {"role": "user", "content": blocks}
