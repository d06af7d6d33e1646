"""Imports evaluation logs of Inspect: each sample once, in one append."""

from collections.abc import Sequence
from pathlib import Path

from runledger.command_handling.handler import CommandHandler
from runledger.errors import ImportFailed, InvalidArgument
from runledger.importers.inspect_ai.log_file import SUFFIXES, samples
from runledger.importers.inspect_ai.run import SampleRun
from runledger.importers.json_lines import files_in
from runledger.importers.recorder import LARGE, FoundRun, RunRecorder
from runledger.importers.report import Advance, ImportReport
from runledger.run import Actor
from runledger.store import Store


class InspectImport:
    """One import; `report` is updated while it runs."""

    def __init__(self, store: Store, handler: CommandHandler, actor: Actor) -> None:
        self.report = ImportReport("runs")
        self._store = store
        self._handler = handler
        self._actor = actor

    async def run(self, paths: Sequence[Path], advance: Advance = lambda _: None) -> ImportReport:
        """Import logs (`.json` or `.eval`), also in folders; one file after the other.

        Raises:
            OnlyRead: if nothing can be recorded; checked before anything is read.
        """
        self._store.expect_writable()
        async with RunRecorder(
            self._store, self._handler, self._actor, self.report, at_once=LARGE
        ) as recorder:
            for path in paths:
                try:
                    for file in files_in([path], SUFFIXES):
                        await self._file(file, recorder, advance)
                except ImportFailed as e:
                    self.report.refuse(str(path), e)
        return self.report

    async def _file(self, path: Path, recorder: RunRecorder, advance: Advance) -> None:
        try:
            for sample in samples(path, advance):
                try:
                    run = SampleRun(sample, self._actor.organization)
                except InvalidArgument as e:
                    self.report.refuse(sample.place, e)
                    continue
                found = FoundRun(run.run_id, run.agent_id, run.agent_name, run.commands, run.digest)
                await recorder.submit(sample.place, found)
        except ImportFailed as e:
            self.report.refuse(str(path), e)
