"""Brings tau2-bench result files into a ledger: many runs at once, each one append."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from runledger.command_handling.handler import CommandBatch, CommandHandler
from runledger.errors import Conflict, ImportFailed, InvalidArgument, NotFound, StoreRefused
from runledger.events import RunCreated
from runledger.importers.report import Advance, ImportReport
from runledger.importers.source_file import SourceFile, opened
from runledger.importers.tau2.result_file import Experiment, simulations
from runledger.importers.tau2.simulation import DIGEST, Identity, identity, timed_commands
from runledger.run import Actor
from runledger.store import Store

CONCURRENCY: Final = 64
"""Runs on their way at a time: enough for the appender to make large commits of them."""

_REFUSED: Final = (InvalidArgument, Conflict, StoreRefused)


class Tau2Import:
    """One import; `report` fills while it runs."""

    def __init__(self, store: Store, handler: CommandHandler, actor: Actor) -> None:
        self.report = ImportReport("runs")
        self._store = store
        self._handler = handler
        self._actor = actor
        self._room = asyncio.Semaphore(CONCURRENCY)
        self._agents: set[str] = set()

    async def run(self, paths: Sequence[Path], advance: Advance = lambda _: None) -> ImportReport:
        """Import the files in turn; what cannot go in is in the report, the rest goes in.

        Raises OnlyRead, before anything is read, where nothing can be recorded.
        """
        self._store.expect_writable()
        for path in paths:
            try:
                await self._file(path, advance)
            except (ImportFailed, InvalidArgument) as e:
                self.report.refuse(str(path), e)
        return self.report

    async def _file(self, path: Path, advance: Advance) -> None:
        with opened(path) as source:
            try:
                async with asyncio.TaskGroup() as tasks:
                    await self._simulations(path, source, tasks, advance)
            except ExceptionGroup as e:
                raise e.exceptions[0] from None

    async def _simulations(
        self, path: Path, source: SourceFile, tasks: asyncio.TaskGroup, advance: Advance
    ) -> None:
        done = 0
        try:
            for number, (about, given) in enumerate(simulations(path, source)):
                await self._room.acquire()
                tasks.create_task(self._simulation(path, number, about, given))
                advance(source.file.tell() - done)
                done = source.file.tell()
        except (ImportFailed, InvalidArgument) as e:
            # Not raised through the group: what is on its way goes in.
            self.report.refuse(str(path), e)

    async def _simulation(self, path: Path, number: int, about: Experiment, given: Any) -> None:
        try:
            await self._record(about, given)
        except _REFUSED as e:
            named = f" ({given['id']})" if isinstance(given, dict) and "id" in given else ""
            self.report.refuse(f"{path}: simulations[{number}]{named}", e)
        finally:
            self._room.release()

    async def _record(self, about: Experiment, given: Any) -> None:
        if not isinstance(given, dict):
            raise InvalidArgument(f"expected an object, found {given!r:.80}")
        simulation = identity(given, about)
        if await self._known(simulation):
            self.report.unchanged += 1
            return
        times, commands = zip(*timed_commands(given, about, simulation), strict=True)
        await self._register(about)
        batch = CommandBatch(self._actor, simulation.run_id, commands, times=times)
        try:
            outcome = await self._handler.execute(batch, fresh=True)
        except Conflict:
            # Another process may import the same file.
            if not await self._known(simulation):
                raise
            self.report.unchanged += 1
            return
        self.report.recorded += 1
        self.report.events += len(outcome.events)

    async def _known(self, simulation: Identity) -> bool:
        """Whether the run is there with this content; other content is told by the append.

        All of a run went in with its first event, so that one tells enough.
        """
        first = await asyncio.to_thread(self._store.read_stream, simulation.run_id, 0, 1, False)
        return any(
            isinstance(row.event, RunCreated)
            and row.event.organization == self._actor.organization
            and row.event.metadata.get(DIGEST) == simulation.digest
            for row in first
        )

    async def _register(self, about: Experiment) -> None:
        # Before the first run, not with it: 64 runs that all bring their agent along would
        # conflict with each other.
        if about.agent_id in self._agents:
            return
        try:
            await self._handler.agent(self._actor, about.agent_id)
        except NotFound:
            await self._handler.register_agent(
                self._actor, agent_id=about.agent_id, name=f"{about.agent_model} ({about.domain})"
            )
        self._agents.add(about.agent_id)
