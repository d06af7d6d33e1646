"""The enumerations of the replaced server, with their names there."""

from enum import StrEnum

from runledger.run import status_of


class RunStatus(StrEnum):
    """The status of a run; the last three are terminal."""

    created = "created"
    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


class StopReasonType(StrEnum):
    """Why a run ended."""

    end_turn = "end_turn"
    max_steps = "max_steps"
    tool_rule = "tool_rule"
    requires_approval = "requires_approval"
    error = "error"
    llm_api_error = "llm_api_error"
    invalid_llm_response = "invalid_llm_response"
    invalid_tool_call = "invalid_tool_call"
    no_tool_call = "no_tool_call"
    max_tokens_exceeded = "max_tokens_exceeded"
    context_window_overflow_in_system_prompt = "context_window_overflow_in_system_prompt"
    insufficient_credits = "insufficient_credits"
    cancelled = "cancelled"

    @property
    def run_status(self) -> RunStatus:
        """The status that a run with this stop reason has."""
        return RunStatus(status_of(self.value).value)


class StepStatus(StrEnum):
    """The status of a step."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FeedbackType(StrEnum):
    """A person's feedback on a step."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


class ComparisonOperator(StrEnum):
    """How a step count compares; the replaced server has the first three."""

    EQ = "eq"
    GTE = "gte"
    LTE = "lte"
    GT = "gt"
    LT = "lt"


class MessageRole(StrEnum):
    """The role of a stored message."""

    assistant = "assistant"
    user = "user"
    tool = "tool"
    function = "function"
    system = "system"
    approval = "approval"


class MessageType(StrEnum):
    """The type of an API message."""

    system_message = "system_message"
    user_message = "user_message"
    assistant_message = "assistant_message"
    reasoning_message = "reasoning_message"
    hidden_reasoning_message = "hidden_reasoning_message"
    tool_call_message = "tool_call_message"
    tool_return_message = "tool_return_message"
    approval_request_message = "approval_request_message"
    approval_response_message = "approval_response_message"
    summary_message = "summary_message"
    event_message = "event_message"


class PrimitiveType(StrEnum):
    """The prefix of an id."""

    AGENT = "agent"
    CONVERSATION = "conv"
    MESSAGE = "message"
    ORGANIZATION = "org"
    PROVIDER = "provider"
    RUN = "run"
    STEP = "step"
    TOOL = "tool"
    USER = "user"
