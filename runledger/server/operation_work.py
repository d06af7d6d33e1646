"""The work of each kind of long operation, on the operator of the server's ledger."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from projections.replay.selection import selection
from runledger.ledger.read_model_copies import ReadModelCopies
from runledger.parameters import position_or_moment
from runledger.server.operation import Kind


class Told(Protocol):
    """Takes what an operation says of itself while it works, in any thread."""

    def begun(self, number: int, position: int, head: int) -> None:
        """Take the generation that is built, where the work begins, and where the log ends."""

    def progress(self, events: int, position: int) -> None:
        """Take the events since the last call, and their last position."""


COPY: Final = "read_models.duckdb"
Work = Callable[[Any, Path, Mapping[str, Any], Told], Awaitable[Any]]


async def _replay(operator: Any, folder: Path, given: Mapping[str, Any], told: Told) -> Any:
    options = _with_out(given, folder)
    if (part := options.pop("selection", None)) is not None:
        # An empty part is refused: it must not become the whole log.
        options["selection"] = selection(**part)
    return await operator.replay(**options, begun=told.begun, progress=told.progress)


async def _switch(operator: Any, _folder: Path, given: Mapping[str, Any], _told: Told) -> Any:
    return await operator.switch_generation(given["number"])


async def _verify(operator: Any, _folder: Path, given: Mapping[str, Any], _told: Told) -> Any:
    return await operator.verify(**given)


async def _compare(operator: Any, folder: Path, given: Mapping[str, Any], _told: Told) -> Any:
    options = _with_out(given, folder)
    return await operator.compare_generation(options.pop("number"), **options)


async def _explain(operator: Any, _folder: Path, given: Mapping[str, Any], _told: Told) -> Any:
    return await operator.compare_generation(given["number"], explain_runs=given["runs"])


async def _archive(operator: Any, folder: Path, _given: Mapping[str, Any], told: Told) -> Any:
    return await operator.archive(folder.parent / "archive", progress=told.progress)


async def _publish(operator: Any, folder: Path, _given: Mapping[str, Any], _told: Told) -> Any:
    return await operator.publish(folder.parent / "published")


async def _copy(operator: Any, folder: Path, given: Mapping[str, Any], _told: Told) -> Any:
    past = given.get("as_of")
    as_of = None if past is None else position_or_moment(past)
    copies = operator.ledger.part(ReadModelCopies)
    # A file of this operation alone, since the next published copy takes the place of the last.
    return {"position": await copies.copy_read_models(folder / COPY, as_of=as_of)}


async def _export(operator: Any, folder: Path, _given: Mapping[str, Any], _told: Told) -> Any:
    return await operator.export_parquet(folder / "tables")


def _with_out(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    options = dict(given)
    if options.pop("out", False):
        options["out"] = folder / "differences.parquet"
    return options


WORK: Final[Mapping[Kind, Work]] = {
    "replay": _replay,
    "switch": _switch,
    "verify": _verify,
    "compare": _compare,
    "explain": _explain,
    "archive": _archive,
    "publish": _publish,
    "copy": _copy,
    "export": _export,
}
