"""Imports tau2-bench result files: many runs concurrently, each in one append."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runledger.command_handling.handler import CommandHandler
from runledger.errors import ImportFailed, InvalidArgument
from runledger.importers.json_stream import JsonStream
from runledger.importers.recorder import FoundRun, RunRecorder
from runledger.importers.report import Advance, ImportReport
from runledger.importers.source_file import opened
from runledger.importers.tau2.result_file import (
    Experiment,
    about_folder,
    folder_of,
    simulations,
)
from runledger.importers.tau2.simulation import identity, timed_commands
from runledger.run import Actor
from runledger.store import Store


class Tau2Import:
    """One import; `report` is updated while it runs."""

    def __init__(self, store: Store, handler: CommandHandler, actor: Actor) -> None:
        self.report = ImportReport("runs")
        self._store = store
        self._handler = handler
        self._actor = actor

    async def run(self, paths: Sequence[Path], advance: Advance = lambda _: None) -> ImportReport:
        """Import the files one after the other; refused content is in the report, the rest is
        imported.

        Raises:
            OnlyRead: if nothing can be recorded; checked before anything is read.
        """
        self._store.expect_writable()
        async with RunRecorder(self._store, self._handler, self._actor, self.report) as recorder:
            for path in paths:
                try:
                    await self._file(path, recorder, advance)
                except (ImportFailed, InvalidArgument) as e:
                    self.report.refuse(str(path), e)
        return self.report

    async def _file(self, path: Path, recorder: RunRecorder, advance: Advance) -> None:
        folder = folder_of(path)
        if folder is not None:
            await self._folder(path, folder, recorder, advance)
            return
        with opened(path) as source:
            done = 0
            for number, (about, given) in enumerate(simulations(path, source)):
                place = f"{path}: simulations[{number}]"
                if isinstance(given, dict):
                    named = f" ({given['id']})" if "id" in given else ""
                    await recorder.submit(place + named, self._found(about, given))
                else:
                    self.report.refuse(place, f"expected an object, found {given!r:.80}")
                advance(source.file.tell() - done)
                done = source.file.tell()

    async def _folder(
        self, path: Path, folder: Path, recorder: RunRecorder, advance: Advance
    ) -> None:
        """Import the simulations of a folder, or the named one."""
        about = about_folder(folder / "results.json")
        one = path.parent.name == "simulations"
        for file in [path] if one else sorted((folder / "simulations").glob("*.json*")):
            try:
                with opened(file) as source:
                    given = JsonStream(source.stream).value()
            except ImportFailed as e:
                self.report.refuse(str(file), e)
                continue
            if isinstance(given, dict):
                await recorder.submit(str(file), self._found(about, given))
            else:
                self.report.refuse(str(file), f"expected an object, found {given!r:.80}")
            advance(file.stat().st_size)

    def _found(self, about: Experiment, given: dict[str, Any]) -> FoundRun:
        known = identity(given, about, self._actor.organization)
        return FoundRun(
            known.run_id,
            about.agent_id,
            f"{about.agent_model} ({about.domain})",
            lambda: timed_commands(given, about, known),
            known.digest,
            known.earlier_id,
        )
