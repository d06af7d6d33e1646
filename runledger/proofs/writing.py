"""Writing a checkpoint: what is signed continues what was signed before."""

import time
from typing import Final

from runledger.errors import InvalidArgument, LogDamaged
from runledger.proofs.checkpoint import Checkpoint
from runledger.proofs.checkpoint_folder import CheckpointFolder
from runledger.proofs.log_tree import LogTree
from runledger.proofs.notes import Signer
from runledger.store.keeper import keep
from runledger.store.protocol import Store

_KEPT_AT_ONCE: Final = 1 << 16
_PATIENCE_SECONDS: Final = 10.0
"""How long another keeper may take; what it has not kept by then waits for the next checkpoint."""
_PAUSE_SECONDS: Final = 0.1


def write_checkpoint(
    store: Store, folder: CheckpointFolder, signer: Signer, *, leaves: bool = False
) -> Checkpoint:
    """Sign what the log has now, and write it to a folder outside of the database.

    Args:
        store: The store; events that are in no tile yet are kept first.
        folder: A new folder, or the one with the checkpoints before this one.
        signer: The private key, the same for all checkpoints of a log.
        leaves: Also write the leaf of every event, 32 bytes each, so that a difference is found to
            the event; without them, it is found to the 256 events of a tile. The default is not.

    Returns:
        The checkpoint; the last one if nothing was appended since.

    Raises:
        InvalidArgument: If the folder is another's, cannot be written, or the log is empty.
        ReadModelsLocked: If another process writes to the folder.
        LogDamaged: If the log does not continue what was signed before: two histories are never
            signed by one key.

    """
    folder.expect_ours()
    _keep_all(store)
    if store.tiles_end().size == 0:
        raise InvalidArgument(f"checkpoint: store {store.url!r}: expected events, found none")
    with folder.writing():
        last = folder.latest(signer.verifier)
        size = store.tiles_end().size
        tree = LogTree(store, folder, size)
        if last is not None:
            _expect_continued(tree, last, size, store.url)
            if last.size == size:
                return last
        checkpoint = Checkpoint(signer.name, size, tree.root(size))
        tree.grow(leaves=leaves)
        folder.write_note(checkpoint, checkpoint.signed(signer))
        return checkpoint


def _keep_all(store: Store) -> None:
    head, began = store.head(), time.monotonic()
    while store.tiles_end().last < head and time.monotonic() - began < _PATIENCE_SECONDS:
        if not keep(store, _KEPT_AT_ONCE, rest=True):
            time.sleep(_PAUSE_SECONDS)


def _expect_continued(tree: LogTree, last: Checkpoint, size: int, url: str) -> None:
    found = f"{size:,} events" if size < last.size else "other events among them"
    if size < last.size or tree.root(last.size) != last.root:
        raise LogDamaged(
            f"store {url!r}: expected the {last.size:,} events of the last checkpoint, found "
            f"{found}. Run `runledger verify --log --checkpoints DIR`. If a backup was restored, "
            f"begin anew: a new key with another name, and a new folder"
        )
