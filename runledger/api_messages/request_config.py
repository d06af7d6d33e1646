"""How a run's messages are to be shown, as its request said."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from runledger.api_messages.models import MessageType
from runledger.errors import InvalidArgument, describe


class RequestConfig(BaseModel):
    """The four fields of a run's `request_config` that affect its messages; others are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    use_assistant_message: bool = True
    assistant_message_tool_name: str = "send_message"
    assistant_message_tool_kwarg: str = "message"
    include_return_message_types: list[MessageType] | None = None

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> Self:
        """Return the config of a run; raise InvalidArgument if it cannot be applied."""
        given = {key: value for key, value in (stored or {}).items() if value is not None}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise InvalidArgument(f"request_config: {describe(error)}") from None
