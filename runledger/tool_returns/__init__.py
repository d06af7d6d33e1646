"""Tool returns in the forms of model providers: four payloads, one text rule, one truncation.

Pure functions. A callable returns the bytes of a BlobImage: nothing here reads a store.
"""

from runledger.tool_returns.anthropic import to_anthropic
from runledger.tool_returns.envelope import Status, unwrap_return, wrap_return
from runledger.tool_returns.escapes import without_halves
from runledger.tool_returns.google import to_google
from runledger.tool_returns.image_bytes import Blobs, inline_image
from runledger.tool_returns.openai import openai_call_id, to_openai_chat, to_openai_responses
from runledger.tool_returns.returns import returns_of, tool_return_to_text, truncate

__all__ = [
    "Blobs",
    "Status",
    "inline_image",
    "openai_call_id",
    "returns_of",
    "to_anthropic",
    "to_google",
    "to_openai_chat",
    "to_openai_responses",
    "tool_return_to_text",
    "truncate",
    "unwrap_return",
    "without_halves",
    "wrap_return",
]
