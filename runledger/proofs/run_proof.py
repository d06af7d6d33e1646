"""The proof that a log had the events of a run; it is checked without the ledger."""

import base64
from collections.abc import Iterator
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from runledger.errors import LogDamaged, NotFound, ProofRefused, describe
from runledger.proofs.checkpoint import Checkpoint, read_checkpoint
from runledger.proofs.checkpoint_folder import CheckpointFolder
from runledger.proofs.log_tree import LogTree
from runledger.proofs.merkle import included, inclusion
from runledger.proofs.notes import Verifier
from runledger.store.commitments import Commitment, digest_of
from runledger.store.protocol import Store, StoredRow
from runledger.store.tiles import WIDTH, leaf, tile_rows


class ProvedEvent(BaseModel):
    """One event as it is stored, and the way from its leaf to the root.

    `salt` and `contents` are there if contents are shown; `commitment` alone says nothing of them.
    Bytes are in base64, and `facts` and `contents` are the stored text, not parsed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    position: int
    version: int
    topic: str
    facts: str
    commitment: str | None = None
    salt: str | None = None
    contents: str | None = None
    path: list[str]


class RunProof(BaseModel):
    """The events of one run, versions 1 to n, and the checkpoint that they are proved by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["runledger run proof 1"] = "runledger run proof 1"
    run: str
    checkpoint: str
    events: list[ProvedEvent]


def prove_run(
    store: Store, run_id: str, folder: CheckpointFolder, verifier: Verifier, *, contents: bool
) -> RunProof:
    """Return the proof of a run by the newest checkpoint of a folder.

    Args:
        store: The store that has the run.
        run_id: The run.
        folder: The folder of checkpoints.
        verifier: The public key of the checkpoints.
        contents: Whether messages, arguments and returns are in the proof, or only commitments.

    Returns:
        The proof; events that are younger than the checkpoint are not in it.

    Raises:
        NotFound: If there is no such run, no checkpoint, or none that has an event of the run.
        InvalidArgument: If the checkpoint is not signed by this key.

    """
    checkpoint, note = folder.latest(verifier), folder.note()
    if checkpoint is None or note is None:
        raise NotFound("checkpoint", str(folder.path), "`runledger checkpoint write` makes one")
    positions = [found.position for found in store.read_stream(run_id, contents=False)]
    places = _Places(store, LogTree(store, folder, checkpoint.size), checkpoint.size)
    found = [place for position in positions if (place := places.find(position)) is not None]
    events = [places.prove(place, contents) for place in found]
    if not events:
        raise NotFound(
            "run", run_id, "no event of it is in the checkpoint" if positions else "no such run"
        )
    return RunProof(run=run_id, checkpoint=note, events=events)


def check_proof(text: str | bytes, verifier: Verifier) -> tuple[RunProof, Checkpoint]:
    """Check the proof of a run without ledger and database.

    Args:
        text: The proof as JSON.
        verifier: The public key that the checkpoint is to be signed by.

    Returns:
        The proof and its checkpoint. Events that were appended later are not known to it.

    Raises:
        ProofRefused: If it proves nothing: another key, other bytes, a version missing.
        InvalidArgument: If the signature does not hold.

    """
    try:
        proof = RunProof.model_validate_json(text)
    except ValidationError as e:
        raise ProofRefused(f"expected a proof of a run: {describe(e)}") from e
    checkpoint = read_checkpoint(proof.checkpoint, verifier)
    for version, event in enumerate(proof.events, 1):
        where = f"run {proof.run}: version {version}"
        if event.version != version:
            raise ProofRefused(f"{where}: expected this version, found {event.version}")
        try:
            row, committed, path = _decoded(proof.run, event)
        except ValueError as e:
            raise ProofRefused(f"{where}: {e}") from e
        if not included(leaf(row, committed), event.index, checkpoint.size, path, checkpoint.root):
            raise ProofRefused(f"{where}: it is not in the log of the checkpoint")
    if not proof.events:
        raise ProofRefused(f"run {proof.run}: expected events, found none")
    return proof, checkpoint


class _Place(NamedTuple):
    """An event in the tree: its index there, its row, and the commitment to its contents."""

    leaf_index: int
    row: StoredRow
    commitment: Commitment | None


class _Places:
    """Finds events in the tree of `size` leaves by position."""

    def __init__(self, store: Store, tree: LogTree, size: int) -> None:
        self._store, self._tree, self._size = store, tree, size
        self._tiles: dict[int, dict[int, _Place]] = {}

    def find(self, position: int) -> _Place | None:
        """Return the place of an event; None if it is younger than the tree."""
        number = self._tile_of(position)
        if number not in self._tiles:
            self._tiles[number] = {place.row.position: place for place in self._places(number)}
        place = self._tiles[number].get(position)
        return None if place is None or place.leaf_index >= self._size else place

    def _places(self, number: int) -> Iterator[_Place]:
        tile = self._tree.tile(number)
        rows = tile_rows(self._store, tile)
        try:
            for at, (row, made) in enumerate(zip(rows, tile.commitments(), strict=True)):
                yield _Place(number * WIDTH + at, row, made)
        except ValueError as e:
            raise LogDamaged(
                f"store {self._store.url!r}: the events at positions {tile.first:,} to "
                f"{tile.last:,} are not those of their tile; run `runledger verify --log`"
            ) from e

    def prove(self, place: _Place, contents: bool) -> ProvedEvent:
        """Return the event and its path."""
        index, row, commitment = place
        shown = contents and commitment is not None and row.contents is not None
        return ProvedEvent(
            index=index,
            position=row.position,
            version=row.version,
            topic=row.topic,
            facts=row.facts.decode(),
            commitment=commitment and _text(commitment.digest),
            salt=_text(commitment.salt) if shown and commitment else None,
            contents=row.contents.decode() if shown and row.contents else None,
            path=[_text(step) for step in inclusion(self._tree, index, self._size)],
        )

    def _tile_of(self, position: int) -> int:
        """Return the number of the last tile of the tree that begins before an event, or at it."""
        low, high = 0, (self._size - 1) // WIDTH
        while low < high:
            middle = (low + high + 1) // 2
            if self._tree.tile(middle).first <= position:
                low = middle
            else:
                high = middle - 1
        return low


def _decoded(run: str, event: ProvedEvent) -> tuple[StoredRow, bytes | None, list[bytes]]:
    committed = None if event.commitment is None else _bytes(event.commitment)
    if event.contents is not None and (
        digest_of(_bytes(event.salt or ""), event.contents.encode()) != committed
    ):
        raise ValueError("the contents are not those that were committed to")
    facts = event.facts.encode()
    row = StoredRow(event.position, run, event.version, event.topic, facts, None)
    return row, committed, [_bytes(step) for step in event.path]


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
