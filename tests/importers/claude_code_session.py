"""Small sessions of Claude Code, written by hand: the lines that the importer must understand."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

SESSION = "3f0e9b6e-2f4b-4f6f-8a11-0a5b3c4d5e6f"
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def uuid(number: int) -> str:
    return str(UUID(int=number, version=4))


class Lines:
    """Writes the lines of a session one after the other, a second apart."""

    def __init__(self, session: str = SESSION, first: int = 1, **facts: Any) -> None:
        self.lines: list[dict[str, Any]] = []
        self._session = session
        self._next = first
        self._facts = facts

    def add(self, kind: str, seconds: int = 1, **fields: Any) -> dict[str, Any]:
        at = START + timedelta(seconds=self._next * seconds)
        line = {
            "type": kind,
            "uuid": uuid(self._next),
            "sessionId": self._session,
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            "cwd": "/home/ann/shop",
            **self._facts,
            **fields,
        }
        self._next += 1
        self.lines.append(line)
        return line

    def prompt(self, text: str, **fields: Any) -> dict[str, Any]:
        return self.add("user", message={"role": "user", "content": text}, **fields)

    def answer(self, message_id: str, *blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return self.add("assistant", message=answer(message_id, *blocks, **fields), requestId="r")

    def result(self, call: str, content: Any = "ok", **fields: Any) -> dict[str, Any]:
        return self.add(
            "user", message={"role": "user", "content": [result(call, content)]}, **fields
        )

    def progress(self, task: str, kind: str, message: dict[str, Any]) -> dict[str, Any]:
        inner = {"type": kind, "uuid": uuid(10_000 + self._next), "message": message}
        line = self.add("progress", parentToolUseID=task)
        inner["timestamp"] = line["timestamp"]
        line["data"] = {"type": "agent_progress", "agentId": "a1", "message": inner}
        return line


def answer(message_id: str, *blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 10,
        "output_tokens": 1,
        "cache_read_input_tokens": 1_000,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        **fields.pop("usage", {}),
    }
    return {
        "id": message_id,
        "role": "assistant",
        "model": "claude-opus-4-5",
        "content": list(blocks),
        "stop_reason": None,
        "usage": usage,
        **fields,
    }


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def tool(call: str, name: str = "Bash", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call, "name": name, "input": given}


def result(call: str, content: Any = "ok", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call, "content": content, **fields}


def write(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
