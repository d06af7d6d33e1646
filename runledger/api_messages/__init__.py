"""A run's messages in the form of the API: models, conversion of stored messages, pages."""

from runledger.api_messages.conversion import to_api_messages
from runledger.api_messages.models import (
    ApiMessage,
    ApiToolCall,
    ApiToolReturn,
    ApprovalRequestMessage,
    ApprovalResponseMessage,
    AssistantMessage,
    HiddenReasoningMessage,
    MessageType,
    ReasoningMessage,
    SystemMessage,
    ToolCallMessage,
    ToolReturnMessage,
    UserMessage,
)
from runledger.api_messages.pages import api_message_page
from runledger.api_messages.request_config import RequestConfig
from runledger.api_messages.speech import spoken_calls
from runledger.api_messages.sub_ids import otid_of

__all__ = [
    "ApiMessage",
    "ApiToolCall",
    "ApiToolReturn",
    "ApprovalRequestMessage",
    "ApprovalResponseMessage",
    "AssistantMessage",
    "HiddenReasoningMessage",
    "MessageType",
    "ReasoningMessage",
    "RequestConfig",
    "SystemMessage",
    "ToolCallMessage",
    "ToolReturnMessage",
    "UserMessage",
    "api_message_page",
    "otid_of",
    "spoken_calls",
    "to_api_messages",
]
