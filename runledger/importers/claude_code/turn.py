"""A turn: a prompt and everything up to the next one, collected from lines of a session."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from runledger.importers.foreign import Foreign, digest_of

MAIN: Final = ""
"""The thread of the session itself; every other thread is a sub-agent's."""

USAGE: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
LIFETIMES: Final = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
"""The parts of a cache write, by their lifetimes."""

Block = Mapping[str, Any]


class Line(NamedTuple):
    """A part of a message: the line's id, its time, its content blocks."""

    uuid: str
    at: datetime
    blocks: list[Block]


@dataclass(slots=True)
class ModelCall:
    """One call of a model; its answer is spread over lines that repeat its id and its usage."""

    message_id: str
    thread: str
    model: str | None
    request_id: str | None
    first_at: datetime
    last_at: datetime
    retried: bool
    blocks: dict[str, tuple[datetime, Block]] = field(default_factory=dict)
    """Key of a content block → its time, and the block."""
    usage: dict[str, int] = field(default_factory=dict)
    stop_reason: str | None = None
    answered: bool = False
    """Whether a tool that it called has returned, or its thread has made a later call."""


@dataclass(slots=True)
class Returned:
    """The result of a tool."""

    at: datetime
    tool_id: str
    block: Block


LastWord = Literal["prompt", "call", "result", "interrupted", "error"]


@dataclass(slots=True)
class Turn:
    """The content of a session's file from one prompt to the next; `offset` is that of its first
    line."""

    uuid: str
    session_id: str
    started_at: datetime
    offset: int
    place: str
    prompt: Line | None = None
    entries: list[ModelCall | Returned] = field(default_factory=list)
    calls: dict[str, ModelCall] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    """Tool call id → the message id of the model call that made it."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Tool call id of a sub-agent's task → the kind of sub-agent."""
    tasks: dict[str, str] = field(default_factory=dict)
    """Thread of a sub-agent → tool call id of its task."""
    returned: set[str] = field(default_factory=set)
    latest: dict[str, ModelCall] = field(default_factory=dict)
    """Thread → its last model call."""
    facts: dict[str, str] = field(default_factory=dict)
    without_call: int = 0
    """Results of tool calls that the turn does not have: its file begins after them."""
    compactions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Key of the run's metadata → the facts of a compaction."""
    last_at: datetime = field(init=False)
    last_word: LastWord = "prompt"
    error: str = ""
    run_ns: int | None = None
    retrying: bool = False
    written_at: datetime | None = None
    """The time of the last write to a followed file; its lines may be older."""
    next_at: datetime | None = None
    """When the next turn began; None if this is the last one of its file."""

    def __post_init__(self) -> None:
        """Start the turn with its prompt."""
        self.last_at = self.started_at

    def add_call(self, thread: str, line: Line, message: Foreign, request_id: str | None) -> None:
        """Add a line of a model's answer."""
        message_id = message.text("id") or line.uuid
        call = self.calls.get(message_id)
        if call is None:
            before = self.latest.get(thread)
            if before is not None:
                before.answered = True
            call = ModelCall(
                message_id, thread, message.text("model"), request_id, line.at, line.at,
                self.retrying,
            )  # fmt: skip
            self.calls[message_id] = self.latest[thread] = call
            self.entries.append(call)
            self.retrying = False
        for block in line.blocks:
            # A sub-agent's call may be reported twice, in its own file and in the session's, in
            # lines with different ids.
            key = block_key(block)
            if key not in call.blocks:
                call.blocks[key] = line.at, block
                if block.get("type") == "tool_use":
                    self._called(block, call)
        call.last_at = max(call.last_at, line.at)
        call.stop_reason = message.text("stop_reason") or call.stop_reason
        self._count(call, message.object("usage"))
        self._extend(thread, line.at, "call")

    def add_results(self, thread: str, line: Line) -> None:
        """Add results of tools; repeated ones are skipped."""
        results = [block for block in line.blocks if block.get("type") == "tool_result"]
        for block in results:
            tool_id = str(block.get("tool_use_id"))
            if tool_id not in self.tools:
                self.without_call += 1
            elif tool_id not in self.returned:
                self.returned.add(tool_id)
                self.calls[self.tools[tool_id]].answered = True
                self.entries.append(Returned(line.at, tool_id, block))
        for agent, task in self.tasks.items():
            if task in self.returned and agent in self.latest:
                self.latest[agent].answered = True
        self._extend(thread, line.at, "result")

    def open_tools(self) -> bool:
        """Whether a tool that the session itself called has not returned."""
        return any(
            self.calls[message_id].thread == MAIN and tool not in self.returned
            for tool, message_id in self.tools.items()
        )

    def _called(self, block: Block, call: ModelCall) -> None:
        tool_id, given = block.get("id"), block.get("input")
        if not isinstance(tool_id, str):
            return
        self.tools[tool_id] = call.message_id
        if isinstance(given, dict) and isinstance(given.get("subagent_type"), str):
            self.kinds[tool_id] = given["subagent_type"]

    def _count(self, call: ModelCall, usage: Foreign | None) -> None:
        if usage is None:
            return
        counted = [(name, usage.count(name)) for name in USAGE]
        lifetimes = usage.object("cache_creation")
        if lifetimes is not None:
            counted += [(name, lifetimes.count(name)) for name in LIFETIMES]
        for name, count in counted:
            # Each line repeats the usage known at that time: the largest is the last.
            if count is not None:
                call.usage[name] = max(count, call.usage.get(name, 0))

    def _extend(self, thread: str, at: datetime, word: LastWord) -> None:
        self.last_at = max(self.last_at, at)
        if thread == MAIN:
            self.last_word = word


def block_key(block: Block) -> str:
    """Return a key that distinguishes a content block from others of its answer."""
    if block.get("type") == "tool_use" and isinstance(block.get("id"), str):
        return str(block["id"])
    return digest_of(block)
