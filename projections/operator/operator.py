"""Runs the operator's work in this process, or in the one that has the read models open."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from projections.compare.comparison import Comparison
from projections.compare.repricing import PriceDifference
from projections.compare.verify import Verification
from projections.fold.parking import Parked, Retried
from projections.generations.live import LiveReadModels
from projections.generations.manifest import GenerationManifest
from projections.operator.held import QUESTION, answer_question
from projections.operator.local import Operations
from projections.operator.requests import PATIENCE_SECONDS, RequestServer, request
from runledger.errors import ReadModelsError, ReadModelsLocked
from runledger.store import Store

HERE: Final = "here"
"""The request that only asks for an answer."""
_EACH_SECONDS: Final = 0.5
"""How long another process has to answer before the file is opened again."""


class Operator(Protocol):
    """See projections.operator.local.Operations."""

    def compare(
        self,
        number: int,
        *,
        limit: int = 10,
        explain: int = 1,
        explain_runs: Sequence[str] = (),
        out: Path | None = None,
    ) -> Comparison:
        """Compare the live generation with another one, at one position."""

    def switch(self, number: int) -> GenerationManifest:
        """Make a generation the live one and keep the previous one."""

    def copy(self, file: Path) -> int:
        """Write the live read models into a new file; return their position."""

    def parked(self) -> list[Parked]:
        """Return the streams whose events are left out because they cannot be applied."""

    def retry_parked(self, streams: Sequence[str] | None = None) -> Retried:
        """Apply the events of parked streams that were left out; of all streams if none are
        named."""

    def verify(self, sample: int | None = None) -> Verification:
        """Make rows again from their events and compare."""

    def price_difference(self, since: datetime | None, known_at: int | None) -> PriceDifference:
        """Return what pricing steps again would change."""


class RemoteOperator:
    """Asks the process that has the read models open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def compare(
        self,
        number: int,
        *,
        limit: int = 10,
        explain: int = 1,
        explain_runs: Sequence[str] = (),
        out: Path | None = None,
    ) -> Comparison:
        """Ask it to compare; it writes `out`, so it must have access to that path."""
        answer = request(
            self._path,
            "compare",
            number=number,
            limit=limit,
            explain=explain,
            explain_runs=list(explain_runs),
            out=None if out is None else str(out.absolute()),
        )
        return Comparison.model_validate_json(answer)

    def switch(self, number: int) -> GenerationManifest:
        """Ask it to switch."""
        return GenerationManifest.model_validate_json(request(self._path, "switch", number=number))

    def copy(self, file: Path) -> int:
        """Ask it to write a copy to a path that both processes can access."""
        return int(request(self._path, "copy", file=str(file.absolute())))

    def parked(self) -> list[Parked]:
        """Ask it for the parked streams."""
        return [Parked(*row) for row in json.loads(request(self._path, "parked"))]

    def retry_parked(self, streams: Sequence[str] | None = None) -> Retried:
        """Ask it to retry parked streams."""
        named = None if streams is None else list(streams)
        applied, left = json.loads(request(self._path, "retry_parked", streams=named))
        return Retried(applied, [Parked(*row) for row in left])

    def verify(self, sample: int | None = None) -> Verification:
        """Ask it to verify."""
        return Verification.model_validate_json(request(self._path, "verify", sample=sample))

    def price_difference(self, since: datetime | None, known_at: int | None) -> PriceDifference:
        """Ask it what pricing steps again would change."""
        begin = None if since is None else since.isoformat()
        answer = request(self._path, "price_difference", since=begin, known_at=known_at)
        return PriceDifference.model_validate_json(answer)


def serve(live: LiveReadModels, operations: Operations) -> RequestServer:
    """Serve the requests of other processes until the server is closed."""

    def answer(verb: str, arguments: Mapping[str, Any]) -> str:
        given = dict(arguments)
        if verb == HERE:
            return ""
        if verb == QUESTION:
            return answer_question(live, **given)
        if verb == "compare":
            out = given.pop("out")
            return operations.compare(**given, out=Path(out) if out else None).model_dump_json()
        if verb == "switch":
            return operations.switch(**given).model_dump_json()
        if verb == "copy":
            return str(operations.copy(Path(given["file"])))
        if verb == "parked":
            return json.dumps(operations.parked())
        if verb == "retry_parked":
            return json.dumps(operations.retry_parked(**given))
        if verb == "verify":
            return operations.verify(**given).model_dump_json()
        if verb == "price_difference":
            since = None if given["since"] is None else datetime.fromisoformat(given["since"])
            return operations.price_difference(since, given["known_at"]).model_dump_json()
        raise ReadModelsError(f"request: expected one of an operator's verbs, found {verb!r}")

    return RequestServer(live.path, answer)


@contextmanager
def open_operator(store: Store, path: str | Path) -> Iterator[Operator]:
    """Open the live read models for the block, or ask the process that has them open.

    Raises:
        ReadModelsLocked: if that process does not serve requests, and does not close them in time.
    """
    live = hold_or_find(store, Path(path))
    if live is None:
        yield RemoteOperator(Path(path))
        return
    try:
        yield Operations(store, live)
    finally:
        live.close()


def hold_or_find(store: Store, path: Path, patience: float | None = None) -> LiveReadModels | None:
    """Open the live read models; None once another process has said that it serves requests.

    Another command has them open as briefly as this one and serves no requests: this one waits.
    """
    deadline = time.monotonic() + (PATIENCE_SECONDS if patience is None else patience)
    while True:
        try:
            return LiveReadModels(store, path)
        except ReadModelsLocked:
            try:
                request(path, HERE, _EACH_SECONDS)
            except ReadModelsError:
                # No process answers; the one that would have answered may have ended meanwhile.
                if time.monotonic() > deadline:
                    raise
            else:
                return None
