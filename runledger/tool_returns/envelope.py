"""The JSON envelope of a tool's text for the model: status, message, time."""

import json
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn

from runledger.tool_returns.escapes import without_halves

Status = Literal["success", "error"]

_STATUSES: dict[str, Status] = {"OK": "success", "Failed": "error"}


def wrap_return(text: str, status: Status, at: datetime) -> str:
    """Return the envelope of a tool's text; `at` is shown in UTC, to the second."""
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
    """Return the text and status in an envelope; (text, None) if the text is not an envelope."""
    envelope = read_json(text)
    if not isinstance(envelope, dict) or "message" not in envelope:
        return text, None
    status = envelope.get("status")
    if not isinstance(status, str) or status not in _STATUSES:
        return text, None
    message = envelope["message"]
    shown = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    return shown, _STATUSES[status]


def read_json(text: str) -> Any:
    """Return the JSON value of a text, or Ellipsis if the text is not JSON."""
    try:
        # NaN and Infinity are an extension of Python: no provider reads them.
        return json.loads(without_halves(text), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return ...


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
