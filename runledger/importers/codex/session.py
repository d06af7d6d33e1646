"""Lines of a session's file → turns, one in memory at a time.

The lines are those that codex-rs/protocol/src/protocol.rs calls RolloutItem: a time, a type and a
payload. Usage is in `token_count` events, which have the session's totals so far and are repeated
while nothing is used. A forked session, or one of a sub-agent, begins with a copy of its parent's
history, times written anew; so a call is identified by its preceding totals, and not by its line.
"""

from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import PurePath
from typing import Final, Literal

from runledger.errors import InvalidArgument
from runledger.importers.foreign import Foreign
from runledger.importers.json_lines import RawLine, parsed
from runledger.importers.report import ImportReport

COUNTS: Final = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "total_tokens",
)
CALLS: Final = frozenset(
    {"function_call", "custom_tool_call", "local_shell_call", "web_search_call", "tool_search_call"}
)
_RESULTS: Final = frozenset(
    {"function_call_output", "custom_tool_call_output", "tool_search_output"}
)
_NO_MESSAGE: Final = frozenset({"compaction", "context_compaction", "ghost_snapshot", "other"})
_ENDED: Final = frozenset({"task_complete", "turn_complete"})
_SHOWN: Final = (
    "agent_", "background_", "collab_", "deprecation_", "dynamic_tool_", "elicitation_",
    "entered_", "exec_", "exited_", "guardian_", "hook_", "image_", "item_", "mcp_", "model_",
    "patch_", "plan_", "raw_", "realtime_", "reasoning_", "request_", "session_", "skills_",
    "stream_error", "sub_agent_", "task_started", "thread_", "turn_diff", "turn_started", "undo_",
    "view_", "warning", "web_search_", "context_compacted",
)  # fmt: skip
"""Type prefixes of events that repeat response items or inform the user, and use no tokens."""

Usage = dict[str, int]
LastWord = Literal["prompt", "answer", "aborted", "error", "complete"]


@dataclass(slots=True)
class Header:
    """The fields of a session's first line."""

    session_id: str
    model: str | None = None
    provider: str | None = None
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Answer:
    """A model's text and calls; `usage` is None until it is reported."""

    at: datetime
    model: str | None
    key: str = ""
    items: list[Foreign] = field(default_factory=list)
    usage: Usage | None = None
    jumped: bool = False
    """Whether the totals grew by more than the last call used: lines are missing."""


@dataclass(slots=True)
class Result:
    """The result of a tool."""

    at: datetime
    item: Foreign


@dataclass(slots=True)
class Turn:
    """A user's message and what followed it."""

    header: Header
    key: str
    place: str
    started_at: datetime
    prompt: str | None
    entries: list[Answer | Result] = field(default_factory=list)
    compactions: dict[str, bool] = field(default_factory=dict)
    last_at: datetime = field(init=False)
    last_word: LastWord = "prompt"
    reason: str | None = None
    last: bool = True
    """Whether no other turn follows in the file."""

    def __post_init__(self) -> None:
        """Start the turn with its prompt."""
        self.last_at = self.started_at

    def extend(self, at: datetime, word: LastWord) -> None:
        """Store the last entry and its time."""
        self.last_at, self.last_word = max(self.last_at, at), word


class Transcript:
    """Converts the lines of one session to turns; unknown content is counted in the report.

    `parents` maps a session to the one that it was forked from, for as many as are known.
    """

    def __init__(
        self, file: PurePath, parents: MutableMapping[str, str], report: ImportReport
    ) -> None:
        name = file.name.removesuffix(".gz").removesuffix(".jsonl")
        self._header = Header(name[-36:])
        self._named = False
        self._parents = parents
        self._report = report
        self._turn: Turn | None = None
        self._open: Answer | None = None
        self._totals: Usage | None = None
        self._chain = ""
        self._prompts = 0

    def turns(self, lines: Iterable[RawLine]) -> Iterator[Turn]:
        """Yield each turn once it is complete, and the last one, which may continue, at the end."""
        for raw in lines:
            source = parsed(raw, self._report)
            if source is None:
                continue
            try:
                before = self._take(raw, source)
            except InvalidArgument as e:
                self._report.refuse(raw.place, e)
                continue
            if before is not None:
                before.last = False
                yield before
        if self._turn is not None:
            yield self._turn

    def _take(self, raw: RawLine, source: Foreign) -> Turn | None:
        """Add the line to its turn; if the line begins a new turn, return the one before."""
        kind, payload = source.text("type"), source.object("payload") or Foreign({})
        at = source.time("timestamp")
        if at is None:
            raise source.fault("timestamp", "a time in ISO 8601")
        if kind == "event_msg":
            return self._event(raw, payload, at)
        if kind == "response_item":
            self._item(raw, payload, at)
        elif kind == "session_meta":
            self._meta(payload)
        elif kind == "turn_context":
            self._header.model = payload.text("model") or self._header.model
        elif kind == "compacted":
            if self._turn is not None:
                self._turn.compactions[f"compaction {at.isoformat()}"] = True
        elif kind != "world_state":
            self._report.not_understood[f"line of type {kind}"] += 1
        return None

    def _meta(self, payload: Foreign) -> None:
        session_id = payload.text("id") or self._header.session_id
        parent = parent_of(payload)
        if parent is not None:
            self._parents[session_id] = parent
        if self._named:
            return  # The header of a parent, in the copy of its history.
        self._named = True
        facts = {
            name: value
            for key, name in (("cwd", "cwd"), ("cli_version", "version"))
            if (value := payload.text(key))
        }
        if parent is not None:
            facts["forked_from"] = parent
        provider = payload.text("model_provider")
        self._header = Header(session_id, self._header.model, provider, facts)

    def _event(self, raw: RawLine, payload: Foreign, at: datetime) -> Turn | None:
        kind = payload.text("type") or "?"
        if kind == "user_message":
            return self._begin(raw, at, payload.text("message") or "")
        if kind == "token_count":
            self._count(raw, payload, at)
        elif self._turn is None:
            return None
        elif kind in _ENDED:
            # An earlier interruption or error is the reason of the turn's end.
            word = self._turn.last_word
            self._turn.extend(at, word if word in ("aborted", "error") else "complete")
        elif kind == "turn_aborted":
            self._turn.extend(at, "aborted")
            self._turn.reason = payload.text("reason")
        elif kind == "error":
            self._turn.extend(at, "error")
            self._turn.reason = payload.text("message")
        elif not kind.startswith(_SHOWN):
            self._report.not_understood[f"event of type {kind}"] += 1
        return None

    def _begin(self, raw: RawLine, at: datetime, prompt: str | None) -> Turn | None:
        before, self._open = self._turn, None
        self._prompts += 1
        key = _digest(self._root(), self._chain, str(self._prompts), prompt or "")
        self._turn = Turn(self._header, key, raw.place, at, prompt)
        return before

    def _current(self, raw: RawLine, at: datetime) -> Turn:
        if self._turn is None:
            self._begin(raw, at, None)
        assert self._turn is not None
        return self._turn

    def _item(self, raw: RawLine, item: Foreign, at: datetime) -> None:
        kind = item.text("type")
        if kind in _RESULTS:
            turn = self._current(raw, at)
            turn.entries.append(Result(at, item))
            turn.extend(at, "answer")
        elif kind in CALLS or kind == "reasoning" or item.text("role") == "assistant":
            turn = self._current(raw, at)
            if self._open is None:
                self._open = Answer(at, self._header.model)
                turn.entries.append(self._open)
            self._open.items.append(item)
            turn.extend(at, "answer")
        elif kind != "message" and kind not in _NO_MESSAGE:
            self._report.not_understood[f"item of type {kind}"] += 1

    def _count(self, raw: RawLine, payload: Foreign, at: datetime) -> None:
        info = payload.object("info")
        totals = _usage(info.object("total_token_usage")) if info else None
        last = _usage(info.object("last_token_usage")) if info else None
        if totals is None and last is None:
            return
        if totals is not None and totals == self._totals:
            return  # Repeated: nothing was used since.
        used, jumped = _used(self._totals, totals, last)
        if totals is not None:
            self._totals = totals
        turn = self._current(raw, at)
        answer = self._open
        if answer is None:
            answer = Answer(at, self._header.model)
            turn.entries.append(answer)
        self._open, self._prompts = None, 0
        called = [item.text("call_id") or "" for item in answer.items]
        counts = [str((totals or last or {}).get(name)) for name in COUNTS]
        self._chain = _digest(self._root(), self._chain, *counts, *sorted(filter(None, called)))
        answer.key, answer.usage, answer.jumped = self._chain, used, jumped
        answer.at, answer.model = at, self._header.model or answer.model
        turn.extend(at, "answer")

    def _root(self) -> str:
        """Return the original session of which this one's ancestors are copies."""
        found, seen = self._header.session_id, set()
        while found in self._parents and found not in seen:
            seen.add(found)
            found = self._parents[found]
        return found


def parent_of(meta: Foreign) -> str | None:
    """Return the session whose history a session begins with, if its first line names one."""
    return meta.text("forked_from_id") or meta.text("parent_thread_id")


def _usage(given: Foreign | None) -> Usage | None:
    if given is None:
        return None
    counted = {name: given.count(name) for name in COUNTS}
    return {name: count for name, count in counted.items() if count is not None} or None


def _used(before: Usage | None, totals: Usage | None, last: Usage | None) -> tuple[Usage, bool]:
    """Return the usage of a call, and whether the totals increased by more than that."""
    if before is None or totals is None:
        return last or totals or {}, False
    grown = {name: count - before.get(name, 0) for name, count in totals.items()}
    if min(grown.values()) < 0:
        return last or totals, False  # The totals started again at 0.
    return grown, last is not None and any(last.get(n, 0) != grown[n] for n in grown)


def _digest(*parts: str) -> str:
    return sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
