"""Lines of a session's file → turns, one in memory at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Final

from runledger.errors import InvalidArgument
from runledger.importers.foreign import Foreign, digest_of
from runledger.importers.json_lines import RawLine, parsed
from runledger.importers.report import ImportReport

_ROLES: Final = frozenset({"assistant", "toolResult"})
_NO_PART_OF_A_TURN: Final = frozenset(
    {
        "branch_summary",
        "context_transform",
        "custom",
        "custom_message",
        "ephemeral",
        "label",
        "model_change",
        "session_info",
        "thinking_level_change",
    }
)
_ROLES_WITHOUT_A_CALL: Final = frozenset(
    {"bashExecution", "branchSummary", "compactionSummary", "custom", "hookMessage"}
)


@dataclass(slots=True)
class Header:
    """The fields of a session's first line."""

    session_id: str
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Entry:
    """A message; its key is a digest of its content, so that a copy has the same key."""

    key: str
    at: datetime
    message: Foreign


@dataclass(slots=True)
class Turn:
    """A user's message and what followed it."""

    header: Header
    place: str
    prompt: Entry | None
    started_at: datetime
    entries: list[Entry] = field(default_factory=list)
    compactions: dict[str, dict[str, int | None]] = field(default_factory=dict)
    last: bool = True
    """Whether no other turn follows in the file."""

    @property
    def key(self) -> str:
        """The key of the turn: that of its first message."""
        return (self.prompt or self.entries[0]).key


class Transcript:
    """Converts the lines of one session to turns; unknown content is counted in the report."""

    def __init__(self, file: PurePath, report: ImportReport) -> None:
        name = file.name.removesuffix(".gz").removesuffix(".jsonl")
        self._header = Header(name.rpartition("_")[2])
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
                before.last = False
                yield before
        if self._turn is not None:
            yield self._turn

    def _take(self, raw: RawLine, source: Foreign) -> Turn | None:
        """Add the line to its turn; if the line begins a new turn, return the one before."""
        kind = source.text("type")
        if kind == "message":
            return self._message(raw, source)
        if kind == "session":
            self._header = Header(source.text("id") or self._header.session_id)
            for key, name in (
                ("cwd", "cwd"), ("parentSession", "forked_from"), ("branchedFrom", "forked_from"),
            ):  # fmt: skip
                value = source.text(key)
                if value:
                    self._header.facts[name] = value
        elif kind == "compaction":
            if self._turn is not None:
                key = f"compaction {_moment(source).isoformat()}"
                self._turn.compactions[key] = {"tokens_before": source.count("tokensBefore")}
        elif kind not in _NO_PART_OF_A_TURN:
            self._report.not_understood[f"line of type {kind}"] += 1
        return None

    def _message(self, raw: RawLine, source: Foreign) -> Turn | None:
        message = source.object("message")
        role = message.text("role") if message else None
        if message is None or role in _ROLES_WITHOUT_A_CALL:
            return None
        entry = Entry(digest_of(message.fields), _moment(source), message)
        if role == "user":
            before, self._turn = self._turn, Turn(self._header, raw.place, entry, entry.at)
            return before
        if role not in _ROLES:
            self._report.not_understood[f"message of role {role}"] += 1
            return None
        if self._turn is None:
            self._turn = Turn(self._header, raw.place, None, entry.at)
        self._turn.entries.append(entry)
        return None


def _moment(source: Foreign) -> datetime:
    at = source.time("timestamp")
    if at is None:
        raise source.fault("timestamp", "a time in ISO 8601")
    return at
