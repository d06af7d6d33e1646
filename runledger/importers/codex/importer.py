"""Imports sessions of Codex: everything new since the last import, once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from runledger.command_handling.handler import CommandHandler
from runledger.errors import ImportFailed, InvalidArgument
from runledger.importers.codex.run import AGENT_ID, SOURCE, commands, run_id
from runledger.importers.codex.session import Transcript, Turn, parent_of
from runledger.importers.first_source import TranscriptClaims
from runledger.importers.foreign import last_part
from runledger.importers.json_lines import files_in, parsed, raw_lines
from runledger.importers.recorder import FoundRun, RunRecorder
from runledger.importers.report import Advance, ImportReport
from runledger.run import Actor
from runledger.store import Store


class CodexImport:
    """One import; `report` is updated while it runs.

    `by_folder` makes the last part of a session's working directory the project of its runs.
    """

    def __init__(
        self, store: Store, handler: CommandHandler, actor: Actor, *, by_folder: bool = False
    ) -> None:
        self.report = ImportReport("runs")
        self._store = store
        self._handler = handler
        self._actor = actor
        self._by_folder = by_folder
        self._parents: dict[str, str] = {}
        self._claims = TranscriptClaims(store, actor.organization, SOURCE)

    async def run(self, paths: Sequence[Path], advance: Advance = lambda _: None) -> ImportReport:
        """Import the sessions of files and folders; refused content is in the report.

        Raises:
            OnlyRead: if nothing can be recorded; checked before anything is read.
        """
        self._store.expect_writable()
        files: list[Path] = []
        for path in paths:
            try:
                files += files_in([path])
            except ImportFailed as e:
                self.report.refuse(str(path), e)
        # The names begin with the time, so a session comes before those that are forked from it.
        files = sorted(dict.fromkeys(files), key=lambda path: (path.name, path))
        for path in files:
            self._note_parent(path)
        async with RunRecorder(self._store, self._handler, self._actor, self.report) as recorder:
            for path in files:
                try:
                    await self._file(path, recorder, advance)
                except ImportFailed as e:
                    self.report.refuse(str(path), e)
        return self.report

    def _note_parent(self, path: Path) -> None:
        # A fault of the line is reported when the whole file is read.
        untold = ImportReport("lines")
        try:
            for raw in raw_lines(path, untold, lambda _: None):
                source = parsed(raw, untold)
                meta = source.object("payload") if source else None
                session_id = meta.text("id") if meta else None
                parent = parent_of(meta) if meta else None
                if session_id is not None and parent is not None:
                    self._parents[session_id] = parent
                return
        except (ImportFailed, InvalidArgument):
            return

    async def _file(self, path: Path, recorder: RunRecorder, advance: Advance) -> None:
        transcript = Transcript(path, self._parents, self.report)
        for turn in transcript.turns(raw_lines(path, self.report, advance)):
            if await self._may_count(turn):
                await recorder.submit(turn.place, self._found(turn))

    async def _may_count(self, turn: Turn) -> bool:
        """Claim a session and those that it begins with a copy of, as its calls may be theirs."""
        session_id: str | None = turn.header.session_id
        seen: set[str] = set()
        while session_id is not None and session_id not in seen:
            seen.add(session_id)
            if not await self._claims.has(session_id, turn.place, self.report):
                return False
            session_id = self._parents.get(session_id)
        return True

    def _found(self, turn: Turn) -> FoundRun:
        organization, now = self._actor.organization, datetime.now(UTC)
        project = last_part(turn.header.facts.get("cwd")) if self._by_folder else None
        return FoundRun(
            run_id(turn, organization),
            AGENT_ID,
            "Codex",
            lambda: commands(turn, organization, now, project),
        )
