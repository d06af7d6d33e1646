"""Imports trace exports of Langfuse: each trace once, in one append."""

from collections.abc import Sequence
from pathlib import Path

from runledger.command_handling.handler import CommandHandler
from runledger.errors import ImportFailed, InvalidArgument
from runledger.importers.json_lines import files_in
from runledger.importers.json_stream import JsonStream
from runledger.importers.langfuse.run import as_trace
from runledger.importers.recorder import LARGE, FoundRun, RunRecorder
from runledger.importers.report import Advance, ImportReport
from runledger.importers.source_file import opened
from runledger.run import Actor
from runledger.store import Store

SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz")


class LangfuseImport:
    """One import; `report` is updated while it runs."""

    def __init__(self, store: Store, handler: CommandHandler, actor: Actor) -> None:
        self.report = ImportReport("runs")
        self._store = store
        self._handler = handler
        self._actor = actor

    async def run(self, paths: Sequence[Path], advance: Advance = lambda _: None) -> ImportReport:
        """Import files, also in folders: a trace, a list of traces, or a sequence of traces.

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
        with opened(path) as source:
            done = 0
            try:
                for number, given in enumerate(JsonStream(source.stream).documents()):
                    place = f"{path}: trace {number + 1:,}"
                    try:
                        trace = as_trace(given, self._actor.organization)
                    except InvalidArgument as e:
                        self.report.refuse(place, e)
                        continue
                    found = FoundRun(
                        trace.run_id,
                        trace.agent_id,
                        trace.agent_name,
                        trace.commands,
                        trace.digest,
                    )
                    await recorder.submit(f"{place} ({trace.trace_id})", found)
                    advance(source.file.tell() - done)
                    done = source.file.tell()
            except ImportFailed as e:
                self.report.refuse(str(path), e)
