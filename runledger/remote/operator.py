"""The operator's work on the ledger of a server; files that it makes are fetched."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from projections.archive.archive import Archive
from projections.archive.log_source import LogSource
from projections.compare.comparison import Comparison
from projections.compare.repricing import KnownAt, Repriced
from projections.compare.verify import Verification
from projections.fold.engine import Begun, Progress
from projections.fold.parking import Parked, Retried
from projections.generations.as_of import AsOfMoment
from projections.generations.manifest import GenerationManifest
from projections.publishing.parquet import Exported, export
from projections.publishing.publish import Published, publish
from projections.publishing.target_file import PARQUET, expect_replaceable
from projections.replay.partial import BlastRadius
from projections.replay.replay import Replayed
from projections.replay.selection import Selection
from runledger.arguments import check_counts
from runledger.durable_file import unfinished
from runledger.errors import InvalidArgument
from runledger.price_records import PriceChange
from runledger.prices import PriceTable
from runledger.remote.connection import Connection
from runledger.remote.event_lines import RemoteEventLines
from runledger.remote.operations import Operations
from runledger.remote.part import NOTHING, given, moment
from runledger.run.envelope import optional_in_utc

if TYPE_CHECKING:
    from runledger.remote.ledger import RemoteLedger

_ADOPTED: Final[TypeAdapter[PriceChange | None]] = TypeAdapter(PriceChange | None)
_REPRICED: Final = TypeAdapter(Repriced)
_PARKED: Final = TypeAdapter(list[Parked])
_RETRIED: Final = TypeAdapter(Retried)
_MANIFEST: Final = TypeAdapter(GenerationManifest)
_MANIFESTS: Final = TypeAdapter(list[GenerationManifest])
_REPLAYED: Final = TypeAdapter(Replayed)
_COMPARISON: Final = TypeAdapter(Comparison)
_VERIFICATION: Final = TypeAdapter(Verification)
_COPY: Final = "read_models.duckdb"
_DIFFERENCES: Final = "differences.parquet"


class RemoteOperator(RemoteEventLines):
    """The methods of runledger.ledger.Operator; see there. The key is one of all organizations.

    The server does one long operation at a time; another is refused meanwhile. A value of a
    differing row is as JSON tells it, so a time in it is text.

    Parameters:
        ledger: the remote ledger whose operator this is.
        connection: the connection of the ledger.
    """

    def __init__(self, ledger: "RemoteLedger", connection: Connection) -> None:
        super().__init__(connection)
        self.ledger = ledger
        self._operations = Operations(connection)

    async def replay(
        self,
        *,
        switch: bool = False,
        max_changed: str | None = None,
        fail_if_changed: Sequence[str] = (),
        limit: int = 10,
        explain: int = 1,
        explain_runs: Sequence[str] = (),
        out: str | Path | None = None,
        overwrite: bool = False,
        keep: int = 2,
        fresh: bool = False,
        source: LogSource | None = None,
        only_changed: bool = False,
        selection: Selection | None = None,
        on_blast_radius: Callable[[BlastRadius], None] | None = None,
        begun: Begun | None = None,
        progress: Progress | None = None,
    ) -> Replayed:
        """Project the log again beside the live read models, compare, and switch if requested.

        `on_blast_radius` is called when the replay has ended, as the server tells it then.
        """
        if source is not None:
            raise InvalidArgument(
                "source: expected none, as a server replays its own log; found an archive"
            )
        part = None if selection is None else selection.model_dump(mode="json", exclude_unset=True)
        arguments = {
            "switch": switch,
            "max_changed": max_changed,
            "fail_if_changed": list(fail_if_changed),
            "limit": limit,
            "explain": explain,
            "explain_runs": list(explain_runs),
            "keep": keep,
            "fresh": fresh,
            "only_changed": only_changed,
            "selection": part,
        }
        result = await self._compared(
            "replay", given(arguments), out, overwrite, begun=begun, progress=progress
        )
        replayed = _REPLAYED.validate_python(result)
        if on_blast_radius is not None and replayed.radius is not None:
            on_blast_radius(replayed.radius)
        return replayed

    async def generations(self) -> list[GenerationManifest]:
        """Return the manifests of all generations, in order."""
        return await self._connection.ask("generations", _MANIFESTS)

    async def generation(self, number: int) -> GenerationManifest:
        """Return the manifest of a generation."""
        return await self._connection.ask(f"generations/{_number(number)}", _MANIFEST)

    async def compare_generation(
        self,
        number: int,
        *,
        limit: int = 10,
        explain: int = 1,
        explain_runs: Sequence[str] = (),
        out: str | Path | None = None,
        overwrite: bool = False,
    ) -> Comparison:
        """Compare a generation with the live one, both at one position."""
        arguments = {
            "number": _number(number),
            "limit": limit,
            "explain": explain,
            "explain_runs": list(explain_runs),
        }
        result = await self._compared("compare", arguments, out, overwrite)
        return _COMPARISON.validate_python(result)

    async def switch_generation(self, number: int) -> GenerationManifest:
        """Make a generation the live one."""
        done = await self._operations.done("switch", {"number": _number(number)})
        return _MANIFEST.validate_python(done.result)

    async def drop_generation(self, number: int) -> None:
        """Delete a generation that is not live."""
        await self._connection.command("DELETE", f"generations/{_number(number)}", NOTHING)

    async def verify(self, *, sample: int | None = None) -> Verification:
        """Make rows again from their events, and compare."""
        done = await self._operations.done("verify", given({"sample": sample}))
        return _VERIFICATION.validate_python(done.result)

    async def publish(self, folder: str | Path) -> Published:
        """Write a copy of the server's read models to `folder`/read_models.duckdb here."""
        async with self._fetched(None) as copy:
            return await asyncio.to_thread(publish, copy, folder)

    async def export_parquet(
        self, folder: str | Path, *, as_of: AsOfMoment | None = None, overwrite: bool = False
    ) -> Exported:
        """Write every table of the server's read models under `folder` here as Parquet."""
        async with self._fetched(as_of) as copy:
            return await asyncio.to_thread(export, copy, folder, overwrite=overwrite)

    async def verify_archive(self, folder: str | Path) -> Archive:
        """Read and verify every byte of an archive here; the server is not asked."""
        found = await asyncio.to_thread(Archive, folder)
        await asyncio.to_thread(found.verify)
        return found

    async def parked(self, *, as_of: AsOfMoment | None = None) -> list[Parked]:
        """Return the streams with events that are left out of the read models, and why."""
        return await self._connection.ask("parked", _PARKED, as_of=moment(as_of))

    async def retry_parked(self, streams: Sequence[str] | None = None) -> Retried:
        """Apply the events of parked streams that were left out; of all if none are named."""
        body = given({"streams": None if streams is None else list(streams)})
        return await self._connection.command("POST", "parked/retry", _RETRIED, body)

    async def adopt_prices(self, table: PriceTable | None = None) -> PriceChange | None:
        """Adopt the table of the server's version."""
        if table is not None:
            raise InvalidArgument("table: expected none, as a server adopts its own; found one")
        return await self._connection.command("POST", "prices/adopted", _ADOPTED)

    async def reprice(
        self,
        *,
        since: datetime | None = None,
        known_at: KnownAt = "now",
        dry_run: bool = False,
    ) -> Repriced:
        """Price recorded steps again, and return what that changes."""
        begin = optional_in_utc("since", since)
        body = {
            "since": None if begin is None else begin.isoformat(),
            "known_at": known_at,
            "dry_run": dry_run,
        }
        return await self._connection.command("POST", "prices/applied", _REPRICED, body)

    async def _compared(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        out: str | Path | None,
        overwrite: bool,
        **told: Any,
    ) -> Any:
        """Return the result of an operation, with the values that differ in the file `out`."""
        if out is None:
            return (await self._operations.done(kind, arguments, **told)).result
        target = Path(out)
        expect_replaceable(target, PARQUET, overwrite=overwrite)
        done = await self._operations.done(kind, {**arguments, "out": True}, **told)
        if _DIFFERENCES in done.files:
            with unfinished(target) as part:
                await self._operations.fetch(done, _DIFFERENCES, part)
            await self._operations.forget_files(done)
        return done.result

    @asynccontextmanager
    async def _fetched(self, as_of: AsOfMoment | None) -> AsyncIterator[Callable[[Path], int]]:
        """Fetch the read models; give what copies them to a file and returns their position."""
        done = await self._operations.done("copy", given({"as_of": moment(as_of)}))
        with TemporaryDirectory(prefix="runledger-fetched-") as folder:
            fetched = Path(folder) / _COPY
            await self._operations.fetch(done, _COPY, fetched)
            await self._operations.forget_files(done)

            def copy_to(file: Path) -> int:
                shutil.copyfile(fetched, file)
                return int(done.result["position"])

            yield copy_to


def _number(number: int) -> int:
    check_counts(least=0, number=number)
    return number
