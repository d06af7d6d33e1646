"""Imports sessions of pi: everything new since the last import, once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from runledger.command_handling.handler import CommandHandler
from runledger.errors import ImportFailed
from runledger.importers.foreign import last_part
from runledger.importers.json_lines import files_in, raw_lines
from runledger.importers.pi.run import AGENT_ID, commands, run_id
from runledger.importers.pi.session import Transcript, Turn
from runledger.importers.recorder import FoundRun, RunRecorder
from runledger.importers.report import Advance, ImportReport
from runledger.run import Actor
from runledger.store import Store


class PiImport:
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

    async def run(self, paths: Sequence[Path], advance: Advance = lambda _: None) -> ImportReport:
        """Import the sessions of files and folders; refused content is in the report.

        Raises:
            OnlyRead: if nothing can be recorded; checked before anything is read.
        """
        self._store.expect_writable()
        async with RunRecorder(self._store, self._handler, self._actor, self.report) as recorder:
            for path in paths:
                try:
                    for file in files_in([path]):
                        await self._file(file, recorder, advance)
                except ImportFailed as e:
                    self.report.refuse(str(path), e)
        return self.report

    async def _file(self, path: Path, recorder: RunRecorder, advance: Advance) -> None:
        transcript = Transcript(path, self.report)
        for turn in transcript.turns(raw_lines(path, self.report, advance)):
            await recorder.submit(turn.place, self._found(turn))

    def _found(self, turn: Turn) -> FoundRun:
        organization, now = self._actor.organization, datetime.now(UTC)
        project = last_part(turn.header.facts.get("cwd")) if self._by_folder else None
        return FoundRun(
            run_id(turn, organization),
            AGENT_ID,
            "pi",
            lambda: commands(turn, organization, now, project),
        )
