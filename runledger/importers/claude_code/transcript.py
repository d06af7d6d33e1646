"""Lines of a session's file → turns, one in memory at a time."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from runledger.errors import InvalidArgument
from runledger.importers.claude_code.turn import MAIN, Block, Line, Turn
from runledger.importers.foreign import Foreign
from runledger.importers.json_lines import RawLine, parsed
from runledger.importers.report import ImportReport

INTERRUPTED: Final = ("[Request interrupted by user]", "[Request interrupted by user for tool use]")
_LOCAL: Final = (
    "<local-command-stdout>",
    "<local-command-stderr>",
    "<local-command-caveat>",
    "<bash-input>",
    "<bash-stdout>",
    "<bash-stderr>",
)
"""Beginnings of user lines that are not sent to a model: shell commands and their output."""
_NO_PART_OF_A_TURN: Final = frozenset(
    {
        "agent-name",
        "ai-title",
        "attachment",
        "custom-title",
        "file-history-snapshot",
        "last-prompt",
        "mode",
        "permission-mode",
        "pr-link",
        "queue-operation",
        "summary",
        "tag",
    }
)
_PROGRESS: Final = frozenset(
    {
        "bash_progress",
        "hook_progress",
        "mcp_progress",
        "query_update",
        "search_results_received",
        "waiting_for_task",
    }
)
_SYSTEM: Final = frozenset(
    {"away_summary", "bridge_status", "informational", "local_command", "stop_hook_summary"}
)
_SYNTHETIC: Final = "<synthetic>"


class Transcript:
    """Converts the lines of one session to turns; unknown content is counted in the report."""

    def __init__(self, session_id: str, report: ImportReport) -> None:
        self._session_id = session_id
        self._report = report
        self._turn: Turn | None = None

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
                yield before
        if self._turn is not None:
            yield self._turn

    def _take(self, raw: RawLine, source: Foreign) -> Turn | None:
        """Add the line to its turn; if the line begins a new turn, return the one before."""
        kind = source.text("type")
        if kind == "user" and is_prompt(source):
            return self._begin(raw, source)
        if kind in ("user", "assistant", "progress") and _counts(source):
            if self._turn is None:
                # The file begins in the middle of a session: the facts of the beginning are
                # missing.
                self._begin(raw, source)
            assert self._turn is not None
            add_line(self._turn, source, MAIN)
        elif kind == "system":
            self._system(source)
        elif kind == "progress":
            data = source.object("data")
            name = (data.text("type") if data else None) or "?"
            if name not in _PROGRESS and name != "agent_progress":
                self._report.not_understood[f"progress {name}"] += 1
        elif kind not in ("user", "assistant") and kind not in _NO_PART_OF_A_TURN:
            self._report.not_understood[f"line of type {kind}"] += 1
        return None

    def _begin(self, raw: RawLine, source: Foreign) -> Turn | None:
        before = self._turn
        at = moment(source)
        forked = source.object("forkedFrom")
        uuid = (forked.text("messageUuid") if forked else None) or source.text("uuid")
        if uuid is None:
            raise source.fault("uuid", "the id of the line")
        turn = Turn(
            uuid, source.text("sessionId") or self._session_id, at, raw.offset, raw.place
        )  # fmt: skip
        for key, name in (("cwd", "cwd"), ("gitBranch", "git_branch"), ("version", "version")):
            value = source.text(key)
            if value:
                turn.facts[name] = value
        if source.text("type") == "user" and is_prompt(source):
            turn.prompt = Line(uuid, at, blocks(source))
        if before is not None:
            before.next_at = at
        self._turn = turn
        return before

    def _system(self, source: Foreign) -> None:
        subtype, turn = source.text("subtype") or "?", self._turn
        if subtype in _SYSTEM or turn is None:
            return
        if subtype == "turn_duration":
            milliseconds = source.count("durationMs")
            if milliseconds is not None:
                turn.run_ns = milliseconds * 1_000_000
                turn.last_at = max(turn.last_at, moment(source))
        elif subtype in ("compact_boundary", "microcompact_boundary"):
            about = source.object("compactMetadata") or source.object("microcompactMetadata")
            plain = about.fields if about else {}
            turn.compactions[f"compaction {moment(source).isoformat()}"] = {
                "kind": subtype.removesuffix("_boundary"),
                "trigger": plain.get("trigger"),
                "tokens_before": plain.get("preTokens"),
            }
        elif subtype == "api_error":
            turn.retrying = True
        else:
            self._report.not_understood[f"system {subtype}"] += 1


def is_prompt(source: Foreign) -> bool:
    """Whether a user line begins a turn: not a tool's result, not written by a program."""
    written = ("isMeta", "isCompactSummary", "isSidechain", "isVisibleInTranscriptOnly")
    if any(source.flag(key) for key in written):
        return False
    given = blocks(source)
    if not given or any(block.get("type") == "tool_result" for block in given):
        return False
    text = "".join(str(block.get("text", "")) for block in given).strip()
    return text not in INTERRUPTED and not text.startswith(_LOCAL)


def add_line(turn: Turn, source: Foreign, thread: str) -> None:
    """Add a line of the session, or of a sub-agent's file, to its turn."""
    kind = source.text("type")
    if kind == "progress":
        data = source.object("data")
        inner = data.object("message") if data else None
        if data is None or inner is None:
            return
        task = source.text("parentToolUseID") or ""
        thread = data.text("agentId") or task
        turn.tasks.setdefault(thread, task)
        source = inner
    elif source.flag("isSidechain"):
        thread = source.text("agentId") or thread or "sidechain"
    message = source.object("message")
    if message is None:
        return
    uuid = source.text("uuid")
    if not uuid:
        raise source.fault("uuid", "the id of the line")
    line = Line(uuid, moment(source), blocks(source))
    if source.text("type") == "assistant":
        _assistant(turn, source, message, thread, line)
    elif thread == MAIN and _text(line) in INTERRUPTED:
        turn.last_word, turn.last_at = "interrupted", max(turn.last_at, line.at)
    else:
        result = source.fields.get("toolUseResult")
        if isinstance(result, dict) and isinstance(result.get("agentId"), str) and line.blocks:
            turn.tasks[result["agentId"]] = str(line.blocks[0].get("tool_use_id"))
        turn.add_results(thread, line)


def _assistant(turn: Turn, source: Foreign, message: Foreign, thread: str, line: Line) -> None:
    if message.text("model") != _SYNTHETIC:
        turn.add_call(thread, line, message, source.text("requestId"))
    elif source.flag("isApiErrorMessage") and thread == MAIN:
        turn.last_word, turn.error = "error", _text(line)
        turn.last_at = max(turn.last_at, line.at)


def _counts(source: Foreign) -> bool:
    """Whether a line that is not a prompt has a call, a result or an interruption."""
    if source.text("type") == "progress":
        data = source.object("data")
        return data is not None and data.text("type") == "agent_progress"
    if source.text("type") == "assistant":
        return True
    given = blocks(source)
    text = "".join(str(block.get("text", "")) for block in given).strip()
    return any(block.get("type") == "tool_result" for block in given) or text in INTERRUPTED


def blocks(source: Foreign) -> list[Block]:
    """Return the content blocks of a line's message; a text is one block."""
    message = source.object("message")
    content = message.fields.get("content") if message else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        return []
    return [block for block in content if isinstance(block, dict)]


def _text(line: Line) -> str:
    return "".join(str(block.get("text", "")) for block in line.blocks).strip()


def moment(source: Foreign) -> datetime:
    """Return the time of a line, or raise InvalidArgument."""
    at = source.time("timestamp")
    if at is None:
        raise source.fault("timestamp", "a time in ISO 8601")
    return at
