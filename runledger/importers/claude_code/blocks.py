"""Content blocks of Anthropic's messages → the parts of the ledger's messages."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from runledger.messages import (
    ContentPart,
    Function,
    ReasoningContent,
    RedactedReasoningContent,
    TextContent,
    ToolCall,
    ToolReturn,
)

_KNOWN: Final = frozenset({"text", "thinking", "redacted_thinking", "tool_use", "image"})

Block = Mapping[str, Any]


def is_known(block: Block) -> bool:
    """Whether a block can be part of a message of the ledger."""
    # The value may be of any type, even a list, which cannot be looked up in a set.
    return str(block.get("type")) in _KNOWN


def parts(blocks: Iterable[Block]) -> list[ContentPart]:
    """Return text and reasoning; for an image, only a placeholder."""
    return [part for block in blocks for part in _part(block)]


def _part(block: Block) -> Iterator[ContentPart]:
    kind = block.get("type")
    if kind == "text":
        yield TextContent(text=str(block.get("text", "")))
    elif kind == "thinking":
        signature = block.get("signature")
        yield ReasoningContent(
            is_native=True,
            reasoning=str(block.get("thinking", "")),
            signature=signature if isinstance(signature, str) else None,
        )
    elif kind == "redacted_thinking":
        yield RedactedReasoningContent(data=str(block.get("data", "")))
    elif kind == "image":
        yield TextContent(text=_image(block))


def tool_calls(blocks: Iterable[Block]) -> list[ToolCall]:
    """Return the tool calls."""
    return [
        ToolCall(
            id=str(block.get("id")),
            function=Function(
                name=str(block.get("name")),
                arguments=json.dumps(block.get("input") or {}, ensure_ascii=False),
            ),
        )
        for block in blocks
        if block.get("type") == "tool_use"
    ]


def tool_return(block: Block) -> ToolReturn:
    """Return the result of a tool; for an image in it, only a placeholder."""
    content = block.get("content")
    if isinstance(content, list):
        text = "\n".join(
            str(part["text"]) if "text" in part else _image(part)
            for part in content
            if isinstance(part, dict)
        )
    else:
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return ToolReturn(
        tool_call_id=str(block.get("tool_use_id")),
        status="error" if block.get("is_error") is True else "success",
        func_response=text,
    )


def _image(block: Block) -> str:
    source = block.get("source")
    media_type = source.get("media_type") if isinstance(source, dict) else None
    return f"[{block.get('type')} left out: {media_type or 'no text'}]"
