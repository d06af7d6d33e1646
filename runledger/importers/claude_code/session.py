"""Finds sessions, and reads the turns of one: its own file and those of its sub-agents."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from runledger.errors import ImportFailed, InvalidArgument
from runledger.importers.claude_code.transcript import Transcript, add_line, moment
from runledger.importers.claude_code.turn import Turn
from runledger.importers.foreign import Foreign
from runledger.importers.json_lines import RawLine, files_in, parsed, raw_lines
from runledger.importers.report import Advance, ImportReport
from runledger.importers.source_file import DAMAGE, opened

_AGENT: Final = "agent-"
_UNDATED: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Session:
    """The file of a session, and the files of the sub-agents that it started."""

    path: Path
    agents: list[Path] = field(default_factory=list)

    @property
    def session_id(self) -> str:
        """The name of the file, which is the id of the session."""
        return self.path.name.removesuffix(".gz").removesuffix(".jsonl")


def home() -> Path:
    """Return the folder in which Claude Code keeps the sessions of this user."""
    configured = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(configured) if configured else Path.home() / ".claude") / "projects"


def sessions(paths: Iterable[Path]) -> list[Session]:
    """Return the sessions of files and folders, by path; raise ImportFailed for what is neither.

    A sub-agent's file is in the folder `<session>/subagents`, or beside the session's file.
    """
    files = files_in(paths)
    own = [path for path in files if not path.name.startswith(_AGENT)]
    every = {(_folder(path), Session(path).session_id): Session(path) for path in own}
    alone = []
    for path in files:
        if path.name.startswith(_AGENT):
            owner = every.get(_owner(path))
            if owner is None:
                alone.append(Session(path))
            else:
                owner.agents.append(path)
    return [*every.values(), *alone]


def _folder(path: Path) -> Path:
    return path.resolve().parent


def _owner(agent: Path) -> tuple[Path, str]:
    folder = _folder(agent)
    if folder.name == "subagents":
        return folder.parent.parent, folder.parent.name
    return folder, _first(agent).session_id


class _Beginning(NamedTuple):
    session_id: str
    at: datetime | None


def _first(path: Path) -> _Beginning:
    """Return the first line's fields; none if it cannot be read, which is reported later."""
    try:
        with opened(path) as source:
            given = json.loads(source.stream.readline())
        first = Foreign(given)
        return _Beginning(first.text("sessionId") or "", moment(first))
    except (*DAMAGE, ValueError, InvalidArgument, ImportFailed, AttributeError):
        return _Beginning("", None)


def began(path: Path) -> datetime | None:
    """Return the time of a sub-agent's first line, or None if it has none."""
    return _first(path).at


class TurnReader:
    """Reads the turns of a session, from the beginning or from the offset of a turn."""

    def __init__(self, session: Session, report: ImportReport, advance: Advance) -> None:
        self._session = session
        self._report = report
        self._advance = advance

    def turns(self, offset: int = 0) -> Iterator[Turn]:
        """Yield the turns from this offset on, including the calls of sub-agents."""
        dated = [(began(path) or _UNDATED, path) for path in self._session.agents]
        waiting = sorted(dated)
        transcript = Transcript(self._session.session_id, self._report)
        for turn in transcript.turns(self._lines(self._session.path, offset)):
            while waiting:
                since, path = waiting[0]
                if turn.next_at is not None and since >= turn.next_at:
                    break
                waiting.pop(0)
                # A sub-agent that began before the first of these turns belongs to an earlier turn.
                if offset == 0 or since >= turn.started_at:
                    self._sub_agent(turn, path)
            yield turn

    def _sub_agent(self, turn: Turn, path: Path) -> None:
        thread = Session(path).session_id.removeprefix(_AGENT)
        for raw in self._lines(path, 0):
            source = parsed(raw, self._report)
            if source is not None and source.text("type") in ("user", "assistant"):
                try:
                    add_line(turn, source, thread)
                except InvalidArgument as e:
                    self._report.refuse(raw.place, e)

    def _lines(self, path: Path, offset: int) -> Iterator[RawLine]:
        return raw_lines(path, self._report, self._advance, offset)
