"""The run manager of an agent server, with its old names, on a ledger: only the import changes.

See docs/compat.md for what is the same, what differs, and what a server must know.
"""

from runledger.compat.agent_manager import AgentManager
from runledger.compat.default_ledger import close_default_ledgers, default_ledger
from runledger.compat.enums import (
    ComparisonOperator,
    FeedbackType,
    MessageRole,
    MessageType,
    PrimitiveType,
    RunStatus,
    StepStatus,
    StopReasonType,
)
from runledger.compat.errors import (
    ConversationBusyError,
    ErrorCode,
    LettaAgentNotFoundError,
    LettaError,
    LettaInvalidArgumentError,
    NoResultFound,
    UniqueConstraintViolationError,
)
from runledger.compat.message import Message
from runledger.compat.message_manager import MessageManager
from runledger.compat.run_manager import RunManager
from runledger.compat.schemas import (
    AgentState,
    LettaRequestConfig,
    LettaStopReason,
    LettaUsageStatistics,
    Run,
    RunMetrics,
    RunUpdate,
    Step,
    StepMetrics,
    UsageStatistics,
    UsageStatisticsCompletionTokenDetails,
    UsageStatisticsPromptTokenDetails,
    User,
)
from runledger.compat.step_manager import StepManager
from runledger.messages import ImageContent, TextContent, ToolCall, ToolReturn

__all__ = [
    "AgentManager",
    "AgentState",
    "ComparisonOperator",
    "ConversationBusyError",
    "ErrorCode",
    "FeedbackType",
    "ImageContent",
    "LettaAgentNotFoundError",
    "LettaError",
    "LettaInvalidArgumentError",
    "LettaRequestConfig",
    "LettaStopReason",
    "LettaUsageStatistics",
    "Message",
    "MessageManager",
    "MessageRole",
    "MessageType",
    "NoResultFound",
    "PrimitiveType",
    "Run",
    "RunManager",
    "RunMetrics",
    "RunStatus",
    "RunUpdate",
    "Step",
    "StepManager",
    "StepMetrics",
    "StepStatus",
    "StopReasonType",
    "TextContent",
    "ToolCall",
    "ToolReturn",
    "UniqueConstraintViolationError",
    "UsageStatistics",
    "UsageStatisticsCompletionTokenDetails",
    "UsageStatisticsPromptTokenDetails",
    "User",
    "close_default_ledgers",
    "default_ledger",
]
