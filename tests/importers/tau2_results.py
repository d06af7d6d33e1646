"""Small tau2-bench result files, written by hand: the shapes that the importer must read."""

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

START = "2025-08-01T16:00:00.000000"
END = "2025-08-01T16:00:09.000000"


def info(**changes: Any) -> dict[str, Any]:
    return {
        "git_commit": "abc",
        "agent_info": {"implementation": "llm_agent", "llm": "gpt-4.1", "llm_args": {}},
        "user_info": {"implementation": "user_simulator", "llm": "gpt-4o"},
        "environment_info": {"domain_name": "airline", "policy": "be kind"},
        **changes,
    }


def call(call_id: str, name: str, requestor: str = "assistant", **arguments: Any) -> dict[str, Any]:
    return {"id": call_id, "name": name, "arguments": arguments, "requestor": requestor}


def message(role: str, second: int | None = None, **fields: Any) -> dict[str, Any]:
    time = None if second is None else f"2025-08-01T16:00:{second:02}.500000"
    return {"role": role, "content": None, "timestamp": time, "turn_idx": second, **fields}


def usage(prompt: int, completion: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion}


def conversation() -> list[dict[str, Any]]:
    return [
        message("assistant", 0, content="Hi! How can I help?", usage=None, cost=0.0),
        message("user", 1, content="Cancel my flight", usage=usage(100, 10), cost=0.001),
        message("assistant", 2, tool_calls=[call("c1", "get_user", id="u1")], usage=usage(200, 20)),
        message("tool", 3, id="c1", content='{"name": "Ann"}', requestor="assistant", error=False),
        message("user", 4, tool_calls=[call("u1", "check_phone", "user")], usage=usage(110, 11)),
        message("tool", 5, id="u1", content="no signal", requestor="user", error=True),
        message("assistant", 6, content="Done.", usage=usage(300, 30), raw_data={"index": 0}),
    ]


def simulation(**changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "task_id": "7",
        "trial": 0,
        "seed": 300,
        "start_time": START,
        "end_time": END,
        "duration": 8.25,
        "termination_reason": "user_stop",
        "agent_cost": 0.0125,
        "user_cost": None,
        "reward_info": {"reward": 1.0, "reward_breakdown": {"DB": 1.0}},
        "messages": conversation(),
        **changes,
    }


def results(*simulations: Any, **changes: Any) -> dict[str, Any]:
    return {"timestamp": START, "info": info(), "tasks": [], "simulations": simulations, **changes}


def write(path: Path, document: Any) -> Path:
    text = json.dumps(document).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path
